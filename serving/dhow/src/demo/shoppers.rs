//! An A/B test on shoppers who come after the held-out day and answer to the slates that they are shown, by the simulator's truth.
//!
//! The engine deals the shoppers out to the arms, fills and records the slates, and counts what came of them from the events
//! alone. Beside it the same visits are shown what anybody could show (the most popular products) and what only the truth
//! can: the share of that gap which the champion closes is what is left to gain.

use std::sync::Arc;
use std::time::Duration;

use dhow_datasets::simulator::{Page, Popularity, Response, ShopperError, Shoppers, Visit};
use dhow_engine::{
    ArmRecommender, ArmSettings, Engine, ExperimentReport, ExperimentSettings, RecommendAsk, StorefrontSettings,
};
use dhow_events::facts::{ItemOrdered, ProductViewed};
use dhow_events::{
    CheckoutId, Clock, DecisionId, Event, EventId, Fact, Money, OrderId, ProductId, SystemClock, TenantId,
};
use dhow_experiments::TestSettings;
use dhow_recommend::{SlateRequest, Surface};
use serde::Serialize;

use super::history::{History, wait_until_applied};
use super::report::{Report, Stage};
use crate::clock::ReplayClock;
use crate::failure::Failure;
use crate::output::progress;

/// Products in a slate.
const SLATE: usize = 10;
/// Visits that go on beside each other.
const LANES: u64 = 4;
/// How often, and how long apart, it is looked whether the lake has every slate.
const SETTLE_TRIES: usize = 100;
const SETTLE_PAUSE: Duration = Duration::from_millis(300);
/// The experiment and its arms.
const EXPERIMENT: &str = "champion-or-popular";
const POPULAR: &str = "popular";
const CHAMPION: &str = "champion";

/// What a policy reaches on all visits.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PerVisit {
    /// Products opened from slates.
    pub clicks: f64,
    /// What was bought through slates, in US cents.
    pub sales_usd_minor: f64,
}

/// What the A/B test found.
#[derive(Debug, Clone, Serialize)]
pub struct AbTest {
    /// Visits in all.
    pub visits: u64,
    /// The engine's own report, from the events.
    pub report: ExperimentReport,
    /// Per visit of the arm, by what the shoppers answered.
    pub popular_arm: PerVisit,
    /// The same of the champion's arm.
    pub champion_arm: PerVisit,
    /// The better of the most viewed and the most ordered products, shown to every visit.
    pub most_popular: PerVisit,
    /// The best expected slate by the truth, shown to every visit.
    pub oracle: PerVisit,
}

impl AbTest {
    /// The share of the gap between popularity and the oracle that the champion closes, in clicks.
    pub fn gap_closed(&self) -> f64 {
        (self.champion_arm.clicks - self.most_popular.clicks) / (self.oracle.clicks - self.most_popular.clicks)
    }
}

/// The arms that are compared.
fn experiment() -> ExperimentSettings {
    let arm = |name: &str, recommender| ArmSettings { name: name.to_owned(), weight: 1.0, recommender, policy: None };
    let arms = vec![arm(POPULAR, ArmRecommender::Popular), arm(CHAMPION, ArmRecommender::Champion)];
    ExperimentSettings { name: EXPERIMENT.to_owned(), share: 1.0, arms, test: TestSettings::default() }
}

/// Sends `visits` shoppers.
///
/// # Errors
/// The truth is not finished, or the engine fails.
pub async fn run(
    engine: &Arc<Engine>,
    clock: &Arc<ReplayClock>,
    history: &Arc<History>,
    tenant: TenantId,
    visits: u64,
    seed: u64,
    report: &mut Report,
) -> Result<(), Failure> {
    let begin = SystemClock.now();
    engine.set_storefront(StorefrontSettings { experiment: Some(experiment()), ..StorefrontSettings::default() })?;
    let bar = progress("A/B test on simulated shoppers", visits);
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let (engine, clock, history, bar) = (engine.clone(), clock.clone(), history.clone(), bar.clone());
        lanes.push(tokio::spawn(async move {
            let shoppers = Shoppers::new(&history.truth, &history.offers, seed)?;
            let mut lane_arms = Arms::default();
            for number in (lane..visits).step_by(LANES as usize) {
                let mut storefront = Storefront { engine: &engine, clock: &clock, tenant };
                let (arm, answered) = storefront.serve(&shoppers, shoppers.visit(number)).await?;
                lane_arms.add(&arm, answered);
                bar.inc(1);
            }
            Ok::<_, Failure>(lane_arms)
        }));
    }
    let mut arms = Arms::default();
    for lane in lanes {
        arms.merge(&lane.await??);
    }
    bar.finish_and_clear();
    report.stage(Stage::new("A/B test on simulated shoppers: slates", arms.slates, begin));
    let counted = counted(engine, tenant, arms.slates).await?;

    let shoppers = Shoppers::new(&history.truth, &history.offers, seed)?;
    let shown = |fill: &dyn Fn(&Visit) -> Vec<ProductId>| everybody(&shoppers, visits, fill);
    let popular =
        [Popularity::Views, Popularity::OrderLines].map(|by| shown(&|v| shoppers.popular_slate(v, SLATE, by)));
    let [views, orders] = popular;
    let (views, orders) = (views?, orders?);
    report.ab_test = Some(AbTest {
        visits,
        report: counted,
        popular_arm: arms.popular.per_visit(),
        champion_arm: arms.champion.per_visit(),
        most_popular: if views.clicks > orders.clicks { views } else { orders },
        oracle: shown(&|visit| shoppers.oracle_slate(visit, SLATE))?,
    });
    Ok(())
}

/// The engine's report, once the last slate has come through outbox, log and worker into the lake.
async fn counted(engine: &Engine, tenant: TenantId, slates: u64) -> Result<ExperimentReport, Failure> {
    for _ in 0..SETTLE_TRIES {
        wait_until_applied(engine)?;
        let report = engine.experiment_report(tenant).await?;
        if report.arms.iter().map(|arm| arm.slates).sum::<u64>() >= slates {
            return Ok(report);
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    Err(Failure::Failed(format!("the lake does not hold the {slates} slates that were served")))
}

/// Every visit with slates that need no engine.
fn everybody(
    shoppers: &Shoppers<'_>,
    visits: u64,
    fill: &dyn Fn(&Visit) -> Vec<ProductId>,
) -> Result<PerVisit, ShopperError> {
    let mut totals = Totals::default();
    for number in 0..visits {
        let mut visit = shoppers.visit(number);
        let mut answered = Totals { visits: 1, ..Totals::default() };
        while visit.page().is_some() {
            let slate = fill(&visit);
            answered.note(&shoppers.respond(&mut visit, &slate)?);
        }
        totals.add(answered);
    }
    Ok(totals.per_visit())
}

#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    visits: u64,
    clicks: u64,
    sales_usd_minor: i64,
}

impl Totals {
    fn note(&mut self, response: &Response) {
        self.clicks += response.clicks.len() as u64;
        self.sales_usd_minor += response.sales_usd_minor();
    }

    fn add(&mut self, other: Self) {
        self.visits += other.visits;
        self.clicks += other.clicks;
        self.sales_usd_minor += other.sales_usd_minor;
    }

    fn per_visit(&self) -> PerVisit {
        let visits = self.visits.max(1) as f64;
        PerVisit { clicks: self.clicks as f64 / visits, sales_usd_minor: self.sales_usd_minor as f64 / visits }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Arms {
    popular: Totals,
    champion: Totals,
    slates: u64,
}

impl Arms {
    fn add(&mut self, arm: &str, (answered, slates): (Totals, u64)) {
        let of_arm = if arm.ends_with(POPULAR) { &mut self.popular } else { &mut self.champion };
        of_arm.add(answered);
        self.slates += slates;
    }

    fn merge(&mut self, other: &Self) {
        self.popular.add(other.popular);
        self.champion.add(other.champion);
        self.slates += other.slates;
    }
}

/// What the shoppers see, and what it tells the log about them.
struct Storefront<'a> {
    engine: &'a Engine,
    clock: &'a ReplayClock,
    tenant: TenantId,
}

impl Storefront<'_> {
    /// One visit to its end: its arm, and what the shopper answered to how many slates.
    async fn serve(&mut self, shoppers: &Shoppers<'_>, mut visit: Visit) -> Result<(String, (Totals, u64)), Failure> {
        let (mut arm, mut slates) = (String::new(), 0);
        let mut answered = Totals { visits: 1, ..Totals::default() };
        while let Some(page) = visit.page() {
            self.clock.reach(visit.at);
            let answer = self.engine.recommend(self.tenant, RecommendAsk { slate: ask(&visit, page) }).await?;
            arm = answer.value.arm.unwrap_or_default();
            let slate: Vec<ProductId> = answer.value.products.iter().map(|shown| shown.product).collect();
            if slate.is_empty() {
                return Err(Failure::Failed("the engine showed an empty slate".to_owned()));
            }
            let known = visit.viewed.len();
            let response = shoppers.respond(&mut visit, &slate)?;
            answered.note(&response);
            slates += 1;
            self.tell(&visit, known, &response, answer.decision).await?;
        }
        Ok((arm, (answered, slates)))
    }

    /// The events that a storefront would send.
    async fn tell(
        &self,
        visit: &Visit,
        known: usize,
        response: &Response,
        decision: DecisionId,
    ) -> Result<(), Failure> {
        let mut events = Vec::new();
        let mut view = |product, decision| {
            let (session, buyer, device) = (visit.session, Some(visit.buyer), visit.device);
            let fact = ProductViewed { session, buyer, product, device, region: visit.region, decision };
            events.push(self.event(visit, fact.into()));
        };
        response.clicks.iter().for_each(|click| view(click.product, Some(decision)));
        let found_alone = |product: &&ProductId| response.clicks.iter().all(|click| click.product != **product);
        visit.viewed[known..].iter().filter(found_alone).for_each(|product| view(*product, None));
        for click in &response.clicks {
            let Some(purchase) = click.purchase else { continue };
            let Some(offer) = self.engine.catalogue().offer(self.tenant, click.product) else { continue };
            let fact = ItemOrdered {
                product: click.product,
                order: OrderId::at(visit.at, self.engine.random()),
                checkout: CheckoutId::at(visit.at, self.engine.random()),
                buyer: visit.buyer,
                seller: offer.seller,
                category: offer.category,
                region: visit.region,
                quantity: purchase.quantity,
                unit_price: Money::usd(purchase.amount_usd_minor / purchase.quantity.max(1)),
                amount_usd_minor: purchase.amount_usd_minor,
            };
            events.push(self.event(visit, fact.into()));
        }
        self.engine.append(events).await?;
        Ok(())
    }

    fn event(&self, visit: &Visit, fact: Fact) -> Event {
        // Visits go on beside each other and the slate bears the common clock's time, so what follows it does too.
        let now = self.clock.now().max(visit.at);
        Event { id: EventId::at(now, self.engine.random()), tenant: self.tenant, event_time: now, fact }
    }
}

/// What the storefront knows when a page opens. The pages of this visit are named, since the next one opens before the
/// log's worker has seen the last click.
fn ask(visit: &Visit, page: Page) -> SlateRequest {
    SlateRequest {
        person: Some(visit.buyer),
        session: Some(visit.session),
        session_items: visit.viewed.clone(),
        surface: match page {
            Page::Home => Surface::Home,
            Page::Product(_) => Surface::Product,
        },
        region: Some(visit.region),
        exclude: visit.viewed.clone(),
        count: SLATE,
        ..SlateRequest::default()
    }
}
