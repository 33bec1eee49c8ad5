//! Recommenders on simulated shoppers whose tastes are known: every visit is shown the slates of each, so that luck is shared; no server.

use std::sync::Arc;

use clap::Parser;
use dhow_benches::told::{Known, Told};
use dhow_datasets::simulator::{OfferCollector, Page, Popularity, Shoppers, Visit};
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_events::{DAY_MICROS, ProductId};
use dhow_recommend::evaluation::{
    ChainPredictor, MarkovBaseline, PopularityBaseline, Repeats, SessionPredictor, evaluate_sessions, split_by_time,
    visits_of,
};
use dhow_recommend::{
    Interaction, InteractionKind, LiveRecommender, LiveState, RecommendModel, Recommender, Seen, ServedSlate, Settings,
    SlateRequest, Surface, choose_ranking, learn_ranker, train,
};
use serde_json::json;

/// Products in a slate.
const SLATE: usize = 10;
/// The ranker is learned from so many days, and the figures are of as many, the last ones.
const PART_DAYS: i64 = 7;

#[derive(Parser)]
struct Arguments {
    /// small, medium or large.
    #[arg(long, default_value = "small")]
    scale: Scale,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Visits after the log has ended.
    #[arg(long, default_value_t = 4_000)]
    visits: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let settings = SimulationSettings::at_scale(arguments.scale, arguments.seed);
    let mut simulation = Simulation::new(&settings)?;
    let (mut told, mut offer) = (Told::default(), OfferCollector::new());
    for arrival in simulation.by_ref() {
        offer.observe(&arrival.event);
        told.observe(&arrival.event);
    }
    let truth = simulation.into_truth();
    let Known { interactions, catalogue, slates } = told.finish();

    let end = interactions[interactions.len() - 1].time;
    let part = PART_DAYS * DAY_MICROS;
    let split = split_by_time(&interactions, end - 2 * part, end - part);
    let chain = Settings::default();
    let first_stage = train(&split.train, &catalogue, &chain)?;
    let ranking = choose_ranking(&first_stage, &split.train, &split.validation)?;
    let within = |time: dhow_events::Timestamp| time < end - part;
    let slates: Vec<ServedSlate> = slates.into_iter().filter(|slate| within(slate.time)).collect();
    eprintln!("{} slates were served in the days that the ranker learns from", slates.len());
    let learned = learn_ranker(&first_stage, &split.train, &split.validation, &slates, &ranking, arguments.seed)?
        .ok_or("too few next clicks to learn a ranker from")?;
    eprintln!("the ranker is of the kind: {}", learned.ranker.kind());
    eprintln!("{} of {} next clicks among the candidates: {:?}", learned.with_candidate, learned.cases, learned.judged);
    eprintln!("{:?}", learned.attraction);
    let fitted = |rows: &[Interaction], ranked: bool| -> Result<RecommendModel, Box<dyn std::error::Error>> {
        let model = train(rows, &catalogue, &chain)?;
        Ok(if ranked { model.with_ranking(rows, &ranking, &learned)? } else { model })
    };

    let before_test: Vec<Interaction> = split.train.iter().chain(&split.validation).copied().collect();
    let views = |rows: &[Interaction]| {
        let rows: Vec<_> = rows.iter().filter(|row| row.kind != InteractionKind::Purchase).copied().collect();
        visits_of(&rows, Repeats::Collapse)
    };
    let (known, test) = (views(&before_test), views(&split.test));
    let mut figures = serde_json::Map::new();
    let mut judge = |name: &str, predictor: &dyn SessionPredictor| -> Result<(), Box<dyn std::error::Error>> {
        let metrics = evaluate_sessions(predictor, &test, 20, catalogue.len())?;
        figures.insert(name.to_owned(), serde_json::to_value(metrics)?);
        Ok(())
    };
    for (name, ranked) in [("chain", false), ("ranked", true)] {
        let model = fitted(&before_test, ranked)?;
        judge(name, &ChainPredictor { recommender: &model, seen: Seen::HideCurrent })?;
    }
    judge("last-item Markov", &MarkovBaseline::new(&known))?;
    judge("popularity", &PopularityBaseline::new(&known))?;

    let shoppers = Shoppers::new(&truth, &offer, arguments.seed)?;
    let mut arms = serde_json::Map::new();
    for (name, ranked) in [("chain", false), ("ranked", true)] {
        let model = Arc::new(fitted(&interactions, ranked)?);
        let live = Arc::new(LiveState::new(&model));
        let recommender = LiveRecommender::new(model, live.clone());
        let offered: std::collections::HashSet<ProductId> =
            offer.by_popularity(Popularity::Views).into_iter().collect();
        let fill = |visit: &Visit, page: Page| -> Vec<ProductId> {
            let slate = recommender.recommend(&ask(visit, page), &|product| offered.contains(&product));
            slate.map(|slate| slate.items.iter().map(|item| item.product).collect()).unwrap_or_default()
        };
        arms.insert(name.to_owned(), show(&shoppers, arguments.visits, &fill, Some(&live))?);
    }
    let plain = |by| move |shoppers: &Shoppers<'_>, visit: &Visit| shoppers.popular_slate(visit, SLATE, by);
    let (views, orders) = (plain(Popularity::Views), plain(Popularity::OrderLines));
    arms.insert("most viewed".into(), show(&shoppers, arguments.visits, &|v, _| views(&shoppers, v), None)?);
    arms.insert("most ordered".into(), show(&shoppers, arguments.visits, &|v, _| orders(&shoppers, v), None)?);
    arms.insert(
        "oracle".into(),
        show(&shoppers, arguments.visits, &|visit, _| shoppers.oracle_slate(visit, SLATE), None)?,
    );
    let mut picks: std::collections::HashMap<_, Vec<ProductId>> = std::collections::HashMap::new();
    for row in &interactions {
        picks.entry(row.person).or_default().push(row.product);
    }
    let clusters: std::collections::HashMap<_, _> =
        picks.iter().map(|(person, picks)| (*person, shoppers.clusters_of_picks(picks))).collect();
    let nobody = shoppers.clusters_of_picks(&[]);
    let informed =
        |visit: &Visit, _| shoppers.informed_slate(visit, clusters.get(&Some(visit.buyer)).unwrap_or(&nobody), SLATE);
    arms.insert("informed".into(), show(&shoppers, arguments.visits, &informed, None)?);
    let report = json!({
        "scale": arguments.scale.to_string(), "seed": arguments.seed, "visits": arguments.visits,
        "next_view": figures, "per_visit": arms,
    });
    println!("RESULT {report}");
    Ok(())
}

fn ask(visit: &Visit, page: Page) -> SlateRequest {
    SlateRequest {
        person: Some(visit.buyer),
        session: Some(visit.session),
        session_items: visit.viewed.clone(),
        surface: if page == Page::Home { Surface::Home } else { Surface::Product },
        region: Some(visit.region),
        exclude: visit.viewed.clone(),
        count: SLATE,
        ..SlateRequest::default()
    }
}

/// Shows every visit the slates of one recommender, and tells its live state what was opened once the visit is over.
fn show(
    shoppers: &Shoppers<'_>,
    visits: u64,
    fill: &dyn Fn(&Visit, Page) -> Vec<ProductId>,
    live: Option<&LiveState>,
) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let (mut clicks, mut sales_usd_minor, mut slates, mut on_home, mut homes) = (0_u64, 0_i64, 0_u64, 0_u64, 0_u64);
    for number in 0..visits {
        let mut visit = shoppers.visit(number);
        while let Some(page) = visit.page() {
            let slate = fill(&visit, page);
            let response = shoppers.respond(&mut visit, &slate)?;
            clicks += response.clicks.len() as u64;
            sales_usd_minor += response.sales_usd_minor();
            slates += 1;
            if page == Page::Home {
                homes += 1;
                on_home += response.clicks.len() as u64;
            }
        }
        for product in live.iter().flat_map(|_| &visit.viewed) {
            let (person, session, region, time) = (Some(visit.buyer), visit.session, Some(visit.region), visit.at);
            let view = Interaction { person, session, product: *product, kind: InteractionKind::View, region, time };
            if let Some(live) = live {
                live.observe(&view);
            }
        }
    }
    let per_visit = |sum: f64| sum / visits.max(1) as f64;
    Ok(json!({
        "clicks": per_visit(clicks as f64), "sales_usd_minor": per_visit(sales_usd_minor as f64),
        "slates": per_visit(slates as f64),
        "clicks_on_a_home_page": on_home as f64 / homes.max(1) as f64,
        "clicks_on_a_product_page": (clicks - on_home) as f64 / (slates - homes).max(1) as f64,
    }))
}
