//! Maximal marginal relevance, evaluated lazily; and item vectors as a measure of similarity.

use crate::pool::Entry;
use crate::request::Similarity;
use crate::{Diversity, RankingError};

/// How alike each entry is to what is placed, found out only when it matters.
///
/// What stands above only grows, so an entry's greatest similarity never falls and its marginal relevance never rises: an old
/// value is an upper bound, and most entries need no new one (the lazy greedy of Minoux 1978). The choice is that of
/// the plain definition, bit for bit.
#[derive(Debug, Default)]
pub(crate) struct Marginal {
    states: Vec<State>,
    placed: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    greatest_similarity: f64,
    /// How many of the placed items it was compared with.
    compared: usize,
}

/// The measure of one request.
#[derive(Clone, Copy)]
pub(crate) struct Measure<'a> {
    pub(crate) lambda: f64,
    pub(crate) max_similarity: f64,
    similarity: Option<Similarity<'a>>,
}

impl<'a> Measure<'a> {
    /// Without a similarity, or without diversity in the policy, the order is that of relevance.
    pub(crate) fn new(diversity: Option<Diversity>, similarity: Option<Similarity<'a>>) -> Self {
        let diversity = diversity.filter(|_| similarity.is_some());
        Self {
            lambda: diversity.map_or(1.0, |d| d.lambda),
            max_similarity: diversity.map_or(1.0, |d| d.max_similarity),
            similarity: similarity.filter(|_| diversity.is_some_and(|d| d.lambda < 1.0 || d.max_similarity < 1.0)),
        }
    }

    fn marginal_relevance(&self, entry: &Entry, greatest_similarity: f64) -> f64 {
        self.lambda * entry.relevance - (1.0 - self.lambda) * greatest_similarity
    }
}

impl Marginal {
    pub(crate) fn begin(&mut self, entries: usize) {
        self.states.clear();
        self.states.resize(entries, State::default());
        self.placed.clear();
    }

    pub(crate) fn place(&mut self, entry: &Entry) {
        self.placed.push(entry.item);
    }

    /// The entry of the greatest marginal relevance among those that `admit` lets through and, where `apart`, that are not
    /// too alike to one placed; ties by the order of the entries, which stand by descending relevance.
    pub(crate) fn best(
        &mut self,
        entries: &[Entry],
        measure: &Measure,
        apart: bool,
        admit: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (at, entry) in entries.iter().enumerate() {
            let to_beat = best.map_or(f64::NEG_INFINITY, |(_, value)| value);
            if measure.lambda * entry.relevance <= to_beat {
                break;
            }
            let known = self.states[at].greatest_similarity;
            if measure.marginal_relevance(entry, known) <= to_beat || !admit(at) {
                continue;
            }
            let similarity = self.compare(at, entry, measure);
            if apart && similarity > measure.max_similarity {
                continue;
            }
            let value = measure.marginal_relevance(entry, similarity);
            if value > to_beat {
                best = Some((at, value));
            }
        }
        best.map(|(at, _)| at)
    }

    /// The greatest similarity to what is placed.
    fn compare(&mut self, at: usize, entry: &Entry, measure: &Measure) -> f64 {
        let state = &mut self.states[at];
        if let Some(similarity) = measure.similarity {
            for placed in &self.placed[state.compared..] {
                let found = similarity(entry.item, *placed);
                // False for NaN, which so counts as 0.
                if found > state.greatest_similarity {
                    state.greatest_similarity = found.min(1.0);
                }
            }
            state.compared = self.placed.len();
        }
        state.greatest_similarity
    }
}

/// The most dimensions of item vectors.
pub const MAX_VECTOR_DIMENSIONS: usize = 4_096;
/// Partial sums that a dot product keeps, so that the compiler can use wide registers.
const LANES: usize = 8;

/// Item vectors of length one, whose cosine is the similarity.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemVectors {
    dimensions: usize,
    values: Vec<f32>,
}

impl ItemVectors {
    /// Takes row-major vectors, item 0 first; a vector of zeros is like no other.
    ///
    /// # Errors
    /// No dimensions or too many, a length that is no multiple of them, a number that is not finite.
    pub fn new(dimensions: usize, mut values: Vec<f32>) -> Result<Self, RankingError> {
        let range = 1.0..=MAX_VECTOR_DIMENSIONS as f64;
        crate::error::check_range("item vector dimensions", dimensions as f64, range, "1 to 4,096")?;
        if !values.len().is_multiple_of(dimensions) {
            let expected = format!("a multiple of the {dimensions} dimensions");
            return Err(RankingError::WrongLength { what: "item vectors", got: values.len(), expected });
        }
        if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
            let (name, value) = ("item vector entry", f64::from(*bad));
            return Err(RankingError::BadSetting { name, value, expected: "a finite number" });
        }
        for row in values.chunks_exact_mut(dimensions) {
            let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            }
        }
        Ok(Self { dimensions, values })
    }

    /// How many items have a vector.
    pub fn items(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// The cosine, 0 where it is negative; 0 where an item has no vector.
    pub fn similarity(&self, a: u32, b: u32) -> f64 {
        match (self.row(a), self.row(b)) {
            (Some(a), Some(b)) => f64::from(dot(a, b)).clamp(0.0, 1.0),
            _ => 0.0,
        }
    }

    fn row(&self, item: u32) -> Option<&[f32]> {
        let start = (item as usize).checked_mul(self.dimensions)?;
        self.values.get(start..start.checked_add(self.dimensions)?)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (at, x) in a_chunks.iter().enumerate() {
        let y = &b_chunks[at];
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
