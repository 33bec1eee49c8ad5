//! The settings' decays and discounts as tables, so that a request raises nothing to a power.

use std::cmp::Ordering;

use crate::{MAX_SESSION_ITEMS, Settings};

/// Items in fewer sessions than this find their discounts in a table.
const TABLED_SESSIONS: u32 = 1 << 12;
/// A session later than the reference by more half-lives than this weighs no more than at this distance.
const MAX_HALF_LIVES: f64 = 60.0;

/// Tables of one index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weights {
    pub(crate) settings: Settings,
    /// By distance from the match, which stands at [`MAX_SESSION_ITEMS`] and weighs nothing itself.
    around: [f64; 2 * MAX_SESSION_ITEMS],
    query_decays: [f64; MAX_SESSION_ITEMS],
    length_discounts: [f64; MAX_SESSION_ITEMS + 1],
    popularity_discounts: Vec<f64>,
    /// Sessions that end at this time weigh their full weight.
    reference_time: i64,
}

impl Weights {
    pub(crate) fn new(settings: &Settings, latest_time: Option<i64>) -> Self {
        let power = |first: f64, base: f64, steps: usize| first * base.powi(steps as i32);
        let discount = |sessions: u32| power_discount(sessions, settings.popularity_discount);
        Self {
            settings: *settings,
            around: std::array::from_fn(|place| match place.cmp(&MAX_SESSION_ITEMS) {
                Ordering::Less => {
                    power(settings.backward_share, settings.backward_decay, MAX_SESSION_ITEMS - place - 1)
                }
                Ordering::Equal => 0.0,
                Ordering::Greater => power(1.0, settings.forward_decay, place - MAX_SESSION_ITEMS - 1),
            }),
            query_decays: std::array::from_fn(|steps| power(1.0, settings.query_decay, steps)),
            length_discounts: std::array::from_fn(|length| power_discount(length as u32, settings.length_discount)),
            popularity_discounts: (0..TABLED_SESSIONS).map(discount).collect(),
            reference_time: latest_time.unwrap_or(0),
        }
    }

    /// The weight of an item, `steps` before the end of the asking session, that occurs in so many sessions.
    pub(crate) fn query(&self, steps: usize, sessions: u32) -> f32 {
        (self.query_decays[steps] * power_discount(sessions, self.settings.query_rarity)) as f32
    }

    /// The weight of a neighbour by its length, at most [`MAX_SESSION_ITEMS`], and its time: relative to other sessions, so
    /// the present time does not matter.
    pub(crate) fn session(&self, length: usize, time: i64) -> f32 {
        let half_lives = (time as f64 - self.reference_time as f64) / self.settings.half_life;
        (self.length_discounts[length] * half_lives.min(MAX_HALF_LIVES).exp2()) as f32
    }

    /// What each item of a session so long gets of a neighbour's weight, when the match stands at `position` in it.
    #[inline]
    pub(crate) fn around(&self, position: usize, length: usize) -> &[f64] {
        let first = MAX_SESSION_ITEMS - position;
        &self.around[first..first + length]
    }

    /// What an item that occurs in so many sessions keeps of its votes.
    #[inline]
    pub(crate) fn popularity(&self, sessions: u32) -> f64 {
        match self.popularity_discounts.get(sessions as usize) {
            Some(discount) => *discount,
            None => power_discount(sessions, self.settings.popularity_discount),
        }
    }
}

fn power_discount(count: u32, exponent: f64) -> f64 {
    (f64::from(count) + 1.0).powf(-exponent)
}
