//! What a caller of the bundles crate relies on; one binary, because linking costs.

mod follow_up;
mod model;
