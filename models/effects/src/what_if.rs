//! Demand, sales, revenue and margin under another price, a promotion or a stock, from draws of a forecast; it makes no forecast.
//!
//! Each draw of the coming days gets one draw of the elasticity and one of the response to a discount, so that the estimates'
//! uncertainty is in every interval. The plain future and the other one share their draws: the interval of the change holds
//! what the change is uncertain by, and not that demand is. Nobody is assumed to buy ahead of a promotion or after it.

use crate::EffectError;
use crate::error::check;
use crate::pooling::Estimate;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// The least and the most that a price may change by, as a factor.
pub const PRICE_RATIOS: (f64, f64) = (0.5, 2.0);
/// The deepest discount.
pub const DISCOUNT_MAX: f64 = 0.9;

/// Another future of a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The price now, above 0, in any unit of money.
    pub price: f64,
    /// What the price is multiplied by.
    pub price_ratio: f64,
    /// The share that a promotion takes off the price; 0 for none.
    pub discount: f64,
    /// The days of the promotion, from 0.
    pub promoted: Range<usize>,
    /// Units there for all of the days; nothing where they do not run out.
    pub stock: Option<f64>,
    /// What a unit costs, for the margin.
    pub unit_cost: Option<f64>,
}

/// A mean with quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The 5 % quantile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The 95 % quantile.
    pub high: f64,
}

/// What comes of a future, summed over its days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Units wanted.
    pub demand: Spread,
    /// Units sold.
    pub sales: Spread,
    /// What they are sold for.
    pub revenue: Spread,
    /// Revenue less what the units cost, where that is given.
    pub margin: Option<Spread>,
}

/// Two futures and how they differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// At today's price, without a promotion, with enough stock.
    pub plain: Outcome,
    /// The other one.
    pub other: Outcome,
    /// The other one less the plain one, draw by draw.
    pub change: Outcome,
}

/// One draw's sums.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    demand: f64,
    sales: f64,
    revenue: f64,
    cost: f64,
}

/// Compares. `draws` holds equally likely futures, each the units of every day.
///
/// # Errors
/// A price, cost, stock or discount out of its range, a change without its estimate, days beyond the draws'.
pub fn what_if(
    draws: &[Vec<f64>],
    scenario: &Scenario,
    price: Option<Estimate>,
    promotion: Option<Estimate>,
    seed: u64,
) -> Result<Comparison, EffectError> {
    scenario.check(draws, price.is_some(), promotion.is_some())?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let plain = Scenario { price_ratio: 1.0, discount: 0.0, promoted: 0..0, stock: None, ..scenario.clone() };
    let (mut plains, mut others) = (Vec::with_capacity(draws.len()), Vec::with_capacity(draws.len()));
    for draw in draws {
        let mut drawn = |estimate: Option<Estimate>| {
            let error = normal();
            estimate.map_or(0.0, |estimate| estimate.value + estimate.error * error)
        };
        let (elasticity, response) = (drawn(price), drawn(promotion));
        plains.push(plain.sums(draw, elasticity, response));
        others.push(scenario.sums(draw, elasticity, response));
    }
    let costs = scenario.unit_cost.is_some();
    let changes: Vec<Sums> = plains.iter().zip(&others).map(|(plain, other)| other.less(plain)).collect();
    Ok(Comparison { plain: outcome(&plains, costs), other: outcome(&others, costs), change: outcome(&changes, costs) })
}

impl Scenario {
    fn check(&self, draws: &[Vec<f64>], has_price: bool, has_promotion: bool) -> Result<(), EffectError> {
        let days = draws.first().map_or(0, Vec::len);
        check(
            "draws",
            draws.len() as f64,
            "1 or more of one length",
            days > 0 && draws.iter().all(|one| one.len() == days),
        )?;
        check("price", self.price, "finite and above 0", self.price.is_finite() && self.price > 0.0)?;
        let (least, most) = PRICE_RATIOS;
        check("price_ratio", self.price_ratio, "from 0.5 to 2", (least..=most).contains(&self.price_ratio))?;
        check("discount", self.discount, "from 0 to 0.9", (0.0..=DISCOUNT_MAX).contains(&self.discount))?;
        let days_fit = self.promoted.start <= self.promoted.end && self.promoted.end <= days;
        check("promoted days", self.promoted.end as f64, "within the days asked for", days_fit)?;
        for (name, value) in [("stock", self.stock), ("unit_cost", self.unit_cost)] {
            let value = value.unwrap_or(0.0);
            check(name, value, "finite and at least 0", value.is_finite() && value >= 0.0)?;
        }
        check("price_ratio", self.price_ratio, "1 where no elasticity is known", has_price || self.price_ratio == 1.0)?;
        check("discount", self.discount, "0 where no response is known", has_promotion || self.discount == 0.0)
    }

    fn sums(&self, draw: &[f64], elasticity: f64, response: f64) -> Sums {
        let of_price = self.price_ratio.powf(elasticity);
        let mut left = self.stock.unwrap_or(f64::INFINITY);
        let mut sums = Sums::default();
        for (day, units) in draw.iter().enumerate() {
            let discount = if self.promoted.contains(&day) { self.discount } else { 0.0 };
            let demand = units * of_price * (response * discount).exp();
            let sales = demand.min(left);
            left -= sales;
            sums.demand += demand;
            sums.sales += sales;
            sums.revenue += sales * self.price * self.price_ratio * (1.0 - discount);
            sums.cost += sales * self.unit_cost.unwrap_or(0.0);
        }
        sums
    }
}

impl Sums {
    fn less(&self, other: &Sums) -> Sums {
        Sums {
            demand: self.demand - other.demand,
            sales: self.sales - other.sales,
            revenue: self.revenue - other.revenue,
            cost: self.cost - other.cost,
        }
    }
}

fn outcome(sums: &[Sums], with_margin: bool) -> Outcome {
    let of = |value: fn(&Sums) -> f64| spread(sums.iter().map(value).collect());
    Outcome {
        demand: of(|sums| sums.demand),
        sales: of(|sums| sums.sales),
        revenue: of(|sums| sums.revenue),
        margin: with_margin.then(|| of(|sums| sums.revenue - sums.cost)),
    }
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_unstable_by(f64::total_cmp);
    let at = |level: f64| values[((values.len() as f64 * level) as usize).min(values.len() - 1)];
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Spread { mean, low: at(0.05), median: at(0.5), high: at(0.95) }
}
