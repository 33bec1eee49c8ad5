//! Answers all features of one bucket: prepares each cell once, then goes window by window; how rows got here is `bucket`.

use std::borrow::Cow;

use dhow_definitions::{View, quantile_level};
use rustc_hash::FxHashMap;

use crate::bucket::{Bucket, Chunk, Lane, Layout, collect};
use crate::exact::{Finish, Present, SlidingCount, SlidingSum, SlidingVariance, Squares, Sums};
use crate::frequent::{Frequent, Levels, NONE, Quantile};
use crate::plan::{DelayGroup, Kernel, Plan, WindowPlan};
use crate::runs::{LateEntity, begins, ends, late_entities};
use crate::slide::{Distinct, Ends, Greatest, Reading, Slide, drive, drive_late};
use crate::tree::{self, Fold};

/// What a bucket's points read.
pub(crate) struct Answers {
    /// The number of each point in the caller's table.
    pub(crate) point_rows: Vec<u32>,
    /// Feature by feature, in the order of `point_rows`.
    values: Vec<f64>,
}

impl Answers {
    pub(crate) fn of_feature(&self, feature: usize) -> &[f64] {
        let points = self.point_rows.len();
        &self.values[feature * points..(feature + 1) * points]
    }
}

pub(crate) fn answer(
    view: &View,
    plan: &Plan,
    layout: &Layout,
    bucket: usize,
    event_chunks: &[Chunk],
    point_chunks: &[Chunk],
) -> Answers {
    let points = collect(layout, bucket, point_chunks, 0);
    let count = points.rows.times.len();
    let mut values = vec![f64::NAN; view.features().len() * count];
    if count > 0 {
        let events = collect(layout, bucket, event_chunks, view.cells().len());
        let series = Series::new(plan, &events, &points);
        for group in &plan.groups {
            series.answer_group(view, group, &mut values);
        }
    }
    Answers { point_rows: points.rows.numbers, values }
}

/// A bucket's events and points, with what its cells were prepared into.
struct Series<'a> {
    events: &'a Bucket,
    points: &'a Bucket,
    cells: Vec<Prepared<'a>>,
    every_row: Present,
}

/// A cell in the forms in which the plan's kernels read it.
struct Prepared<'a> {
    present: Present,
    sums: Option<Sums>,
    squares: Option<Squares>,
    /// Numbers as floats, NaN where there is none.
    numbers: Cow<'a, [f64]>,
    /// The numbers with the other sign.
    negated: Vec<f64>,
    /// The numbers as quantiles round them.
    levels: Option<Levels>,
    tokens: Vec<u32>,
    token_count: usize,
    /// The most rows that one token has.
    token_rows_max: u32,
}

impl<'a> Prepared<'a> {
    fn new(plan: &Plan, cell: usize, lane: &'a Lane) -> Self {
        let reads = |kernels: &[Kernel]| plan.any(|kernel| kernels.contains(&kernel));
        let sums = reads(&[Kernel::Sum(cell), Kernel::Mean(cell)]).then(|| sums(lane)).flatten();
        let as_floats = [Kernel::Min, Kernel::Max, Kernel::First, Kernel::Last, Kernel::Variance].map(|of| of(cell));
        let is_leveled = plan.any(|kernel| matches!(kernel, Kernel::Quantile(of, _) if of == cell));
        let numbers = if reads(&as_floats) || is_leveled { numbers(lane) } else { Cow::Borrowed(&[][..]) };
        let levels = is_leveled.then(|| Levels::new(&numbers, quantile_level));
        let squares = if reads(&[Kernel::Variance(cell)]) { Squares::of_floats(&numbers) } else { None };
        let negated =
            if reads(&[Kernel::Min(cell)]) { numbers.iter().map(|number| -number).collect() } else { Vec::new() };
        let is_numbered =
            plan.any(|kernel| matches!(kernel, Kernel::Distinct(of) | Kernel::Frequent(of, _) if of == cell));
        let (tokens, token_count) = if is_numbered { number_tokens(lane) } else { (Vec::new(), 0) };
        let token_rows_max = most_rows(&tokens, token_count);
        Self { present: present(lane), sums, squares, numbers, negated, levels, tokens, token_count, token_rows_max }
    }
}

fn present(lane: &Lane) -> Present {
    match lane {
        Lane::Integer(_, valid) | Lane::Token(_, valid) => {
            Present::new(valid.as_ref().map(|valid| valid.iter().copied()))
        }
        Lane::Float(values) => {
            let some_missing = values.iter().any(|value| value.is_nan());
            Present::new(some_missing.then(|| values.iter().map(|value| !value.is_nan())))
        }
    }
}

fn sums(lane: &Lane) -> Option<Sums> {
    match lane {
        Lane::Integer(values, None) => Some(Sums::of_integers(values.iter().copied())),
        Lane::Integer(values, Some(valid)) => {
            let held = values.iter().zip(valid).map(|(&value, &valid)| if valid { value } else { 0 });
            Some(Sums::of_integers(held))
        }
        Lane::Float(values) => Sums::of_floats(values),
        Lane::Token(..) => None,
    }
}

fn numbers(lane: &Lane) -> Cow<'_, [f64]> {
    match lane {
        Lane::Float(values) => Cow::Borrowed(values),
        Lane::Integer(values, _) => {
            Cow::Owned((0..values.len()).map(|row| lane.cell(row).as_float().unwrap_or(f64::NAN)).collect())
        }
        Lane::Token(..) => Cow::Borrowed(&[]),
    }
}

/// Tokens as numbers from 0 in the order in which they appear, and how many there are.
fn number_tokens(lane: &Lane) -> (Vec<u32>, usize) {
    let Lane::Token(values, valid) = lane else { return (Vec::new(), 0) };
    let mut known = FxHashMap::default();
    let number = |(row, &token): (usize, &u128)| {
        if valid.as_ref().is_some_and(|valid| !valid[row]) {
            return NONE;
        }
        let next = known.len() as u32;
        *known.entry(token).or_insert(next)
    };
    let tokens = values.iter().enumerate().map(number).collect();
    (tokens, known.len())
}

/// The most rows that any of `count` tokens has.
fn most_rows(tokens: &[u32], count: usize) -> u32 {
    let mut rows_of = vec![0; count];
    for &token in tokens {
        if let Some(rows) = rows_of.get_mut(token as usize) {
            *rows += 1;
        }
    }
    rows_of.into_iter().max().unwrap_or(0)
}

/// The runs of one window.
struct Runs<'a> {
    begins: &'a [u32],
    ends: &'a [u32],
    late: &'a [LateEntity],
}

impl<'a> Series<'a> {
    fn new(plan: &Plan, events: &'a Bucket, points: &'a Bucket) -> Self {
        let cells = events.rows.lanes.iter().enumerate().map(|(cell, lane)| Prepared::new(plan, cell, lane)).collect();
        Self { events, points, cells, every_row: Present::new(None::<std::iter::Empty<bool>>) }
    }

    fn answer_group(&self, view: &View, group: &DelayGroup, values: &mut [f64]) {
        let count = self.points.rows.times.len();
        let ends = ends(self.events, self.points, group.delay_micros);
        let late = late_entities(self.events, self.points, &ends, group.delay_micros);
        let begins: Vec<Vec<u32>> =
            group.windows.iter().map(|plan| begins(self.events, self.points, plan.window)).collect();
        for (plan, begins) in group.windows.iter().zip(&begins) {
            let runs = Runs { begins, ends: &ends, late: &late };
            for &(feature, kernel) in &plan.features {
                self.answer_feature(kernel, &runs, &mut values[feature * count..(feature + 1) * count]);
            }
        }
        for fold in self.folds(view, &group.windows, &begins) {
            let put = |feature: usize, point: usize, value: f64| values[feature * count + point] = value;
            tree::answer(view, &fold, (self.events, self.points), &ends, &late, put);
        }
    }

    /// The slots that are answered by trees, and what is read of each.
    fn folds<'b>(&self, view: &View, windows: &[WindowPlan], begins: &'b [Vec<u32>]) -> Vec<Fold<'b>> {
        let mut folds: Vec<(usize, Fold<'b>)> = Vec::new();
        for (plan, begins) in windows.iter().zip(begins) {
            for &(feature, _) in plan.features.iter().filter(|(_, kernel)| self.is_folded(*kernel)) {
                let Some(slot) = view.features()[feature].slot() else { continue };
                let place = folds.iter().position(|(known, _)| *known == slot).unwrap_or_else(|| {
                    folds.push((slot, Fold { slot: view.slots()[slot], reads: Vec::new() }));
                    folds.len() - 1
                });
                let reads = &mut folds[place].1.reads;
                match reads.iter_mut().find(|(window, ..)| *window == plan.window) {
                    Some((_, _, features)) => features.push(feature),
                    None => reads.push((plan.window, begins, vec![feature])),
                }
            }
        }
        folds.into_iter().map(|(_, fold)| fold).collect()
    }

    /// Whether a kernel needs a tree here: it always does, or the bucket's values span more bits than integers have.
    fn is_folded(&self, kernel: Kernel) -> bool {
        match kernel {
            Kernel::Folded => true,
            Kernel::Sum(cell) | Kernel::Mean(cell) => self.cells[cell].sums.is_none(),
            Kernel::Variance(cell) => self.cells[cell].squares.is_none(),
            _ => false,
        }
    }

    fn answer_feature(&self, kernel: Kernel, runs: &Runs<'_>, out: &mut [f64]) {
        let cell = |cell: usize| &self.cells[cell];
        let times = &self.events.rows.times;
        match kernel {
            Kernel::Count(of) => self.count(of.map_or(&self.every_row, |of| &cell(of).present), runs, out),
            Kernel::Sum(of) => self.sum(Finish::Sum, cell(of), runs, out),
            Kernel::Mean(of) => self.sum(Finish::Mean, cell(of), runs, out),
            Kernel::Variance(of) => self.variance(cell(of), runs, out),
            Kernel::Max(of) => self.slide(|| Greatest::new(&cell(of).numbers), runs, out),
            Kernel::Min(of) => {
                self.slide(|| Greatest::new(&cell(of).negated), runs, out);
                out.iter_mut().for_each(|value| *value = 0.0 - *value);
            }
            Kernel::Distinct(of) => self.slide(|| Distinct::new(&cell(of).tokens, cell(of).token_count), runs, out),
            Kernel::Quantile(of, per_mille) => {
                if let Some(levels) = &cell(of).levels {
                    self.slide(|| Quantile::new(levels, per_mille), runs, out);
                }
            }
            Kernel::Frequent(of, ahead) => {
                let Prepared { tokens, token_count, token_rows_max, .. } = cell(of);
                self.slide(|| Frequent::new(tokens, *token_count, *token_rows_max, ahead), runs, out);
            }
            Kernel::First(of) => self.slide(|| Ends::new(Reading::First(&cell(of).numbers)), runs, out),
            Kernel::Last(of) => self.slide(|| Ends::new(Reading::Last(&cell(of).numbers)), runs, out),
            Kernel::SinceFirst => self.slide(|| Ends::new(Reading::SinceFirst(times)), runs, out),
            Kernel::SinceLast => self.slide(|| Ends::new(Reading::SinceLast(times)), runs, out),
            Kernel::Folded => {}
        }
    }

    fn count(&self, present: &Present, runs: &Runs<'_>, out: &mut [f64]) {
        for ((&from, &to), out) in runs.begins.iter().zip(runs.ends).zip(&mut *out) {
            *out = f64::from(present.between(from, to));
        }
        self.slide_late(|| SlidingCount::new(present), runs, out);
    }

    fn sum(&self, finish: Finish, cell: &Prepared<'_>, runs: &Runs<'_>, out: &mut [f64]) {
        if let Some(sums) = &cell.sums {
            sums.answer(finish, &cell.present, runs.begins, runs.ends, out);
            self.slide_late(|| SlidingSum::new(sums, &cell.present, finish), runs, out);
        }
    }

    fn variance(&self, cell: &Prepared<'_>, runs: &Runs<'_>, out: &mut [f64]) {
        if let Some(squares) = &cell.squares {
            squares.answer(&cell.present, runs.begins, runs.ends, out);
            self.slide_late(|| SlidingVariance::new(squares, &cell.present), runs, out);
        }
    }

    fn slide<S: Slide>(&self, fresh: impl Fn() -> S, runs: &Runs<'_>, out: &mut [f64]) {
        drive(&mut fresh(), runs.begins, runs.ends, self.points, out);
        self.slide_late(fresh, runs, out);
    }

    /// Answers late entities once more, in the order in which their events began to count.
    fn slide_late<S: Slide>(&self, fresh: impl Fn() -> S, runs: &Runs<'_>, out: &mut [f64]) {
        if runs.late.is_empty() {
            return;
        }
        let mut state = fresh();
        for late in runs.late {
            drive_late(&mut state, late, runs.begins, self.points, out);
        }
    }
}
