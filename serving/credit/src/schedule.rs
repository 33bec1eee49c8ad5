//! A schedule, and where each of its lines stands: it follows from the sums of a standing alone.

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Standing;

/// What is to be paid by when, as it was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instalment {
    /// Its number, from 1; with a down payment that is the first.
    pub number: u32,
    /// By when.
    pub due_at: Timestamp,
    /// Of the amount, in minor units.
    pub principal_minor: i64,
    /// Of the fee, in minor units.
    pub fee_minor: i64,
}

/// Where an instalment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The instalment.
    #[serde(flatten)]
    pub instalment: Instalment,
    /// What of it refunds and waived fees took off.
    pub lowered_minor: i64,
    /// What of it is paid; below zero where the rail took back a charge of which some had gone back already.
    pub paid_minor: i64,
    /// What of it is left; what was written off still reads as left.
    pub left_minor: i64,
}

/// The schedule as it stands: payments fill it from the first line on, what lowers it does so from the last.
pub fn lines(schedule: &[Instalment], standing: &Standing) -> Vec<Line> {
    let whole = |instalment: &Instalment| instalment.principal_minor + instalment.fee_minor;
    let mut lines: Vec<Line> = schedule
        .iter()
        .map(|&instalment| Line { instalment, lowered_minor: 0, paid_minor: 0, left_minor: whole(&instalment) })
        .collect();
    let mut lowered = standing.refunded_minor();
    for line in lines.iter_mut().rev() {
        line.lowered_minor = line.left_minor.min(lowered);
        line.left_minor -= line.lowered_minor;
        lowered -= line.lowered_minor;
    }
    let mut paid = standing.kept_minor();
    if let Some(first) = lines.first_mut().filter(|_| paid < 0) {
        // More went back than the rail left us: it is asked for first.
        first.left_minor -= paid;
        first.paid_minor = paid;
        return lines;
    }
    for line in &mut lines {
        line.paid_minor = line.left_minor.min(paid);
        line.left_minor -= line.paid_minor;
        paid -= line.paid_minor;
    }
    lines
}

/// How many lines a payment filled: those with nothing left of which something was paid.
pub fn lines_paid(schedule: &[Instalment], standing: &Standing) -> i64 {
    lines(schedule, standing).iter().filter(|line| line.left_minor == 0 && line.paid_minor > 0).count() as i64
}

/// What is due at `now` and not paid, in minor units.
pub fn due(schedule: &[Instalment], standing: &Standing, now: Timestamp) -> i64 {
    let lines = lines(schedule, standing).into_iter();
    lines.filter(|line| line.instalment.due_at <= now).map(|line| line.left_minor).sum()
}

/// The first line of which something is left.
pub fn next_unpaid(schedule: &[Instalment], standing: &Standing) -> Option<Line> {
    lines(schedule, standing).into_iter().find(|line| line.left_minor > 0)
}

/// What settles all at `now`, and the fees that are waived for it: those of lines that are not due yet, as far as they are left.
pub fn payoff(schedule: &[Instalment], standing: &Standing, now: Timestamp) -> (i64, i64) {
    let lines = lines(schedule, standing);
    let left: i64 = lines.iter().map(|line| line.left_minor).sum();
    let not_due = lines.iter().filter(|line| line.instalment.due_at > now);
    let fees: i64 = not_due.map(|line| line.instalment.fee_minor.min(line.left_minor)).sum();
    let waives = if standing.written_off_minor > 0 { 0 } else { fees.min(standing.fee_left_minor()) };
    (left - waives, waives)
}
