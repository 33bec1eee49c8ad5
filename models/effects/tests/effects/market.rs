//! A made-up market: products of categories sold in regions by week and season, with known answers to price and discount.

use dhow_effects::{Panel, PanelProduct, SoldOn};
use dhow_events::{Category, ProductId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use std::collections::BTreeMap;

const DAYS: usize = 240;
const REGIONS: usize = 4;
const CATEGORIES: usize = 5;
const PRODUCTS: usize = 150;
const WEEK: [f64; 7] = [1.0, 1.1, 1.2, 1.4, 1.0, 0.1, 0.8];

/// What one product does.
pub struct Truth {
    pub elasticity: f64,
    pub response: f64,
}

/// What all do.
pub struct Truths {
    pub products: Vec<Truth>,
    /// Mean elasticity and mean response of each category.
    pub categories: BTreeMap<Option<Category>, (f64, f64)>,
}

/// Prices move every few weeks, promotions come now and then; demand scatters more than Poisson's.
pub fn market(seed: u64) -> (Panel, Truths) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = |random: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(random) };
    let mut categories = BTreeMap::new();
    for number in 0..CATEGORIES {
        let means = (-1.6 + 0.5 * normal(&mut random), 3.0 + 0.6 * normal(&mut random));
        categories.insert(Category::new(&format!("c{number}")).ok(), means);
    }
    let names: Vec<Option<Category>> = categories.keys().copied().collect();
    let peaks: Vec<f64> = (0..CATEGORIES).map(|_| random.random_range(0.0..360.0)).collect();
    let (mut products, mut truths) = (Vec::new(), Vec::new());
    for number in 0..PRODUCTS {
        let at = number % CATEGORIES;
        let of_category = categories[&names[at]];
        let truth = Truth {
            elasticity: of_category.0 + 0.4 * normal(&mut random),
            response: of_category.1 + 0.5 * normal(&mut random),
        };
        let level = (1.0 + 0.9 * normal(&mut random)).exp();
        let shares: Vec<f64> = (0..REGIONS).map(|_| random.random_range(0.1..1.0)).collect();
        let total: f64 = shares.iter().sum();
        let (mut price, mut promotion) = (1_000.0, (0.0, 0));
        let one = PanelProduct {
            product: ProductId::from_u128(number as u128 + 1),
            category: names[at],
            sold: Vec::new(),
            prices: Vec::new(),
            discounts: Vec::new(),
        };
        let mut one = one;
        for day in 0..DAYS {
            if random.random_bool(0.02) {
                price = 1_000.0 * (0.15 * normal(&mut random)).exp();
            }
            if promotion.1 == 0 && random.random_bool(0.015) {
                promotion = (0.1 * f64::from(random.random_range(1..4_u8)), random.random_range(3..9));
            }
            let discount = if promotion.1 > 0 { promotion.0 } else { 0.0 };
            promotion.1 = usize::saturating_sub(promotion.1, 1);
            let season = (0.4 * ((day as f64 - peaks[at]) / 57.0).cos()).exp();
            let effect = (price / 1_000.0_f64).powf(truth.elasticity) * (truth.response * discount).exp();
            for (region, share) in shares.iter().enumerate() {
                let mean = level * WEEK[day % 7] * season * effect * share / total;
                let scattered: f64 = mean * Gamma::new(2.0, 0.5).unwrap().sample(&mut random);
                let units: f64 =
                    if scattered > 1e-9 { Poisson::new(scattered).unwrap().sample(&mut random) } else { 0.0 };
                if units > 0.0 {
                    one.sold.push(SoldOn { region, day, units });
                }
            }
            one.prices.push(price);
            one.discounts.push(discount);
        }
        products.push(one);
        truths.push(truth);
    }
    (Panel { days: DAYS, regions: REGIONS, products }, Truths { products: truths, categories })
}
