//! How words and meanings are weighed; the bounds on requests stand beside what they bound.

use serde::{Deserialize, Serialize};

use crate::SearchError;
use crate::traces::Shared;

/// The parts of a product that words are looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Its title.
    Title,
    /// The words of its category's path.
    Category,
    /// The values of its attributes.
    Attributes,
    /// Its description.
    Description,
}

impl Field {
    /// All of them, in the order of [`KeywordSettings::fields`].
    pub const ALL: [Self; 4] = [Self::Title, Self::Category, Self::Attributes, Self::Description];
}

/// What a field counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FieldSettings {
    /// How much an occurrence in it counts, 0 or more.
    pub weight: f64,
    /// How far an occurrence in a longer field counts less, 0 to 1.
    pub length_share: f64,
}

/// BM25F (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009): for each word of the query
///
/// ```text
/// tf = Σ over fields  weight · occurrences / (1 − length_share + length_share · length / mean length)
/// score = ln(1 + (N − n + ½) / (n + ½)) · tf · (saturation + 1) / (tf + saturation)
/// ```
///
/// where n of the N products have the word, or a variant of it, in any field; the scores of the words are added. With one
/// field it is BM25.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KeywordSettings {
    /// How fast further occurrences stop to count, above 0; often called k1.
    pub saturation: f64,
    /// What each field counts, in the order of [`Field::ALL`].
    pub fields: [FieldSettings; 4],
    /// How much a word of the title counts that begins with the last word, beside one that is the same, 0 to 1.
    pub prefix_weight: f64,
    /// How much a word counts at one and at two edits, 0 to 1.
    pub typo_weights: [f64; 2],
    /// The share of the query's known words that a product must have, 0 to 1; one word at least.
    pub required_share: f64,
}

impl KeywordSettings {
    /// Plain BM25 of titles with the usual constants, to compare with: no other field, no beginning, no typo.
    pub const fn plain() -> Self {
        let none = FieldSettings { weight: 0.0, length_share: 0.0 };
        Self {
            saturation: 1.2,
            fields: [FieldSettings { weight: 1.0, length_share: 0.75 }, none, none, none],
            prefix_weight: 0.0,
            typo_weights: [0.0, 0.0],
            required_share: 0.0,
        }
    }
}

impl Default for KeywordSettings {
    fn default() -> Self {
        let field = |weight, length_share| FieldSettings { weight, length_share };
        Self {
            saturation: 1.2,
            fields: [field(1.0, 0.75), field(0.4, 0.3), field(0.6, 0.3), field(0.3, 0.75)],
            prefix_weight: 0.7,
            typo_weights: [0.7, 0.5],
            required_share: 0.0,
        }
    }
}

/// A weighted sum:
///
/// ```text
/// keyword score / the most that the query's words could give + meaning_weight · cosine
///   + letters_weight · share of the query's threes of letters that the title has
///   + codes_weight · share of the query's codes (model numbers and the like) that the product has
///   + code_likeness_weight · how alike their most alike codes are + numbers_weight · numbers in common
/// ```
///
/// Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023): a sum of scaled scores beats the sum
/// of reciprocal ranks once its weights are chosen on a few queries. The scale does not depend on the other products, so
/// a filter changes no score. Where no product has a word of the query, words and codes give nothing, and meaning decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FusionSettings {
    /// How much the cosine counts, 0 or more.
    pub meaning_weight: f64,
    /// How much the title's letters count, 0 or more.
    pub letters_weight: f64,
    /// How much codes count that the product has, 0 or more.
    pub codes_weight: f64,
    /// How much the likeness of codes counts, 0 or more.
    pub code_likeness_weight: f64,
    /// How much numbers in common count, 0 or more.
    pub numbers_weight: f64,
    /// A product without a word of the query must be at least so like it in meaning, −1 to 1.
    pub cosine_min: f64,
    /// So many of the products nearest in meaning join those that have words of the query, 1 to 1,000.
    pub nearest: usize,
}

/// Learned on the training queries of three public catalogues by the likelihood of what is relevant among all candidates,
/// which parts to keep chosen on their validation queries.
impl Default for FusionSettings {
    fn default() -> Self {
        Self {
            meaning_weight: 0.61,
            letters_weight: 0.65,
            codes_weight: 0.29,
            code_likeness_weight: 0.16,
            numbers_weight: 0.15,
            cosine_min: 0.3,
            nearest: 200,
        }
    }
}

impl FusionSettings {
    /// The score of a product, given its share of what the words could give. A product without a vector counts as one that is
    /// as far off as any that is taken.
    pub(crate) fn score(&self, words: f64, cosine: Option<f64>, shared: &Shared) -> f64 {
        words
            + self.meaning_weight * cosine.unwrap_or(self.cosine_min)
            + self.letters_weight * shared.letters
            + self.codes_weight * shared.codes
            + self.code_likeness_weight * shared.code_likeness
            + self.numbers_weight * shared.numbers
    }
}

/// All of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchSettings {
    /// Of words.
    pub keyword: KeywordSettings,
    /// Of words and meanings together.
    pub fusion: FusionSettings,
}

impl SearchSettings {
    /// # Errors
    /// The first setting that is out of its range.
    pub(crate) fn check(&self) -> Result<(), SearchError> {
        let of = |name, value: f64, low: f64, high: f64, range| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(SearchError::Settings { name, value, range }) }
        };
        let words = &self.keyword;
        of("saturation", words.saturation, f64::MIN_POSITIVE, 1e6, "above 0")?;
        for field in &words.fields {
            of("weight", field.weight, 0.0, 1e6, "0 or more")?;
            of("length_share", field.length_share, 0.0, 1.0, "0 to 1")?;
        }
        of("prefix_weight", words.prefix_weight, 0.0, 1.0, "0 to 1")?;
        for weight in words.typo_weights {
            of("typo_weights", weight, 0.0, 1.0, "0 to 1")?;
        }
        of("required_share", words.required_share, 0.0, 1.0, "0 to 1")?;
        let fusion = &self.fusion;
        for (name, weight) in [
            ("meaning_weight", fusion.meaning_weight),
            ("letters_weight", fusion.letters_weight),
            ("codes_weight", fusion.codes_weight),
            ("code_likeness_weight", fusion.code_likeness_weight),
            ("numbers_weight", fusion.numbers_weight),
        ] {
            of(name, weight, 0.0, 1e6, "0 or more")?;
        }
        of("cosine_min", self.fusion.cosine_min, -1.0, 1.0, "-1 to 1")?;
        of("nearest", self.fusion.nearest as f64, 1.0, 1000.0, "1 to 1,000")
    }
}
