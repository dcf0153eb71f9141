//! The sandbox behaves as the reference says the upstream does.

mod ages;
mod credentials;
mod faults;
mod forms;
mod groupings;
mod manual;
mod numbers;
mod quotas;
mod switches;
mod tokens;
mod windows;
mod world;
