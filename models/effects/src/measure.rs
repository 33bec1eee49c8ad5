//! Price and promotion effects of every product, measured from a panel and kept; one product's arithmetic is in `response`.

use crate::EffectError;
use crate::exposure::Exposures;
use crate::panel::{Panel, PanelProduct};
use crate::pooling::{Estimate, Pooled, Told, pool};
use crate::response::{Day, Fit, Prior, fit};
use dhow_events::{Category, ProductId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A product is measured from so many days with a sale on.
const SALE_DAYS_MIN: usize = 15;
/// A price has moved where another one, this far away as a share, held for so many days with sales expected.
const MOVED_LEAST: f64 = 0.005;
const MOVED_DAYS_MIN: usize = 5;
/// A promotion tells something from so many days on.
const PROMOTION_DAYS_MIN: usize = 2;
/// Rounds of fitting and pooling; what products have in common hardly moves after the third.
const ROUNDS: usize = 4;
/// Before anything is known: demand falls with the price and rises with a discount, about as usual in retail (Bijmolt, van
/// Heerde and Pieters 2005), and with so much doubt that the data decide.
const FIRST: [Prior; 2] = [Prior { mean: -1.5, variance: 4.0 }, Prior { mean: 2.0, variance: 9.0 }];
/// Days of a product's dispersion that all products' counts for.
const DISPERSION_DAYS: f64 = 60.0;

/// What the effects say about how they came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// From the product's own sales, drawn to its category's.
    Product,
    /// From other products of its category and of all: it has none of its own.
    Category,
}

/// How a product's demand answers to its price: `demand ∝ price^elasticity`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PriceResponse {
    /// The elasticity.
    pub elasticity: Estimate,
    /// The mean of the product's category.
    pub of_category: Estimate,
    /// The mean of all products.
    pub of_all: Estimate,
    /// The lowest and the highest price that was seen, in the panel's unit.
    pub prices_seen: (f64, f64),
    /// Different prices that were seen.
    pub price_count: usize,
}

/// How a product's demand answers to a discount: `demand ∝ exp(response · discount)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PromotionResponse {
    /// The response.
    pub response: Estimate,
    /// Where it comes from.
    pub scope: Scope,
    /// Days with a promotion that were seen.
    pub days: usize,
    /// The deepest discount that was seen, of the product or, where it had none, of any.
    pub deepest: f64,
}

/// Why there is no estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEstimate {
    /// Not among the products measured.
    #[error("its sales were not measured; it sold on too few days, or was listed later")]
    Unknown,
    /// Its price never moved.
    #[error("its price never moved while it sold, so that nothing tells how demand answers to it")]
    PriceNeverMoved,
    /// Nothing was told by any product.
    #[error("no product had a promotion while it sold")]
    NoPromotion,
}

/// One product's effects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OfProduct {
    group: usize,
    price: Option<Estimate>,
    promotion: Option<Estimate>,
    prices_seen: (f64, f64),
    price_count: usize,
    promotion_days: usize,
    deepest: f64,
}

/// What products have in common about one effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Common {
    all: Estimate,
    groups: Vec<Estimate>,
    /// A product of each category, then of another one, that told nothing itself.
    unseen: Vec<Estimate>,
}

/// Measured effects, ready to be asked and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    products: BTreeMap<ProductId, OfProduct>,
    categories: BTreeMap<Option<Category>, usize>,
    price: Option<Common>,
    promotion: Option<Common>,
    deepest: f64,
}

/// A product on its way to an estimate.
struct Candidate<'a> {
    number: usize,
    product: &'a PanelProduct,
    group: usize,
    days: Vec<Day>,
    price_moved: bool,
    was_promoted: bool,
    dispersion: f64,
}

impl Effects {
    /// Measures every product that sold on enough days. Equal panels give equal effects, whatever the number of threads.
    ///
    /// # Errors
    /// A panel with a wrong length or a value out of its range.
    pub fn measure(panel: &Panel) -> Result<Effects, EffectError> {
        panel.check()?;
        let mut categories: BTreeMap<Option<Category>, usize> = BTreeMap::new();
        for product in &panel.products {
            let next = categories.len();
            categories.entry(product.category).or_insert(next);
        }
        let exposures = Exposures::of(panel);
        let mut candidates: Vec<Candidate> = (0..panel.products.len())
            .into_par_iter()
            .filter_map(|number| {
                let product = &panel.products[number];
                Candidate::of(number, product, categories[&product.category], &exposures)
            })
            .collect();
        let pooled = rounds(&mut candidates, categories.len());
        let common = |pooled: &Option<Pooled>| {
            pooled.as_ref().map(|pooled| Common {
                all: pooled.all,
                groups: (0..categories.len()).map(|group| pooled.group(group)).collect(),
                unseen: (0..=categories.len()).map(|group| pooled.unseen(group)).collect(),
            })
        };
        let of = |pooled: &Option<Pooled>, number: usize| pooled.as_ref()?.products.get(&number).copied();
        let products = candidates.iter().map(|one| {
            let prices = one.seen_prices();
            let effects = OfProduct {
                group: one.group,
                price: of(&pooled[0], one.number),
                promotion: of(&pooled[1], one.number),
                prices_seen: prices.first().copied().zip(prices.last().copied()).unwrap_or((0.0, 0.0)),
                price_count: prices.len(),
                promotion_days: one.days.iter().filter(|day| day.discount > 0.0).count(),
                deepest: one.days.iter().fold(0.0, |deepest, day| day.discount.max(deepest)),
            };
            (one.product.product, effects)
        });
        let products: BTreeMap<ProductId, OfProduct> = products.collect();
        let deepest = products.values().fold(0.0, |deepest: f64, one| deepest.max(one.deepest));
        Ok(Effects { products, price: common(&pooled[0]), promotion: common(&pooled[1]), categories, deepest })
    }

    /// How a product's demand answers to its price.
    ///
    /// # Errors
    /// It was not measured, or its price never moved.
    pub fn price(&self, product: ProductId) -> Result<PriceResponse, NoEstimate> {
        let one = self.products.get(&product).ok_or(NoEstimate::Unknown)?;
        let (Some(elasticity), Some(common)) = (one.price, &self.price) else {
            return Err(NoEstimate::PriceNeverMoved);
        };
        Ok(PriceResponse {
            elasticity,
            of_category: common.groups[one.group],
            of_all: common.all,
            prices_seen: one.prices_seen,
            price_count: one.price_count,
        })
    }

    /// How a product's demand answers to a discount; as that of others of its category where it had none.
    ///
    /// # Errors
    /// No product had one.
    pub fn promotion(&self, product: ProductId, category: Option<Category>) -> Result<PromotionResponse, NoEstimate> {
        let common = self.promotion.as_ref().ok_or(NoEstimate::NoPromotion)?;
        let known = self.products.get(&product);
        if let Some(one) = known
            && let Some(response) = one.promotion
        {
            return Ok(PromotionResponse {
                response,
                scope: Scope::Product,
                days: one.promotion_days,
                deepest: one.deepest,
            });
        }
        let group = known.map(|one| one.group).or_else(|| self.categories.get(&category).copied());
        let response = common.unseen[group.unwrap_or(self.categories.len())];
        Ok(PromotionResponse { response, scope: Scope::Category, days: 0, deepest: self.deepest })
    }

    /// The mean elasticity and the mean response to a discount of all products; none where nothing told of it.
    pub fn of_all(&self) -> (Option<Estimate>, Option<Estimate>) {
        (self.price.as_ref().map(|common| common.all), self.promotion.as_ref().map(|common| common.all))
    }

    /// How many products have an elasticity, and how many a response to a discount of their own.
    pub fn measured(&self) -> (usize, usize) {
        let count = |of: fn(&OfProduct) -> bool| self.products.values().filter(|one| of(one)).count();
        (count(|one| one.price.is_some()), count(|one| one.promotion.is_some()))
    }
}

impl<'a> Candidate<'a> {
    fn of(number: usize, product: &'a PanelProduct, group: usize, exposures: &Exposures) -> Option<Candidate<'a>> {
        let mut units = vec![0.0; product.prices.len()];
        product.sold.iter().for_each(|sold| units[sold.day] += sold.units);
        let first = units.iter().position(|units| *units > 0.0)?;
        if units.iter().filter(|units| **units > 0.0).count() < SALE_DAYS_MIN {
            return None;
        }
        let expectations = exposures.of_product(number);
        let is_told = |day: &usize| product.prices[*day].is_finite() && expectations[*day] > 0.0;
        let told: Vec<usize> = (first..units.len()).filter(is_told).collect();
        let mean = told.iter().map(|day| product.prices[*day].ln()).sum::<f64>() / told.len().max(1) as f64;
        let day = |day: &usize| Day {
            day: *day,
            units: units[*day],
            expectation: expectations[*day],
            price: product.prices[*day].ln() - mean,
            discount: product.discounts[*day],
        };
        let days: Vec<Day> = told.iter().map(day).collect();
        let was_promoted = days.iter().filter(|day| day.discount > 0.0).count() >= PROMOTION_DAYS_MIN
            && days.iter().any(|day| day.discount <= 0.0);
        let mut candidate =
            Candidate { number, product, group, days, price_moved: false, was_promoted, dispersion: 1.0 };
        candidate.price_moved = candidate.has_moved();
        Some(candidate)
    }

    /// Whether two prices apart held for some days each.
    fn has_moved(&self) -> bool {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for day in &self.days {
            *counts.entry(self.product.prices[day.day].to_bits()).or_default() += 1;
        }
        let held: Vec<f64> =
            counts.iter().filter(|(_, days)| **days >= MOVED_DAYS_MIN).map(|(bits, _)| f64::from_bits(*bits)).collect();
        let (low, high) =
            held.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), price| (low.min(*price), high.max(*price)));
        high > low * (1.0 + MOVED_LEAST)
    }

    fn seen_prices(&self) -> Vec<f64> {
        let mut prices: Vec<f64> = self.days.iter().map(|day| self.product.prices[day.day]).collect();
        prices.sort_unstable_by(f64::total_cmp);
        prices.dedup();
        prices
    }
}

/// Fits and pools in turn: what products have in common is the prior of the next round.
fn rounds(candidates: &mut [Candidate], groups: usize) -> [Option<Pooled>; 2] {
    let (mut pooled, mut together): ([Option<Pooled>; 2], [f64; 2]) = ([None, None], [1.0; 2]);
    for _ in 0..ROUNDS {
        let priors: Vec<[Prior; 2]> = (0..groups)
            .map(|group| {
                [0, 1].map(|effect| match &pooled[effect] {
                    None => FIRST[effect],
                    Some(known) => {
                        let unseen = known.unseen(group);
                        Prior { mean: unseen.value, variance: unseen.error.powi(2) }
                    }
                })
            })
            .collect();
        let of_one = |one: &Candidate| {
            let weights = together.map(|together| 1.0 / (one.dispersion * together));
            fit(&one.days, weights, priors[one.group])
        };
        let fits: Vec<Option<Fit>> = candidates.par_iter().map(of_one).collect();
        disperse(candidates, &fits);
        for (effect, together) in together.iter_mut().enumerate() {
            let taken = |one: &Candidate| if effect == 0 { one.price_moved } else { one.was_promoted };
            let known = || {
                candidates
                    .iter()
                    .zip(&fits)
                    .filter_map(|(one, fit)| Some((one, fit.as_ref()?)))
                    .filter(|(one, _)| taken(one))
            };
            let (squares, count) = known().fold((0.0, 0.0), |(squares, count), (_, fit)| {
                (squares + fit.together[effect].0, count + fit.together[effect].1)
            });
            *together = if count > 0.0 { f64::max(squares / count, 1.0) } else { 1.0 };
            let told = known().filter_map(|(one, fit)| {
                let (estimate, variance) = fit.told[effect]?;
                let variance = variance * one.dispersion * *together;
                Some(Told { product: one.number, group: one.group, estimate, variance })
            });
            pooled[effect] = pool(&told.collect::<Vec<_>>());
        }
    }
    pooled
}

/// Each product's dispersion, drawn to that of all as far as it has few days.
fn disperse(candidates: &mut [Candidate], fits: &[Option<Fit>]) {
    let mut all: Vec<f64> = fits.iter().flatten().map(|fit| fit.dispersion).collect();
    all.sort_unstable_by(f64::total_cmp);
    let usual = all.get(all.len() / 2).copied().unwrap_or(1.0);
    for (one, fit) in candidates.iter_mut().zip(fits) {
        let days = one.days.len() as f64;
        let own = fit.as_ref().map_or(usual, |fit| fit.dispersion);
        one.dispersion = ((days * own + DISPERSION_DAYS * usual) / (days + DISPERSION_DAYS)).max(1e-6);
    }
}
