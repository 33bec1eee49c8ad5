//! What the stream worker feeds: online store, links, deliveries, lake, catalogue and live models in one pass; each skips what it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dhow_events::facts::ItemOrdered;
use dhow_events::{Clock, DAY_MICROS, Fact, Region, Timestamp};
use dhow_forecast::Sale;
use dhow_offline::LakeWriter;
use dhow_online::{FeatureReads, OnlineStore};
use dhow_recommend::{Interaction, InteractionKind};
use dhow_streams::{Offsets, Record, Sink, SinkError, Watermark};
use parking_lot::RwLock;

use crate::answered::Answered;
use crate::catalogue::Catalogue;
use crate::champions::Champions;
use crate::deliveries::LiveDeliveries;
use crate::freshness::Freshness;
use crate::links::LiveLinks;
use crate::search::LiveSearch;
use crate::watches::{LiveWatches, Watching};

/// Live sessions and persons are kept for so long after their last click.
const LIVE_RETENTION_MICROS: i64 = 30 * DAY_MICROS;

/// What the worker and the questions share.
pub(crate) struct Shared {
    /// Where requests read features.
    pub features: Arc<dyn FeatureReads>,
    /// The state that this process keeps; nothing where workers of a fleet keep it.
    pub online: Option<Arc<OnlineStore>>,
    /// Who shares what with whom.
    pub links: LiveLinks,
    /// What delivery models follow.
    pub deliveries: LiveDeliveries,
    pub catalogue: Catalogue,
    /// The catalogue as it is searched.
    pub search: LiveSearch,
    /// What buyers wait for.
    pub watches: Arc<LiveWatches>,
    pub champions: Champions,
    pub freshness: Freshness,
    pub answered: Answered,
    pub stopwatch: Arc<dyn Clock>,
    /// The next offset of each partition that is not applied yet.
    pub applied: RwLock<Vec<u64>>,
    pub applied_count: AtomicU64,
}

impl Shared {
    /// Reads features. Where they lie elsewhere this blocks, and says so to the runtime.
    pub fn reading<T>(&self, read: impl FnOnce(&dyn FeatureReads) -> T) -> T {
        match self.online {
            Some(_) => read(&*self.features),
            None => tokio::task::block_in_place(|| read(&*self.features)),
        }
    }
}

/// The worker's sink.
pub(crate) struct PlatformSink {
    pub shared: Arc<Shared>,
    pub lake: LakeWriter,
    pub watching: Watching,
    pub snapshot: PathBuf,
    /// How far features and lake had both come when the worker began. Links and deliveries may lie behind, and catch up alone.
    pub begun_at: Offsets,
    /// Frees state that no event can reach any more.
    pub watermark: Watermark,
}

impl Sink for PlatformSink {
    fn apply(&mut self, record: &Record) -> Result<(), SinkError> {
        self.shared.links.apply(record);
        self.shared.deliveries.apply(record);
        let begun_at = self.begun_at.0.get(record.partition as usize);
        let is_new = begun_at.is_none_or(|begun_at| record.offset >= *begun_at);
        let now = self.shared.stopwatch.now();
        if is_new {
            self.apply_beside_links(record, now)?;
        }
        if let Some(next) = self.shared.applied.write().get_mut(record.partition as usize) {
            *next = record.offset + 1;
        }
        if is_new {
            self.shared.applied_count.fetch_add(1, Ordering::Relaxed);
            self.shared.freshness.applied(record, now);
        }
        Ok(())
    }

    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        if !self.watching.allows_checkpoint()? {
            return Ok(());
        }
        let watermark = self.watermark.at(self.shared.stopwatch.now());
        if let Some(watermark) = watermark {
            self.shared.champions.forget_before(watermark - LIVE_RETENTION_MICROS);
            self.shared.deliveries.expire(watermark);
        }
        if let Some(online) = &self.shared.online {
            if let Some(watermark) = watermark {
                online.expire(watermark);
            }
            online.save(&self.snapshot)?;
        }
        self.shared.links.save_if_due()?;
        self.shared.deliveries.save_if_due()?;
        // While links or deliveries catch up alone, the lake holds more than they have reached.
        let written = self.lake.restored_offsets();
        self.lake.checkpoint(&join(offsets, &written, u64::max))
    }

    fn restored_offsets(&self) -> Offsets {
        let catching_up = join(&self.shared.links.offsets(), &self.shared.deliveries.offsets(), u64::min);
        join(&self.begun_at, &catching_up, u64::min)
    }
}

impl PlatformSink {
    fn apply_beside_links(&mut self, record: &Record, now: Timestamp) -> Result<(), SinkError> {
        if let Some(online) = &self.shared.online {
            online.apply(&record.event, record.known_time, (record.partition, record.offset));
        }
        self.watermark.observe(record.partition, record.event.event_time, now)?;
        let makes_a_row = self.lake.take(record)?;
        if let Some(change) = self.shared.catalogue.apply(record) {
            self.watching.note(change);
        }
        if let Some(interaction) = interaction(record) {
            self.shared.champions.observe(record.event.tenant, &interaction);
        }
        // Live demand counts what the lake counts, so that it can be read back from there.
        if let Fact::ItemOrdered(ordered) = &record.event.fact
            && makes_a_row
        {
            let sale = sale(ordered, record.event.event_time, record.known_time);
            if let Err(error) = self.shared.champions.observe_sale(record.event.tenant, &sale) {
                tracing::warn!(product = %ordered.product, %error, "a sale is passed over by live demand");
            }
        }
        Ok(())
    }
}

/// Joins two places in the log partition by partition; where `other` knows nothing of one, it is at its beginning.
pub(crate) fn join(one: &Offsets, other: &Offsets, choose: fn(u64, u64) -> u64) -> Offsets {
    let others = other.0.iter().copied().chain(std::iter::repeat(0));
    Offsets(one.0.iter().zip(others).map(|(one, other)| choose(*one, other)).collect())
}

fn sale(ordered: &ItemOrdered, at: Timestamp, known: Timestamp) -> Sale {
    Sale {
        product: ordered.product,
        seller: ordered.seller,
        category: ordered.category,
        region: ordered.region,
        day: at.day(),
        known_day: known.day(),
        quantity: ordered.quantity as f64,
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
