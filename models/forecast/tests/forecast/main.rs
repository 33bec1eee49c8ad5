//! What a planner relies on: right methods, honest quantiles, clear refusals, and the published accuracy on M3.

mod global;
mod intervals;
mod live;
mod m3;
mod market;

use dhow_events::{ProductId, Region};
use dhow_forecast::accuracy::{coverage, mase, owa, pinball, pinball_scale, rmsse, smape};
use dhow_forecast::*;
use proptest::prelude::*;

const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

fn key(product: u128) -> SeriesKey {
    SeriesKey::product(ProductId::from_u128(product), None)
}

fn daily(product: u128, quantities: Vec<f64>) -> DailySeries {
    DailySeries { key: key(product), first_day: 20_000, quantities }
}

/// Uniform numbers from 0 to 1.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    }
}

/// Demand with a weekly season, a slow trend and noise.
fn weekly(seed: u64, days: usize) -> Vec<f64> {
    let mut noise = noise(seed);
    let season = [0.7, 0.8, 0.9, 1.0, 1.1, 1.4, 1.1];
    (0..days).map(|t| (40.0 + 0.05 * t as f64) * season[t % 7] + 12.0 * (noise() + noise() - 1.0)).collect()
}

fn one(quantities: Vec<f64>) -> DemandForecast {
    let model = DemandModel::fit(&[daily(1, quantities)], &FitSettings::default()).expect("the series is good");
    model.forecast(&key(1), 28, &LEVELS).expect("the request is good")
}

#[test]
fn the_yardsticks_do_what_their_definitions_say() {
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let series = Series::new(&values, 3).expect("good");
    assert_eq!(SeasonalNaive.forecast(&series, 4).map(|f| f.values), Ok(vec![4.0, 5.0, 6.0, 4.0]));
    assert_eq!(Mean.forecast(&series, 2).map(|f| f.values), Ok(vec![3.5, 3.5]));
    assert_eq!(Naive2.forecast(&series, 2).map(|f| f.values), Ok(vec![6.0, 6.0]));
}

#[test]
fn theta_continues_a_line_with_half_its_slope_and_finds_its_season() {
    let line: Vec<f64> = (0..40).map(|t| 10.0 + 2.0 * t as f64).collect();
    let forecast = Theta.forecast(&Series::new(&line, 1).expect("good"), 3).expect("good").values;
    // On an exact line the level nearly follows the last value, and the line adds half its slope a step.
    assert!((forecast[1] - forecast[0] - 1.0).abs() < 1e-9 && (forecast[0] - 89.0).abs() < 0.1, "{forecast:?}");
    let seasonal: Vec<f64> = (0..48).map(|t| 100.0 * [0.5, 1.5, 1.2, 0.8][t % 4]).collect();
    let forecast = Theta.forecast(&Series::new(&seasonal, 4).expect("good"), 4).expect("good").values;
    for (found, expected) in forecast.iter().zip([50.0, 150.0, 120.0, 80.0]) {
        assert!((found - expected).abs() < 1.5, "{forecast:?}");
    }
    let shifted: Vec<f64> = seasonal.iter().map(|value| value - 100.0).collect();
    let forecast = Theta.forecast(&Series::new(&shifted, 4).expect("good"), 4).expect("good").values;
    for (found, expected) in forecast.iter().zip([-50.0, 50.0, 20.0, -20.0]) {
        assert!((found - expected).abs() < 1.5, "additive: {forecast:?}");
    }
}

#[test]
fn croston_forecasts_the_mean_rate_of_regular_sparse_demand() {
    let sparse: Vec<f64> = (0..60).map(|t| if t % 5 == 4 { 10.0 } else { 0.0 }).collect();
    let series = Series::new(&sparse, 7).expect("good");
    assert_eq!(DemandPattern::of(&series), DemandPattern::Intermittent);
    let forecast = CrostonSba.forecast(&series, 2).expect("good").values;
    assert!((forecast[0] - 0.95 * 10.0 / 5.0).abs() < 1e-12);
}

#[test]
fn tsb_lets_go_of_a_product_that_died_out_and_croston_does_not() {
    let alive: Vec<f64> = (0..60).map(|t| if t % 5 == 4 { 10.0 } else { 0.0 }).collect();
    let died: Vec<f64> = alive.iter().copied().chain([0.0; 60]).collect();
    let rate = |method: &dyn Method, values: &[f64]| {
        method.forecast(&Series::new(values, 7).expect("good"), 1).expect("good").values[0]
    };
    assert!((rate(&Tsb, &alive) - 2.0).abs() < 0.3, "{}", rate(&Tsb, &alive));
    assert!(rate(&Tsb, &died) < 0.4 * rate(&Tsb, &alive));
    assert_eq!(rate(&CrostonSba, &died), rate(&CrostonSba, &alive));
}

/// One series of a regime: busy with a week, sparse and flat, lumpy, dying out, or growing; closed on one day of the week.
fn regime(seed: u64, days: usize) -> Vec<f64> {
    let mut noise = noise(seed + 1000);
    let mut at = |t: usize| {
        let (rate, size) = match seed % 5 {
            0 => (1.0, 20.0 + 12.0 * ((t % 7) as f64 - 3.0) / 3.0),
            1 => (0.15, 2.0),
            2 => (0.3, 1.0 + 30.0 * noise().powi(4)),
            3 => (0.6 * 0.5f64.powf(t as f64 / 30.0), 5.0),
            _ => (0.1 + 0.8 * t as f64 / days as f64, 4.0),
        };
        let is_open = (20_000 + t) % 7 != 2;
        if is_open && noise() < rate { (size * (0.5 + noise())).round() } else { 0.0 }
    };
    (0..days).map(&mut at).collect()
}

fn regimes(days: usize) -> Vec<DailySeries> {
    (0..300u32).map(|seed| daily(seed.into(), regime(seed.into(), days))).collect()
}

#[test]
fn no_trivial_method_beats_the_model_on_a_mix_of_regimes() {
    let report = backtest(&regimes(160), &FitSettings::default(), 28).expect("good");
    let figures = |at: usize| {
        let tested: &Backtest = &report.methods[at];
        println!("{tested:?}");
        (tested.rmsse.expect("varies"), tested.scaled_pinball.expect("varies"))
    };
    let model = figures(0);
    for at in 1..report.methods.len() {
        let (rmsse, scaled_pinball) = figures(at);
        assert!(model.0 < rmsse && model.1 < scaled_pinball, "{} {model:?}", report.methods[at].method);
    }
    assert!((0.06..0.14).contains(&report.methods[0].exceeded), "{}", report.methods[0].exceeded);
}

#[test]
fn sparse_flat_demand_never_gets_theta_and_closed_days_are_forecast_near_zero() {
    let model = DemandModel::fit(&regimes(160), &FitSettings::default()).expect("good");
    for seed in 0..300 {
        let forecast = model.forecast(&key(seed), 28, &LEVELS).expect("good");
        assert!(seed % 5 != 1 || forecast.method != "theta", "{seed}");
    }
    let busy = model.forecast(&key(0), 7, &LEVELS).expect("good");
    let (closed, open): (Vec<&DayForecast>, Vec<&DayForecast>) = busy.days.iter().partition(|day| day.day % 7 == 2);
    assert!(closed.iter().all(|day| day.point < 1.0 && day.quantiles[4] < 1.0), "{closed:?}");
    assert!(open.iter().all(|day| day.point > 5.0 && day.quantiles[4] > 10.0), "{open:?}");
}

#[test]
fn the_tested_days_have_no_part_in_what_is_judged_on_them() {
    let series = regimes(120);
    let mut history = series.clone();
    history.iter_mut().for_each(|daily| daily.quantities.truncate(92));
    let settings = FitSettings::default();
    let model = DemandModel::fit(&history, &settings).expect("good");
    let mut other = series.clone();
    other
        .iter_mut()
        .for_each(|daily| daily.quantities[92..].iter_mut().for_each(|quantity| *quantity = 7.0 - *quantity / 9.0));
    for series in [series, other] {
        let judged = judge_stored(&model, &series, 20_092, 28).expect("good").expect("every series qualifies");
        let report = backtest(&series, &settings, 28).expect("good");
        assert_eq!(judged.keys.len(), report.series_tested);
        assert_eq!(judged.figures, Backtest { owa: None, ..report.methods[0].clone() });
    }
}

#[test]
fn a_stored_model_is_judged_only_on_days_that_it_has_not_seen_and_reaches() {
    let series = regimes(120);
    let mut earlier: Vec<DailySeries> = series[..40].to_vec();
    earlier.iter_mut().for_each(|daily| daily.quantities.truncate(90));
    let settings = FitSettings { horizon_days: 60, ..FitSettings::default() };
    let model = DemandModel::fit(&earlier, &settings).expect("good");
    let judged = |first_day, days| judge_stored(&model, &series, first_day, days).expect("good");
    assert_eq!(judged(20_089, 28), None, "it has learned from day 20,089");
    assert_eq!(judged(20_100, 21), None, "the series end before day 20,121");
    let found = judged(20_092, 28).expect("its horizon reaches");
    assert_eq!(found.keys, series[..40].iter().map(|daily| daily.key).collect::<Vec<_>>());
    let candidate = backtest_of(&series, &FitSettings::default(), 28, |key| found.keys.contains(key)).expect("good");
    assert_eq!(candidate.series_tested, 40);
    let near = DemandModel::fit(&earlier, &FitSettings { horizon_days: 29, ..settings }).expect("good");
    assert_eq!(judge_stored(&near, &series, 20_092, 28), Ok(None), "it ends a day too early");
}

#[test]
fn the_measures_give_hand_computed_values() {
    let (actual, forecast) = ([100.0, 0.0], [50.0, 0.0]);
    assert_eq!(smape(&actual, &forecast), Ok((200.0 * 50.0 / 150.0) / 2.0));
    assert_eq!(mase(&[1.0, 3.0, 5.0], 1, &actual, &forecast), Ok(12.5));
    assert_eq!(pinball(&[10.0, 10.0], &[8.0, 12.0], 0.9), Ok((0.9 * 2.0 + (1.0 - 0.9) * 2.0) / 2.0));
    assert_eq!(coverage(&[1.0, 5.0], &[0.0, 0.0], &[2.0, 2.0]), Ok(0.5));
    assert!((owa(5.0, 1.0, 10.0, 1.0) - 0.75).abs() < 1e-12);
    let rare = rmsse(&[0.0, 4.0, 0.0], &[4.0, 0.0], &[2.0, 2.0]).expect("the history varies");
    assert_eq!((rare, pinball_scale(&[0.0, 4.0, 1.0])), (0.5, Ok(3.5)));
    assert!(rmsse(&[2.0, 2.0], &actual, &forecast).is_err() && rmsse(&[2.0], &actual, &forecast).is_err());
    assert!(mase(&[2.0, 2.0], 1, &actual, &forecast).is_err() && smape(&[], &[]).is_err());
}

#[test]
fn intervals_cover_about_as_often_as_they_say() {
    let series: Vec<DailySeries> = (0..60).map(|i| daily(i, weekly(i as u64, 200))).collect();
    let report = backtest(&series, &FitSettings::default(), 14).expect("good");
    let [model, seasonal, mean] = [&report.methods[0], &report.methods[1], &report.methods[2]];
    println!("{report:?}");
    assert!((0.74..0.86).contains(&model.coverage), "{}", model.coverage);
    assert!(model.smape < seasonal.smape && model.smape < mean.smape && model.pinball < seasonal.pinball);
    assert!(model.owa.is_some_and(|owa| owa < 1.0));
}

#[test]
fn awkward_histories_get_honest_forecasts() {
    let constant = one(vec![5.0; 120]);
    assert!(constant.degraded.is_none() && constant.days.iter().all(|day| (day.point - 5.0).abs() < 1e-9));
    let zero = one(vec![0.0; 120]);
    assert!(zero.degraded.is_some_and(|reason| reason.contains("no demand")));
    assert!(zero.days.iter().all(|day| day.point == 0.0 && day.quantiles == [0.0; 5]));
    let two = one(vec![4.0, 6.0]);
    assert_eq!((two.method.as_str(), two.interval, two.days[0].point), ("mean", IntervalMethod::Normal, 5.0));
    assert!(two.degraded.is_some_and(|reason| reason.contains("mean") && reason.contains("normal")));
    assert!(two.days[0].quantiles[4] > 5.0);
    let month = one(weekly(1, 30));
    assert_eq!(month.days[0].day, 20_030);
    let fortnight = one(weekly(1, 13));
    assert!(fortnight.degraded.is_some_and(|reason| reason.contains("extreme day")));
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    let fit = |quantities: Vec<f64>| DemandModel::fit(&[daily(1, quantities)], &FitSettings::default());
    let reason = |quantities| fit(quantities).expect_err("the series is bad").to_string();
    assert!(reason(vec![1.0, f64::NAN]).contains("value 1 is NaN"));
    assert!(reason(vec![1.0, 2.0, -3.0]).contains("value 2 is -3"));
    assert!(reason(vec![]).contains("has 0 values"));
    let twice = DemandModel::fit(&[daily(1, vec![1.0]), daily(1, vec![1.0])], &FitSettings::default());
    assert_eq!(twice, Err(DemandError::Duplicate { key: Box::new(key(1)) }));
    assert_eq!(DemandModel::fit(&[], &FitSettings::default()), Err(DemandError::Count { found: 0 }));
    let far = FitSettings { horizon_days: MAX_HORIZON_DAYS + 1, ..FitSettings::default() };
    assert!(DemandModel::fit(&[daily(1, vec![1.0])], &far).is_err());
    let seasonless = FitSettings { season_days: 0, ..FitSettings::default() };
    assert!(DemandModel::fit(&[daily(1, vec![1.0])], &seasonless).is_err());
    let model = fit(weekly(3, 60)).expect("good");
    for horizon in [0, 29] {
        let refused = model.forecast(&key(1), horizon, &[]);
        assert_eq!(refused, Err(DemandError::Request(ForecastError::Horizon { found: horizon, most: 28 })));
    }
    assert_eq!(model.forecast(&key(2), 1, &[]), Err(DemandError::Unknown { key: Box::new(key(2)) }));
    let elsewhere = SeriesKey { region: Region::new("NG-LA").ok(), ..key(1) };
    assert!(model.forecast(&elsewhere, 1, &[]).is_err_and(|error| error.to_string().contains("in NG-LA")));
    for levels in [&[0.0][..], &[1.0], &[0.5, 0.5], &[0.9, 0.1], &[f64::NAN]] {
        assert!(model.forecast(&key(1), 1, levels).is_err(), "{levels:?}");
    }
    assert!(backtest(&[daily(1, vec![1.0; 20])], &FitSettings::default(), 14).is_err());
}

#[test]
fn a_stored_model_answers_alike_and_damaged_bytes_are_refused() {
    let series: Vec<DailySeries> = (0..5).map(|i| daily(i, weekly(i as u64, 90))).collect();
    let model = DemandModel::fit(&series, &FitSettings::default()).expect("good");
    let reversed: Vec<DailySeries> = series.into_iter().rev().collect();
    assert_eq!(DemandModel::fit(&reversed, &FitSettings::default()).as_ref(), Ok(&model));
    let bytes = model.to_bytes().expect("memory suffices");
    assert_eq!(DemandModel::from_bytes(&bytes).as_ref(), Ok(&model));
    let old: Vec<u8> = [1].into_iter().chain(bytes[1..].iter().copied()).collect();
    assert_eq!(DemandModel::from_bytes(&old), Err(DemandError::Version { found: 1 }));
    assert!(DemandModel::from_bytes(&[]).is_err() && DemandModel::from_bytes(&bytes[..bytes.len() / 2]).is_err());
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert!(DemandModel::from_bytes(&longer).is_err());
}

#[test]
fn the_chart_shows_history_points_and_bands() {
    let forecast = one(weekly(5, 120));
    let drawing = chart::svg(&forecast);
    assert_eq!((drawing.matches("<polygon").count(), drawing.matches("<polyline").count()), (2, 2));
    if let Ok(file) = std::env::var("DHOW_FORECAST_SVG") {
        std::fs::write(file, drawing).expect("the drawing can be written");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_demand_gets_finite_forecasts_that_are_never_negative_and_never_cross(
        quantities in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1e6f64, 0.0..3.0f64], 1..120),
    ) {
        let forecast = one(quantities);
        prop_assert_eq!(forecast.days.len(), 28);
        for day in &forecast.days {
            prop_assert!(day.point.is_finite() && day.point >= 0.0);
            prop_assert!(day.quantiles.iter().all(|quantile| quantile.is_finite() && *quantile >= 0.0));
            prop_assert!(day.quantiles.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", day.quantiles);
        }
    }
}
