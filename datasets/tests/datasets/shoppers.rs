//! What an A/B test on simulated shoppers relies on: answers by the truth's formula, equal luck, an oracle above popularity, errors for bad slates.

use std::collections::HashMap;

use dhow_datasets::simulator::{OfferCollector, Page, Popularity, ShopperError, Shoppers, Visit, position_share};
use dhow_datasets::{Scale, Simulation, SimulationSettings, Truth};
use dhow_events::ProductId;

fn finished() -> (Truth, OfferCollector) {
    let mut settings = SimulationSettings::at_scale(Scale::Small, 21);
    (settings.days, settings.buyers, settings.products, settings.sellers) = (40, 3_000, 400, 12);
    let mut simulation = Simulation::new(&settings).unwrap();
    let mut offer = OfferCollector::new();
    simulation.by_ref().for_each(|arrival| offer.observe(&arrival.event));
    (simulation.into_truth(), offer)
}

/// Clicks, sales in cents and pages of some visits whose slates `choose` makes.
fn run(shoppers: &Shoppers, visits: u64, choose: impl Fn(&Visit) -> Vec<ProductId>) -> (f64, f64, f64) {
    let mut sums = (0.0, 0.0, 0.0);
    for number in 0..visits {
        let mut visit = shoppers.visit(number);
        while visit.page().is_some() {
            let slate = choose(&visit);
            let response = shoppers.respond(&mut visit, &slate).unwrap();
            sums.0 += response.clicks.len() as f64;
            sums.1 += response.sales_usd_minor() as f64;
            sums.2 += 1.0;
        }
    }
    sums
}

#[test]
fn the_oracle_gets_more_clicks_and_sales_than_popularity_on_the_same_visits() {
    let (truth, offer) = finished();
    let shoppers = Shoppers::new(&truth, &offer, 5).unwrap();
    let popular = run(&shoppers, 3_000, |visit| shoppers.popular_slate(visit, 10, Popularity::Views));
    let oracle = run(&shoppers, 3_000, |visit| shoppers.oracle_slate(visit, 10));
    println!("popular {popular:?} oracle {oracle:?}");
    assert_eq!(popular.2, oracle.2, "every arm is shown on equally many pages");
    assert!(oracle.0 > 1.5 * popular.0 && oracle.1 > 1.3 * popular.1, "popular {popular:?} oracle {oracle:?}");
    assert_eq!(oracle, run(&shoppers, 3_000, |visit| shoppers.oracle_slate(visit, 10)), "by the same seed");
    let other = Shoppers::new(&truth, &offer, 6).unwrap();
    assert_ne!(oracle, run(&other, 3_000, |visit| other.oracle_slate(visit, 10)), "by another seed");
}

#[test]
fn the_oracles_slate_is_the_best_of_many_slates() {
    let (truth, offer) = finished();
    let shoppers = Shoppers::new(&truth, &offer, 5).unwrap();
    for number in 0..40 {
        let mut visit = shoppers.visit(number);
        while visit.page().is_some() {
            let clicks = |slate: &[ProductId]| shoppers.click_probabilities(&visit, slate).unwrap().iter().sum::<f64>();
            let oracle = shoppers.oracle_slate(&visit, 8);
            for first in 0..40 {
                let any: Vec<ProductId> = (0..8).map(|k| truth.products[(first * 7 + k * 11) % 400].product).collect();
                assert!(clicks(&any) <= clicks(&oracle) + 1e-12);
            }
            let mut reversed = oracle.clone();
            reversed.reverse();
            assert!(clicks(&reversed) <= clicks(&oracle) + 1e-12);
            shoppers.respond(&mut visit, &oracle).unwrap();
        }
    }
}

#[test]
fn clicks_come_as_often_as_the_truth_says_at_every_position_on_home_and_product_pages() {
    let (truth, offer) = finished();
    let shoppers = Shoppers::new(&truth, &offer, 8).unwrap();
    let buyers: HashMap<_, _> = truth.buyers.iter().zip(0..).map(|(buyer, number)| (buyer.buyer, number)).collect();
    let products: HashMap<_, _> = truth.products.iter().zip(0..).map(|(p, number)| (p.product, number)).collect();
    let mut sums = [[(0.0, 0.0); 10]; 2];
    for number in 0..20_000 {
        let mut visit = shoppers.visit(number);
        while let Some(page) = visit.page() {
            let slate = shoppers.popular_slate(&visit, 10, Popularity::OrderLines);
            let given = shoppers.click_probabilities(&visit, &slate).unwrap();
            for (position, product) in slate.iter().enumerate() {
                let liking = truth.click_probability(buyers[&visit.buyer], products[product]);
                let expected = match page {
                    Page::Home => liking,
                    Page::Product(open) => {
                        // The simulator's shares of the steps to what goes with a product, nearest first.
                        let weights = [0.36, 0.22, 0.15, 0.11, 0.09, 0.07];
                        let neighbours = truth.products[products[&open]].neighbours.iter().zip(weights);
                        let step: f64 =
                            neighbours.filter(|(n, _)| **n as usize == products[product]).map(|(_, w)| w).sum();
                        liking + (1.0 - liking) * 0.42 * step
                    }
                };
                let on_offer = truth.products[products[product]].on_offer_days;
                let expected = if (on_offer.0..on_offer.1).contains(&39) { expected } else { 0.0 };
                assert!((given[position] - expected * position_share(position)).abs() < 1e-12);
            }
            let response = shoppers.respond(&mut visit, &slate).unwrap();
            let sums = &mut sums[usize::from(page != Page::Home)];
            given.iter().zip(sums.iter_mut()).for_each(|(chance, sum)| sum.0 += chance);
            response.clicks.iter().for_each(|click| sums[click.position].1 += 1.0);
        }
    }
    for (expected, clicked) in sums.as_flattened() {
        let deviations = (clicked - expected) / expected.sqrt();
        assert!(*expected > 200.0 && deviations.abs() < 4.0, "{clicked} clicks of {expected} expected");
    }
}

#[test]
fn people_come_as_often_as_they_buy_and_a_product_opened_once_is_not_clicked_again() {
    let (truth, offer) = finished();
    let shoppers = Shoppers::new(&truth, &offer, 9).unwrap();
    let mut visits: HashMap<_, f64> = HashMap::new();
    (0..20_000).for_each(|number| *visits.entry(shoppers.visit(number).buyer).or_default() += 1.0);
    let total: f64 = truth.buyers.iter().map(|buyer| buyer.checkouts_per_day).sum();
    let mut by_rate: Vec<_> = truth.buyers.iter().collect();
    by_rate.sort_by(|a, b| a.checkouts_per_day.total_cmp(&b.checkouts_per_day));
    for part in by_rate.chunks(by_rate.len() / 4) {
        let expected: f64 = part.iter().map(|buyer| 20_000.0 * buyer.checkouts_per_day / total).sum();
        let came: f64 = part.iter().map(|buyer| visits.get(&buyer.buyer).copied().unwrap_or(0.0)).sum();
        assert!((came - expected).abs() < 4.0 * expected.sqrt() + 1.0, "{came} came of {expected}");
    }
    let mut visit = shoppers.visit(3);
    let slate = shoppers.oracle_slate(&visit, 30);
    while visit.page().is_some() {
        let opened: Vec<usize> = (0..slate.len()).filter(|at| visit.viewed.contains(&slate[*at])).collect();
        let chances = shoppers.click_probabilities(&visit, &slate).unwrap();
        assert!(opened.iter().all(|at| chances[*at] == 0.0));
        shoppers.respond(&mut visit, &slate).unwrap();
    }
    assert_eq!(shoppers.respond(&mut visit, &slate).unwrap_err(), ShopperError::Ended);
}

#[test]
fn a_slate_that_cannot_be_shown_and_a_simulation_under_way_are_refused() {
    let (truth, offer) = finished();
    let shoppers = Shoppers::new(&truth, &offer, 1).unwrap();
    let mut visit = shoppers.visit(0);
    let before = visit.clone();
    let first = truth.products[0].product;
    let stranger = ProductId::from_u128(7);
    for (slate, error) in [
        (vec![], ShopperError::Length { length: 0 }),
        (vec![first; 101], ShopperError::Length { length: 101 }),
        (vec![first, stranger], ShopperError::Unknown { position: 1, product: stranger }),
        (vec![first, first], ShopperError::Repeated { position: 1, product: first }),
    ] {
        assert_eq!(shoppers.respond(&mut visit, &slate).unwrap_err(), error);
    }
    assert_eq!(visit, before, "a refused slate leaves the visit as it was");
    let started = Simulation::new(&SimulationSettings::at_scale(Scale::Small, 1)).unwrap();
    assert_eq!(Shoppers::new(started.truth(), &offer, 1).unwrap_err(), ShopperError::Unfinished { days: 74 });
    assert!(matches!(Shoppers::new(&truth, &OfferCollector::new(), 1).unwrap_err(), ShopperError::Unpriced { .. }));
}
