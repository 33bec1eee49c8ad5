//! Pay later: plans, schedules, what an agreement owes, when it is asked for again, and the score card of limits; it keeps no data and reads no clock.
//!
//! # The rules
//! 1. A [plan](PlanTerms) makes of an amount a down payment, equal instalments and a fee; the parts add up to the minor unit.
//! 2. What an agreement owes follows from sums alone ([`Standing`]): payments fill the [schedule](lines) from its first line on, refunds
//!    and what was called off lower it from its last line on.
//! 3. A refund gives back the fee's share of what it refunds. Who pays all at once is not asked for the fees of
//!    instalments that are not due yet. There are no fees for being late.
//! 4. What was paid beyond what is owed goes back in the same step.
//! 5. A charge that failed is asked for again after [`RETRY_MICROS`]; then the agreement is late, and after
//!    [`DEFAULT_AFTER_MICROS`] what is left is written off. What comes in after that takes the loss back.
//!
//! At all times principal + fee = paid + outstanding + refunded + written off.

mod card;
mod plan;
mod schedule;
mod standing;

pub use card::{CardError, Factor, Limit, Points, SCORE_CARD, Score, ScoreCard};
pub use plan::{
    AMOUNT_MINOR_MAX, DOWN_PAYMENT_PPM_MAX, FEE_PPM_MAX, INSTALMENTS_MAX, INTERVAL_DAYS_MAX, OFFERS_MAX, Offer,
    PlanProblem, PlanRefusal, PlanTerms, TITLE_BYTES_MAX,
};
pub use schedule::{Instalment, Line, due, lines, lines_paid, next_unpaid, payoff};
pub use standing::{Standing, StandingStep};

use dhow_events::DAY_MICROS;

/// How long after a charge by the schedule failed it is asked for again: after the first failure, the second, the third.
pub const RETRY_MICROS: [i64; 3] = [DAY_MICROS, 3 * DAY_MICROS, 7 * DAY_MICROS];
/// How long an agreement is late before what is left of it is written off.
pub const DEFAULT_AFTER_MICROS: i64 = 30 * DAY_MICROS;
