//! The crate's tests in one binary: the store, collection, signatures, the ONNX runtime, text embeddings and imports, on generated data.

mod collect;
mod import;
mod onnx;
mod protobuf;
mod signatures;
mod store;
mod text;

use dhow_events::{TenantId, Timestamp};

/// A tenant by the last part of its name.
fn tenant(name: &str) -> TenantId {
    TenantId::new(&format!("ten_{name}")).unwrap()
}

/// A time in seconds.
fn second(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}
