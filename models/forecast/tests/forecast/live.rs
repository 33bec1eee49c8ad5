//! A live series is what a refit of its recursion gives, whatever the order of a day's sales.

use super::noise;
use dhow_forecast::*;
use proptest::prelude::*;

const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
const START: i64 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn updating_by_each_sale_gives_the_bits_of_a_refit(
        sales in prop::collection::vec((0i64..3, 1u32..9), 1..200),
    ) {
        let mut live = LiveSeries::new(START, &LEVELS).unwrap();
        let (mut day, mut totals) = (START, vec![0.0]);
        for (wait, quantity) in sales {
            day += wait;
            totals.resize((day - START) as usize + 1, 0.0);
            totals[(day - START) as usize] += f64::from(quantity);
            live.sale(day, f64::from(quantity)).unwrap();
        }
        live.advance(day + 1).unwrap();
        let refit = LiveSeries::from_history(START, &totals, &LEVELS).unwrap();
        prop_assert_eq!(&live, &refit);
        prop_assert_eq!(live.forecast(28).unwrap(), refit.forecast(28).unwrap());
    }
}

#[test]
fn a_live_series_finds_the_level_and_the_week_and_its_quantiles_hold_at_their_level() {
    let mut random = noise(3);
    let week = [1.4, 1.2, 1.0, 1.0, 0.9, 0.5, 0.0];
    let mut demand = |day: i64| {
        let spread: f64 = (0..12).map(|_| random()).sum::<f64>() - 6.0;
        (100.0 * week[day.rem_euclid(7) as usize] * (1.0 + 0.1 * spread)).max(0.0)
    };
    let mut live = LiveSeries::new(START, &[0.1, 0.5, 0.9]).unwrap();
    let (mut inside, mut judged) = (0, 0);
    for day in START..START + 900 {
        let today = live.forecast(1).unwrap().remove(0);
        let came = demand(day);
        if day > START + 200 && day.rem_euclid(7) != 6 {
            judged += 1;
            inside += usize::from(today.quantiles[0] <= came && came <= today.quantiles[2]);
        }
        live.sale(day, came).unwrap();
        live.advance(day + 1).unwrap();
    }
    for day in live.forecast(14).unwrap() {
        let expected = 100.0 * week[day.day.rem_euclid(7) as usize];
        assert!((day.point - expected).abs() < 12.0, "{day:?} should be near {expected}");
        assert!(day.quantiles.is_sorted() && day.quantiles[0] >= 0.0);
    }
    let share = f64::from(inside as u32) / f64::from(judged as u32);
    assert!((0.74..0.86).contains(&share), "{share} of the days lie in the 80 % interval");
}

#[test]
fn a_day_without_stock_leaves_the_forecast_as_it_was() {
    let history: Vec<f64> = (0..200).map(|day| f64::from(10 + day % 5)).collect();
    let mut live = LiveSeries::from_history(START, &history, &LEVELS).unwrap();
    let before = live.forecast(7).unwrap();
    live.out_of_stock(START + 200).unwrap();
    live.advance(START + 201).unwrap();
    assert_eq!(live.forecast(6).unwrap(), before[1..]);
    let mut with_demand = LiveSeries::from_history(START, &history, &LEVELS).unwrap();
    with_demand.advance(START + 201).unwrap();
    assert!(with_demand.forecast(1).unwrap()[0].point < before[1].point, "a day without demand lowers it");
}

#[test]
fn a_live_series_refuses_late_sales_long_gaps_and_odd_quantities_and_stays_as_it_was() {
    let mut live = LiveSeries::from_history(START, &[3.0; 30], &LEVELS).unwrap();
    let before = live.clone();
    assert_eq!(live.sale(START + 29, 1.0), Err(LiveError::Late { day: START + 29, current: START + 30 }));
    assert!(matches!(live.sale(START + 30 + MAX_GAP_DAYS + 1, 1.0), Err(LiveError::Gap { .. })));
    assert!(matches!(live.sale(START + 30, -1.0), Err(LiveError::Quantity { .. })));
    assert!(matches!(live.sale(START + 31, f64::NAN), Err(LiveError::Quantity { .. })));
    assert!(matches!(live.forecast(0), Err(LiveError::Request(_))));
    assert_eq!(live, before);
    let rare: Vec<f64> = (0..300).map(|day| if day % 10 == 0 { 5.0 } else { 0.0 }).collect();
    let point = LiveSeries::from_history(START, &rare, &LEVELS).unwrap().forecast(70).unwrap();
    let mean = point.iter().map(|day| day.point).sum::<f64>() / 70.0;
    assert!((0.35..0.65).contains(&mean), "five every tenth day is half a piece a day, forecast was {mean}");
}
