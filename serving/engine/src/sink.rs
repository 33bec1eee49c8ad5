//! What the stream worker feeds: online store, lake, catalogue and live recommender in one pass; each skips what it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dhow_events::{Clock, DAY_MICROS, Fact, Region, Timestamp};
use dhow_offline::LakeWriter;
use dhow_online::OnlineStore;
use dhow_recommend::{Interaction, InteractionKind};
use dhow_streams::{Offsets, Record, Sink, SinkError};
use parking_lot::RwLock;

use crate::catalogue::Catalogue;
use crate::champions::Champions;
use crate::freshness::Freshness;

/// Live sessions and persons are kept for so long after their last click.
const LIVE_RETENTION_MICROS: i64 = 30 * DAY_MICROS;

/// What the worker and the questions share.
pub(crate) struct Shared {
    pub online: Arc<OnlineStore>,
    pub catalogue: Catalogue,
    pub champions: Champions,
    pub freshness: Freshness,
    pub stopwatch: Arc<dyn Clock>,
    /// The next offset of each partition that is not applied yet.
    pub applied: RwLock<Vec<u64>>,
    pub applied_count: AtomicU64,
}

/// The worker's sink.
pub(crate) struct PlatformSink {
    pub shared: Arc<Shared>,
    pub lake: LakeWriter,
    pub snapshot: PathBuf,
    pub online_offsets: Offsets,
}

impl Sink for PlatformSink {
    fn apply(&mut self, record: &Record) -> Result<(), SinkError> {
        self.shared.online.apply(&record.event, record.known_time, (record.partition, record.offset));
        self.lake.apply(record)?;
        self.shared.catalogue.apply(record);
        if let Some(interaction) = interaction(record) {
            self.shared.champions.observe(record.event.tenant, &interaction);
        }
        if let Some(next) = self.shared.applied.write().get_mut(record.partition as usize) {
            *next = record.offset + 1;
        }
        self.shared.applied_count.fetch_add(1, Ordering::Relaxed);
        self.shared.freshness.applied(record, self.shared.stopwatch.now());
        Ok(())
    }

    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        if let Some(newest) = self.shared.online.freshest_event_time() {
            self.shared.online.expire(newest);
            self.shared.champions.forget_before(newest - LIVE_RETENTION_MICROS);
        }
        self.shared.online.save(&self.snapshot)?;
        self.lake.checkpoint(offsets)
    }

    fn restored_offsets(&self) -> Offsets {
        let lake = self.lake.restored_offsets();
        let of = |offsets: &Offsets, partition: usize| offsets.0.get(partition).copied().unwrap_or(0);
        let lowest = |partition| of(&lake, partition).min(of(&self.online_offsets, partition));
        Offsets((0..self.online_offsets.0.len()).map(lowest).collect())
    }
}

/// The record as the recommender sees it, where it is about a shopper and a product.
pub(crate) fn interaction(record: &Record) -> Option<Interaction> {
    let time: Timestamp = record.event.event_time;
    let known = |person, session, product, kind, region: Option<Region>| Interaction {
        person,
        session,
        product,
        kind,
        region,
        time,
    };
    match &record.event.fact {
        Fact::ProductViewed(f) => Some(known(f.buyer, f.session, f.product, InteractionKind::View, Some(f.region))),
        Fact::CartItemAdded(f) => Some(known(f.buyer, f.session, f.product, InteractionKind::CartAdd, None)),
        Fact::ItemOrdered(f) => {
            let session = dhow_events::SessionId::from_u128(f.checkout.as_u128());
            Some(known(Some(f.buyer), session, f.product, InteractionKind::Purchase, Some(f.region)))
        }
        _ => None,
    }
}
