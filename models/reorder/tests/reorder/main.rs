//! What planners rely on: levels that serve as promised, orders in packs, budgets that are kept and spent where they help most.

use dhow_reorder::{Budget, Cut, Demand, Item, LEVELS, ReorderError, Service, propose};
use proptest::prelude::*;

/// Quantiles of a day with Poisson-like demand around `mean`.
fn day(mean: f64) -> Vec<f64> {
    LEVELS.iter().map(|level| (mean + mean.sqrt() * 2.5 * (level - 0.5)).max(0.0)).collect()
}

fn item(means: &[f64], on_hand: i64) -> Item {
    let days: Vec<Vec<f64>> = means.iter().map(|mean| day(*mean)).collect();
    Item {
        on_hand,
        promised: 0,
        on_its_way: 0,
        pack_units: 1,
        minimum_units: 1,
        unit_cost_minor: 100,
        unit_margin_minor: 80,
        service: Service::Level(0.95),
        demand: Demand::of_days(&days, 0.2, 1).unwrap(),
    }
}

const UNBOUNDED: Budget = Budget { minor: None };

#[test]
fn days_that_are_certain_add_up_and_uncertain_ones_scatter_as_correlated_days_do() {
    let certain = Demand::of_days(&vec![vec![3.0; LEVELS.len()]; 10], 0.5, 1).unwrap();
    assert_eq!((certain.mean(), certain.quantile(0.99), certain.expected_shortage(28.0)), (30.0, 30.0, 2.0));
    // Uniform days from 0 to 1 have the variance 1/12 each; lines beyond the outer levels keep them uniform.
    let uniform: Vec<f64> = LEVELS.to_vec();
    let spread = |correlation: f64| {
        let demand = Demand::of_days(&vec![uniform.clone(); 100], correlation, 3).unwrap();
        assert!((demand.mean() - 50.0).abs() < 1.5, "{}", demand.mean());
        demand.quantile(0.8413) - demand.quantile(0.5)
    };
    let independent = (100.0_f64 / 12.0).sqrt();
    assert!((spread(0.0) / independent - 1.0).abs() < 0.1, "{}", spread(0.0));
    // All days alike: a hundred times one day, so the level 0.8413 lies 34.13 above the middle.
    assert!((spread(1.0) - 34.13).abs() < 2.0, "{}", spread(1.0));
}

#[test]
fn an_order_lifts_the_position_to_the_level_that_serves_as_promised() {
    let low = item(&[4.0; 14], 10);
    let proposal = propose(std::slice::from_ref(&low), &UNBOUNDED)[0];
    assert_eq!(proposal.position_units + proposal.units, proposal.order_up_to_units);
    let [without, with] = proposal.stockout_probability;
    assert!(with <= 0.05 && without > 0.99, "{without} {with}");
    assert!(proposal.safety_units > 0.0 && (proposal.expected_units - 56.0).abs() < 1.5);
    assert_eq!(proposal.cut, Cut::No);
    let covered = item(&[4.0; 14], 500);
    assert_eq!(propose(&[covered], &UNBOUNDED)[0].units, 0);
    // What is promised is gone, what is on its way is there.
    let moved = Item { promised: 6, on_its_way: 6, ..low.clone() };
    assert_eq!(propose(&[moved], &UNBOUNDED)[0].units, proposal.units);
    let packs = Item { pack_units: 24, ..low.clone() };
    let packed = propose(&[packs], &UNBOUNDED)[0].units;
    assert!(packed % 24 == 0 && (proposal.units..proposal.units + 24).contains(&packed));
    let bulky = Item { minimum_units: 1_000, ..low };
    assert_eq!(propose(&[bulky], &UNBOUNDED)[0].units, 1_000);
}

#[test]
fn a_dear_margin_keeps_more_than_a_thin_one() {
    let with = |unit_margin_minor: i64| {
        let item = Item { unit_margin_minor, service: Service::Profit { holding_minor: 20 }, ..item(&[4.0; 14], 0) };
        propose(&[item], &UNBOUNDED)[0]
    };
    let (thin, dear) = (with(5), with(380));
    assert!((thin.service_level - 0.2).abs() < 1e-12 && (dear.service_level - 0.95).abs() < 1e-12);
    assert!(thin.order_up_to_units < dear.order_up_to_units && thin.safety_units < 0.0);
}

#[test]
fn quantiles_that_are_none_are_refused_with_their_day() {
    let good = day(3.0);
    let of = |days: Vec<Vec<f64>>| Demand::of_days(&days, 0.2, 1).unwrap_err().to_string();
    assert!(of(vec![]).contains("0 days"));
    assert!(of(vec![good.clone(), vec![1.0; 3]]).contains("day 1: 3 quantiles"));
    let mut falling = good.clone();
    falling[7] = 0.0;
    assert!(of(vec![falling]).contains("day 0: 0 follows"));
    let mut missing = good.clone();
    missing[18] = f64::NAN;
    assert!(of(vec![good.clone(), missing]).contains("day 1: the quantile NaN"));
    assert_eq!(Demand::of_days(&[good], 1.5, 1), Err(ReorderError::Correlation { correlation: 1.5 }));
}

/// The most margin that any affordable choice of orders saves, by trying all of them.
fn best_saving(items: &[Item], wanted: &[i64], minor: i64) -> f64 {
    let Some((item, rest)) = items.split_first() else { return 0.0 };
    let loss =
        |units: i64| item.demand.expected_shortage((item.on_hand + units) as f64) * item.unit_margin_minor as f64;
    (0..=wanted[0])
        .filter(|units| units * item.unit_cost_minor <= minor)
        .map(|units| loss(0) - loss(units) + best_saving(rest, &wanted[1..], minor - units * item.unit_cost_minor))
        .fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_budget_is_kept_and_spent_as_well_as_trying_everything(
        means in prop::collection::vec(0.2_f64..3.0, 3),
        margins in prop::collection::vec(1_i64..500, 3),
        share in 0.0_f64..1.0,
    ) {
        let items: Vec<Item> = means.iter().zip(&margins)
            .map(|(mean, margin)| Item { unit_margin_minor: *margin, ..item(&[*mean; 3], 0) })
            .collect();
        let free = propose(&items, &UNBOUNDED);
        let minor = (free.iter().map(|proposal| proposal.cost_minor).sum::<i64>() as f64 * share) as i64;
        let bounded = propose(&items, &Budget { minor: Some(minor) });
        prop_assert!(bounded.iter().map(|proposal| proposal.cost_minor).sum::<i64>() <= minor);
        for (bounded, free) in bounded.iter().zip(&free) {
            prop_assert!(bounded.units <= free.units && bounded.wanted_units == free.units);
            prop_assert_eq!(bounded.cut == Cut::No, bounded.units == free.units);
        }
        let wanted: Vec<i64> = free.iter().map(|proposal| proposal.units).collect();
        let saved: f64 = bounded.iter().map(|proposal| proposal.lost_margin_minor[0] - proposal.lost_margin_minor[1]).sum();
        let best = best_saving(&items, &wanted, minor);
        prop_assert!((saved - best).abs() <= 1e-9 * best.max(1.0), "{} of {}", saved, best);
    }
}
