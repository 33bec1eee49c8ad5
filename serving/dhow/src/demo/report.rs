//! What the demo found, as tables for people and as JSON for programs; it computes summaries, never the answers themselves.

use std::net::SocketAddr;

use dhow_datasets::{SimulationSettings, Truth, ceiling::Gap};
use dhow_engine::{Quantiles, Status};
use dhow_events::{CheckoutId, Clock, SystemClock, Timestamp};
use dhow_fraud::evaluation::{average_precision, recall_at_false_positive_rate};
use dhow_training::TaskReport;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::client::Latencies;
use super::deliveries::{DayPlans, RouteFigures};
use super::history::History;
use super::shoppers::{AbTest, PerVisit};
use super::trust::TrustFigures;
use crate::arguments::DemoArguments;
use crate::configuration::Configuration;
use crate::output::{micros, percent, table, thousands};

/// A step of the demo and how long it took.
#[derive(Debug, Serialize)]
pub struct Stage {
    name: &'static str,
    count: u64,
    seconds: f64,
}

impl Stage {
    /// The stage that began at `begin` and ends now, after `count` of its units.
    pub fn new(name: &'static str, count: u64, begin: Timestamp) -> Self {
        Self { name, count, seconds: SystemClock.now().micros_since(begin) as f64 / 1e6 }
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds.max(1e-9)
    }
}

/// What the replayed day showed.
#[derive(Debug, Default, Clone, Serialize)]
pub struct ReplayFigures {
    /// Events posted.
    pub events: u64,
    /// Slates asked for before a shopper's next view.
    pub slates: u64,
    /// Slates that held the product viewed next.
    pub slate_hits: u64,
    /// The sum of 1 / place of the product viewed next.
    pub reciprocal_ranks: f64,
    /// Slates that a fallback filled.
    pub degraded_slates: u64,
    /// The share of views that the most popular products of the history hold.
    pub popular_hit_rate: f64,
    /// Checkouts bought through the commerce API.
    pub checkouts: u64,
    /// Checkouts that became orders.
    pub completed: u64,
    /// Checkouts that wait for a person.
    pub held: u64,
    /// Checkouts that the fraud model declined.
    pub refused_for_fraud: u64,
    /// Checkouts that stock did not allow.
    pub refused_for_stock: u64,
    /// Checkouts that the payment rail declined.
    pub refused_by_payment: u64,
    /// Checkouts whose payment is still open.
    pub pending: u64,
    /// Checkouts of products that went off offer.
    pub not_sellable: u64,
    /// Checkouts scored.
    pub scored: u64,
    /// Frauds among them, by the truth.
    pub frauds: u64,
    /// Average precision of the scores against the truth; nothing where the day had no fraud.
    pub fraud_average_precision: Option<f64>,
    /// Recall at 1 % false positives against the truth.
    pub fraud_recall_at_1_percent: Option<f64>,
}

impl ReplayFigures {
    /// Adds another lane's counts.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.slates += other.slates;
        self.slate_hits += other.slate_hits;
        self.reciprocal_ranks += other.reciprocal_ranks;
        self.degraded_slates += other.degraded_slates;
        self.checkouts += other.checkouts;
        self.completed += other.completed;
        self.held += other.held;
        self.refused_for_fraud += other.refused_for_fraud;
        self.refused_for_stock += other.refused_for_stock;
        self.refused_by_payment += other.refused_by_payment;
        self.pending += other.pending;
        self.not_sellable += other.not_sellable;
    }

    /// Judges the day's scores by the truth.
    pub fn judge_scores(&mut self, scores: &[(CheckoutId, f64)], truth: &Truth) {
        let kinds: FxHashMap<CheckoutId, bool> =
            truth.checkouts.iter().map(|checkout| (checkout.checkout, checkout.kind.is_fraud())).collect();
        let judged: Vec<(f64, bool)> =
            scores.iter().filter_map(|(checkout, score)| kinds.get(checkout).map(|fraud| (*score, *fraud))).collect();
        let (values, labels): (Vec<f64>, Vec<bool>) = judged.into_iter().unzip();
        self.scored = labels.len() as u64;
        self.frauds = labels.iter().filter(|fraud| **fraud).count() as u64;
        // Both measures need a fraud and a genuine checkout; a day without one has no figure.
        self.fraud_average_precision = average_precision(&values, &labels).ok();
        self.fraud_recall_at_1_percent = recall_at_false_positive_rate(&values, &labels, 0.01).ok();
    }
}

/// Everything that the demo found.
#[derive(Debug, Serialize)]
pub struct Report {
    scale: String,
    seed: u64,
    days: u32,
    buyers: u32,
    products: u32,
    fraud_prevalence: f64,
    data_dir: String,
    stages: Vec<Stage>,
    /// The trainings.
    pub tasks: Vec<TaskReport>,
    latency_us: Vec<(String, Quantiles)>,
    #[serde(skip)]
    latencies: Latencies,
    /// What the A/B test on simulated shoppers found.
    pub ab_test: Option<AbTest>,
    /// The replayed day.
    pub replay: Option<ReplayFigures>,
    /// The day's route plans.
    pub routes: DayPlans,
    /// Trust scores at the end.
    pub trust: Vec<TrustFigures>,
    /// What an oracle and trivial methods reach.
    pub ceilings: Vec<Gap>,
    /// The platform's state at the end.
    pub status: Option<Status>,
}

impl Report {
    /// An empty report.
    pub fn new(arguments: &DemoArguments, simulation: &SimulationSettings, configuration: &Configuration) -> Self {
        Self {
            scale: arguments.scale.to_string(),
            seed: arguments.seed,
            days: simulation.days,
            buyers: simulation.buyers,
            products: simulation.products,
            fraud_prevalence: simulation.fraud_prevalence,
            data_dir: configuration.data_dir.display().to_string(),
            stages: Vec::new(),
            tasks: Vec::new(),
            latency_us: Vec::new(),
            latencies: Latencies::new(),
            ab_test: None,
            replay: None,
            routes: DayPlans::default(),
            trust: Vec::new(),
            ceilings: Vec::new(),
            status: None,
        }
    }

    /// Adds a stage.
    pub fn stage(&mut self, stage: Stage) {
        self.stages.push(stage);
    }

    /// Adds a client's latencies.
    pub fn add_latencies(&mut self, latencies: Latencies) {
        for (kind, sample) in latencies {
            self.latencies.entry(kind).or_default().extend(sample);
        }
        let quantiles = |(kind, sample): (&&str, &Vec<i64>)| ((*kind).to_owned(), Quantiles::of(sample.clone()));
        self.latency_us = self.latencies.iter().map(quantiles).collect();
    }

    /// The requests answered so far.
    pub fn request_count(&self) -> u64 {
        self.latencies.values().map(|sample| sample.len() as u64).sum()
    }

    /// The rows that trainers learned from.
    pub fn training_rows(&self) -> u64 {
        self.tasks.iter().map(|task| task.training_rows).sum()
    }

    /// Prints the tables.
    pub fn print(&self, address: SocketAddr) {
        println!(
            "\nDhow demo · scale {} · seed {} · {} days · {} buyers · {} products · {} of checkouts are fraud",
            self.scale,
            self.seed,
            self.days,
            thousands(self.buyers.into()),
            thousands(self.products.into()),
            percent(self.fraud_prevalence)
        );
        println!("data in {}, serving on http://{address}\n", self.data_dir);
        self.print_stages();
        self.print_models();
        self.print_replay();
        self.print_ab_test();
        self.print_latencies();
        self.print_routes();
        self.print_trust();
        self.print_ceilings();
    }

    fn print_stages(&self) {
        let row = |stage: &Stage| {
            vec![
                stage.name.to_owned(),
                thousands(stage.count),
                format!("{:.2}", stage.seconds),
                thousands(stage.per_second() as u64),
            ]
        };
        println!(
            "Throughput\n{}\n",
            table(&["step", "count", "seconds", "per second"], &self.stages.iter().map(row).collect::<Vec<_>>(), true)
        );
    }

    fn print_models(&self) {
        println!("Models, on the last part of the history, which nothing was chosen on");
        crate::train::print(&self.tasks);
        println!();
    }

    fn print_replay(&self) {
        let Some(replay) = &self.replay else { return };
        let share = |part: u64, whole: u64| percent(part as f64 / (whole as f64).max(1.0));
        let optional = |value: Option<f64>| value.map_or("no fraud that day".to_owned(), |value| format!("{value:.3}"));
        let rows = vec![
            vec!["events posted".to_owned(), thousands(replay.events)],
            vec![
                "slates that held the next view".to_owned(),
                format!("{} of {}", share(replay.slate_hits, replay.slates), thousands(replay.slates)),
            ],
            vec!["the 20 most popular held it".to_owned(), percent(replay.popular_hit_rate)],
            vec!["slates that a fallback filled".to_owned(), share(replay.degraded_slates, replay.slates)],
            vec!["checkouts through the commerce API".to_owned(), thousands(replay.checkouts)],
            vec!["… became orders".to_owned(), thousands(replay.completed)],
            vec!["… held for review".to_owned(), thousands(replay.held)],
            vec!["… declined by the fraud model".to_owned(), thousands(replay.refused_for_fraud)],
            vec!["… short of stock".to_owned(), thousands(replay.refused_for_stock)],
            vec!["… declined by the payment rail".to_owned(), thousands(replay.refused_by_payment)],
            vec!["… of a product no longer on offer".to_owned(), thousands(replay.not_sellable)],
            vec![
                "checkouts scored, frauds among them".to_owned(),
                format!("{}, {}", thousands(replay.scored), replay.frauds),
            ],
            vec!["average precision against the truth".to_owned(), optional(replay.fraud_average_precision)],
            vec!["recall at 1 % false positives".to_owned(), optional(replay.fraud_recall_at_1_percent)],
        ];
        println!("The held-out day, replayed over HTTP\n{}\n", table(&["what", "found"], &rows, true));
    }

    fn print_ab_test(&self) {
        let Some(test) = &self.ab_test else { return };
        let row = |name: &str, found: &PerVisit| {
            let beside = |value: f64, base: f64| format!("{:+.0} %", 100.0 * (value / base - 1.0));
            vec![
                name.to_owned(),
                format!("{:.2}", found.clicks),
                beside(found.clicks, test.most_popular.clicks),
                format!("{:.2}", found.sales_usd_minor / 100.0),
                beside(found.sales_usd_minor, test.most_popular.sales_usd_minor),
            ]
        };
        let rows = [
            row("most popular, to everybody", &test.most_popular),
            row("arm: popular in the region", &test.popular_arm),
            row("arm: champion", &test.champion_arm),
            row("oracle that knows the tastes", &test.oracle),
        ];
        println!(
            "A/B test: {} visits of simulated shoppers who answer to slates by their true tastes\n{}",
            thousands(test.visits),
            table(&["slates by", "clicks a visit", "", "sales a visit, $", ""], &rows, true)
        );
        println!(
            "The champion closes {} of the gap in clicks between popularity and the oracle.",
            percent(test.gap_closed())
        );
        crate::experiments::print(&test.report);
        println!();
    }

    fn print_latencies(&self) {
        let row = |name: &str, q: &Quantiles| {
            vec![name.to_owned(), thousands(q.count as u64), micros(q.p50), micros(q.p90), micros(q.p99), micros(q.max)]
        };
        let mut rows: Vec<Vec<String>> = self.latency_us.iter().map(|(kind, quantiles)| row(kind, quantiles)).collect();
        if let Some(status) = &self.status {
            rows.push(row("freshness: acknowledged → in features", &status.freshness_us));
        }
        println!("Latency\n{}\n", table(&["request", "count", "p50", "p90", "p99", "max"], &rows, true));
    }

    fn print_routes(&self) {
        let row = |plan: &RouteFigures| {
            vec![
                plan.region.clone(),
                plan.stops.to_string(),
                plan.vehicles.to_string(),
                plan.unassigned.to_string(),
                format!("{:.1}", plan.distance_km),
                thousands(plan.cost as u64),
                thousands(plan.savings_cost as u64),
                thousands(plan.nearest_neighbour_cost as u64),
                percent(plan.saved_share),
            ]
        };
        let rows: Vec<_> = self.routes.regions.iter().map(row).collect();
        let header =
            ["to", "stops", "vans", "left out", "km", "cost, s driven", "savings plan", "nearest neighbour", "saved"];
        println!("The day's parcels, planned\n{}", table(&header, &rows, true));
        if let Some(map) = &self.routes.map {
            println!(
                "Every parcel is due in the four hours of the day in which it was ordered. All plans together cost {} \
                 less than going to the nearest stop each time, in metres or in time, and {} less than the savings \
                 plans; a map of the first is in {}.\n",
                percent(self.routes.saved_against_nearest()),
                percent(self.routes.saved_against_savings()),
                map.display()
            );
        }
    }

    fn print_trust(&self) {
        let row = |figures: &TrustFigures| {
            vec![
                figures.accounts_of.clone(),
                thousands(figures.accounts),
                format!("{:.0}", figures.median_score),
                percent(figures.flagged_share),
            ]
        };
        let rows: Vec<_> = self.trust.iter().map(row).collect();
        println!(
            "Trust scores at the end, by the worst that the truth knows of an account (of takeovers it is the victim's)\n{}\n",
            table(&["accounts", "asked", "median of 100", "with a risk flag"], &rows, true)
        );
    }

    fn print_ceilings(&self) {
        let row = |row: &Gap| {
            vec![
                row.measure.clone(),
                format!("{:.4}", row.floor),
                format!("{:.4}", row.ceiling),
                row.floor_method.clone(),
            ]
        };
        let rows: Vec<_> = self.ceilings.iter().map(row).collect();
        println!(
            "What this world allows, from its truth\n{}\n",
            table(&["measure", "trivial", "oracle", "trivial method"], &rows, false)
        );
    }
}

/// Prints where to look and three commands to try.
pub fn invite(address: SocketAddr, history: &History) {
    let base = format!("http://{address}");
    println!("Console        {base}/\nDocumentation  {base}/docs\nMetrics        {base}/metrics\n\nTry:");
    println!(
        "  curl -s {base}/v1/recommendations -H 'content-type: application/json' -d '{{\"surface\":\"home\",\"count\":5}}'"
    );
    if let Some(product) = history.example_product() {
        println!("  curl -s '{base}/v1/forecasts/{product}?horizon=14&quantiles=0.1,0.5,0.9'");
    }
    println!(
        "  curl -s '{base}/v1/decisions?limit=3'\n\nCtrl-C stops the server. The data stays for `dhow serve`, `dhow sql` and the rest."
    );
}
