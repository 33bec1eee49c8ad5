//! Workers that share the partitions of Kafka topics and keep feature state in Redis, exactly once; they answer no reads.
//!
//! # Two stages
//! A view's entity is rarely what the source topic is partitioned by, so the work is done in two stages, each shared out
//! by a consumer group; a [`run_worker`] is a member of both.
//!
//! 1. The *route stage* ([`Router`]) reads the source topic. For each event it works out the entities of all views, and
//!    sends the event once to each partition of the *re-keyed topic* that one of them belongs to
//!    ([`dhow_streams::share_of`]), with its place in the source and its known time. It keeps nothing. A place in the
//!    source is committed only once everything before it was acknowledged.
//! 2. The *feature stage* ([`FeatureStage`]) reads the re-keyed topic. Of each partition it has, it loads the state and
//!    the place where that state stands from the [`PartitionStates`], applies what follows, and now and then writes
//!    what changed together with the new place: one atomic step, which is refused where somebody else has written
//!    since. A worker keeps no file.
//!
//! # Why every event counts exactly once
//! *Of one source partition, a partition of the re-keyed topic holds each record first after all records with lower
//! offsets that belong there.* Let `r` be sent by a router that began at the committed offset `c`. A lower record at or
//! after `c` was sent by the same router before `r`, and a [`dhow_kafka::TopicSender`] leaves no gap. A lower record
//! before `c` was acknowledged before `c` was committed, so before that router began. Neither needs the routers to be
//! alone: what a router that was thought dead still sends is a repetition, or comes after all before it, too. So a
//! state that notes for each source partition the offset that it expects next, and drops what lies before, applies each
//! record exactly once and in order, whatever was sent again.
//!
//! *State and place never part.* They are written in one step, under the condition that the stored generation is the one
//! that this worker has loaded or written last. A worker that lost a partition and does not know it is refused, drops
//! what it has and loads again. So a rebalance needs no work to be finished in time, and Kafka's own offsets of the
//! feature stage are committed only so that the lag can be seen.
//!
//! # Versions
//! Where an event goes depends on the views. The re-keyed topic and the groups therefore carry the first digits of the
//! set's schema hash in their names: a new version routes the source anew, beside the one that is deployed.
//!
//! # Expiry
//! State is freed by a [`dhow_streams::Watermark`] over the source partitions, of which each partition of the re-keyed
//! topic has its own: a source partition that lags holds back what is freed, one that is silent does not.

mod error;
mod features;
mod rekeyed;
mod route;
mod settings;
mod states;
mod worker;

pub use error::FleetError;
pub use features::{FeatureReport, FeatureStage};
pub use rekeyed::{RekeyedError, RekeyedRecord};
pub use route::{RouteReport, Router};
pub use settings::{FleetProgress, FleetSettings};
pub use states::{PartitionStates, StatesError};
pub use worker::{WorkerReport, run_worker};
