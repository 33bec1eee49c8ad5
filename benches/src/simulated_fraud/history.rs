//! Every checkout of a simulated marketplace with what was known at its moment; models and their judges are elsewhere.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dhow_datasets::simulator::CheckoutKind;
use dhow_datasets::{Simulation, SimulationSettings};
use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::{CheckoutId, Event, Fact, FactKind, TenantId, Timestamp};
use dhow_fraud::{DERIVED_FEATURES, Derived};
use dhow_links::{LinkIndex, LinkQuery, LinkSettings};
use dhow_online::{OnlineSettings, OnlineStore};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Checkouts in the order of their times.
pub struct History {
    pub names: Vec<String>,
    /// Row-major.
    pub values: Vec<f64>,
    pub times: Vec<Timestamp>,
    pub amounts_usd_minor: Vec<i64>,
    /// When each became known as fraud, where it did.
    pub fraud_known: Vec<Option<Timestamp>>,
    /// What each was, for judging only.
    pub kinds: Vec<CheckoutKind>,
    /// The probability of fraud that follows from how the simulator draws, for judging only.
    pub oracle: Vec<f64>,
}

/// What the platform knows while events arrive.
struct Platform {
    plan: VectorPlan,
    derived: Derived,
    sources: HashSet<FactKind>,
    online: OnlineStore,
    links: LinkIndex,
    offset: u64,
    expired_day: i64,
}

impl Platform {
    fn new() -> Outcome<Self> {
        let all = FeatureSet::marketplace()?;
        let wanted = VectorPlan::new(&all, FactKind::CheckoutSubmitted)?;
        // Views that a checkout does not read are not kept: they change nothing of it.
        let views: Vec<_> = wanted.views().iter().map(|planned| all.views()[planned.view].clone()).collect();
        let sources = views.iter().filter_map(|view| view.source().fact()).collect();
        let set = FeatureSet::new(all.name(), all.version(), views, all.ratios().to_vec(), all.flags().to_vec())?;
        let plan = VectorPlan::new(&set, FactKind::CheckoutSubmitted)?;
        Ok(Self {
            derived: Derived::of(plan.names())?,
            plan,
            sources,
            online: OnlineStore::new(Arc::new(set), OnlineSettings::default()),
            links: LinkIndex::new(LinkSettings::default()),
            offset: 0,
            expired_day: i64::MIN,
        })
    }

    fn names(&self) -> Vec<String> {
        let beside = DERIVED_FEATURES.into_iter().chain(dhow_links::FEATURES);
        self.plan.names().iter().cloned().chain(beside.map(str::to_owned)).collect()
    }

    fn apply(&mut self, event: &Event, known_time: Timestamp) {
        if self.sources.contains(&event.fact.kind()) {
            self.online.apply(event, known_time, (0, self.offset));
            self.offset += 1;
        }
        self.links.apply(event, known_time);
        if known_time.day() > self.expired_day {
            self.expired_day = known_time.day();
            self.online.expire(known_time);
        }
    }

    /// Everything that is known of a checkout at its moment.
    fn row(&self, tenant: TenantId, fact: &Fact, at: Timestamp) -> Outcome<Vec<f64>> {
        let mut row = self.online.vector(&self.plan, tenant, fact, at)?.values;
        row.extend(self.derived.values(&row, at));
        if let Fact::CheckoutSubmitted(checkout) = fact {
            row.extend(self.links.features(&LinkQuery::checkout(tenant, checkout), at).values());
        }
        Ok(row)
    }
}

impl History {
    /// Simulates, and reads each checkout's vector when it arrives, before it counts itself.
    pub fn simulate(settings: &SimulationSettings) -> Outcome<Self> {
        let mut simulation = Simulation::new(settings)?;
        let mut platform = Platform::new()?;
        let (mut rows, mut known) = (HashMap::new(), HashMap::<CheckoutId, Timestamp>::new());
        for arrival in simulation.by_ref() {
            let event = &arrival.event;
            match &event.fact {
                Fact::CheckoutSubmitted(fact) if !rows.contains_key(&fact.checkout) => {
                    let row = platform.row(event.tenant, &event.fact, event.event_time)?;
                    rows.insert(fact.checkout, (event.event_time, fact.total_usd_minor, row));
                }
                Fact::FraudLabelled(fact) if fact.fraud => {
                    known.entry(fact.checkout).or_insert(arrival.arrives_at);
                }
                _ => {}
            }
            platform.apply(event, arrival.arrives_at);
        }
        let truth = simulation.into_truth();
        let mut checkouts = truth.checkouts;
        checkouts.sort_by_key(|checkout| (checkout.at, checkout.checkout));
        let mut history = Self {
            names: platform.names(),
            values: Vec::with_capacity(checkouts.len() * platform.names().len()),
            times: Vec::new(),
            amounts_usd_minor: Vec::new(),
            fraud_known: Vec::new(),
            kinds: Vec::new(),
            oracle: Vec::new(),
        };
        for checkout in checkouts {
            // A checkout of the last seconds may not have arrived.
            let Some((time, amount_usd_minor, row)) = rows.remove(&checkout.checkout) else { continue };
            history.values.extend(row);
            history.times.push(time);
            history.amounts_usd_minor.push(amount_usd_minor);
            history.fraud_known.push(known.get(&checkout.checkout).copied());
            history.kinds.push(checkout.kind);
            history.oracle.push(f64::from(checkout.probability));
        }
        Ok(history)
    }
}
