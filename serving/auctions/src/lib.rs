//! English auctions with proxy bids: what a bid does to price, leader and end, and who wins; it keeps no data and reads no clock.
//!
//! # The rules
//! 1. A bid names the most that its bidder would pay. The highest maximum leads; of equal ones the earlier.
//! 2. The price is what the leader must pay to lead: the opening price against nobody, else the highest maximum of anybody
//!    else and one increment on top, but never more than the leader's own maximum.
//! 3. A raise of one's own maximum while leading does not raise the price, but for the reserve: where the leader's maximum
//!    reaches it, the price does too.
//! 4. A bid of somebody else than the leader is at least the price and one [increment](Increments); the first at least the
//!    opening price.
//! 5. [Buy-now](BuyNow) ends the auction at its price, until the first bid or until the price has come to a share of it.
//! 6. A bid of somebody else than the leader within the last moments [extends](Extension) the auction, so many times.
//! 7. Where the leader's maximum is below the reserve, nobody wins.
//!
//! Bids are ordered by the sequence that their store gave them. [`Standing`] follows them one by one; [`naive`] says the
//! same of a whole list at once and is what it is held against. Amounts are minor units of the auction's currency.

mod increments;
pub mod naive;
mod standing;
mod terms;

pub use increments::{BANDS_MAX, Band, IncrementError, IncrementTables, Increments};
pub use standing::{BIDS_MAX, Bid, BidEffect, BidRefusal, Ending, Leader, Standing};
pub use terms::{
    AMOUNT_MINOR_MAX, BuyNow, EXTENSION_MICROS_MAX, EXTENSIONS_MAX, Extension, LENGTH_MICROS_MAX, LENGTH_MICROS_MIN,
    Terms, TermsProblem,
};
