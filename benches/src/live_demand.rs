//! Sales into live demand and forecasts out of it, on a made-up market: how long one takes; no HTTP, no accuracy.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use dhow_benches::quantile;
use dhow_events::{Category, ProductId, Region, SellerId};
use dhow_forecast::{DemandModel, FitSettings, LiveDemand, Market, Member, RecentSales, Sale, SeriesKey};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FIRST_DAY: i64 = 20_000;
const DAYS: usize = 84;
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];
const HORIZON_DAYS: usize = 90;

/// Times sales and forecasts one by one.
#[derive(Parser)]
struct Arguments {
    /// Products, each in ten regions.
    #[arg(long, default_value_t = 500)]
    products: usize,
    /// Sales, 1,000 a day.
    #[arg(long, default_value_t = 60_000)]
    sales: usize,
    /// Forecasts.
    #[arg(long, default_value_t = 20_000)]
    forecasts: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("live_demand: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let regions = (0..10).map(|at| Region::new(&format!("R{at}"))).collect::<Result<Vec<_>, _>>()?;
    let categories =
        (0..24).map(|at| Category::new(&format!("top{}/sub{at}", at % 6))).collect::<Result<Vec<_>, _>>()?;
    let product = |at: usize| ProductId::from_u128(at as u128 + 1);
    let seller = |at: usize| SellerId::from_u128(at as u128 % 24 + 1);
    let members: BTreeMap<ProductId, Member> = (0..arguments.products)
        .map(|at| (product(at), Member { category: Some(categories[at % 24]), seller: Some(seller(at)) }))
        .collect();
    let pairs: BTreeSet<(ProductId, Region)> =
        (0..arguments.products).flat_map(|at| regions.iter().map(move |region| (product(at), *region))).collect();
    let mut sold = Vec::new();
    for (product, region) in &pairs {
        for day in 0..DAYS as i64 {
            sold.push((*product, *region, FIRST_DAY + day, f64::from(random.random_range(0..8_u32).saturating_sub(4))));
        }
    }
    let market = Market::new(&pairs, &members)?;
    let series = market.series(sold, FIRST_DAY, DAYS)?;
    let begin = Instant::now();
    let settings = FitSettings { season_days: 7, horizon_days: HORIZON_DAYS };
    let (model, _) = DemandModel::fit_market(&series, &market, &settings)?;
    let fit_s = begin.elapsed().as_secs_f64();
    let sales = Arc::new(RecentSales::default());
    let live = LiveDemand::new(Arc::new(model), sales.clone());
    let mut sale_ns = Vec::with_capacity(arguments.sales);
    for at in 0..arguments.sales {
        let which = random.random_range(0..arguments.products);
        let sale = Sale {
            product: product(which),
            seller: seller(which),
            category: categories[which % 24],
            region: regions[random.random_range(0..regions.len())],
            day: FIRST_DAY + DAYS as i64 + at as i64 / 1_000,
            known_day: FIRST_DAY + DAYS as i64 + at as i64 / 1_000,
            quantity: 1.0,
        };
        let begin = Instant::now();
        sales.take(black_box(&sale))?;
        sale_ns.push(begin.elapsed().as_nanos() as u64);
    }
    let mut forecast_ns = Vec::with_capacity(arguments.forecasts);
    for _ in 0..arguments.forecasts {
        let region = regions.get(random.random_range(0..2 * regions.len())).copied();
        let key = SeriesKey::product(product(random.random_range(0..arguments.products)), region);
        let begin = Instant::now();
        black_box(live.forecast(&key, HORIZON_DAYS, &LEVELS)?);
        forecast_ns.push(begin.elapsed().as_nanos() as u64);
    }
    sale_ns.sort_unstable();
    forecast_ns.sort_unstable();
    let mean = |sorted: &[u64]| sorted.iter().sum::<u64>() as f64 / sorted.len().max(1) as f64 / 1e3;
    let us = |sorted: &[u64], level: f64| quantile(sorted, level) as f64 / 1e3;
    let result = serde_json::json!({
        "series": series.len(), "fit_s": fit_s,
        "sale_us_mean": mean(&sale_ns), "sale_us_p50": us(&sale_ns, 0.5), "sale_us_p99": us(&sale_ns, 0.99),
        "forecast_us_mean": mean(&forecast_ns), "forecast_us_p50": us(&forecast_ns, 0.5), "forecast_us_p99": us(&forecast_ns, 0.99),
    });
    println!("RESULT {result}");
    Ok(())
}
