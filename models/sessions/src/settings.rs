//! The numbers that the method leaves open, with their ranges; how they are chosen is told in `choose`.

use serde::{Deserialize, Serialize};

use crate::SessionsError;

/// How neighbours are found and how they vote. The defaults were chosen on the last twentieth of Diginetica's training
/// sessions; [`crate::choose_settings`] chooses for other shops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// So many of the most similar sessions vote. 1 to 10,000.
    pub neighbours: usize,
    /// Of each item only so many of its most recent sessions are looked at. 1 to 100,000.
    pub sessions_per_item: usize,
    /// So many of the last distinct known items of the asking session look for neighbours. 1 to [`crate::MAX_SESSION_ITEMS`].
    pub last_items: usize,
    /// An item counts so much of the one after it in the asking session. Above 0, at most 1.
    pub query_decay: f64,
    /// An item in n sessions counts `(n + 1)^-query_rarity` when neighbours are sought. -4 to 4.
    pub query_rarity: f64,
    /// A neighbour of l items counts `(l + 1)^-length_discount`. -4 to 4.
    pub length_discount: f64,
    /// A session older by this counts half, in the unit of the sessions' times. Above 0; infinite is: never fades.
    pub half_life: f64,
    /// One more step after the match counts so much of the step before it. Above 0, at most 1.
    pub forward_decay: f64,
    /// One more step before the match counts so much of the step nearer to it. Above 0, at most 1.
    pub backward_decay: f64,
    /// The item right before the match counts so much of the item right after it. 0 to 10.
    pub backward_share: f64,
    /// What follows the current item gets so much more from each of its sessions: the share of the sequential rule. 0 to 10.
    pub rule_weight: f64,
    /// An item in n sessions keeps `(n + 1)^-popularity_discount` of its votes. -4 to 4.
    pub popularity_discount: f64,
    /// How much of the votes the current item gets for each unit of its learned probability of being kept. 0 to 100.
    pub keep_weight: f64,
    /// The same for the session's earlier items and their learned probability of being visited again. 0 to 100.
    pub revisit_weight: f64,
    /// An item seen so often trusts its own rate of being kept as much as the shop's. Above 0, at most 1e9.
    pub keep_evidence: f64,
    /// A merge keeps at most so many sessions, the most recent. 1 to [`crate::MAX_SESSIONS`].
    pub sessions_kept: usize,
}

/// Microseconds of thirty days.
const THIRTY_DAYS_MICROS: f64 = 30.0 * 86_400e6;

impl Default for Settings {
    fn default() -> Self {
        Self {
            neighbours: 288,
            sessions_per_item: 500,
            last_items: 5,
            query_decay: 0.72,
            query_rarity: 0.34,
            length_discount: 0.55,
            half_life: THIRTY_DAYS_MICROS,
            forward_decay: 0.88,
            backward_decay: 0.86,
            backward_share: 0.76,
            rule_weight: 0.0058,
            popularity_discount: 0.22,
            keep_weight: 0.9,
            revisit_weight: 1.5,
            keep_evidence: 100.0,
            sessions_kept: 1 << 22,
        }
    }
}

impl Settings {
    /// Refuses what is not a number and what is out of range.
    ///
    /// # Errors
    /// [`SessionsError::Setting`] names the first such setting.
    pub fn check(&self) -> Result<(), SessionsError> {
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let exponent = |value: f64| (-4.0..=4.0).contains(&value);
        let weight = |value: f64| (0.0..=10.0).contains(&value);
        let repeat = |value: f64| (0.0..=100.0).contains(&value);
        let whole = |value: usize, most: usize| (1..=most).contains(&value);
        const SHARE: &str = "above 0 and at most 1";
        const EXPONENT: &str = "-4 to 4";
        let checks = [
            ("neighbours", self.neighbours as f64, whole(self.neighbours, 10_000), "1 to 10,000"),
            (
                "sessions_per_item",
                self.sessions_per_item as f64,
                whole(self.sessions_per_item, 100_000),
                "1 to 100,000",
            ),
            ("last_items", self.last_items as f64, whole(self.last_items, crate::MAX_SESSION_ITEMS), "1 to 50"),
            ("query_decay", self.query_decay, share(self.query_decay), SHARE),
            ("query_rarity", self.query_rarity, exponent(self.query_rarity), EXPONENT),
            ("length_discount", self.length_discount, exponent(self.length_discount), EXPONENT),
            ("half_life", self.half_life, self.half_life > 0.0, "above 0"),
            ("forward_decay", self.forward_decay, share(self.forward_decay), SHARE),
            ("backward_decay", self.backward_decay, share(self.backward_decay), SHARE),
            ("backward_share", self.backward_share, weight(self.backward_share), "0 to 10"),
            ("rule_weight", self.rule_weight, weight(self.rule_weight), "0 to 10"),
            ("popularity_discount", self.popularity_discount, exponent(self.popularity_discount), EXPONENT),
            ("keep_weight", self.keep_weight, repeat(self.keep_weight), "0 to 100"),
            ("revisit_weight", self.revisit_weight, repeat(self.revisit_weight), "0 to 100"),
            (
                "keep_evidence",
                self.keep_evidence,
                self.keep_evidence > 0.0 && self.keep_evidence <= 1e9,
                "above 0 and at most 1e9",
            ),
            ("sessions_kept", self.sessions_kept as f64, whole(self.sessions_kept, crate::MAX_SESSIONS), "1 to 2^28"),
        ];
        match checks.into_iter().find(|(_, _, right, _)| !right) {
            Some((name, value, _, expected)) => Err(SessionsError::Setting { name, value, expected }),
            None => Ok(()),
        }
    }
}
