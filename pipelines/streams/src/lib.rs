//! The event log and what reads it: durable appends, ordered replay, the worker loop, checkpoints; no feature is computed here.
//!
//! A [`Log`] is a fixed number of partitions, each an ordered sequence of [`Record`]s. [`LocalLog`] keeps it in
//! checksummed files that are synced to disk before an append returns. [`run_worker`] applies a log to a [`Sink`], which
//! checkpoints its state together with the [`Offsets`] that it has applied, so that a worker killed at any point resumes
//! with the same final state. [`Replay`] reads partitions in one deterministic order. A [`Watermark`] says how far event
//! time has come in all of them.

pub mod checkpoint;
mod frame;
mod group;
mod local;
mod log;
mod partition;
mod put_aside;
mod replay;
mod segment;
mod watermark;
mod worker;

pub use local::{APPEND_EVENTS_MAX, LocalLog, LocalLogSettings, PARTITIONS_MAX, Recovery, SEGMENT_BYTES_RANGE};
pub use log::{Log, LogError, Offsets, Position, Record, RecordChange, partition_of, share_of};
pub use put_aside::{PutAside, PutAsideError};
pub use replay::Replay;
pub use watermark::Watermark;
pub use worker::{Sink, SinkError, WorkerError, WorkerReport, WorkerSettings, catch_up, run_worker};
