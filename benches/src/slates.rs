//! What a slate costs the recommender itself: sessions alone, persons, narrow filters; one thread, no server, no database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use dhow_benches::machine::process_cpu_seconds;
use dhow_benches::quantile;
use dhow_benches::told::{Known, Told};
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_events::{DAY_MICROS, ProductId};
use dhow_recommend::evaluation::{ChainPredictor, Repeats, Visit, evaluate_sessions, split_by_time, visits_of};
use dhow_recommend::{
    CatalogueItem, Interaction, InteractionKind, LiveRecommender, LiveState, PriceBand, RecommendModel, Recommender,
    Seen, Settings, Slate, SlateRequest, choose_ranking, learn_ranker, train,
};
use rustc_hash::FxHashSet;
use serde_json::json;

/// Products in a slate.
const SLATE: usize = 20;
/// The ranker is learned from so many days, and the requests are of as many, the last ones.
const PART_DAYS: i64 = 7;
/// A narrow filter keeps one product in so many.
const NARROW: usize = 100;
/// Next views that the model is judged by, at most.
const JUDGED_VISITS: usize = 2_000;

#[derive(Parser)]
struct Arguments {
    /// Products of the simulated marketplace; the rest is that of the small scale.
    #[arg(long, default_value_t = 1_600)]
    products: u32,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Requests of each kind.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Keeps the trained model here, and takes it from here the next time.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Only this kind of requests.
    #[arg(long)]
    only: Option<String>,
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let arguments = Arguments::parse();
    let small = SimulationSettings::at_scale(Scale::Small, arguments.seed);
    let sellers = small.sellers.max(arguments.products / 100);
    let mut simulation = Simulation::new(&SimulationSettings { products: arguments.products, sellers, ..small })?;
    let mut told = Told::default();
    simulation.by_ref().for_each(|arrival| told.observe(&arrival.event));
    let known = told.finish();
    let end = known.interactions.last().ok_or("the simulation told of no interaction")?.time;
    let split = split_by_time(&known.interactions, end - 2 * PART_DAYS * DAY_MICROS, end - PART_DAYS * DAY_MICROS);

    let model = match &arguments.model {
        Some(path) if path.exists() => RecommendModel::from_bytes(&std::fs::read(path)?)?,
        _ => fitted(&known, [&split.train, &split.validation], arguments.seed)?,
    };
    if let Some(path) = &arguments.model {
        std::fs::write(path, model.to_bytes()?)?;
    }
    let views: Vec<Interaction> =
        split.test.iter().filter(|row| row.kind != InteractionKind::Purchase).copied().collect();
    let visits = visits_of(&views, Repeats::Collapse);
    let judged = &visits[..visits.len().min(JUDGED_VISITS)];
    let predictor = ChainPredictor { recommender: &model, seen: Seen::HideCurrent };
    let signed_in = evaluate_sessions(&predictor, judged, SLATE, known.catalogue.len())?;
    let anonymous: Vec<Visit> = judged.iter().map(|visit| Visit { person: None, ..visit.clone() }).collect();
    let anonymous = evaluate_sessions(&predictor, &anonymous, SLATE, known.catalogue.len())?;

    let model = Arc::new(model);
    let live = Arc::new(LiveState::new(&model));
    let recommender = LiveRecommender::new(model, live);
    let asked = requests(&split.test, arguments.requests);
    let bands = narrow_bands(&known.catalogue);
    let (mut kinds, wanted) =
        (serde_json::Map::new(), |kind: &str| arguments.only.as_deref().is_none_or(|k| k == kind));
    for (kind, signed_in, narrow) in [
        ("session", false, false),
        ("session, 1 % filter", false, true),
        ("person and session", true, false),
        ("person and session, 1 % filter", true, true),
    ] {
        if wanted(kind) {
            let of_kind = asked.iter().enumerate().map(|(number, request)| SlateRequest {
                person: request.person.filter(|_| signed_in),
                price_band: narrow.then(|| bands[number % bands.len()]),
                ..request.clone()
            });
            kinds.insert(kind.to_owned(), timed(&recommender, &of_kind.collect::<Vec<_>>(), &known.catalogue)?);
        }
    }
    let report = json!({
        "products": known.catalogue.len(), "seed": arguments.seed, "next_view_mrr": signed_in.mrr,
        "next_view_mrr_of_sessions": anonymous.mrr, "kinds": kinds,
    });
    println!("RESULT {report}");
    Ok(())
}

/// Trained on both parts, the ranker learned from the later one.
fn fitted(known: &Known, [earlier, later]: [&Vec<Interaction>; 2], seed: u64) -> Result<RecommendModel, AnyError> {
    let settings = Settings::default();
    let first_stage = train(earlier, &known.catalogue, &settings)?;
    let ranking = choose_ranking(&first_stage, earlier, later)?;
    let until = later.last().ok_or("the days that the ranker learns from are empty")?.time;
    let slates: Vec<_> = known.slates.iter().filter(|slate| slate.time <= until).cloned().collect();
    let learned = learn_ranker(&first_stage, earlier, later, &slates, &ranking, seed)?
        .ok_or("too few next clicks to learn a ranker from")?;
    eprintln!("the ranker is of the kind: {}; {:?}", learned.ranker.kind(), learned.judged);
    let all: Vec<Interaction> = earlier.iter().chain(later).copied().collect();
    Ok(train(&all, &known.catalogue, &settings)?.with_ranking(&all, &ranking, &learned)?)
}

/// Every page of every later visit asks: with the products of the visit so far, and who visits where that is known.
fn requests(later: &[Interaction], limit: usize) -> Vec<SlateRequest> {
    let mut visits: Vec<&Interaction> = later.iter().filter(|row| row.kind == InteractionKind::View).collect();
    visits.sort_by_key(|row| (row.session, row.time));
    let of_visit = |visit: &[&Interaction]| -> Vec<SlateRequest> {
        let products: Vec<ProductId> = visit.iter().map(|row| row.product).collect();
        let person = visit.iter().find_map(|row| row.person);
        let request = |pages: usize| SlateRequest {
            person,
            session: Some(visit[0].session),
            session_items: products[..pages].to_vec(),
            region: visit[0].region,
            count: SLATE,
            ..SlateRequest::default()
        };
        (1..=products.len()).map(request).collect()
    };
    let all = visits.chunk_by(|a, b| a.session == b.session).flat_map(of_visit);
    let all: Vec<SlateRequest> = all.filter(|request| request.person.is_some()).collect();
    all.iter().cycle().take(if all.is_empty() { 0 } else { limit }).cloned().collect()
}

/// Bands of prices that hold one product in [`NARROW`] each.
fn narrow_bands(catalogue: &[CatalogueItem]) -> Vec<PriceBand> {
    let mut prices: Vec<i64> = catalogue.iter().map(|item| item.price_usd_minor).collect();
    prices.sort_unstable();
    let width = (prices.len() / NARROW).max(1);
    prices.chunks(width).map(|part| PriceBand { from_usd_minor: part[0], to_usd_minor: part[part.len() - 1] }).collect()
}

/// Answers every request and tells how long that took, how many pages were full and how many products broke the filter.
fn timed(
    recommender: &LiveRecommender,
    requests: &[SlateRequest],
    catalogue: &[CatalogueItem],
) -> Result<serde_json::Value, AnyError> {
    let offered: FxHashSet<ProductId> = catalogue.iter().map(|item| item.product).collect();
    let eligible = |product| offered.contains(&product);
    for request in requests.iter().take(1_000) {
        recommender.recommend(request, &eligible)?;
    }
    let mut times_ns = Vec::with_capacity(requests.len());
    let mut slates: Vec<Slate> = Vec::with_capacity(requests.len());
    let cpu_before_s = process_cpu_seconds(std::process::id());
    for request in requests {
        let begin = Instant::now();
        slates.push(recommender.recommend(request, &eligible)?);
        times_ns.push(begin.elapsed().as_nanos() as u64);
    }
    let cpu_s = process_cpu_seconds(std::process::id()) - cpu_before_s;
    let prices: rustc_hash::FxHashMap<ProductId, i64> =
        catalogue.iter().map(|item| (item.product, item.price_usd_minor)).collect();
    let outside = |request: &SlateRequest, product: &ProductId| {
        request.price_band.is_some_and(|band| !(band.from_usd_minor..=band.to_usd_minor).contains(&prices[product]))
    };
    let violations: usize = requests
        .iter()
        .zip(&slates)
        .map(|(request, slate)| slate.items.iter().filter(|item| outside(request, &item.product)).count())
        .sum();
    let mut sorted: Vec<i64> = prices.values().copied().collect();
    sorted.sort_unstable();
    // The current product stays hidden.
    let possible = |request: &SlateRequest| match request.price_band {
        Some(band) => {
            let to = sorted.partition_point(|price| *price <= band.to_usd_minor);
            to - sorted.partition_point(|price| *price < band.from_usd_minor) - 1
        }
        None => sorted.len() - 1,
    };
    let full = requests.iter().zip(&slates).filter(|(r, slate)| slate.items.len() >= SLATE.min(possible(r))).count();
    times_ns.sort_unstable();
    let us = |q: f64| quantile(&times_ns, q) as f64 / 1e3;
    Ok(json!({
        "requests": requests.len(), "cpu_us_per_request": 1e6 * cpu_s / requests.len().max(1) as f64,
        "latency_us_p50": us(0.5), "latency_us_p90": us(0.9), "latency_us_p99": us(0.99),
        "pages_as_full_as_possible": full, "filter_violations": violations,
    }))
}
