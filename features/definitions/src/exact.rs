//! A sum of floats without any rounding until it is read, so that the order of its terms never matters.

use serde::{Deserialize, Serialize};

/// The exact real sum of floats, held as non-overlapping parts of growing magnitude (Shewchuk, "Adaptive precision
/// floating-point arithmetic", 1997). Terms must be finite and of magnitude 1e-300 to 1e300, or zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExactSum {
    parts: Vec<f64>,
}

impl ExactSum {
    /// Adds one term.
    pub fn add(&mut self, term: f64) {
        let mut carried = term;
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let (sum, error) = two_sum(carried, self.parts[index]);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
            carried = sum;
        }
        self.parts.truncate(kept);
        if carried != 0.0 {
            self.parts.push(carried);
        }
    }

    /// Adds the exact product of two factors, times two to the power `exponent`.
    pub fn add_product(&mut self, left: f64, right: f64, exponent: i64) {
        let product = left * right;
        let error = left.mul_add(right, -product);
        let scale = power_of_two(exponent);
        self.add(product * scale);
        self.add(error * scale);
    }

    /// Adds every part of `other`, times two to the power `exponent`.
    pub fn add_scaled(&mut self, other: &Self, exponent: i64) {
        let scale = power_of_two(exponent);
        for &part in &other.parts {
            self.add(part * scale);
        }
    }

    /// The parts, whose exact sum this is.
    pub fn parts(&self) -> &[f64] {
        &self.parts
    }

    /// Bytes taken beside the sum itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.parts.capacity() * size_of::<f64>()
    }

    /// The sum, rounded once to the nearest float, ties to even.
    pub fn value(&self) -> f64 {
        let mut parts = self.parts.iter().rev().copied();
        let Some(mut high) = parts.next() else { return 0.0 };
        let mut low = 0.0;
        for part in parts.by_ref() {
            (high, low) = two_sum(high, part);
            if low != 0.0 {
                break;
            }
        }
        // `high` is the rounding of `high + low`; where that was a tie, the next part decides its direction.
        if let Some(next) = parts.next()
            && ((low < 0.0 && next < 0.0) || (low > 0.0 && next > 0.0))
        {
            let doubled = low * 2.0;
            let moved = high + doubled;
            if moved - high == doubled {
                return moved;
            }
        }
        high
    }
}

/// The rounded sum and its exact error.
fn two_sum(left: f64, right: f64) -> (f64, f64) {
    let (large, small) = if left.abs() < right.abs() { (right, left) } else { (left, right) };
    let sum = large + small;
    (sum, small - (sum - large))
}

/// Two to the power `exponent`, held to the normal range of floats.
pub(crate) fn power_of_two(exponent: i64) -> f64 {
    let biased = exponent.clamp(-1022, 1023) + 1023;
    f64::from_bits((biased as u64) << 52)
}
