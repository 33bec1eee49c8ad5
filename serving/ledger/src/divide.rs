//! Exact division of amounts: splits whose parts add up, shares of a whole that comes in parts, rates with a named rounding.

/// A rate in millionths: 35,000 is 3.5 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RatePpm(pub u32);

/// One, in millionths.
const WHOLE_PPM: i128 = 1_000_000;

/// Which way a fraction of a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest unit, a half away from zero.
    HalfUp,
    /// To the nearest unit, a half to the even one.
    HalfEven,
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
}

/// Why an amount cannot be divided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DivideError {
    /// There is nothing to divide by.
    #[error("an amount cannot be split over {0} parts whose weights sum to zero")]
    NoWeight(usize),
    /// A part that lies outside of its whole.
    #[error("the parts from {from} to {to} do not lie within a whole of {whole}")]
    OutsideOfWhole {
        /// What had come before.
        from: i64,
        /// What has come now.
        to: i64,
        /// All that can come.
        whole: i64,
    },
    /// The result does not fit 64 bits.
    #[error("the result is more than 64 bits hold")]
    Overflow,
}

/// `total` over parts in proportion to `weights`, by largest remainders (Hamilton): every part is its exact share rounded
/// down or up, the parts sum to `total`, and of equal remainders the earlier part gets the unit. Negative totals are split
/// as their opposites are.
///
/// # Errors
/// No weight above zero.
pub fn split(total: i64, weights: &[u64]) -> Result<Vec<i64>, DivideError> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return Err(DivideError::NoWeight(weights.len()));
    }
    let magnitude = u128::from(total.unsigned_abs());
    // Weights and totals have 64 bits, so their product fits 128.
    let exact = weights.iter().map(|weight| magnitude * u128::from(*weight));
    let mut parts: Vec<(u128, u128)> = exact.map(|exact| (exact / sum, exact % sum)).collect();
    let mut left = magnitude - parts.iter().map(|(part, _)| part).sum::<u128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(parts[*index].1), *index));
    for index in order {
        if left == 0 {
            break;
        }
        parts[index].0 += 1;
        left -= 1;
    }
    let signed = |part: u128| i64::try_from(if total < 0 { -(part as i128) } else { part as i128 });
    parts.into_iter().map(|(part, _)| signed(part).map_err(|_| DivideError::Overflow)).collect()
}

/// The share of `total` that belongs to the step from `from` to `to` of something that comes in parts up to `whole`: of a
/// commission, what the refund of a part gives back. Steps that cover the whole give back `total` to the unit, however
/// they are cut.
///
/// # Errors
/// Not `0 <= from <= to <= whole`, or a whole of zero.
pub fn share_of_step(total: i64, from: i64, to: i64, whole: i64) -> Result<i64, DivideError> {
    if from < 0 || from > to || to > whole || whole == 0 {
        return Err(DivideError::OutsideOfWhole { from, to, whole });
    }
    let until = |part: i64| i128::from(total) * i128::from(part) / i128::from(whole);
    i64::try_from(until(to) - until(from)).map_err(|_| DivideError::Overflow)
}

/// `rate` of `amount`.
///
/// # Errors
/// A result beyond 64 bits.
pub fn of_rate(amount: i64, rate: RatePpm, rounding: Rounding) -> Result<i64, DivideError> {
    ratio(amount, u64::from(rate.0), WHOLE_PPM as u64, rounding)
}

/// The tax within a price that includes it: price × rate / (1 + rate).
///
/// # Errors
/// A result beyond 64 bits.
pub fn included_tax(price: i64, rate: RatePpm, rounding: Rounding) -> Result<i64, DivideError> {
    ratio(price, u64::from(rate.0), WHOLE_PPM as u64 + u64::from(rate.0), rounding)
}

/// `amount` × `numerator` / `denominator`.
///
/// # Errors
/// A denominator of zero, or a result beyond 64 bits.
pub fn ratio(amount: i64, numerator: u64, denominator: u64, rounding: Rounding) -> Result<i64, DivideError> {
    if denominator == 0 {
        return Err(DivideError::NoWeight(1));
    }
    let product = u128::from(amount.unsigned_abs()) * u128::from(numerator);
    let denominator = u128::from(denominator);
    let (down, rest) = (product / denominator, product % denominator);
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest > 0,
        // `rest` is below a denominator of 64 bits, so twice as much fits.
        Rounding::HalfUp => 2 * rest >= denominator,
        Rounding::HalfEven => 2 * rest > denominator || (2 * rest == denominator && down % 2 == 1),
    };
    let rounded = i128::try_from(down + u128::from(up)).map_err(|_| DivideError::Overflow)?;
    i64::try_from(if amount < 0 { -rounded } else { rounded }).map_err(|_| DivideError::Overflow)
}
