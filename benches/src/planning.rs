//! What planners are told of a simulated marketplace, held against its truth and its coming days: effects, and points that follow.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_effects::{Effects, Panel, PanelProduct, Scope, SoldOn};
use dhow_events::{DAY_MICROS, Fact, ProductId, Region};
use dhow_forecast::{DemandModel, FitSettings, LiveSeries, Market, Member, SeriesKey};

/// Days that each forecast looks ahead, and shares of the history before the first one.
const AHEAD: usize = 7;
const HORIZON_DAYS: usize = 90;
const HISTORY_SHARE: f64 = 0.65;
/// What half-lives in days and priors in days the following factors are tried with.
const FOLLOWING: [(f64, f64); 4] = [(7.0, 14.0), (14.0, 28.0), (28.0, 28.0), (28.0, 84.0)];

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// small, medium or large.
    #[arg(long, default_value = "small", global = true)]
    scale: Scale,
    /// The marketplace.
    #[arg(long, default_value_t = 1, global = true)]
    seed: u64,
}

#[derive(Subcommand)]
enum Action {
    /// Measures effects, and holds them against what the simulator did.
    Effects,
    /// Forecasts a week ahead on every later day, by the stored points and by ones that follow the sales.
    Points,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("planning: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// A simulated marketplace as far as planners see it.
struct Seen {
    days: usize,
    first_day: i64,
    members: BTreeMap<ProductId, Member>,
    /// Units by product, region and day.
    sold: BTreeMap<(ProductId, Region, usize), f64>,
    /// Listed prices from a day on, 0 for none; discounts from a day to another.
    prices: BTreeMap<ProductId, Vec<(usize, f64)>>,
    discounts: BTreeMap<ProductId, Vec<(usize, usize, f64)>>,
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let seen = Seen::of(&SimulationSettings::at_scale(arguments.scale, arguments.seed))?;
    match arguments.action {
        Action::Effects => effects(&seen),
        Action::Points => points(&seen),
    }
}

impl Seen {
    fn of(settings: &SimulationSettings) -> Result<Seen, Box<dyn std::error::Error>> {
        let first_day = settings.start.day();
        let mut seen = Seen {
            days: settings.days as usize,
            first_day,
            members: BTreeMap::new(),
            sold: BTreeMap::new(),
            prices: BTreeMap::new(),
            discounts: BTreeMap::new(),
        };
        let mut ids = HashSet::new();
        for arrival in Simulation::new(settings)? {
            let event = arrival.event;
            if !ids.insert(event.id) {
                continue;
            }
            let at =
                |micros: i64| usize::try_from(micros.div_euclid(DAY_MICROS) - first_day).unwrap_or(0).min(seen.days);
            let day = at(event.event_time.micros());
            match event.fact {
                Fact::ItemOrdered(fact) if day < seen.days => {
                    let member = Member { category: Some(fact.category), seller: Some(fact.seller) };
                    seen.members.insert(fact.product, member);
                    *seen.sold.entry((fact.product, fact.region, day)).or_default() += fact.quantity as f64;
                }
                Fact::ProductListed(fact) => {
                    seen.prices.entry(fact.product).or_default().push((day, fact.price_usd_minor as f64));
                }
                Fact::ProductPriceChanged(fact) => {
                    seen.prices.entry(fact.product).or_default().push((day, fact.price_usd_minor as f64));
                }
                Fact::ProductDelisted(fact) => seen.prices.entry(fact.product).or_default().push((day, 0.0)),
                Fact::PromotionStarted(fact) => {
                    let share = fact.discount_basis_points as f64 / 10_000.0;
                    let ends = at(fact.ends_at.micros());
                    seen.discounts.entry(fact.product).or_default().push((day, ends, share));
                }
                _ => {}
            }
        }
        Ok(seen)
    }
}

fn effects(seen: &Seen) -> Result<(), Box<dyn std::error::Error>> {
    let regions: BTreeSet<Region> = seen.sold.keys().map(|(_, region, _)| *region).collect();
    let number: BTreeMap<Region, usize> = regions.iter().copied().zip(0..).collect();
    let mut products: BTreeMap<ProductId, PanelProduct> = BTreeMap::new();
    for ((product, region, day), units) in &seen.sold {
        let one = products.entry(*product).or_insert_with(|| seen.panel_product(*product));
        one.sold.push(SoldOn { region: number[region], day: *day, units: *units });
    }
    let panel = Panel { days: seen.days, regions: regions.len(), products: products.into_values().collect() };
    let begin = std::time::Instant::now();
    let effects = Effects::measure(&panel)?;
    let measuring_s = begin.elapsed().as_secs_f64();
    let (price, promotion) = effects.of_all();
    let (prices, promotions) = effects.measured();
    let shown = |estimate: Option<dhow_effects::Estimate>| estimate.map(|one| (one.value, one.interval_90()));
    // Every product has the same laws: the intervals of products should hold one number in 90 % of the cases.
    let of_each: Vec<(f64, f64)> = panel
        .products
        .iter()
        .filter_map(|one| Some(effects.price(one.product).ok()?.elasticity.interval_90()))
        .collect();
    let of_promotions: Vec<(f64, f64)> = panel
        .products
        .iter()
        .filter_map(|one| effects.promotion(one.product, one.category).ok())
        .filter(|told| told.scope == Scope::Product)
        .map(|told| told.response.interval_90())
        .collect();
    let held = |intervals: &[(f64, f64)], truth: f64| {
        intervals.iter().filter(|(low, high)| (*low..=*high).contains(&truth)).count() as f64
            / intervals.len().max(1) as f64
    };
    let by_truth = |intervals: &[(f64, f64)], truths: &[f64]| -> Vec<(f64, f64)> {
        truths.iter().map(|truth| (*truth, held(intervals, *truth))).collect()
    };
    let result = serde_json::json!({
        "products": panel.products.len(), "with_price": prices, "with_promotion": promotions, "measuring_s": measuring_s,
        "elasticity": shown(price), "response": shown(promotion),
        "price_intervals_that_hold": by_truth(&of_each, &[-1.0, -1.2, -1.4, -1.6, -1.9]),
        "promotion_intervals_that_hold": by_truth(&of_promotions, &[2.5, 3.0, 3.5, 4.0, 4.4]),
    });
    println!("RESULT {result}");
    Ok(())
}

impl Seen {
    fn panel_product(&self, product: ProductId) -> PanelProduct {
        let (mut prices, mut discounts) = (vec![f64::NAN; self.days], vec![0.0; self.days]);
        let mut changes = self.prices.get(&product).cloned().unwrap_or_default();
        changes.sort_by_key(|(day, _)| *day);
        for (day, price) in changes {
            prices[day.min(self.days)..].fill(if price > 0.0 { price } else { f64::NAN });
        }
        for (from, until, share) in self.discounts.get(&product).into_iter().flatten() {
            discounts[*from..(*until).max(*from)].fill(*share);
        }
        let category = self.members.get(&product).and_then(|member| member.category);
        PanelProduct { product, category, sold: Vec::new(), prices, discounts }
    }
}

/// Sums of squared errors of single days and of the week, by way.
#[derive(Default, Clone)]
struct Errors {
    days: f64,
    weeks: f64,
}

fn points(seen: &Seen) -> Result<(), Box<dyn std::error::Error>> {
    let origin = (seen.days as f64 * HISTORY_SHARE) as usize;
    let known = || seen.sold.iter().filter(|((_, _, day), _)| *day < origin);
    let pairs: BTreeSet<(ProductId, Region)> = known().map(|((product, region, _), _)| (*product, *region)).collect();
    let market = Market::new(&pairs, &seen.members)?;
    let rows = known().map(|((product, region, day), units)| (*product, *region, seen.first_day + *day as i64, *units));
    let series = market.series(rows, seen.first_day, origin)?;
    let settings = FitSettings { season_days: 7, horizon_days: HORIZON_DAYS };
    let (model, _) = DemandModel::fit_market(&series, &market, &settings)?;
    let ends = seen.days.min(origin + HORIZON_DAYS);
    let mut by_product: BTreeMap<ProductId, Vec<f64>> = BTreeMap::new();
    for ((product, _, day), units) in &seen.sold {
        by_product.entry(*product).or_insert_with(|| vec![0.0; seen.days])[*day] += units;
    }
    let forecast = |key: SeriesKey| -> Option<Vec<f64>> {
        let told = model.forecast(&key, ends - origin, &[]).ok()?;
        Some(told.days.into_iter().map(|day| day.point).collect())
    };
    let all = forecast(SeriesKey { subject: dhow_forecast::Subject::All, region: None }).ok_or("no forecast of all")?;
    let mut sold_of_all = vec![0.0; seen.days];
    for (product, units) in &by_product {
        if pairs.range((*product, Region::new("A")?)..).next().is_some_and(|(known, _)| known == product) {
            units.iter().zip(&mut sold_of_all).for_each(|(units, sum)| *sum += units);
        }
    }
    let ways = 2 + 2 * FOLLOWING.len();
    let (mut errors, mut count) = (vec![Errors::default(); ways], 0.0);
    for (product, units) in &by_product {
        let Some(points) = forecast(SeriesKey::product(*product, None)) else { continue };
        let history = &units[..origin];
        let scale = history.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f64>() / origin as f64;
        if scale <= 0.0 {
            continue;
        }
        count += 1.0;
        let first = history.iter().position(|units| *units > 0.0).unwrap_or(0);
        let mut live = LiveSeries::from_history(seen.first_day + first as i64, &history[first..], &[0.5])?;
        for now in origin..ends - AHEAD {
            let step = now - origin;
            let coming = &units[now..now + AHEAD];
            let own = &points[step..step + AHEAD];
            let factor = |actual: &[f64], told: &[f64], (half_life, prior): (f64, f64)| {
                let mean = told.iter().sum::<f64>() / told.len() as f64;
                let (mut sold, mut expected) = (prior * mean, prior * mean);
                for back in 0..step {
                    let weight = 0.5_f64.powf((step - 1 - back) as f64 / half_life);
                    sold += weight * actual[origin + back];
                    expected += weight * told[back];
                }
                if expected > 0.0 { sold / expected } else { 1.0 }
            };
            let scaled = |factor: f64| own.iter().map(|point| factor * point).collect::<Vec<f64>>();
            let live_points = live.forecast(AHEAD)?.into_iter().map(|day| day.point).collect::<Vec<f64>>();
            let mut told = vec![own.to_vec(), live_points];
            told.extend(FOLLOWING.map(|following| scaled(factor(&sold_of_all, &all, following))));
            told.extend(FOLLOWING.map(|following| scaled(factor(units, &points, following))));
            for (errors, told) in errors.iter_mut().zip(told) {
                let days: f64 = told.iter().zip(coming).map(|(told, came)| (told - came).powi(2)).sum();
                errors.days += days / AHEAD as f64 / scale / (ends - AHEAD - origin) as f64;
                let week = told.iter().sum::<f64>() - coming.iter().sum::<f64>();
                errors.weeks += week * week / AHEAD as f64 / scale / (ends - AHEAD - origin) as f64;
            }
            live.sale(seen.first_day + now as i64, units[now])?;
            live.advance(seen.first_day + now as i64 + 1)?;
        }
    }
    let names = ["stored".to_owned(), "live_series".to_owned()].into_iter();
    let market = FOLLOWING.map(|(half_life, prior)| format!("market_factor_{half_life}_{prior}"));
    let product = FOLLOWING.map(|(half_life, prior)| format!("product_factor_{half_life}_{prior}"));
    let told: BTreeMap<String, (f64, f64)> = names
        .chain(market)
        .chain(product)
        .zip(&errors)
        .map(|(name, errors)| (name, ((errors.days / count).sqrt(), (errors.weeks / count).sqrt())))
        .collect();
    println!(
        "RESULT {}",
        serde_json::json!({ "products": count, "days": ends - AHEAD - origin, "rmsse_of_days_and_weeks": told })
    );
    Ok(())
}
