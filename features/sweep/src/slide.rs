//! States that events enter and leave one by one as a window moves, and the two ways to move it; sums are in `exact`.

use std::ops::Range;

use crate::bucket::Bucket;
use crate::queue::Queue;
use crate::runs::LateEntity;

/// The state of one window. Rows enter in any order, once each, and leave from the lowest number up.
pub(crate) trait Slide {
    /// A row begins to count.
    fn enter(&mut self, row: usize);
    /// A row that has entered, lower than all others that have, no longer counts.
    fn leave(&mut self, row: usize);
    /// The value for a read at `at`.
    fn read(&self, at: i64) -> f64;
}

/// Moves a window over all points of a bucket whose events were all known in time.
pub(crate) fn drive(slide: &mut impl Slide, begins: &[u32], ends: &[u32], points: &Bucket, out: &mut [f64]) {
    let (mut low, mut high) = (0, 0);
    for (point, (&begin, &end)) in begins.iter().zip(ends).enumerate() {
        let (begin, end) = (begin as usize, end as usize);
        (low..begin.min(high)).for_each(|row| slide.leave(row));
        high = high.max(begin);
        (high..end).for_each(|row| slide.enter(row));
        (low, high) = (begin, end.max(high));
        out[point] = slide.read(points.rows.times[point]);
    }
}

/// Moves a window over the points of one late entity; the state must be empty, and is empty again afterwards.
pub(crate) fn drive_late(slide: &mut impl Slide, late: &LateEntity, begins: &[u32], points: &Bucket, out: &mut [f64]) {
    let (mut low, mut next, mut last_at) = (0, 0, i64::MIN);
    for point in points.of_entity(late.entity) {
        let (at, begin) = (points.rows.times[point], begins[point] as usize - late.first);
        leave_late(slide, late, low..begin, last_at);
        low = begin;
        while let Some(&row) = late.order.get(next).filter(|&&row| late.counts_from[row as usize] <= at) {
            if row as usize >= low {
                slide.enter(late.first + row as usize);
            }
            next += 1;
        }
        last_at = at;
        out[point] = slide.read(at);
    }
    leave_late(slide, late, low..late.counts_from.len(), last_at);
}

/// Takes those of a late entity's `rows` out that count at `at`.
fn leave_late(slide: &mut impl Slide, late: &LateEntity, rows: Range<usize>, at: i64) {
    for row in rows {
        if late.counts_from[row] <= at {
            slide.leave(late.first + row);
        }
    }
}

/// The greatest value; the least, if values are given with the other sign.
pub(crate) struct Greatest<'a> {
    /// NaN where there is none.
    values: &'a [f64],
    /// Rows with falling values: each the greatest of those behind it.
    queue: Queue<f64>,
}

impl<'a> Greatest<'a> {
    pub(crate) fn new(values: &'a [f64]) -> Self {
        Self { values, queue: Queue::new() }
    }

    /// A row that enters after later ones: those that it outdoes are before it.
    fn enter_late(&mut self, row: usize, value: f64) {
        let (before, after) = self.queue.around(row);
        if after.first().is_none_or(|&(_, later)| later < value) {
            let kept = before.partition_point(|&(_, earlier)| earlier > value);
            self.queue.replace(kept..before.len(), row, value);
        }
    }
}

impl Slide for Greatest<'_> {
    fn enter(&mut self, row: usize) {
        let value = self.values[row];
        if value.is_nan() {
            return;
        }
        match self.queue.back() {
            Some((last, _)) if last > row => self.enter_late(row, value),
            _ => {
                self.queue.drop_back(|last| last <= value);
                self.queue.push(row, value);
            }
        }
    }

    fn leave(&mut self, row: usize) {
        self.queue.take_front(row);
    }

    fn read(&self, _at: i64) -> f64 {
        self.queue.front().map_or(f64::NAN, |(_, value)| value)
    }
}

/// What is read of the rows inside, sorted.
pub(crate) enum Reading<'a> {
    /// The first row's value.
    First(&'a [f64]),
    /// The last row's value.
    Last(&'a [f64]),
    /// Seconds since the first row's time.
    SinceFirst(&'a [i64]),
    /// Seconds since the last row's time.
    SinceLast(&'a [i64]),
}

impl Reading<'_> {
    /// Whether a row has what is read.
    pub(crate) fn holds(&self, row: usize) -> bool {
        match self {
            Self::First(values) | Self::Last(values) => !values[row].is_nan(),
            Self::SinceFirst(_) | Self::SinceLast(_) => true,
        }
    }

    /// What is read of a row at an instant.
    pub(crate) fn read(&self, row: Option<usize>, at: i64) -> f64 {
        match (self, row) {
            (_, None) => f64::NAN,
            (Self::First(values) | Self::Last(values), Some(row)) => values[row],
            (Self::SinceFirst(times) | Self::SinceLast(times), Some(row)) => (at - times[row]) as f64 / 1e6,
        }
    }

    fn is_first(&self) -> bool {
        matches!(self, Self::First(_) | Self::SinceFirst(_))
    }
}

/// The first and last rows inside.
pub(crate) struct Ends<'a> {
    reading: Reading<'a>,
    /// Rows that have what is read, in order.
    queue: Queue<()>,
}

impl<'a> Ends<'a> {
    pub(crate) fn new(reading: Reading<'a>) -> Self {
        Self { reading, queue: Queue::new() }
    }
}

impl Slide for Ends<'_> {
    fn enter(&mut self, row: usize) {
        if !self.reading.holds(row) {
            return;
        }
        match self.queue.back() {
            Some((last, ())) if last > row => {
                let place = self.queue.around(row).0.len();
                self.queue.replace(place..place, row, ());
            }
            _ => self.queue.push(row, ()),
        }
    }

    fn leave(&mut self, row: usize) {
        self.queue.take_front(row);
    }

    fn read(&self, at: i64) -> f64 {
        let row = if self.reading.is_first() { self.queue.front() } else { self.queue.back() };
        self.reading.read(row.map(|(row, ())| row), at)
    }
}

/// How many different tokens there are.
pub(crate) struct Distinct<'a> {
    /// Each row's token as a small number, or [`NONE`].
    tokens: &'a [u32],
    /// Of each token the rows inside.
    rows_of: Vec<u32>,
    distinct: u32,
}

impl<'a> Distinct<'a> {
    /// `count` is above every token but [`NONE`].
    pub(crate) fn new(tokens: &'a [u32], count: usize) -> Self {
        Self { tokens, rows_of: vec![0; count], distinct: 0 }
    }
}

impl Slide for Distinct<'_> {
    fn enter(&mut self, row: usize) {
        if let Some(rows) = self.rows_of.get_mut(self.tokens[row] as usize) {
            self.distinct += u32::from(*rows == 0);
            *rows += 1;
        }
    }

    fn leave(&mut self, row: usize) {
        if let Some(rows) = self.rows_of.get_mut(self.tokens[row] as usize) {
            *rows -= 1;
            self.distinct -= u32::from(*rows == 0);
        }
    }

    fn read(&self, _at: i64) -> f64 {
        f64::from(self.distinct)
    }
}
