//! What an auction is held by: amounts, increments, buy-now, end and extensions, checked as a whole; it takes no bid.

use dhow_events::{Currency, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Increments;

/// The highest amount of an auction, in minor units.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000;
/// The shortest auction.
pub const LENGTH_MICROS_MIN: i64 = MINUTE_MICROS;
/// The longest auction, extensions left out.
pub const LENGTH_MICROS_MAX: i64 = 90 * DAY_MICROS;
/// The longest last moments, and the longest extension.
pub const EXTENSION_MICROS_MAX: i64 = HOUR_MICROS;
/// The most extensions of an auction.
pub const EXTENSIONS_MAX: u32 = 1_000;
/// A whole in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// A price at which the auction can be ended at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuyNow {
    /// The price, in minor units; above the opening price and not below the reserve.
    pub price_minor: i64,
    /// It can be bought while the price of the bids is below this share of it, in millionths; until the first bid where
    /// it is absent.
    #[serde(default)]
    pub until_ppm: Option<u32>,
}

/// What late bids do to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// The last moments of the auction in which a bid extends it, in microseconds; 0 where nothing does.
    pub window_micros: i64,
    /// The auction ends no sooner than so long after such a bid, in microseconds.
    pub by_micros: i64,
    /// So many times at most.
    pub times_max: u32,
}

/// What an auction is held by; it does not change while the auction runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The currency of all amounts.
    pub currency: Currency,
    /// The least first bid, in minor units.
    pub opening_minor: i64,
    /// What the winner's maximum must reach; it is told to nobody.
    pub reserve_minor: Option<i64>,
    /// The price at which it can be ended at once.
    pub buy_now: Option<BuyNow>,
    /// By how much bids must raise the price.
    pub increments: Increments,
    /// What late bids do to the end.
    pub extension: Extension,
    /// When bidding begins.
    pub opens_at: Timestamp,
    /// When bidding ends, where nothing extends it.
    pub ends_at: Timestamp,
}

/// A part of the terms that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsProblem {
    /// Its name: `opening`, `reserve`, `buy_now`, `ends_at`, `extension`.
    pub part: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Terms {
    /// Checks the terms as a whole.
    ///
    /// # Errors
    /// Every part that is wrong.
    pub fn check(&self) -> Result<(), Vec<TermsProblem>> {
        let mut problems = Vec::new();
        let mut must = |holds: bool, part: &'static str, message: String| {
            if !holds {
                problems.push(TermsProblem { part, message });
            }
        };
        let amount = |minor: i64| (1..=AMOUNT_MINOR_MAX).contains(&minor);
        let range = format!("must be from 1 to {AMOUNT_MINOR_MAX} minor units");
        must(amount(self.opening_minor), "opening", range.clone());
        if let Some(reserve) = self.reserve_minor {
            must(
                amount(reserve) && reserve >= self.opening_minor,
                "reserve",
                format!("{range} and not below the opening price"),
            );
        }
        if let Some(buy_now) = self.buy_now {
            let least = self.reserve_minor.unwrap_or(0).max(self.opening_minor + 1);
            let message = format!("{range}, above the opening price and not below the reserve");
            must(amount(buy_now.price_minor) && buy_now.price_minor >= least, "buy_now", message);
            let share = buy_now.until_ppm.is_none_or(|share| (1..=WHOLE_PPM).contains(&share));
            must(share, "buy_now", format!("must end at a share from 1 to {WHOLE_PPM} millionths"));
        }
        let length = self.ends_at.micros_since(self.opens_at);
        let (least, most) = (LENGTH_MICROS_MIN / MINUTE_MICROS, LENGTH_MICROS_MAX / DAY_MICROS);
        let message = format!("must be from {least} minute to {most} days after the beginning");
        must((LENGTH_MICROS_MIN..=LENGTH_MICROS_MAX).contains(&length), "ends_at", message);
        let Extension { window_micros, by_micros, times_max } = self.extension;
        let micros = |value: i64| (0..=EXTENSION_MICROS_MAX).contains(&value);
        let message = format!("must be from 0 to 3600 seconds, and at most {EXTENSIONS_MAX} times");
        must(micros(window_micros) && micros(by_micros) && times_max <= EXTENSIONS_MAX, "extension", message);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// An amount in the auction's currency.
    pub const fn money(&self, amount_minor: i64) -> Money {
        Money::new(amount_minor, self.currency)
    }

    /// Whether `maximum_minor` reaches the reserve; without one every amount does.
    pub fn reaches_reserve(&self, maximum_minor: i64) -> bool {
        self.reserve_minor.is_none_or(|reserve| maximum_minor >= reserve)
    }
}
