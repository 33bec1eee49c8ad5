//! The simulated past: streamed into the log from where an earlier run stopped, then applied to features and lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dhow_commerce::{ImportedProduct, ProductInput};
use dhow_datasets::ceiling::{CeilingCollector, Gap};
use dhow_datasets::{Arrival, Simulation, SimulationSettings, Truth};
use dhow_engine::Engine;
use dhow_events::facts::ProductListed;
use dhow_events::{Clock, DAY_MICROS, Event, Fact, Money, ProductId, SystemClock, TenantId, Timestamp};
use dhow_streams::{Log, Offsets, partition_of};
use rustc_hash::FxHashMap;

use super::report::{Report, Stage};
use crate::failure::Failure;
use crate::output::progress;

/// Arrivals appended to the log at once.
const BATCH: usize = 10_000;
/// Popularity is counted over the last days of the history.
const POPULAR_DAYS: i64 = 7;
/// Products taken over into the database at once.
const IMPORT_BATCH: usize = 1_000;

/// What the demo knows of the world after its history: the truth, the catalogue and the day that is to come.
pub struct History {
    /// What the simulator knows; for judging only.
    pub truth: Truth,
    /// What an oracle and trivial methods reach on it.
    pub ceilings: Vec<Gap>,
    /// Arrivals of the held-out day, in order.
    pub held_out: Vec<Arrival>,
    products: BTreeMap<ProductId, Known>,
    views: FxHashMap<ProductId, u64>,
}

struct Known {
    listed: ProductListed,
    on_hand: i64,
    offered: bool,
}

/// Streams every arrival before `cut` into the log and waits until features and lake have them.
///
/// # Errors
/// The simulator refuses its settings, the log fails, or the stream worker ended.
pub fn stream(
    engine: &Arc<Engine>,
    settings: &SimulationSettings,
    cut: Timestamp,
    report: &mut Report,
) -> Result<History, Failure> {
    let begin = SystemClock.now();
    let bar = progress("simulate and log events", 0);
    let mut simulation = Simulation::new(settings)?;
    let mut resume = Resume::new(engine.log())?;
    let mut products = BTreeMap::new();
    let mut held_out = Vec::new();
    let mut batch: Vec<(Event, Timestamp)> = Vec::with_capacity(BATCH);
    let mut ceilings = CeilingCollector::new();
    let mut views: FxHashMap<ProductId, u64> = FxHashMap::default();
    for arrival in simulation.by_ref() {
        ceilings.observe(&arrival.event);
        if arrival.arrives_at >= cut {
            held_out.push(arrival);
            continue;
        }
        if let Fact::ProductViewed(view) = &arrival.event.fact
            && cut.micros_since(arrival.event.event_time) < POPULAR_DAYS * DAY_MICROS
        {
            *views.entry(view.product).or_default() += 1;
        }
        note_product(&mut products, &arrival.event.fact);
        bar.inc(1);
        if resume.is_new(&arrival.event) {
            batch.push((arrival.event, arrival.arrives_at));
            if batch.len() == BATCH {
                engine.local_log().append_known(&batch)?;
                batch.clear();
            }
        }
    }
    engine.local_log().append_known(&batch)?;
    let event_count = bar.position();
    bar.finish_and_clear();
    report.stage(Stage::new("simulate, encode and log events", event_count, begin));

    wait_until_applied(engine, report)?;
    let truth = simulation.into_truth();
    Ok(History { ceilings: ceilings.finish(&truth), truth, held_out, products, views })
}

/// Which arrivals the log has already: the first so many of each partition.
struct Resume {
    present: Vec<u64>,
    seen: Vec<u64>,
}

impl Resume {
    fn new(log: &dyn Log) -> Result<Self, Failure> {
        let present = Offsets::ends(log)?.0;
        Ok(Self { seen: vec![0; present.len()], present })
    }

    fn is_new(&mut self, event: &Event) -> bool {
        let partition = partition_of(event, self.present.len() as u32) as usize;
        self.seen[partition] += 1;
        self.seen[partition] > self.present[partition]
    }
}

fn wait_until_applied(engine: &Engine, report: &mut Report) -> Result<(), Failure> {
    let begin = SystemClock.now();
    let (total, _) = engine.lag()?;
    let bar = progress("apply to features and lake", total);
    loop {
        let (_, lag) = engine.lag()?;
        bar.set_position(total.saturating_sub(lag));
        if let Some(reason) = engine.worker_failure() {
            return Err(Failure::Failed(format!("the stream worker ended: {reason}")));
        }
        if lag == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    engine.checkpoint()?;
    bar.finish_and_clear();
    report.stage(Stage::new("apply to online features and lake", total, begin));
    Ok(())
}

fn note_product(products: &mut BTreeMap<ProductId, Known>, fact: &Fact) {
    match fact {
        Fact::ProductListed(listed) => {
            let on_hand = products.get(&listed.product).map_or(0, |known| known.on_hand);
            products.insert(listed.product, Known { listed: listed.clone(), on_hand, offered: true });
        }
        Fact::ProductPriceChanged(changed) => {
            if let Some(known) = products.get_mut(&changed.product) {
                (known.listed.price, known.listed.price_usd_minor) = (changed.price, changed.price_usd_minor);
            }
        }
        Fact::StockChanged(changed) => {
            if let Some(known) = products.get_mut(&changed.product) {
                known.on_hand = changed.on_hand;
            }
        }
        Fact::ProductDelisted(delisted) => {
            if let Some(known) = products.get_mut(&delisted.product) {
                known.offered = false;
            }
        }
        _ => {}
    }
}

impl History {
    /// Takes the products on offer over into the database, where checkouts find them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn import_catalogue(&self, engine: &Engine, tenant: TenantId) -> Result<(), Failure> {
        let imported = |(id, known): (&ProductId, &Known)| {
            let listed = known.listed.clone();
            let input = ProductInput {
                seller: listed.seller,
                reference: listed.reference,
                title: listed.title,
                description: listed.description,
                category: listed.category,
                // The demo shop charges everybody in dollars, so that one cart can hold products of any seller.
                price: Money::usd(listed.price_usd_minor.max(1)),
                region: listed.region,
                weight_grams: listed.weight_grams,
            };
            ImportedProduct { id: *id, input, on_hand: known.on_hand }
        };
        let rows: Vec<ImportedProduct> =
            self.products.iter().filter(|(_, known)| known.offered).map(imported).collect();
        for batch in rows.chunks(IMPORT_BATCH) {
            engine.commerce().import_products(tenant, batch).await?;
        }
        Ok(())
    }

    /// A product on offer, for the examples.
    pub fn example_product(&self) -> Option<ProductId> {
        self.products
            .iter()
            .filter(|(_, known)| known.offered && known.on_hand > 0)
            .max_by_key(|(_, known)| known.on_hand)
            .map(|(id, _)| *id)
    }

    /// The products viewed most in the last days of the history: the trivial slate for everybody.
    pub fn popular_products(&self, count: usize) -> Vec<ProductId> {
        let mut viewed: Vec<_> = self.views.iter().collect();
        viewed.sort_by_key(|(id, views)| (std::cmp::Reverse(**views), **id));
        viewed.into_iter().take(count).map(|(id, _)| *id).collect()
    }

    /// Products on offer with most stock first, at most `count`.
    pub fn stocked_products(&self, count: usize) -> Vec<ProductId> {
        let mut stocked: Vec<_> = self.products.iter().filter(|(_, known)| known.offered).collect();
        stocked.sort_by_key(|(id, known)| (std::cmp::Reverse(known.on_hand), **id));
        stocked.into_iter().take(count).map(|(id, _)| *id).collect()
    }
}
