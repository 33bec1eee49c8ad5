//! What delivery models follow: parcels under way become deliveries, deliveries move the models; saved beside the features.
//!
//! It is fed by the stream worker and saved whole when enough was applied, and when the worker ends; what was applied since is
//! replayed from the log after a crash. A model follows what arrived after its training data ended. One that is promoted later
//! takes in what arrived meanwhile from the deliveries that are kept.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_delivery::{Delivery, DeliveryModel, Dispatch, Parcel, Stage, UnderWay};
use dhow_events::facts::ShipmentDispatched;
use dhow_events::{Fact, ModelId, TenantId, Timestamp};
use dhow_streams::checkpoint::{read_checked, write_atomically};
use dhow_streams::{Offsets, Record};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::error::failed;

/// The part of the platform that errors name.
const PART: &str = "delivery times";
/// The latest deliveries of a tenant that are kept for models to come, each counted once from the order and once from leaving.
const RECENT_MAX: usize = 40_000;
/// The state is saved once so many records were applied.
const SAVED_AFTER_RECORDS: u64 = 20_000;

/// What goes on of one tenant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Followed {
    under_way: UnderWay,
    /// The latest deliveries, oldest first.
    recent: VecDeque<(Stage, Delivery)>,
    /// The model that followed, and what it had come to.
    model: Option<(ModelId, Vec<u8>)>,
}

/// What lies on the disk.
#[derive(Serialize, Deserialize)]
struct Saved {
    applied: Offsets,
    tenants: Vec<(TenantId, Followed)>,
}

/// A model in force.
struct InForce {
    id: ModelId,
    learned_until: Timestamp,
    model: Arc<DeliveryModel>,
}

struct State {
    tenants: FxHashMap<TenantId, Followed>,
    models: FxHashMap<TenantId, InForce>,
    /// For each partition the next offset that is not applied yet.
    applied: Offsets,
    applied_since_saved: u64,
}

/// The state, fed by the worker and joined by models as they come into force.
pub(crate) struct LiveDeliveries {
    path: PathBuf,
    state: Mutex<State>,
}

impl LiveDeliveries {
    /// Reads what was saved at `path`; where nothing was, the log is replayed from its beginning.
    pub fn open(path: &Path, partition_count: u32) -> Result<Self, EngineError> {
        let (tenants, applied) = match read_checked(path).map_err(failed(PART))? {
            None => (FxHashMap::default(), Offsets::start(partition_count)),
            Some(bytes) => {
                let saved: Saved = postcard::from_bytes(&bytes).map_err(failed(PART))?;
                saved.applied.check_partition_count(partition_count).map_err(failed(PART))?;
                (saved.tenants.into_iter().collect(), saved.applied)
            }
        };
        let state = State { tenants, models: FxHashMap::default(), applied, applied_since_saved: 0 };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// For each partition the next offset that is not applied yet.
    pub fn offsets(&self) -> Offsets {
        self.state.lock().applied.clone()
    }

    /// Lets a model follow from now on: from where it was when it was saved, or from the deliveries since its training data ended.
    pub fn adopt(
        &self,
        tenant: TenantId,
        id: ModelId,
        learned_until: Timestamp,
        model: &Arc<DeliveryModel>,
    ) -> Result<(), EngineError> {
        let state = &mut *self.state.lock();
        let followed = state.tenants.entry(tenant).or_default();
        match &followed.model {
            Some((saved, bytes)) if *saved == id => model.go_on(bytes).map_err(failed(PART))?,
            _ => {
                let oldest = followed.recent.front().map(|(_, delivery)| delivery.delivered_at());
                if followed.recent.len() == RECENT_MAX && oldest.is_some_and(|oldest| oldest > learned_until) {
                    tracing::warn!(%id, "some deliveries since the model's training data are not kept any more");
                }
                for (stage, delivery) in &followed.recent {
                    observe(model, learned_until, *stage, delivery);
                }
            }
        }
        state.models.insert(tenant, InForce { id, learned_until, model: model.clone() });
        Ok(())
    }

    /// Takes in a record, unless it did before.
    pub fn apply(&self, record: &Record) {
        let state = &mut *self.state.lock();
        if state.applied.0.get(record.partition as usize).is_some_and(|next| record.offset < *next) {
            return;
        }
        state.applied.advance(record);
        state.applied_since_saved += 1;
        let (tenant, at) = (record.event.tenant, record.event.event_time);
        let deliveries = match &record.event.fact {
            Fact::OrderPlaced(placed) => {
                state.tenants.entry(tenant).or_default().under_way.ordered(placed.order, at);
                return;
            }
            Fact::ShipmentDispatched(left) => {
                let followed = state.tenants.entry(tenant).or_default();
                followed.under_way.dispatched(left.shipment, dispatch(left, at))
            }
            Fact::ShipmentDelivered(arrived) => {
                state.tenants.entry(tenant).or_default().under_way.delivered(arrived.shipment, at)
            }
            _ => return,
        };
        for (stage, delivery) in deliveries {
            if let Some(in_force) = state.models.get(&tenant) {
                observe(&in_force.model, in_force.learned_until, stage, &delivery);
            }
            let recent = &mut state.tenants.entry(tenant).or_default().recent;
            if recent.len() == RECENT_MAX {
                recent.pop_front();
            }
            recent.push_back((stage, delivery));
        }
    }

    /// Gives up orders and parcels of which nothing can come any more.
    pub fn expire(&self, watermark: Timestamp) {
        self.state.lock().tenants.values_mut().for_each(|followed| followed.under_way.expire(watermark));
    }

    /// Saves the state where enough was applied since it was saved last.
    pub fn save_if_due(&self) -> Result<(), EngineError> {
        let due = self.state.lock().applied_since_saved >= SAVED_AFTER_RECORDS;
        if due { self.save() } else { Ok(()) }
    }

    /// Saves the state where anything was applied since it was saved last. The file holds the old one or the new one
    /// whenever the process ends.
    pub fn save(&self) -> Result<(), EngineError> {
        let bytes = {
            let state = &mut *self.state.lock();
            if state.applied_since_saved == 0 {
                return Ok(());
            }
            for (tenant, in_force) in &state.models {
                let followed = in_force.model.followed().map_err(failed(PART))?;
                state.tenants.entry(*tenant).or_default().model = Some((in_force.id, followed));
            }
            let tenants = state.tenants.iter().map(|(tenant, followed)| (*tenant, followed.clone())).collect();
            let saved = Saved { applied: state.applied.clone(), tenants };
            postcard::to_allocvec(&saved).map_err(failed(PART))?
        };
        write_atomically(&self.path, &bytes).map_err(failed(PART))?;
        self.state.lock().applied_since_saved = 0;
        Ok(())
    }
}

/// Lets a model follow a delivery that it has not learned from.
fn observe(model: &DeliveryModel, learned_until: Timestamp, stage: Stage, delivery: &Delivery) {
    if delivery.delivered_at() < learned_until {
        return;
    }
    if let Err(error) = model.observe(stage, delivery) {
        tracing::warn!(seller = %delivery.parcel.seller, %error, "a delivery is passed over by the delivery model");
    }
}

fn dispatch(left: &ShipmentDispatched, at: Timestamp) -> Dispatch {
    let parcel = Parcel {
        seller: left.seller,
        carrier: Some(left.carrier),
        origin: left.origin,
        destination: left.destination,
        latitude: left.latitude,
        longitude: left.longitude,
        weight_grams: left.weight_grams,
        at,
    };
    Dispatch { order: left.order, parcel }
}
