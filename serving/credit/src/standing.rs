//! What an agreement owes, as sums from which all else follows, and the steps that change them; it asks nobody for money.

use dhow_ledger::divide::{DivideError, share_of_step};
use serde::{Deserialize, Serialize};

/// The sums of an agreement, in minor units, each at or above zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What was bought.
    pub principal_minor: i64,
    /// The fee that was agreed.
    pub fee_minor: i64,
    /// What was charged and not taken back by the rail.
    pub paid_minor: i64,
    /// What of it went back, or is on its way back, because less is owed.
    pub returned_minor: i64,
    /// What of the principal was refunded or called off.
    pub principal_refunded_minor: i64,
    /// What of the fee was given back with it.
    pub fee_refunded_minor: i64,
    /// What of the fee was waived for paying early.
    pub fee_waived_minor: i64,
    /// What is given up as lost.
    pub written_off_minor: i64,
}

/// What happens to an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandingStep {
    /// A charge was done; with it so much of the fee is waived, as far as so much of it is left.
    Paid {
        /// How much.
        minor: i64,
        /// The fee that is waived.
        waives_minor: i64,
    },
    /// The rail took a charge back after it was done, and with it what it had waived.
    TakenBack {
        /// How much.
        minor: i64,
        /// The fee that it had waived.
        waived_minor: i64,
    },
    /// So much of the principal was refunded or called off.
    Refunded {
        /// How much.
        minor: i64,
    },
    /// What is left is given up.
    WrittenOff,
}

impl Standing {
    /// What is owed at the beginning.
    pub fn new(principal_minor: i64, fee_minor: i64) -> Self {
        Self { principal_minor, fee_minor, ..Self::default() }
    }

    /// What was paid and kept; below zero where the rail took back a charge of which some had gone back already.
    pub const fn kept_minor(&self) -> i64 {
        self.paid_minor - self.returned_minor
    }

    /// What is no longer owed, because it was refunded, called off or waived.
    pub const fn refunded_minor(&self) -> i64 {
        self.principal_refunded_minor + self.fee_refunded_minor + self.fee_waived_minor
    }

    /// What of the fee was neither given back nor waived.
    pub const fn fee_left_minor(&self) -> i64 {
        self.fee_minor - self.fee_refunded_minor - self.fee_waived_minor
    }

    /// What is still to be paid.
    pub const fn outstanding_minor(&self) -> i64 {
        self.principal_minor + self.fee_minor - self.refunded_minor() - self.kept_minor() - self.written_off_minor
    }

    /// The sums after a step. What is then paid beyond what is owed first takes a loss back and then goes back; where
    /// something was written off before, nothing becomes outstanding again.
    ///
    /// # Errors
    /// A refund of more than the principal.
    pub fn after(&self, step: StandingStep) -> Result<Self, DivideError> {
        let mut after = *self;
        let lost = self.written_off_minor > 0;
        match step {
            StandingStep::Paid { minor, waives_minor } => {
                after.paid_minor += minor;
                after.fee_waived_minor += waives_minor.min(self.fee_left_minor());
            }
            StandingStep::TakenBack { minor, waived_minor } => {
                after.paid_minor -= minor;
                after.fee_waived_minor -= waived_minor;
            }
            StandingStep::Refunded { minor } => {
                let from = self.principal_refunded_minor;
                let fee = share_of_step(self.fee_minor, from, from + minor, self.principal_minor)?;
                after.principal_refunded_minor += minor;
                after.fee_refunded_minor += fee.min(self.fee_left_minor());
            }
            StandingStep::WrittenOff => after.written_off_minor += self.outstanding_minor().max(0),
        }
        let beyond = -after.outstanding_minor();
        if beyond > 0 {
            let found = beyond.min(after.written_off_minor);
            after.written_off_minor -= found;
            after.returned_minor += beyond - found;
        } else if lost {
            after.written_off_minor += after.outstanding_minor();
        }
        Ok(after)
    }
}
