//! Lines of a text with their numbers, and numbers with the lines that they stand in; it knows no format.

use super::FormatError;

/// Lines that hold something, trimmed, with their numbers counted from 1.
#[derive(Clone)]
pub(super) struct Lines<'t> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'t>>>,
    last: usize,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Lines<'t> {
        Lines { lines: text.lines().enumerate().peekable(), last: 0 }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> Option<(usize, &'t str)> {
        let (index, line) = self.lines.by_ref().find(|(_, line)| !line.trim().is_empty())?;
        self.last = index + 1;
        Some((index + 1, line.trim()))
    }

    /// The next line, which must be there.
    pub(super) fn needed(&mut self, what: &str) -> Result<(usize, &'t str), FormatError> {
        let end = self.last + 1;
        self.next().ok_or_else(|| FormatError::at(end, format!("the file ends where {what} is needed")))
    }

    /// The next line when it begins with a number.
    pub(super) fn next_numbers(&mut self) -> Option<(usize, &'t str)> {
        let mut ahead = self.clone();
        let (_, line) = ahead.next()?;
        let first = line.as_bytes()[0];
        if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') { self.next() } else { None }
    }

    /// The number of the last line that was read.
    pub(super) fn last(&self) -> usize {
        self.last
    }
}

/// A finite number.
pub(super) fn number(line: usize, token: &str, what: &str) -> Result<f64, FormatError> {
    token
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .ok_or_else(|| FormatError::at(line, format!("{what} is {token:?}; a finite number is needed")))
}

/// A finite number that is not negative.
pub(super) fn at_least_zero(line: usize, token: &str, what: &str) -> Result<f64, FormatError> {
    let value = number(line, token, what)?;
    if value < 0.0 {
        return Err(FormatError::at(line, format!("{what} is {token}; it must not be negative")));
    }
    Ok(value)
}

/// A whole number that is not negative; `10` and `10.0` are both read.
pub(super) fn whole(line: usize, token: &str, what: &str) -> Result<i64, FormatError> {
    let value = at_least_zero(line, token, what)?;
    if value.fract() != 0.0 || value > 9e15 {
        return Err(FormatError::at(line, format!("{what} is {token}; a whole number below 9e15 is needed")));
    }
    Ok(value as i64)
}

/// An index counted from 1 up to `most`, returned counted from 0.
pub(super) fn index(line: usize, token: &str, most: usize, what: &str) -> Result<usize, FormatError> {
    let value = token.parse::<usize>().ok().filter(|value| (1..=most).contains(value));
    value.map(|value| value - 1).ok_or_else(|| {
        FormatError::at(line, format!("{what} is {token:?}; a whole number between 1 and {most} is needed"))
    })
}
