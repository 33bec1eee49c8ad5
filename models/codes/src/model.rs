//! The model: all examples with their vectors, and a temperature for each level; learning it lives elsewhere.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::words::WordIndex;
use crate::{CodesError, DIMENSIONS_MAX, EXAMPLES_MAX, Example};

/// First byte of a stored model; it changes with the layout.
const VERSION: u8 = 1;
/// How far from one the square of a vector's length may be.
const LENGTH_TOLERANCE: f32 = 1e-3;

/// A prefix and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// The first digits of the code.
    pub code: String,
    /// The probability that it is right, 0 to 1.
    pub confidence: f64,
    /// The place, among the examples, of the one that is most like the text under this prefix.
    pub nearest: usize,
}

/// The best guesses at a level.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelGuess {
    /// Digits of its prefixes.
    pub digits: usize,
    /// The surest first; at least one.
    pub guesses: Vec<Guess>,
}

/// What is suggested for a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The guess at the deepest level whose confidence is at least the one that was asked for; nothing where there is none.
    pub code: Option<Guess>,
    /// The guesses of every level, the shortest prefixes first.
    pub levels: Vec<LevelGuess>,
}

/// Examples of a nomenclature, and how their nearness becomes confidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeModel {
    /// Digits of the prefixes of each level, rising.
    levels: Vec<usize>,
    /// By level.
    temperatures: Vec<f64>,
    /// How much of the likeness is that of the words, 0 to 1; the rest is that of the meanings.
    words_share: f32,
    dimensions: usize,
    /// Whose vectors these are: the embedding model's id.
    embedder: String,
    /// Sorted by code, so that the examples of a prefix stand together.
    codes: Vec<String>,
    texts: Vec<String>,
    /// Example after example.
    vectors: Vec<f32>,
    /// Of the texts; made anew where the model is read.
    #[serde(skip)]
    words: WordIndex,
}

impl CodeModel {
    /// Puts checked examples in their order.
    pub(crate) fn new(levels: &[usize], embedder: &str, mut examples: Vec<&Example>) -> Self {
        examples.sort_by(|one, other| (&one.code, &one.text).cmp(&(&other.code, &other.text)));
        let texts: Vec<String> = examples.iter().map(|example| example.text.clone()).collect();
        Self {
            levels: levels.to_vec(),
            temperatures: vec![1.0; levels.len()],
            words_share: 0.0,
            dimensions: examples.first().map_or(0, |example| example.vector.len()),
            embedder: embedder.to_owned(),
            codes: examples.iter().map(|example| example.code.clone()).collect(),
            words: WordIndex::new(&texts),
            texts,
            vectors: examples.iter().flat_map(|example| example.vector.iter().copied()).collect(),
        }
    }

    pub(crate) fn fitted(mut self, words_share: f32, temperatures: Vec<f64>) -> Self {
        (self.words_share, self.temperatures) = (words_share, temperatures);
        self
    }

    /// How much of the likeness is that of the words, 0 to 1; the rest is that of the meanings.
    pub fn words_share(&self) -> f32 {
        self.words_share
    }

    /// By level, the temperature that weighs an example: `exp(likeness / temperature)`.
    pub fn temperatures(&self) -> &[f64] {
        &self.temperatures
    }

    /// Digits of the prefixes of each level.
    pub fn levels(&self) -> &[usize] {
        &self.levels
    }

    /// The id of the embedding model that vectors must come from.
    pub fn embedder(&self) -> &str {
        &self.embedder
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The example at a place, as code and text.
    pub fn example(&self, place: usize) -> Option<(&str, &str)> {
        Some((self.codes.get(place)?, self.texts.get(place)?))
    }

    /// The prefixes that a text with the vector of its meaning may fall under, at most `count` a level, and the deepest one that is at
    /// least as sure as `confidence_min`.
    ///
    /// # Errors
    /// A vector of other dimensions or another length than one.
    pub fn suggest(
        &self,
        text: &str,
        vector: &[f32],
        count: usize,
        confidence_min: f64,
    ) -> Result<Suggestion, CodesError> {
        check_vector(0, vector, self.dimensions)?;
        let likeness = self.likeness(text, vector, self.words_share);
        let guesses = |(&digits, &temperature)| LevelGuess {
            digits,
            guesses: self.best(&likeness, digits, temperature, count.max(1)),
        };
        let levels: Vec<LevelGuess> = self.levels.iter().zip(&self.temperatures).map(guesses).collect();
        let sure = |level: &&LevelGuess| level.guesses.first().is_some_and(|best| best.confidence >= confidence_min);
        let code = levels.iter().rev().find(sure).and_then(|level| level.guesses.first().cloned());
        Ok(Suggestion { code, levels })
    }

    /// The likeness to each example, where so much of it is that of the words.
    pub(crate) fn likeness(&self, text: &str, vector: &[f32], words_share: f32) -> Vec<f32> {
        let words = self.by_words(text);
        let cosine = |own: &[f32]| -> f32 { own.iter().zip(vector).map(|(a, b)| a * b).sum() };
        let meanings = self.vectors.par_chunks_exact(self.dimensions.max(1)).with_min_len(1_024).map(cosine);
        meanings.zip(words).map(|(meaning, words)| meaning + words_share * (words - meaning)).collect()
    }

    /// The cosine of the words to those of each example.
    pub(crate) fn by_words(&self, text: &str) -> Vec<f32> {
        self.words.cosines(text)
    }

    /// The share of each prefix of `digits` digits, with its first place and that of its nearest example.
    pub(crate) fn shares(&self, likeness: &[f32], digits: usize, temperature: f64) -> Vec<Share> {
        let top = likeness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut shares: Vec<Share> = Vec::new();
        let mut total = 0.0;
        for (place, &alike) in likeness.iter().enumerate() {
            let weight = (f64::from(alike - top) / temperature).exp();
            total += weight;
            match shares.last_mut() {
                Some(share) if self.codes[share.nearest][..digits] == self.codes[place][..digits] => {
                    share.share += weight;
                    if alike > likeness[share.nearest] {
                        share.nearest = place;
                    }
                }
                _ => shares.push(Share { share: weight, nearest: place }),
            }
        }
        shares.iter_mut().for_each(|share| share.share /= total);
        shares
    }

    pub(crate) fn best(&self, likeness: &[f32], digits: usize, temperature: f64, count: usize) -> Vec<Guess> {
        let mut shares = self.shares(likeness, digits, temperature);
        shares.sort_by(|one, other| other.share.total_cmp(&one.share).then(one.nearest.cmp(&other.nearest)));
        let guess = |share: &Share| Guess {
            code: self.codes[share.nearest][..digits].to_owned(),
            confidence: share.share,
            nearest: share.nearest,
        };
        shares.iter().take(count).map(guess).collect()
    }

    /// The prefix of the example at a place.
    pub(crate) fn prefix(&self, place: usize, digits: usize) -> &str {
        &self.codes[place][..digits]
    }

    /// The model as bytes.
    ///
    /// # Errors
    /// It cannot be written, which would be a fault of the program.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CodesError> {
        postcard::to_extend(self, vec![VERSION]).map_err(|error| CodesError::Corrupt(error.to_string()))
    }

    /// Reads what [`CodeModel::to_bytes`] wrote.
    ///
    /// # Errors
    /// Other bytes, or those of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodesError> {
        let corrupt = |reason: &str| CodesError::Corrupt(reason.to_owned());
        let (version, body) = bytes.split_first().ok_or_else(|| corrupt("it is empty"))?;
        if *version != VERSION {
            return Err(CodesError::Corrupt(format!("it has version {version}; this program reads {VERSION}")));
        }
        let (mut model, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(|error| CodesError::Corrupt(error.to_string()))?;
        let Self { levels, temperatures, words_share, dimensions, codes, texts, vectors, .. } = &model;
        check_levels(levels)?;
        let digits = levels[levels.len() - 1];
        let whole = rest.is_empty()
            && (1..=EXAMPLES_MAX).contains(&codes.len())
            && (1..=DIMENSIONS_MAX).contains(dimensions)
            && texts.len() == codes.len()
            && Some(vectors.len()) == codes.len().checked_mul(*dimensions)
            && temperatures.len() == levels.len()
            && temperatures.iter().all(|temperature| temperature.is_finite() && *temperature > 0.0)
            && (0.0..=1.0).contains(words_share)
            && codes.iter().all(|code| is_code(code, digits))
            && codes.is_sorted()
            && vectors.iter().all(|value| value.is_finite());
        if !whole {
            return Err(corrupt("its parts do not fit each other"));
        }
        model.words = WordIndex::new(&model.texts);
        Ok(model)
    }
}

/// A prefix's share of the weight of all examples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub share: f64,
    /// The place of the example under it that is nearest.
    pub nearest: usize,
}

pub(crate) fn is_code(code: &str, digits: usize) -> bool {
    code.len() == digits && code.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) fn check_levels(levels: &[usize]) -> Result<(), CodesError> {
    let rise = levels.windows(2).all(|pair| pair[0] < pair[1]) && levels.first().is_some_and(|first| *first > 0);
    if rise && levels.len() <= 8 { Ok(()) } else { Err(CodesError::Levels(levels.to_vec())) }
}

pub(crate) fn check_vector(index: usize, vector: &[f32], wanted: usize) -> Result<(), CodesError> {
    let square: f32 = vector.iter().map(|value| value * value).sum();
    // Not `>`: what is no number is refused too.
    if vector.len() == wanted && (square - 1.0).abs() <= LENGTH_TOLERANCE {
        return Ok(());
    }
    Err(CodesError::Vector { index, found: vector.len(), length: format!("{:.3}", square.sqrt()), wanted })
}
