//! The protocol over gRPC, on a listener of its own: every call of Triton's clients, with keys as over HTTP; no encryption.

mod convert;
mod incoming;
mod messages;
mod server;
mod service;

pub use server::{GrpcBounds, GrpcError, serve_grpc};
pub use service::{Change, Gate, GrpcCaller, Need};
