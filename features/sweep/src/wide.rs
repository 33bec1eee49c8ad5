//! Signed integers of 256 bits, as far as exact sums of squares need them; they wrap where they overflow.

/// A number in two's complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wide {
    high: i128,
    low: u128,
}

impl Wide {
    /// The exact product of two numbers.
    pub(crate) fn product(left: i128, right: i128) -> Self {
        let magnitude = unsigned_product(left.unsigned_abs(), right.unsigned_abs());
        if (left < 0) == (right < 0) { magnitude } else { Self::default().minus(magnitude) }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(i128::from(carry)), low }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high.wrapping_sub(other.high).wrapping_sub(i128::from(borrow)), low }
    }

    /// This number, which is not negative, times a count.
    pub(crate) fn times(self, count: u32) -> Self {
        let low = unsigned_product(self.low, u128::from(count));
        Self { high: low.high.wrapping_add(self.high.wrapping_mul(i128::from(count))), low: low.low }
    }

    /// The nearest float, ties to even.
    pub(crate) fn rounded(self) -> f64 {
        if self.high < 0 {
            return -Self::default().minus(self).rounded();
        }
        let high = self.high as u128;
        match high.leading_zeros() {
            128 => self.low as f64,
            zeros => {
                // The leading 128 bits; a one below them keeps what was cut off from looking like a tie.
                let kept = if zeros == 0 { high } else { high << zeros | self.low >> (128 - zeros) };
                let is_cut = self.low << zeros != 0;
                let exponent = u64::from(128 - zeros);
                (kept | u128::from(is_cut)) as f64 * f64::from_bits((exponent + 1023) << 52)
            }
        }
    }
}

fn unsigned_product(left: u128, right: u128) -> Wide {
    let halves = |number: u128| (number >> 64, number & u128::from(u64::MAX));
    let ((left_high, left_low), (right_high, right_low)) = (halves(left), halves(right));
    let low = left_low * right_low;
    let (middle, middle_carry) = (left_high * right_low).overflowing_add(left_low * right_high);
    let (low, low_carry) = low.overflowing_add(middle << 64);
    let carry = (u128::from(middle_carry) << 64) + u128::from(low_carry);
    let high = (left_high * right_high).wrapping_add(middle >> 64).wrapping_add(carry);
    Wide { high: high as i128, low }
}
