//! Agreements to pay later as they are stored: states, what follows from time and money for them; nothing is written here.
//!
//! ```text
//! agreement  proposed ─► active ◄─► settled (a charge that the rail takes back opens it again)
//!                     │    └◄► late ─► settled, defaulted ─► settled (paid after all)
//!                     └► cancelled (the checkout was refused)
//! ```

use dhow_credit::{
    DEFAULT_AFTER_MICROS, Instalment, Line, PlanTerms, RETRY_MICROS, Standing, due, lines, next_unpaid, payoff,
};
use dhow_events::facts::AgreementMoved;
use dhow_events::{
    AgreementId, BuyerId, CheckoutId, Currency, DecisionId, Money, PaymentId, TenantId, Timestamp, TransferId,
};
use dhow_ledger::divide::{DivideError, Rounding, ratio};
use serde::{Deserialize, Serialize};

use crate::words::worded;
use crate::{CommerceError, States, transition};

worded! {
    /// Where an agreement stands.
    AgreementState {
        /// Its checkout has not come to its end.
        Proposed = "proposed",
        /// It is paid as agreed.
        Active = "active",
        /// What was due was asked for in vain as often as it is asked for.
        Late = "late",
        /// Nothing is owed any more.
        Settled = "settled",
        /// What was left was written off.
        Defaulted = "defaulted",
        /// Its checkout was refused.
        Cancelled = "cancelled",
    }
}

impl States for AgreementState {
    const SUBJECT: &'static str = "agreement";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Proposed, &[Self::Active, Self::Cancelled]),
        (Self::Active, &[Self::Late, Self::Settled]),
        (Self::Late, &[Self::Active, Self::Settled, Self::Defaulted]),
        (Self::Settled, &[Self::Active]),
        (Self::Defaulted, &[Self::Settled]),
    ];
}

worded! {
    /// What a buyer pays of an agreement.
    AgreementPart {
        /// All that is due, or the next instalment where nothing is.
        Next = "next",
        /// All that is left, without the fees of instalments that are not due yet.
        All = "all",
    }
}

/// A charge that the rail has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The transfer.
    pub transfer: TransferId,
    /// What of the fee is waived once it is done, in minor units.
    pub waives_minor: i64,
    /// Whether the schedule asked for it; only then its failure counts.
    pub by_schedule: bool,
}

/// A fee that was waived by a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The charge.
    pub transfer: TransferId,
    /// How much, in minor units.
    pub minor: i64,
}

/// What was agreed with a buyer who pays later, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: AgreementId,
    /// Who pays.
    pub buyer: BuyerId,
    /// What was bought.
    pub checkout: CheckoutId,
    /// Its payment, through whose reference at the rail the instalments are charged.
    pub payment: PaymentId,
    /// The name of the plan.
    pub plan: String,
    /// Its version then.
    pub plan_version: i64,
    /// Its terms then.
    pub terms: PlanTerms,
    /// The decision that granted it.
    pub decision: DecisionId,
    /// Where it stands.
    pub state: AgreementState,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What is owed and was paid.
    #[serde(flatten)]
    pub standing: Standing,
    /// What is to be paid by when.
    pub schedule: Vec<Instalment>,
    /// What was bought, in US cents at the checkout's rate.
    pub principal_usd_minor: i64,
    /// What it takes of the buyer's limit, in US cents.
    pub open_usd_minor: i64,
    /// The charge under way; one at a time.
    pub charging: Option<Charge>,
    /// Fees that were waived.
    pub waivers: Vec<Waiver>,
    /// Charges by the schedule that failed since the last that was done.
    pub failures: u32,
    /// When it is asked for again.
    pub retry_at: Option<Timestamp>,
    /// Since when it is late.
    pub late_at: Option<Timestamp>,
    /// When something is to be done next; nothing while a charge is under way or nothing is left.
    pub next_at: Option<Timestamp>,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Agreement {
    /// The schedule as it stands.
    pub fn lines(&self) -> Vec<Line> {
        lines(&self.schedule, &self.standing)
    }

    /// Whether its checkout was completed, so that something was owed by it.
    pub(crate) const fn is_made(&self) -> bool {
        !matches!(self.state, AgreementState::Proposed | AgreementState::Cancelled)
    }

    /// What is paid at once, in minor units.
    pub fn down_payment_minor(&self) -> i64 {
        let has_line = self.schedule.len() > self.terms.instalments as usize;
        self.schedule.first().filter(|_| has_line).map_or(0, |first| first.principal_minor)
    }

    /// What settles all at `now`, and the fees that are then waived, in minor units.
    pub fn payoff_minor(&self, now: Timestamp) -> (i64, i64) {
        payoff(&self.schedule, &self.standing, now)
    }

    /// What is due at `now`, in minor units.
    pub fn due_minor(&self, now: Timestamp) -> i64 {
        due(&self.schedule, &self.standing, now)
    }

    /// Minor units in US cents at the checkout's rate.
    pub(crate) fn usd_minor(&self, minor: i64) -> Result<i64, DivideError> {
        let cents = self.principal_usd_minor.unsigned_abs();
        ratio(minor, cents, self.standing.principal_minor.unsigned_abs(), Rounding::Up)
    }

    /// How much a part is at `now`, and the fees that it waives.
    pub(crate) fn part_minor(&self, part: AgreementPart, now: Timestamp) -> (i64, i64) {
        match part {
            AgreementPart::All => self.payoff_minor(now),
            AgreementPart::Next => match self.due_minor(now) {
                0 => (next_unpaid(&self.schedule, &self.standing).map_or(0, |line| line.left_minor), 0),
                due => (due, 0),
            },
        }
    }

    /// A charge by the schedule failed at `now`: it is asked for again, or it is late.
    pub(crate) fn count_failure(&mut self, now: Timestamp) {
        let wait = RETRY_MICROS.get(self.failures as usize);
        self.failures += 1;
        self.retry_at = wait.map(|wait| now + *wait);
        if wait.is_none() && self.late_at.is_none() {
            self.late_at = Some(now);
        }
    }

    /// Brings the state and the next step after what was done. It becomes late by failures and defaulted by the clock alone.
    pub(crate) fn follow(&mut self, now: Timestamp) -> Result<(), CommerceError> {
        let (owed, lost) = (self.standing.outstanding_minor(), self.standing.written_off_minor);
        let state = match self.state {
            AgreementState::Proposed | AgreementState::Cancelled => self.state,
            _ if lost > 0 => AgreementState::Defaulted,
            _ if owed == 0 => AgreementState::Settled,
            _ if self.late_at.is_some() && self.due_minor(now) > 0 => AgreementState::Late,
            _ => AgreementState::Active,
        };
        transition(self.state, state)?;
        self.state = state;
        if state != AgreementState::Late {
            self.late_at = None;
        }
        if self.due_minor(now) == 0 || state == AgreementState::Settled {
            (self.failures, self.retry_at) = (0, None);
        }
        self.next_at = match state {
            _ if self.charging.is_some() => None,
            AgreementState::Active => {
                self.retry_at.or_else(|| next_unpaid(&self.schedule, &self.standing).map(|line| line.instalment.due_at))
            }
            AgreementState::Late => self.late_at.map(|since| since + DEFAULT_AFTER_MICROS),
            _ => None,
        };
        Ok(())
    }

    pub(crate) fn moved(&self) -> Result<AgreementMoved, DivideError> {
        let outstanding = self.standing.outstanding_minor();
        Ok(AgreementMoved {
            buyer: self.buyer,
            agreement: self.id,
            checkout: self.checkout,
            payment: self.payment,
            plan: self.plan.clone(),
            state: self.state.to_string(),
            outstanding: Money::new(outstanding, self.currency),
            outstanding_usd_minor: self.usd_minor(outstanding)?,
            written_off_usd_minor: self.usd_minor(self.standing.written_off_minor)?,
        })
    }
}
