//! What prices, promotions and named days do to demand, and what would become of a product under others; it forecasts nothing.
//!
//! [`Panel`] holds what every product sold by region and day, its listed price and its discount. [`Effects::measure`] estimates
//! for each product how demand answers to the price (`demand ∝ price^elasticity`) and to a discount
//! (`demand ∝ exp(response · discount)`), by Poisson quasi-likelihood beside what the product's regions and its category sold on
//! the same days without it, a trend of its own, and each other; estimates are pooled to the category and to all products as far
//! as products are alike (`pooling`). [`what_if`] turns a forecast's draws into demand, sales, revenue and margin under another
//! price, a promotion or a stock, with the estimates' uncertainty in every interval. [`Uplift`] is what a named day or stretch of
//! days sold beside the same weekdays around it.

mod error;
mod exposure;
mod futures;
mod measure;
mod panel;
mod pooling;
mod response;
mod uplift;
mod what_if;

pub use error::EffectError;
pub use futures::Futures;
pub use measure::{Effects, NoEstimate, PriceResponse, PromotionResponse, Scope};
pub use panel::{Panel, PanelProduct, SoldOn};
pub use pooling::Estimate;
pub use uplift::{CalendarEvent, DayTotals, Uplift, WEEKS_AROUND, uplift};
pub use what_if::{Comparison, DISCOUNT_MAX, Outcome, PRICE_RATIOS, Scenario, Spread, what_if};
