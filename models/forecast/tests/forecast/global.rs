//! What a global model learns from many short series together.

use super::noise;
use dhow_forecast::*;

const DAYS: usize = 182;
const HORIZON: usize = 14;

fn series(demand: Vec<f64>) -> PanelSeries {
    PanelSeries { level: 0, category: 0, region: 0, importance: 1.0, demand, price: Vec::new(), promotion: Vec::new() }
}

fn panel(series: Vec<PanelSeries>) -> Panel {
    Panel { first_day: 20_000, days: DAYS, series, events: Vec::new() }
}

fn settings() -> GlobalSettings {
    let mut settings = GlobalSettings::new(HORIZON);
    (settings.rows_most, settings.trees.rounds, settings.trees.learning_rate) = (20_000, 60, 0.1);
    settings
}

fn forecast(panel: &Panel) -> Vec<Vec<f64>> {
    GlobalModel::fit(panel, &settings()).unwrap().forecast(panel).unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Counts around a level that doubles on every third day of promotion.
fn promoted(seed: u64, promotion: &[f64]) -> Vec<f64> {
    let mut random = noise(seed);
    let level = 5.0 + 20.0 * random();
    let factor = |promotion: &f64| if *promotion > 0.0 { 2.0 } else { 1.0 };
    promotion[..DAYS].iter().map(|day| (level * factor(day) * (0.7 + 0.6 * random())).round()).collect()
}

#[test]
fn a_planned_promotion_raises_the_forecast_as_earlier_ones_raised_demand() {
    let plan = |seed: u64| {
        let mut random = noise(seed);
        (0..DAYS + HORIZON).map(|_| if random() < 0.2 { 0.3 } else { 0.0 }).collect::<Vec<f64>>()
    };
    let one = |seed: u64| {
        let promotion = plan(seed);
        PanelSeries { promotion: promotion.clone(), ..series(promoted(seed + 1_000, &promotion)) }
    };
    let panel = panel((0..40).map(one).collect());
    let (mut promoted, mut plain) = (Vec::new(), Vec::new());
    for (series, forecast) in panel.series.iter().zip(forecast(&panel)) {
        let base = mean(&series.demand[DAYS - 56..]);
        for (ahead, value) in forecast.iter().enumerate() {
            let kind = if series.promotion[DAYS + ahead] > 0.0 { &mut promoted } else { &mut plain };
            kind.push(value / base);
        }
    }
    let lift = mean(&promoted) / mean(&plain);
    assert!((1.7..2.3).contains(&lift), "a promotion doubles demand, and was forecast to multiply it by {lift}");
}

#[test]
fn days_without_stock_do_not_lower_the_forecast() {
    let one = |seed: u64| {
        let mut random = noise(seed);
        (0..DAYS).map(|_| (20.0 * (0.7 + 0.6 * random())).round()).collect::<Vec<f64>>()
    };
    let mut histories: Vec<Vec<f64>> = (0..20).map(one).collect();
    let run_out = |history: &mut Vec<f64>, value: f64| history[DAYS - 20..].fill(value);
    run_out(&mut histories[0], f64::NAN);
    run_out(&mut histories[1], 0.0);
    let found = forecast(&panel(histories.into_iter().map(series).collect()));
    assert!((17.0..23.0).contains(&mean(&found[0])), "without stock: {}", mean(&found[0]));
    assert!(mean(&found[1]) < mean(&found[0]), "days without demand lower the forecast, days without stock do not");
}

#[test]
fn a_new_product_starts_where_similar_ones_are() {
    let of = |seed: u64, category: u32, level: f64, from: usize| {
        let mut random = noise(seed);
        let demand = (0..DAYS).map(|day| if day < from { 0.0 } else { (level * (0.7 + 0.6 * random())).round() });
        PanelSeries { category, ..series(demand.collect()) }
    };
    let mut all: Vec<PanelSeries> = (0..40).map(|at| of(at, at as u32 % 2, [4.0, 40.0][at as usize % 2], 0)).collect();
    all.push(of(90, 0, 0.0, DAYS));
    all.push(of(91, 1, 0.0, DAYS));
    let found = forecast(&panel(all));
    assert!((3.0..5.0).contains(&mean(&found[40])), "{}", mean(&found[40]));
    assert!((32.0..48.0).contains(&mean(&found[41])), "{}", mean(&found[41]));
}

#[test]
fn a_global_model_is_the_same_each_time_and_forecasts_closed_weekdays_as_closed() {
    let one = |seed: u64| {
        let mut random = noise(seed);
        let day = |day: usize| if (20_000 + day) % 7 == 3 { 0.0 } else { (10.0 * random()).round() };
        series((0..DAYS).map(day).collect())
    };
    let panel = panel((0..20).map(one).collect());
    let found = forecast(&panel);
    assert_eq!(found, forecast(&panel));
    for forecast in &found {
        for (ahead, value) in forecast.iter().enumerate() {
            assert_eq!((20_000 + DAYS + ahead) % 7 == 3, *value < 0.5, "day {ahead}: {value}");
        }
    }
}

#[test]
fn a_panel_that_cannot_be_learned_from_is_refused_with_the_place() {
    let bad = |change: fn(&mut Panel)| {
        let mut panel = panel(vec![series(vec![1.0; DAYS])]);
        change(&mut panel);
        GlobalModel::fit(&panel, &settings()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(
        bad(|panel| panel.series[0].demand[3] = -1.0),
        "series 0: demand of day 3 is -1; it must be finite and at least 0, or NaN where missing"
    );
    assert_eq!(bad(|panel| panel.series[0].price = vec![1.0]), "series 0: 1 values of price; 196 are needed");
    assert!(bad(|panel| panel.series.clear()).starts_with("0 series"));
    assert!(bad(|panel| panel.series[0].demand.fill(0.0)).contains("no day to learn from"));
    assert!(
        bad(|panel| {
            panel.days = 10;
            panel.series[0].demand.truncate(10);
        })
        .contains("at least 14 are needed")
    );
}
