//! Effects of made-up markets whose truth is known: found within their intervals as often as these say, or refused.

mod market;

use dhow_effects::*;
use dhow_events::ProductId;
use market::{Truth, market};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The share of truths that lie in their 90 % intervals, and how many there are.
fn covered(pairs: &[(f64, Estimate)]) -> (f64, usize) {
    let holds = |(truth, estimate): &&(f64, Estimate)| {
        let (low, high) = estimate.interval_90();
        (low..=high).contains(truth)
    };
    (pairs.iter().filter(holds).count() as f64 / pairs.len() as f64, pairs.len())
}

#[test]
fn elasticities_and_responses_lie_in_their_intervals_as_often_as_these_say() {
    let (mut prices, mut promotions, mut categories) = (Vec::new(), Vec::new(), Vec::new());
    let (mut errors, mut errors_of_all) = (0.0, 0.0);
    for seed in 0..10 {
        let (panel, truth) = market(seed);
        let effects = Effects::measure(&panel).unwrap();
        for (one, Truth { elasticity, response, .. }) in panel.products.iter().zip(&truth.products) {
            if let Ok(told) = effects.price(one.product) {
                prices.push((*elasticity, told.elasticity));
                categories.push((truth.categories[&one.category].0, told.of_category));
                errors += (told.elasticity.value - elasticity).powi(2);
                errors_of_all += (told.of_all.value - elasticity).powi(2);
            }
            let told = effects.promotion(one.product, one.category).unwrap();
            if told.scope == Scope::Product {
                promotions.push((*response, told.response));
            }
        }
    }
    categories.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.value.total_cmp(&b.1.value)));
    categories.dedup();
    for (what, pairs, least) in
        [("elasticity", &prices, 0.85), ("response", &promotions, 0.85), ("category", &categories, 0.75)]
    {
        let (share, count) = covered(pairs);
        println!("{what}: {:.1} % of {count} in their 90 % intervals", 100.0 * share);
        assert!(share > least && share < 0.985, "{what}: {share} of {count}");
    }
    assert!(prices.len() > 300 && promotions.len() > 300, "{} {}", prices.len(), promotions.len());
    assert!(errors < errors_of_all, "products differ, and their own sales tell it: {errors} against {errors_of_all}");
}

#[test]
fn a_price_that_never_moved_tells_nothing_and_a_product_without_a_promotion_is_told_of_its_category() {
    let (mut panel, _) = market(1);
    panel.products[3].prices.fill(700.0);
    panel.products[4].discounts.fill(0.0);
    let effects = Effects::measure(&panel).unwrap();
    let (still, plain) = (panel.products[3].clone(), panel.products[4].clone());
    assert_eq!(effects.price(still.product), Err(NoEstimate::PriceNeverMoved));
    assert!(effects.promotion(still.product, still.category).is_ok());
    let told = effects.promotion(plain.product, plain.category).unwrap();
    let sure = effects.promotion(panel.products[5].product, None).unwrap();
    assert_eq!((told.scope, told.days, sure.scope), (Scope::Category, 0, Scope::Product));
    assert!(told.response.error > 0.1, "{told:?}");
    assert_eq!(effects.price(ProductId::from_u128(u128::MAX)), Err(NoEstimate::Unknown));
    panel.products.iter_mut().for_each(|one| {
        one.prices.fill(5.0);
        one.discounts.fill(0.0);
    });
    let effects = Effects::measure(&panel).unwrap();
    assert!(panel.products.iter().all(|one| effects.price(one.product).is_err()));
    assert_eq!(effects.promotion(plain.product, plain.category), Err(NoEstimate::NoPromotion));
    assert_eq!(effects.measured(), (0, 0));
    panel.products[7].discounts[2] = 1.0;
    assert!(Effects::measure(&panel).unwrap_err().to_string().contains("discount"));
    panel.products[7].discounts.pop();
    assert!(matches!(Effects::measure(&panel), Err(EffectError::Length { product: 7, .. })));
}

fn draws(days: usize) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    (0..2_000).map(|_| (0..days).map(|_| random.random_range(0.0..20.0)).collect()).collect()
}

#[test]
fn another_price_a_promotion_and_a_stock_do_what_arithmetic_says() {
    let draws = draws(30);
    let same =
        Scenario { price: 4.0, price_ratio: 1.0, discount: 0.0, promoted: 0..0, stock: None, unit_cost: Some(3.0) };
    let sure = |value: f64| Some(Estimate { value, error: 0.0 });
    let told = what_if(&draws, &same, None, None, 7).unwrap();
    assert_eq!(told.plain, told.other);
    assert!((told.plain.demand.mean / 300.0 - 1.0).abs() < 0.01 && told.change.revenue.high == 0.0, "{told:?}");
    assert!((told.plain.margin.unwrap().mean / told.plain.revenue.mean - 0.25).abs() < 1e-9);

    let dearer = Scenario { price_ratio: 1.1, ..same.clone() };
    let told = what_if(&draws, &dearer, sure(-2.0), None, 7).unwrap();
    assert!((told.other.demand.mean / told.plain.demand.mean - 1.1_f64.powi(-2)).abs() < 1e-9);
    assert!((told.other.revenue.mean / told.plain.revenue.mean - 1.0 / 1.1).abs() < 1e-9);
    // An elasticity of less than -1 loses revenue, and a unit's margin grows from 1.0 to 1.4.
    assert!(told.change.revenue.high < 0.0 && told.change.margin.unwrap().low > 0.0, "{told:?}");
    let unsure = Some(Estimate { value: -2.0, error: 0.8 });
    let wide = what_if(&draws, &dearer, unsure, None, 7).unwrap().change.demand;
    assert!(wide.low < told.change.demand.low && wide.high > told.change.demand.high, "{wide:?}");

    let promoted = Scenario { discount: 0.2, promoted: 5..15, ..same.clone() };
    let told = what_if(&draws, &promoted, None, sure(4.0), 7).unwrap();
    let expected = (20.0 + 10.0 * 0.8_f64.exp()) / 30.0;
    assert!((told.other.demand.mean / told.plain.demand.mean - expected).abs() < 0.01, "{told:?}");

    let scarce = Scenario { stock: Some(100.0), ..same.clone() };
    let told = what_if(&draws, &scarce, None, None, 7).unwrap();
    assert!(told.other.sales.high <= 100.0 + 1e-9 && told.other.demand == told.plain.demand, "{told:?}");
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    let draws = draws(10);
    let good = Scenario { price: 4.0, price_ratio: 1.0, discount: 0.0, promoted: 0..0, stock: None, unit_cost: None };
    let refused = |scenario: Scenario| what_if(&draws, &scenario, None, None, 1).unwrap_err().to_string();
    assert!(refused(Scenario { price: 0.0, ..good.clone() }).contains("price"));
    assert!(refused(Scenario { price_ratio: 2.5, ..good.clone() }).contains("from 0.5 to 2"));
    assert!(refused(Scenario { price_ratio: 1.5, ..good.clone() }).contains("no elasticity"));
    assert!(refused(Scenario { discount: 0.3, ..good.clone() }).contains("no response"));
    assert!(refused(Scenario { promoted: 4..11, ..good.clone() }).contains("promoted days"));
    assert!(refused(Scenario { stock: Some(f64::NAN), ..good.clone() }).contains("stock"));
    assert!(what_if(&[], &good, None, None, 1).is_err());
}

#[test]
fn an_event_is_held_against_the_same_weekdays_around_it() {
    let week = [10.0, 12.0, 14.0, 20.0, 15.0, 0.0, 9.0];
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let (mut inside, mut judged) = (0, 0);
    for _ in 0..400 {
        let event = CalendarEvent { name: "fair".to_owned(), first_day: 20_040, last_day: 20_042 };
        let units: Vec<f64> = (20_000..20_100_i64)
            .map(|day| {
                let rise = if (20_040..=20_042).contains(&day) { 1.5 } else { 1.0 };
                100.0 * rise * week[day.rem_euclid(7) as usize] * (1.0 + 0.3 * (random.random_range(0.0..2.0) - 1.0))
            })
            .collect();
        let told = uplift(DayTotals { first_day: 20_000, units: &units }, &event, &[]).unwrap().unwrap();
        let (low, high) = told.log_ratio.interval_90();
        judged += 1;
        inside += usize::from((low..=high).contains(&1.5_f64.ln()));
    }
    let share = inside as f64 / f64::from(judged);
    assert!((0.83..0.98).contains(&share), "{share} of the intervals hold the truth");
    let none = CalendarEvent { name: "later".to_owned(), first_day: 30_000, last_day: 30_001 };
    let units = [1.0; 100];
    let totals = DayTotals { first_day: 20_000, units: &units };
    assert_eq!(uplift(totals, &none, &[]), Ok(None));
    let endless = CalendarEvent { last_day: 40_000, ..none };
    assert!(uplift(totals, &endless, &[]).is_err());
}
