//! Fleets of workers end with the tables of one store that applied every record once, whatever happened to the workers.

mod brokers;
mod expected;
mod memory;
mod processes;
mod records;
mod threads;
#[allow(dead_code)]
#[path = "../../../online/tests/online/world.rs"]
mod world;
