//! What the marketplace takes of a sale: one rule over dated tables of rates, frozen on the order; it looks up no sales and writes no books.
//!
//! # The rule
//! 1. A **strategic** category, between its dates, costs nothing, and no minimum counts.
//! 2. Else the **base** rate of the seller's plan,
//! 3. less the larger of two discounts: by **volume** (settled sales of the calendar month before, in UTC, in half-open bands;
//!    in the last band the contract's, where the seller has one) and of the **plan** (from its own threshold on),
//! 4. plus or less the points of the category's **margin**, each category of an order with its own amount,
//! 5. but no less than the **floor**.
//! 6. The amount is rounded to the nearest minor unit, a half away from zero, and is no less than the **minimum**, turned into
//!    the order's currency at the day's stored rate and rounded up; and never more than the order.
//!
//! [`previous_month`] gives the span of sales that counts. A refund reverses its own part: [`Commission::of_refund`].

mod rule;
mod table;

pub use rule::{Commission, CommissionError, DecidedBy, Sale, UsdRate, previous_month};
pub use table::{
    BaseRates, CommissionTable, CommissionTables, Margin, Plan, PlanDiscount, Strategic, TableError, VolumeBand,
};

/// The marketplace's own table, as TOML.
pub const DEFAULT_TABLE: &str = include_str!("default.toml");
