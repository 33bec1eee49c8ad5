//! Stable reason codes and words for features; which features weigh how much is the model's affair.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scorer::Reason;

/// How one feature is called in a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonText {
    /// Stable code that other systems store, such as `CARD_VELOCITY_1H`.
    pub code: String,
    /// What the feature means to an analyst, as the subject of a sentence: "Orders with this card in the last hour".
    pub words: String,
}

/// The table from feature names to reason texts. A feature that is not in it gets a code and words from its name alone, so the
/// same name always has the same code, in every model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonBook {
    texts: BTreeMap<String, ReasonText>,
}

impl ReasonBook {
    /// The same book with a text for `feature`; an earlier text for it is replaced.
    #[must_use]
    pub fn with(mut self, feature: &str, code: &str, words: &str) -> Self {
        let text = ReasonText { code: code.to_owned(), words: words.to_owned() };
        self.texts.insert(feature.to_owned(), text);
        self
    }

    /// The text for `feature`: from the table, or made of its name (`card_orders_1h` gives `CARD_ORDERS_1H`, "Card orders over
    /// 1 hour").
    pub fn text(&self, feature: &str) -> ReasonText {
        self.texts
            .get(feature)
            .cloned()
            .unwrap_or_else(|| ReasonText { code: code_of(feature), words: words_of(feature) })
    }

    /// The `limit` strongest contributions by size as reasons, strongest first; those of 0 are none. `usual` tells a feature's
    /// usual range by its place.
    pub(crate) fn strongest(
        &self,
        names: &[String],
        row: &[f64],
        usual: impl Fn(usize) -> Option<(f64, f64)>,
        contributions: &[f64],
        limit: usize,
    ) -> Vec<Reason> {
        if limit == 0 {
            return Vec::new();
        }
        let mut strongest: Vec<usize> = (0..contributions.len()).collect();
        strongest.sort_by(|&a, &b| contributions[b].abs().total_cmp(&contributions[a].abs()));
        strongest
            .into_iter()
            .take(limit)
            .filter(|&i| contributions[i] != 0.0)
            .map(|i| self.reason(&names[i], row[i], usual(i), contributions[i]))
            .collect()
    }

    /// The reason for one feature's contribution; `value` is NaN where missing.
    fn reason(&self, feature: &str, value: f64, usual: Option<(f64, f64)>, contribution: f64) -> Reason {
        let ReasonText { code, words } = self.text(feature);
        let effect = if contribution > 0.0 { "raises the risk" } else { "lowers the risk" };
        let state = match usual {
            _ if value.is_nan() => "is missing".to_owned(),
            None => format!("is {}", number(value)),
            Some((low, high)) => {
                let place = match value {
                    above if above > high => "above",
                    below if below < low => "below",
                    _ => "within",
                };
                format!("is {}, {place} the usual {} to {}", number(value), number(low), number(high))
            }
        };
        Reason {
            code,
            feature: feature.to_owned(),
            words: format!("{words} {state}; {effect}"),
            value: (!value.is_nan()).then_some(value),
            usual_low: usual.map(|(low, _)| low),
            usual_high: usual.map(|(_, high)| high),
            contribution,
        }
    }
}

fn code_of(feature: &str) -> String {
    let letters = feature.chars().map(|c| if c.is_alphanumeric() { c } else { '_' });
    letters.collect::<String>().to_uppercase()
}

fn words_of(feature: &str) -> String {
    let words: Vec<String> = feature
        .split(|c: char| !c.is_alphanumeric())
        .filter(|token| !token.is_empty())
        .map(|token| window_words(token).unwrap_or_else(|| token.to_owned()))
        .collect();
    let mut letters = words.join(" ").chars().collect::<Vec<_>>();
    if let Some(first) = letters.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    letters.into_iter().collect()
}

/// `1h` → "over 1 hour"; none where the token is no window.
fn window_words(token: &str) -> Option<String> {
    let digits = token.find(|c: char| !c.is_ascii_digit())?;
    let count: u32 = token[..digits].parse().ok()?;
    let unit = match &token[digits..] {
        "s" => "second",
        "m" | "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        _ => return None,
    };
    let plural = if count == 1 { "" } else { "s" };
    Some(format!("over {count} {unit}{plural}"))
}

/// A number with at most four significant digits behind the point, as people write it.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.3e}");
    }
    let decimals = match size {
        size if size >= 1_000.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
