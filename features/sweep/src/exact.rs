//! Sums that lose nothing: running totals of a bucket's values as integers in units of their lowest bit; it rounds once.

use crate::slide::Slide;
use crate::wide::Wide;

/// Running totals: the total of rows `from..to` is that at `to` minus that at `from`. Totals may wrap; the differences
/// that are asked for fit, for the number of rows times the greatest magnitude does.
enum Totals {
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

/// How many of the rows before each hold a value; nothing where all do.
pub(crate) struct Present(Option<Vec<u32>>);

impl Present {
    pub(crate) fn new(valid: Option<impl Iterator<Item = bool>>) -> Self {
        Self(valid.map(|valid| {
            let mut count = 0;
            let counts = valid.map(|valid| {
                count += u32::from(valid);
                count
            });
            std::iter::once(0).chain(counts).collect()
        }))
    }

    /// Values in rows `from..to`.
    pub(crate) fn between(&self, from: u32, to: u32) -> u32 {
        match &self.0 {
            None => to - from,
            Some(counts) => counts[to as usize] - counts[from as usize],
        }
    }
}

/// What is finished from exact sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Sum,
    Mean,
}

/// Exact sums of runs of values.
pub(crate) struct Sums {
    totals: Totals,
    /// The worth of one unit, a power of two.
    unit: f64,
}

impl Sums {
    /// Of integers; what stands in rows without a value must be 0.
    pub(crate) fn of_integers(values: impl Iterator<Item = i64> + Clone) -> Self {
        let greatest = values.clone().map(i64::unsigned_abs).max().unwrap_or(0);
        let rows = values.clone().count() as u128;
        let totals = if u128::from(greatest) * rows <= i64::MAX as u128 {
            Totals::Narrow(running(0_i64, values, i64::wrapping_add))
        } else {
            Totals::Wide(running(0_i128, values.map(i128::from), i128::wrapping_add))
        };
        Self { totals, unit: 1.0 }
    }

    /// Of floats, NaN where there is no value; nothing where their magnitudes span more bits than there are.
    pub(crate) fn of_floats(values: &[f64]) -> Option<Self> {
        let scale = Scale::of(values)?;
        let row_bits = values.len().ilog2() + 1;
        let totals = match scale.bits + row_bits {
            ..=63 => Totals::Narrow(running(0_i64, values.iter().map(|&value| scale.narrow(value)), i64::wrapping_add)),
            64..=127 => {
                Totals::Wide(running(0_i128, values.iter().map(|&value| scale.wide(value)), i128::wrapping_add))
            }
            _ => return None,
        };
        Some(Self { totals, unit: scale.unit() })
    }

    /// The sum or mean of each run.
    pub(crate) fn answer(&self, finish: Finish, present: &Present, begins: &[u32], ends: &[u32], out: &mut [f64]) {
        match &self.totals {
            Totals::Narrow(totals) => {
                let total = |from: u32, to: u32| totals[to as usize].wrapping_sub(totals[from as usize]) as f64;
                self.answer_each(finish, total, present, begins, ends, out);
            }
            Totals::Wide(totals) => {
                let total = |from: u32, to: u32| totals[to as usize].wrapping_sub(totals[from as usize]) as f64;
                self.answer_each(finish, total, present, begins, ends, out);
            }
        }
    }

    fn answer_each(
        &self,
        finish: Finish,
        total: impl Fn(u32, u32) -> f64,
        present: &Present,
        begins: &[u32],
        ends: &[u32],
        out: &mut [f64],
    ) {
        let runs = begins.iter().zip(ends).zip(out);
        match finish {
            Finish::Sum => runs.for_each(|((&from, &to), out)| *out = total(from, to) * self.unit),
            Finish::Mean => runs.for_each(|((&from, &to), out)| {
                *out = mean(total(from, to) * self.unit, present.between(from, to));
            }),
        }
    }

    fn value(&self, row: usize) -> i128 {
        match &self.totals {
            Totals::Narrow(totals) => i128::from(totals[row + 1].wrapping_sub(totals[row])),
            Totals::Wide(totals) => totals[row + 1].wrapping_sub(totals[row]),
        }
    }
}

fn mean(total: f64, count: u32) -> f64 {
    if count == 0 { f64::NAN } else { total / f64::from(count) }
}

/// All totals from that of nothing to that of all values.
fn running<T: Copy>(zero: T, values: impl Iterator<Item = T>, add: impl Fn(T, T) -> T) -> Vec<T> {
    let mut total = zero;
    let totals = values.map(|value| {
        total = add(total, value);
        total
    });
    std::iter::once(zero).chain(totals).collect()
}

/// Exact sums of runs of values and of their squares.
pub(crate) struct Squares {
    totals: Vec<(i128, Wide)>,
    /// The worth of one unit of a value.
    unit: f64,
}

impl Squares {
    /// Nothing where `n Σx²` of all rows may not fit the integers there are. NaN where there is no value.
    pub(crate) fn of_floats(values: &[f64]) -> Option<Self> {
        let scale = Scale::of(values)?;
        if scale.bits + values.len().ilog2() + 1 > 127 {
            return None;
        }
        let pairs = values.iter().map(|&value| scale.wide(value)).map(|value| (value, Wide::product(value, value)));
        let totals = running((0, Wide::default()), pairs, |left, right| (left.0 + right.0, left.1.plus(right.1)));
        Some(Self { totals, unit: scale.unit() })
    }

    /// The variance of each run.
    pub(crate) fn answer(&self, present: &Present, begins: &[u32], ends: &[u32], out: &mut [f64]) {
        for ((&from, &to), out) in begins.iter().zip(ends).zip(out) {
            let (before, after) = (self.totals[from as usize], self.totals[to as usize]);
            *out = self.variance(after.0 - before.0, after.1.minus(before.1), present.between(from, to));
        }
    }

    fn variance(&self, total: i128, squares: Wide, count: u32) -> f64 {
        if count < 2 {
            return f64::NAN;
        }
        let numerator = squares.times(count).minus(Wide::product(total, total));
        let pairs = u128::from(count) * u128::from(count - 1);
        numerator.rounded() * (self.unit * self.unit) / pairs as f64
    }
}

/// The bits that floats occupy: integers of `bits` bits (without sign) in units of two to the power `lowest`.
struct Scale {
    lowest: i32,
    bits: u32,
}

impl Scale {
    /// Nothing where there are no values to scale or they span more than 127 bits.
    fn of(values: &[f64]) -> Option<Self> {
        let (mut lowest, mut highest) = (i32::MAX, i32::MIN);
        for &value in values {
            let (mantissa, exponent) = split(value);
            if mantissa != 0 {
                lowest = lowest.min(exponent + mantissa.trailing_zeros() as i32);
                highest = highest.max(exponent + 64 - mantissa.leading_zeros() as i32);
            }
        }
        match (lowest, highest.checked_sub(lowest)) {
            _ if values.is_empty() => None,
            (i32::MAX, _) => Some(Self { lowest: 0, bits: 1 }),
            (lowest, Some(bits @ 0..=126)) => Some(Self { lowest, bits: bits as u32 }),
            _ => None,
        }
    }

    fn unit(&self) -> f64 {
        f64::from_bits(((self.lowest + 1023) as u64) << 52)
    }

    /// A value in units; NaN is 0. It must be one of those that the scale was made of, of at most 63 bits.
    fn narrow(&self, value: f64) -> i64 {
        let (mantissa, exponent) = split(value);
        let shift = exponent - self.lowest;
        let magnitude = if shift >= 0 { mantissa << shift.min(63) } else { mantissa >> shift.unsigned_abs().min(63) };
        if value < 0.0 { -(magnitude as i64) } else { magnitude as i64 }
    }

    /// A value in units; NaN is 0. It must be one of those that the scale was made of.
    fn wide(&self, value: f64) -> i128 {
        let (mantissa, exponent) = split(value);
        let shift = exponent - self.lowest;
        let mantissa = i128::from(mantissa);
        let magnitude = if shift >= 0 { mantissa << shift.min(126) } else { mantissa >> shift.unsigned_abs().min(126) };
        if value < 0.0 { -magnitude } else { magnitude }
    }
}

/// The magnitude of an admitted float as an integer times a power of two; zero for zero and NaN.
fn split(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    if value.is_nan() || value == 0.0 { (0, 0) } else { (mantissa, exponent - 1075) }
}

/// Sums while rows enter and leave in any order.
pub(crate) struct SlidingSum<'a> {
    pub(crate) sums: &'a Sums,
    pub(crate) present: &'a Present,
    pub(crate) finish: Finish,
    total: i128,
    count: u32,
}

impl<'a> SlidingSum<'a> {
    pub(crate) fn new(sums: &'a Sums, present: &'a Present, finish: Finish) -> Self {
        Self { sums, present, finish, total: 0, count: 0 }
    }
}

impl Slide for SlidingSum<'_> {
    fn enter(&mut self, row: usize) {
        self.total += self.sums.value(row);
        self.count += self.present.between(row as u32, row as u32 + 1);
    }

    fn leave(&mut self, row: usize) {
        self.total -= self.sums.value(row);
        self.count -= self.present.between(row as u32, row as u32 + 1);
    }

    fn read(&self, _at: i64) -> f64 {
        let total = self.total as f64 * self.sums.unit;
        match self.finish {
            Finish::Sum => total,
            Finish::Mean => mean(total, self.count),
        }
    }
}

/// Variances while rows enter and leave in any order.
pub(crate) struct SlidingVariance<'a> {
    squares: &'a Squares,
    present: &'a Present,
    total: (i128, Wide),
    count: u32,
}

impl<'a> SlidingVariance<'a> {
    pub(crate) fn new(squares: &'a Squares, present: &'a Present) -> Self {
        Self { squares, present, total: (0, Wide::default()), count: 0 }
    }

    fn value(&self, row: usize) -> (i128, Wide) {
        let (before, after) = (self.squares.totals[row], self.squares.totals[row + 1]);
        (after.0 - before.0, after.1.minus(before.1))
    }
}

impl Slide for SlidingVariance<'_> {
    fn enter(&mut self, row: usize) {
        let value = self.value(row);
        self.total = (self.total.0 + value.0, self.total.1.plus(value.1));
        self.count += self.present.between(row as u32, row as u32 + 1);
    }

    fn leave(&mut self, row: usize) {
        let value = self.value(row);
        self.total = (self.total.0 - value.0, self.total.1.minus(value.1));
        self.count -= self.present.between(row as u32, row as u32 + 1);
    }

    fn read(&self, _at: i64) -> f64 {
        self.squares.variance(self.total.0, self.total.1, self.count)
    }
}

/// Numbers of values while rows enter and leave in any order.
pub(crate) struct SlidingCount<'a> {
    present: &'a Present,
    count: u32,
}

impl<'a> SlidingCount<'a> {
    pub(crate) fn new(present: &'a Present) -> Self {
        Self { present, count: 0 }
    }
}

impl Slide for SlidingCount<'_> {
    fn enter(&mut self, row: usize) {
        self.count += self.present.between(row as u32, row as u32 + 1);
    }

    fn leave(&mut self, row: usize) {
        self.count -= self.present.between(row as u32, row as u32 + 1);
    }

    fn read(&self, _at: i64) -> f64 {
        f64::from(self.count)
    }
}
