//! Features of many entities at many instants, from columns in memory in one linear pass; it does no IO and keeps no state.
//!
//! [`sweep`] answers every feature of a view at every point: the batch executor of what `dhow_definitions` means, bit
//! for bit what its oracle says. The work goes like this.
//!
//! 1. **Group.** Entities that some point names get small numbers; events and points are dealt into buckets of entities
//!    that fit the processor's cache, and sorted there by (entity, time, event id).
//! 2. **Bound.** Within a bucket the events inside a window of a point are a run, and both of its ends only move forward
//!    from point to point, so two pointers find all runs of a window in one pass.
//! 3. **Answer.** Exact sums come from running totals in integers that are wide enough to lose nothing; extremes, first
//!    values and distinct values from queues that events enter and leave once; quantiles and the most frequent values
//!    from counts whose ranks are found in logarithmic time; every other aggregate from a tree of
//!    `dhow_definitions::Accumulator`s.
//!
//! An event that became known only after a point that it would count for breaks the runs. Entities with such events and
//! points are swept once more, with events entering in the order in which they began to count.
//!
//! Buckets are independent and each is computed in one fixed order, so results do not depend on the number of threads.

mod bucket;
mod columns;
mod entities;
mod evaluate;
mod exact;
mod frequent;
mod plan;
mod queue;
mod runs;
mod slide;
mod tally;
mod tree;
mod unique;
mod wide;

use dhow_definitions::{Ratio, View};
use rayon::prelude::*;

pub use columns::{CellColumn, Events, NO_ENTITY, Points, SweepError};
pub use entities::{DenseEntities, densify};

use bucket::{Layout, deal};
use plan::Plan;

/// The features of `view` at `points`: one list for each of [`View::features`], in the order of the points; NaN where
/// there is no value, and for a point of [`NO_ENTITY`]. A point of an entity without events reads what an entity
/// without events reads online: a count of 0, no mean.
///
/// `events` are the rows of one tenant that pass the view's filter, in the order of the log. An event never counts for
/// a point at its own time, so the times of the events themselves may be the points ([`Points::at_events`]).
///
/// # Errors
/// Columns of differing length, columns that are not the view's cells, an entity that is not below
/// [`Events::entity_count`], a time beyond ±2^61 microseconds, or 2^32 - 1 rows or more.
pub fn sweep(view: &View, events: &Events<'_>, points: &Points<'_>) -> Result<Vec<Vec<f64>>, SweepError> {
    columns::check(view, events, points)?;
    let plan = Plan::new(view);
    let numbers = entities::number_wanted(points, events.entity_count);
    let repeated = events.ids.map(|ids| unique::repeated(ids, events.known_times));
    let layout = Layout::new(events.entities.len() + points.entities.len(), numbers.count);
    let event_chunks = deal(&layout, &numbers, events, repeated.as_deref());
    let point_chunks = deal(&layout, &numbers, &points.as_events(events.entity_count), None);
    let answers: Vec<evaluate::Answers> = (0..layout.bucket_count())
        .into_par_iter()
        .map(|bucket| evaluate::answer(view, &plan, &layout, bucket, &event_chunks, &point_chunks))
        .collect();
    let mut columns: Vec<Vec<f64>> = (0..view.features().len())
        .into_par_iter()
        .map(|feature| {
            let mut values = vec![f64::NAN; points.entities.len()];
            for answers in &answers {
                for (&row, &value) in answers.point_rows.iter().zip(answers.of_feature(feature)) {
                    values[row as usize] = value;
                }
            }
            values
        })
        .collect();
    for &[place, numerator, denominator] in view.ratios() {
        let parts = columns[numerator].iter().zip(&columns[denominator]);
        columns[place] = parts.map(|(numerator, denominator)| Ratio::of(*numerator, *denominator)).collect();
    }
    Ok(columns)
}
