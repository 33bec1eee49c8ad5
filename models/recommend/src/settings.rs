//! The knobs of training and scoring with their ranges; how good values are found is told in `choose`.

use serde::{Deserialize, Serialize};

use crate::InteractionKind;
use crate::model::TrainError;

/// How much each kind of action counts towards popularity; finite, at least zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeights {
    /// Weight of a view.
    pub view: f64,
    /// Weight of adding to the cart.
    pub cart_add: f64,
    /// Weight of a purchase.
    pub purchase: f64,
}

impl KindWeights {
    pub(crate) fn of(&self, kind: InteractionKind) -> f64 {
        match kind {
            InteractionKind::View => self.view,
            InteractionKind::CartAdd => self.cart_add,
            InteractionKind::Purchase => self.purchase,
        }
    }
}

/// Settings of [`crate::train`] and of the scoring that follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Neighbours kept for each product, 1 to 1,000.
    pub neighbours: usize,
    /// Only the last so many actions of a session, or purchases of a person, are read; 2 to 1,000.
    pub sequence_items: usize,
    /// Two actions count as a pair when they are at most so many steps apart, 1 to 1,000.
    pub window_steps: u32,
    /// A pair's weight is multiplied by this for each further step between the two; above 0, at most 1.
    pub gap_decay: f64,
    /// What `b → a` gains from a session that showed `a → b`, as a share; 0 to 1.
    pub reverse_share: f64,
    /// A sequence's weight halves with each so many days before the end of the training data; above 0.
    pub sequence_half_life_days: f64,
    /// Weight of a person's purchases over many sessions, beside 1 for a session; 0 to 10. Zero leaves them out.
    pub person_weight: f64,
    /// How strongly a neighbour's own popularity is divided out: 0 is the conditional frequency, 0.5 the cosine, 1 all.
    pub popularity_discount: f64,
    /// Added to both products' counts, so that pairs seen once do not win; at least 0.
    pub shrinkage: f64,
    /// So many of the session's last distinct products are scored from, 1 to [`crate::MAX_SEEDS`].
    pub session_seeds: usize,
    /// Weight of each session product relative to the next newer one; above 0, at most 1.
    pub session_decay: f64,
    /// What each of the session's products says for being shown again, beside the scores of its neighbours; 0 to 10.
    pub revisit_weight: f64,
    /// So many of the person's last distinct products are scored from, 1 to [`crate::MAX_SEEDS`].
    pub history_seeds: usize,
    /// Weight of each product of the history relative to the next newer one; above 0, at most 1.
    pub history_decay: f64,
    /// Popularity halves with each so many days; above 0.
    pub popularity_half_life_days: f64,
    /// What each kind of action adds to popularity.
    pub kind_weights: KindWeights,
    /// A bought-together pair needs at least so many baskets, at least 1.
    pub basket_support: u32,
}

impl Default for Settings {
    /// Round values between those that the validation parts of three public session data sets chose.
    fn default() -> Self {
        Self {
            neighbours: 100,
            sequence_items: 50,
            window_steps: 10,
            gap_decay: 0.6,
            reverse_share: 0.5,
            sequence_half_life_days: 20.0,
            person_weight: 0.5,
            popularity_discount: 0.1,
            shrinkage: 10.0,
            session_seeds: 10,
            session_decay: 0.5,
            revisit_weight: 0.25,
            history_seeds: 20,
            history_decay: 0.9,
            popularity_half_life_days: 7.0,
            kind_weights: KindWeights { view: 1.0, cart_add: 3.0, purchase: 5.0 },
            basket_support: 2,
        }
    }
}

impl Settings {
    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainError::Setting`] names the first setting out of its range, and the range.
    pub fn check(&self) -> Result<(), TrainError> {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let decay = |x: f64| x > 0.0 && x <= 1.0;
        let days = |x: f64| x.is_finite() && x > 0.0;
        let amount = |x: f64| x.is_finite() && x >= 0.0;
        let seeds = 1..=crate::MAX_SEEDS;
        let kinds = self.kind_weights;
        let rules: [(&'static str, bool, &'static str); 17] = [
            ("neighbours", (1..=1000).contains(&self.neighbours), "1 to 1,000"),
            ("sequence_items", (2..=1000).contains(&self.sequence_items), "2 to 1,000"),
            ("window_steps", (1..=1000).contains(&self.window_steps), "1 to 1,000"),
            ("gap_decay", decay(self.gap_decay), "above 0, at most 1"),
            ("reverse_share", share(self.reverse_share), "0 to 1"),
            ("sequence_half_life_days", days(self.sequence_half_life_days), "above 0"),
            ("person_weight", (0.0..=10.0).contains(&self.person_weight), "0 to 10"),
            ("popularity_discount", share(self.popularity_discount), "0 to 1"),
            ("shrinkage", amount(self.shrinkage), "at least 0"),
            ("session_seeds", seeds.contains(&self.session_seeds), "1 to 50"),
            ("session_decay", decay(self.session_decay), "above 0, at most 1"),
            ("revisit_weight", (0.0..=10.0).contains(&self.revisit_weight), "0 to 10"),
            ("history_seeds", seeds.contains(&self.history_seeds), "1 to 50"),
            ("history_decay", decay(self.history_decay), "above 0, at most 1"),
            ("popularity_half_life_days", days(self.popularity_half_life_days), "above 0"),
            ("kind_weights", amount(kinds.view) && amount(kinds.cart_add) && amount(kinds.purchase), "at least 0"),
            ("basket_support", self.basket_support >= 1, "at least 1"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, range)) => Err(TrainError::Setting { name, range }),
            None => Ok(()),
        }
    }
}
