//! Tests of the simulator, the loaders and the shape measures; model quality on the data is tested where the models are.

mod interaction_files;
mod measure;
mod online_retail;
mod probe;
mod session_files;
mod shape;
mod shoppers;
mod simulator;
