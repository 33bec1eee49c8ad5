//! What sellers pay for plans, add-ons and usage: dated price lists, billing periods, exact proration and invoices; it keeps no data and reads no clock.
//!
//! # The rules
//! 1. A [`PriceList`] is data, versioned and dated; a period is billed by the list in force when it begins, a change within it by the
//!    list in force then. What was charged already keeps its price.
//! 2. Periods are months or years in UTC, counted from the subscription's beginning ([`period`]): from a 31st the next ends on the
//!    last day of a shorter month, and the one after on a 31st again.
//! 3. Plan and add-ons are charged in advance, usage in arrears by begun blocks.
//! 4. A change counts at once: what is taken away is credited for the rest of the period and what is new is charged for it, both to the
//!    microsecond. However often it changes, no unit is lost: the lines of an item sum to what its times of use cost.
//! 5. A subscription ends at once with a credit for the rest, or when its period ends.
//!
//! An [`Invoice`] below zero is a credit. Who pays it and how is not said here.

mod invoice;
mod period;
mod price_list;
mod subscription;

pub use invoice::{Invoice, InvoiceLine, LineReason};
pub use period::{Cycle, Period, month_of, period};
pub use price_list::{
    AddOnPrice, Limits, NAME_BYTES_MAX, PlanPrice, PriceList, PriceListError, PriceLists, QUANTITY_MAX, UsagePrice,
};
pub use subscription::{BillingError, End, Running, Subscription, Terms};
