//! Countersign: a gateway that holds the credentials for X's enterprise Engagement API.

pub mod model;

pub mod oauth1;

pub mod config;

pub mod telemetry;

pub mod vault;

pub mod store;

pub mod upstream;

pub mod gateway;

pub mod server;

pub mod sandbox;

pub mod cli;
