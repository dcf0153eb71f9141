//! The program itself, as an operator runs it: what it prints, how it exits, and what it never says.

mod checking;
mod commands;
mod containers;
mod demo;
mod deployment;
mod leaks;
mod lifecycle;
mod rotation;
mod scan;
mod starting;
