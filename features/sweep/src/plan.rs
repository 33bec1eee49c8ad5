//! How each feature of a view is answered, and which windows can share their ends; worked out once for a sweep.

use dhow_definitions::{Aggregate, CellKind, View, Window};

/// The way a feature is answered. Numbers are those of the view's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Events, or values of a cell.
    Count(Option<usize>),
    Sum(usize),
    Mean(usize),
    Variance(usize),
    Min(usize),
    Max(usize),
    First(usize),
    Last(usize),
    SinceFirst,
    SinceLast,
    Distinct(usize),
    /// A quantile of so many thousandths.
    Quantile(usize, u16),
    /// The share of the token that so many others are more frequent than.
    Frequent(usize, u32),
    /// By a tree of accumulators: right for every aggregate.
    Folded,
}

impl Kernel {
    fn new(aggregate: Aggregate, cell: Option<usize>, kind: Option<CellKind>) -> Self {
        let of_numbers = kind.is_some_and(|kind| kind != CellKind::Token);
        match (aggregate, cell) {
            (Aggregate::Count, cell) => Self::Count(cell),
            (Aggregate::TimeSinceFirst, None) => Self::SinceFirst,
            (Aggregate::TimeSinceLast, None) => Self::SinceLast,
            (Aggregate::DistinctCount, Some(cell)) if kind == Some(CellKind::Token) => Self::Distinct(cell),
            (Aggregate::Sum, Some(cell)) if of_numbers => Self::Sum(cell),
            (Aggregate::Mean, Some(cell)) if of_numbers => Self::Mean(cell),
            (Aggregate::Variance, Some(cell)) if of_numbers => Self::Variance(cell),
            (Aggregate::Min, Some(cell)) if of_numbers => Self::Min(cell),
            (Aggregate::Max, Some(cell)) if of_numbers => Self::Max(cell),
            (Aggregate::First, Some(cell)) if of_numbers => Self::First(cell),
            (Aggregate::Last, Some(cell)) if of_numbers => Self::Last(cell),
            (Aggregate::Quantile { per_mille }, Some(cell)) if of_numbers => Self::Quantile(cell, per_mille),
            (Aggregate::TopK { place: place @ 1.., .. }, Some(cell)) if kind == Some(CellKind::Token) => {
                Self::Frequent(cell, u32::from(place) - 1)
            }
            _ => Self::Folded,
        }
    }
}

/// One window and what is asked over it.
pub(crate) struct WindowPlan {
    pub(crate) window: Window,
    /// Features by number.
    pub(crate) features: Vec<(usize, Kernel)>,
}

/// Windows of one delay: the same events have begun to count for each of them.
pub(crate) struct DelayGroup {
    pub(crate) delay_micros: i64,
    pub(crate) windows: Vec<WindowPlan>,
}

/// The plan of a view's sweep.
pub(crate) struct Plan {
    pub(crate) groups: Vec<DelayGroup>,
}

impl Plan {
    pub(crate) fn new(view: &View) -> Self {
        let mut groups: Vec<DelayGroup> = Vec::new();
        for (number, &window) in view.windows().iter().enumerate() {
            let features = view.features().iter().enumerate().filter(|(_, feature)| feature.window_index() == number);
            let features = features.filter_map(|(number, feature)| {
                let slot = &view.slots()[feature.slot()?];
                Some((number, Kernel::new(feature.aggregate(), slot.cell, slot.kind)))
            });
            let window_plan = WindowPlan { window, features: features.collect() };
            let delay_micros = window.delay_micros();
            match groups.iter_mut().find(|group| group.delay_micros == delay_micros) {
                Some(group) => group.windows.push(window_plan),
                None => groups.push(DelayGroup { delay_micros, windows: vec![window_plan] }),
            }
        }
        Self { groups }
    }

    /// Whether some feature satisfies `holds`.
    pub(crate) fn any(&self, holds: impl Fn(Kernel) -> bool) -> bool {
        let windows = self.groups.iter().flat_map(|group| &group.windows);
        windows.flat_map(|window| &window.features).any(|(_, kernel)| holds(*kernel))
    }
}
