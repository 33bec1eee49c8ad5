//! The simulated past: streamed into the log from where an earlier run stopped, then applied to features and lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dhow_commerce::{ImportedProduct, ProductInput};
use dhow_datasets::ceiling::{CeilingCollector, Gap};
use dhow_datasets::simulator::OfferCollector;
use dhow_datasets::{Arrival, Simulation, SimulationSettings, Truth};
use dhow_engine::Engine;
use dhow_events::facts::ProductListed;
use dhow_events::{Clock, DAY_MICROS, Event, EventId, Fact, Money, ProductId, SystemClock, TenantId, Timestamp};
use dhow_streams::{Log, Offsets, partition_of};
use rustc_hash::{FxHashMap, FxHashSet};

use super::report::{Report, Stage};
use crate::failure::Failure;
use crate::output::progress;

/// Arrivals appended to the log at once.
const BATCH: usize = 10_000;
/// A duplicate comes within so many arrivals.
const DUPLICATES_WITHIN: usize = 200_000;
/// Popularity is counted over the last days of the history.
const POPULAR_DAYS: i64 = 7;
/// Products taken over into the database at once.
const IMPORT_BATCH: usize = 1_000;

/// What the demo knows of the world after its history: the truth, the catalogue and the day that is to come.
pub struct History {
    /// What the simulator knows; for judging only.
    pub truth: Truth,
    /// What is on offer and how often it was looked at and ordered, from the events.
    pub offers: OfferCollector,
    /// What an oracle and trivial methods reach on it.
    pub ceilings: Vec<Gap>,
    /// Arrivals of the held-out day, in order.
    pub held_out: Vec<Arrival>,
    products: BTreeMap<ProductId, Known>,
    stock: Stock,
    views: FxHashMap<ProductId, u64>,
}

struct Known {
    listed: ProductListed,
    offered: bool,
}

/// What is there of each product: the last count, less what was sold since.
#[derive(Default)]
struct Stock(FxHashMap<ProductId, Counted>);

#[derive(Default)]
struct Counted {
    at: Option<Timestamp>,
    on_hand: i64,
    sold_since: Vec<(Timestamp, i64)>,
}

impl Stock {
    /// Events come late and out of order, so counts and sales are placed by their times.
    fn note(&mut self, event: &Event) {
        match &event.fact {
            Fact::StockChanged(changed) => {
                let counted = self.0.entry(changed.product).or_default();
                if counted.at.is_none_or(|at| at < event.event_time) {
                    (counted.at, counted.on_hand) = (Some(event.event_time), changed.on_hand);
                    counted.sold_since.retain(|(at, _)| *at >= event.event_time);
                }
            }
            Fact::ItemOrdered(item) => {
                let counted = self.0.entry(item.product).or_default();
                if counted.at.is_none_or(|at| at <= event.event_time) {
                    counted.sold_since.push((event.event_time, item.quantity));
                }
            }
            _ => {}
        }
    }

    fn on_hand(&self, product: &ProductId) -> i64 {
        let left = |counted: &Counted| counted.on_hand - counted.sold_since.iter().map(|sale| sale.1).sum::<i64>();
        self.0.get(product).map_or(0, left).max(0)
    }
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
    let (mut products, mut stock) = (BTreeMap::new(), Stock::default());
    let mut counted_ids = RecentlySeen::default();
    let mut held_out = Vec::new();
    let mut batch: Vec<(Event, Timestamp)> = Vec::with_capacity(BATCH);
    let (mut ceilings, mut offers) = (CeilingCollector::new(), OfferCollector::new());
    let mut views: FxHashMap<ProductId, u64> = FxHashMap::default();
    for arrival in simulation.by_ref() {
        ceilings.observe(&arrival.event);
        offers.observe(&arrival.event);
        if arrival.arrives_at >= cut {
            held_out.push(arrival);
            continue;
        }
        if let Fact::ProductViewed(view) = &arrival.event.fact
            && cut.micros_since(arrival.event.event_time) < POPULAR_DAYS * DAY_MICROS
        {
            *views.entry(view.product).or_default() += 1;
        }
        if counted_ids.is_first(&arrival) {
            note_product(&mut products, &arrival.event.fact);
            stock.note(&arrival.event);
        }
        bar.inc(1);
        if resume.is_new(&arrival.event) {
            batch.push((arrival.event, arrival.arrives_at));
            if batch.len() == BATCH {
                engine.log().append_known(&batch)?;
                batch.clear();
            }
        }
    }
    engine.log().append_known(&batch)?;
    let event_count = bar.position();
    bar.finish_and_clear();
    report.stage(Stage::new("simulate, encode and log events", event_count, begin));

    let begin = SystemClock.now();
    let applied = wait_until_applied(engine)?;
    report.stage(Stage::new("apply to online features and lake", applied, begin));
    let truth = simulation.into_truth();
    Ok(History { ceilings: ceilings.finish(&truth), truth, offers, held_out, products, stock, views })
}

/// Which of the latest arrivals were there before: a duplicate comes soon after the first.
#[derive(Default)]
struct RecentlySeen([FxHashSet<EventId>; 2]);

impl RecentlySeen {
    fn is_first(&mut self, arrival: &Arrival) -> bool {
        let [recent, earlier] = &mut self.0;
        let is_first = !earlier.contains(&arrival.event.id) && recent.insert(arrival.event.id);
        if recent.len() == DUPLICATES_WITHIN {
            *earlier = std::mem::take(recent);
        }
        is_first
    }
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

/// Waits until features and lake have what the log holds: how many events there were to apply.
///
/// # Errors
/// The stream worker ended.
pub fn wait_until_applied(engine: &Engine) -> Result<u64, Failure> {
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
    Ok(total)
}

fn note_product(products: &mut BTreeMap<ProductId, Known>, fact: &Fact) {
    match fact {
        Fact::ProductListed(listed) => {
            products.insert(listed.product, Known { listed: listed.clone(), offered: true });
        }
        Fact::ProductPriceChanged(changed) => {
            if let Some(known) = products.get_mut(&changed.product) {
                (known.listed.price, known.listed.price_usd_minor) = (changed.price, changed.price_usd_minor);
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

/// A listed product as the shop offers it.
pub fn offer(id: ProductId, listed: &ProductListed, on_hand: i64) -> ImportedProduct {
    let input = ProductInput {
        seller: listed.seller,
        reference: listed.reference.clone(),
        title: listed.title.clone(),
        description: listed.description.clone(),
        category: listed.category,
        // The demo shop charges everybody in dollars, so that one cart can hold products of any seller.
        price: Money::usd(listed.price_usd_minor.max(1)),
        prices: Vec::new(),
        region: listed.region,
        sale_regions: listed.sale_regions.clone().unwrap_or_default(),
        weight_grams: listed.weight_grams,
        media: Vec::new(),
        attributes: std::collections::BTreeMap::new(),
        variant: None,
    };
    ImportedProduct { id, input, on_hand }
}

impl History {
    /// Takes the products on offer over into the database, where checkouts find them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn import_catalogue(&self, engine: &Engine, tenant: TenantId) -> Result<(), Failure> {
        let imported = |(id, known): (&ProductId, &Known)| offer(*id, &known.listed, self.stock.on_hand(id));
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
            .filter(|(_, known)| known.offered)
            .max_by_key(|(id, _)| self.stock.on_hand(id))
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
        stocked.sort_by_cached_key(|(id, _)| (std::cmp::Reverse(self.stock.on_hand(id)), **id));
        stocked.into_iter().take(count).map(|(id, _)| *id).collect()
    }
}
