//! Sliding quantiles and shares of the most frequent tokens: what rows count as, and how it moves as they enter and leave.

use crate::slide::Slide;
use crate::tally::Tally;

/// A row without a level or token.
pub(crate) const NONE: u32 = u32::MAX;

/// The numbers of a cell as a quantile rounds them.
pub(crate) struct Levels {
    /// Each row's place in `values`, or [`NONE`].
    of_row: Vec<u32>,
    /// The different rounded numbers, in rising order.
    values: Vec<f64>,
}

impl Levels {
    /// `numbers` are NaN where there is none.
    pub(crate) fn new(numbers: &[f64], level: impl Fn(f64) -> f64) -> Self {
        let leveled: Vec<f64> =
            numbers.iter().map(|&number| if number.is_nan() { number } else { level(number) }).collect();
        let mut values: Vec<f64> = leveled.iter().copied().filter(|value| !value.is_nan()).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        let place = |value: &f64| match value.is_nan() {
            true => NONE,
            false => values.partition_point(|known| known < value) as u32,
        };
        Self { of_row: leveled.iter().map(place).collect(), values }
    }
}

/// The level that a share of the rows inside does not exceed.
pub(crate) struct Quantile<'a> {
    levels: &'a Levels,
    per_mille: u16,
    inside: Tally,
}

impl<'a> Quantile<'a> {
    pub(crate) fn new(levels: &'a Levels, per_mille: u16) -> Self {
        Self { levels, per_mille, inside: Tally::new(levels.values.len()) }
    }
}

impl Slide for Quantile<'_> {
    fn enter(&mut self, row: usize) {
        match self.levels.of_row[row] {
            NONE => {}
            level => self.inside.add(level as usize),
        }
    }

    fn leave(&mut self, row: usize) {
        match self.levels.of_row[row] {
            NONE => {}
            level => self.inside.remove(level as usize),
        }
    }

    fn read(&self, _at: i64) -> f64 {
        let rank = (u64::from(self.inside.total()) * u64::from(self.per_mille)).div_ceil(1000);
        match rank.checked_sub(1) {
            None => f64::NAN,
            Some(before) => self.levels.values[self.inside.level_of(before as u32)],
        }
    }
}

/// The share of the rows inside that have the token which is the most frequent but for some.
pub(crate) struct Frequent<'a> {
    /// Each row's token as a small number, or [`NONE`].
    tokens: &'a [u32],
    /// How many tokens are more frequent than the one that is told.
    ahead: u32,
    /// Of each token the rows inside.
    rows_of: Vec<u32>,
    /// How many tokens have how many rows inside.
    tokens_with: Tally,
    rows: u32,
}

impl<'a> Frequent<'a> {
    /// `count` is above every token but [`NONE`]; `rows_max` is the most rows that any token has.
    pub(crate) fn new(tokens: &'a [u32], count: usize, rows_max: u32, ahead: u32) -> Self {
        let tokens_with = Tally::new(rows_max as usize + 1);
        Self { tokens, ahead, rows_of: vec![0; count], tokens_with, rows: 0 }
    }
}

impl Slide for Frequent<'_> {
    fn enter(&mut self, row: usize) {
        if let Some(rows) = self.rows_of.get_mut(self.tokens[row] as usize) {
            if *rows > 0 {
                self.tokens_with.remove(*rows as usize);
            }
            *rows += 1;
            self.tokens_with.add(*rows as usize);
            self.rows += 1;
        }
    }

    fn leave(&mut self, row: usize) {
        if let Some(rows) = self.rows_of.get_mut(self.tokens[row] as usize) {
            self.tokens_with.remove(*rows as usize);
            *rows -= 1;
            if *rows > 0 {
                self.tokens_with.add(*rows as usize);
            }
            self.rows -= 1;
        }
    }

    fn read(&self, _at: i64) -> f64 {
        if self.rows == 0 {
            return f64::NAN;
        }
        let told = self.tokens_with.total().checked_sub(self.ahead + 1);
        told.map_or(0.0, |rank| self.tokens_with.level_of(rank) as f64 / f64::from(self.rows))
    }
}
