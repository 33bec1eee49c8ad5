//! Seeded draws for the simulator: one generator per purpose, and cumulative tables; it reads no entropy of the machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, Poisson, StandardNormal};

/// What a generator is used for. Each purpose has its own stream, so that (for example) ids never depend on whether a
/// checkout is fraud.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    World = 1,
    Behaviour = 2,
    Identity = 3,
    Transport = 4,
    Crime = 5,
    Aftermath = 6,
    WorldIdentity = 7,
}

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(purpose as u64);
        Self(generator)
    }

    /// The stream of one moment that a reader can come back to, by a number above those of the purposes.
    pub(crate) fn numbered(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count`; 0 where `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// A Poisson count; 0 where the mean is not positive.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        Poisson::new(mean).map_or(0, |distribution| distribution.sample(&mut self.0) as u32)
    }

    /// How often a step with probability `more` succeeds in a row, at most `most` times.
    pub(crate) fn run_length(&mut self, more: f64, most: u8) -> u8 {
        let mut length = 0;
        while length < most && self.chance(more) {
            length += 1;
        }
        length
    }

    /// 128 random bits, for ids.
    pub(crate) fn bits(&mut self) -> u128 {
        (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64())
    }

    /// An index drawn in proportion to `weights`; 0 where there are none.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len().saturating_sub(1)
    }
}

/// Running sums of weights, from which indices (of all, or of a range) are drawn by bisection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cumulative {
    sums: Vec<f64>,
}

impl Cumulative {
    pub(crate) fn rebuild(&mut self, weights: impl Iterator<Item = f64>) {
        self.sums.clear();
        let mut sum = 0.0;
        self.sums.extend(weights.map(|weight| {
            sum += weight;
            sum
        }));
    }

    pub(crate) fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    fn end(&self, index: usize) -> f64 {
        if index == 0 { 0.0 } else { self.sums[index - 1] }
    }

    /// An index of `range` in proportion to its weight; nothing where all weights there are zero.
    pub(crate) fn draw(&self, random: &mut Random, range: std::ops::Range<usize>) -> Option<usize> {
        let (low, high) = (self.end(range.start), self.end(range.end));
        if high <= low {
            return None;
        }
        let target = low + (high - low) * random.unit();
        let index = range.start + self.sums[range.clone()].partition_point(|sum| *sum <= target);
        (index < range.end).then_some(index)
    }
}
