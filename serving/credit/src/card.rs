//! The score card of buyers: points for what is known of one, from a versioned file; nothing is learned, because nobody's defaults are known yet.
//!
//! The score is the base and the points of each factor, so the reasons sum to it exactly. A factor reads one number by its name:
//! a feature of the checkout, `fraud_probability`, or what the buyer's agreements left behind (`history_paid`, `history_late`,
//! `history_defaulted`).

use serde::{Deserialize, Serialize};

/// The card that is built in.
pub const SCORE_CARD: &str = include_str!("card.toml");

/// A score card.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreCard {
    /// Its version, written with each decision.
    pub version: String,
    /// The score of a buyer whose factors all give nothing.
    pub base: i64,
    /// What gives and takes points.
    pub factors: Vec<Factor>,
    /// What scores are worth, rising; below the first nothing is lent.
    pub limits: Vec<Limit>,
}

/// A number, and the points that it gives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// A stable word.
    pub code: String,
    /// The same for people.
    pub text: String,
    /// The name of the number.
    pub reads: String,
    /// The points where there is no number.
    pub missing: i64,
    /// The points of a number below each border, rising.
    pub below: Vec<(f64, i64)>,
    /// The points of a number at or above the last border.
    pub above: i64,
}

/// What may be owed from a score on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The score.
    pub from: i64,
    /// The most that may be open at once, in US cents.
    pub usd_minor: i64,
}

/// What a factor gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// The factor.
    pub code: String,
    /// The same for people.
    pub text: String,
    /// The name of the number.
    pub reads: String,
    /// The number; nothing where there was none.
    pub value: Option<f64>,
    /// The points.
    pub points: i64,
}

/// A score with all that made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The base and all points.
    pub score: i64,
    /// What it is worth, in US cents; 0 where nothing is lent.
    pub limit_usd_minor: i64,
    /// Every factor, the weightiest first.
    pub points: Vec<Points>,
}

/// Why a card is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// It is no card.
    #[error("the score card is not read: {0}")]
    Text(String),
    /// Borders or limits that do not rise.
    #[error("`{0}` does not rise")]
    Order(String),
}

impl ScoreCard {
    /// Reads a card.
    ///
    /// # Errors
    /// A text that is no card; borders or limits that do not rise.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let card: Self = toml::from_str(text).map_err(|error| CardError::Text(error.to_string()))?;
        for factor in &card.factors {
            if !factor.below.is_sorted_by(|a, b| a.0 < b.0)
                || factor.below.iter().any(|(border, _)| !border.is_finite())
            {
                return Err(CardError::Order(factor.code.clone()));
            }
        }
        let rises = |a: &Limit, b: &Limit| a.from < b.from && a.usd_minor < b.usd_minor;
        if !card.limits.is_sorted_by(rises) || card.limits.iter().any(|limit| limit.usd_minor <= 0) {
            return Err(CardError::Order("limits".to_owned()));
        }
        Ok(card)
    }

    /// The card that is built in.
    ///
    /// # Errors
    /// Never for the file as it stands; a test reads it.
    pub fn built_in() -> Result<Self, CardError> {
        Self::parse(SCORE_CARD)
    }

    /// Its name in decisions.
    pub fn label(&self) -> String {
        format!("score-card-{}", self.version)
    }

    /// Scores what `number` knows by its name.
    pub fn score(&self, number: impl Fn(&str) -> Option<f64>) -> Score {
        let of = |factor: &Factor| {
            let value = number(&factor.reads).filter(|value| value.is_finite());
            Points {
                code: factor.code.clone(),
                text: factor.text.clone(),
                reads: factor.reads.clone(),
                points: factor.points(value),
                value,
            }
        };
        let mut points: Vec<Points> = self.factors.iter().map(of).collect();
        points.sort_by_key(|points| std::cmp::Reverse(points.points.abs()));
        let score = self.base + points.iter().map(|points| points.points).sum::<i64>();
        let limit = self.limits.iter().rev().find(|limit| score >= limit.from);
        Score { score, limit_usd_minor: limit.map_or(0, |limit| limit.usd_minor), points }
    }
}

impl Factor {
    fn points(&self, value: Option<f64>) -> i64 {
        let Some(value) = value else { return self.missing };
        self.below.iter().find(|(border, _)| value < *border).map_or(self.above, |(_, points)| *points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_card_is_read_and_its_reasons_sum_to_the_score() {
        let card = ScoreCard::built_in().expect("the built-in card");
        let known = |name: &str| match name {
            "buyer_orders_count_ever" => Some(30.0),
            "buyer_registered_time_since_first_ever" => Some(40_000_000.0),
            "fraud_probability" => Some(0.01),
            "history_paid" => Some(12.0),
            _ => None,
        };
        let good = card.score(known);
        assert_eq!(good.score, card.base + good.points.iter().map(|points| points.points).sum::<i64>());
        let late = card.score(|name| if name == "history_late" { Some(2.0) } else { known(name) });
        let lost = card.score(|name| if name == "history_defaulted" { Some(1.0) } else { known(name) });
        let unknown = card.score(|_| None);
        assert!(good.limit_usd_minor > unknown.limit_usd_minor && good.limit_usd_minor > late.limit_usd_minor);
        assert_eq!((lost.limit_usd_minor, lost.points[0].code.as_str()), (0, "defaults"));
        assert!(matches!(ScoreCard::parse("version = 1"), Err(CardError::Text(_))));
    }
}
