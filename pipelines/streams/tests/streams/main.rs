//! What other crates rely on in the log, the worker and the files beside them; features are not tested here.

mod common;
mod crash;
mod erasure;
mod files;
mod log;
mod watermark;
mod worker;
