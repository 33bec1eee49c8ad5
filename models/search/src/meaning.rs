//! Vectors of products and an exact scan for the nearest ones; it makes no vector and keeps no approximate index.

use crate::SearchError;
use crate::bits::Bits;

/// The longest vector.
pub const DIMENSIONS_MAX: usize = 4_096;
/// Products whose vectors are held: every one is looked at in a search, a tenth of a second for the most of usual length.
pub const MEANINGS_MAX: usize = 200_000;
/// How far the squared length of a vector may be from 1.
const LENGTH_TOLERANCE: f64 = 1e-3;
/// Sums that run beside each other, so that a processor adds them at once; fixed, so that the bits are the same everywhere.
const LANES: usize = 16;

/// The vectors by slot.
#[derive(Debug, Clone)]
pub(crate) struct Meanings {
    dimension: usize,
    values: Vec<f32>,
    held: Bits,
    count: usize,
}

impl Meanings {
    pub fn new() -> Self {
        Self { dimension: 0, values: Vec::new(), held: Bits::none(0), count: 0 }
    }

    pub const fn len(&self) -> usize {
        self.count
    }

    pub fn has(&self, slot: u32) -> bool {
        self.held.contains(slot)
    }

    pub const fn dimension(&self) -> Option<usize> {
        if self.count == 0 { None } else { Some(self.dimension) }
    }

    /// Puts a vector that [`check_vector`] passed in a slot. The first one says how long all are.
    pub fn put(&mut self, slot: u32, vector: &[f32], slots: usize) {
        if self.count == 0 {
            (self.dimension, self.values) = (vector.len(), Vec::new());
        }
        self.held.grow(slots);
        self.values.resize(self.values.len().max(slots * self.dimension), 0.0);
        let begin = slot as usize * self.dimension;
        self.values[begin..begin + self.dimension].copy_from_slice(vector);
        if !self.held.contains(slot) {
            self.held.insert(slot);
            self.count += 1;
        }
    }

    pub fn remove(&mut self, slot: u32) {
        if self.held.contains(slot) {
            self.held.remove(slot);
            self.count -= 1;
        }
    }

    /// The cosine of a slot's vector and another.
    pub fn cosine(&self, slot: u32, vector: &[f32]) -> Option<f64> {
        let begin = slot as usize * self.dimension;
        (self.held.contains(slot) && vector.len() == self.dimension)
            .then(|| f64::from(dot(&self.values[begin..begin + self.dimension], vector)))
    }

    /// The nearest of the allowed slots at or above `cosine_min`: cosine and slot, in no order.
    pub fn nearest(
        &self,
        vector: &[f32],
        allowed: &Bits,
        cosine_min: f64,
        count: usize,
        before: impl Fn(u32, u32) -> bool,
    ) -> Vec<(f64, u32)> {
        let near = |slot| self.cosine(slot, vector).map(|cosine| (cosine, slot));
        let mut found: Vec<(f64, u32)> =
            allowed.iter().filter_map(near).filter(|(cosine, _)| *cosine >= cosine_min).collect();
        if found.len() > count {
            found.select_nth_unstable_by(count, |a, b| {
                let tie = if before(a.1, b.1) { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
                b.0.total_cmp(&a.0).then(if a.1 == b.1 { std::cmp::Ordering::Equal } else { tie })
            });
            found.truncate(count);
        }
        found
    }
}

/// # Errors
/// Not of `expected` or of at most [`DIMENSIONS_MAX`] numbers, not finite, or not of unit length.
pub(crate) fn check_vector(vector: &[f32], expected: Option<usize>) -> Result<(), SearchError> {
    let refuse = |detail| Err(SearchError::Vector { detail });
    match expected {
        Some(expected) if expected != vector.len() => {
            return refuse(format!("has {} numbers; those of the index have {expected}", vector.len()));
        }
        _ if vector.is_empty() || vector.len() > DIMENSIONS_MAX => {
            return refuse(format!("has {} numbers; it must have 1 to {DIMENSIONS_MAX}", vector.len()));
        }
        _ => {}
    }
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    if (square - 1.0).abs() <= LENGTH_TOLERANCE {
        Ok(())
    } else {
        refuse(format!("has length {}, not 1", square.sqrt()))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_lanes.remainder().iter().zip(b_lanes.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}
