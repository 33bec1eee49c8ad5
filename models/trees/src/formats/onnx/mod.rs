//! ONNX tree ensembles (`ai.onnx.ml`), read and written; other operators of a model are dropped where they change nothing, else refused.

mod attributes;
mod cuts;
mod export;
mod grow;
mod import;
mod wire;

pub use cuts::MAX_CUTS;
pub use export::{MARGIN_OUTPUT, MARGIN_TOLERANCE, PREDICTION_OUTPUT, ROWS_INPUT, export};
pub use import::import;
