//! Where events come from without a marketplace: a seeded simulator with its truth, and loaders of public data; it trains and serves nothing.

pub mod catalog_match;
pub mod ceiling;
pub mod interaction_files;
pub mod online_retail;
pub mod session_files;
pub mod shape;
pub mod simulator;

pub use simulator::{
    Arrival, CheckoutKind, CheckoutTruth, Scale, Simulation, SimulationError, SimulationSettings, Truth,
    units_per_usd_micros,
};
