//! How much of a payment, or of an order's part of it, was asked for and done: captured, given up, refunded; it asks no rail.

use serde::{Deserialize, Serialize};

use crate::PaymentState;
use crate::words::worded;

worded! {
    /// What a transfer does.
    TransferKind {
        /// Takes an amount that the rail holds for us.
        Capture = "capture",
        /// Gives up an amount that the rail holds and that was not captured.
        Void = "void",
        /// Gives a captured amount back to the buyer.
        Refund = "refund",
        /// Sends a seller what the marketplace owes.
        Payout = "payout",
        /// Charges a buyer what is paid later.
        Instalment = "instalment",
        /// Gives a buyer back what was paid beyond what is owed.
        InstalmentRefund = "instalment_refund",
    }
}

impl TransferKind {
    /// Whether it moves the payment itself; the others move what is owed to sellers, or by buyers who pay later.
    pub(crate) const fn moves_payment(self) -> bool {
        matches!(self, Self::Capture | Self::Void | Self::Refund)
    }
}

/// Minor units of a payment or an order, by what became of them. What was asked and has not failed counts as asked, so
/// that requests under way never exceed together what each alone may take; the database holds
/// `refunded <= refund_asked <= captured <= capture_asked`, `voided <= void_asked` and
/// `capture_asked + void_asked <= authorised`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amounts {
    /// To be captured, or captured.
    pub capture_asked_minor: i64,
    /// Captured.
    pub captured_minor: i64,
    /// To be given up, or given up.
    pub void_asked_minor: i64,
    /// Given up.
    pub voided_minor: i64,
    /// To be refunded, or refunded.
    pub refund_asked_minor: i64,
    /// Refunded.
    pub refunded_minor: i64,
}

impl Amounts {
    /// What may still be asked for, of `authorised_minor` that are held or were captured.
    pub const fn left(&self, kind: TransferKind, authorised_minor: i64) -> i64 {
        match kind {
            TransferKind::Capture | TransferKind::Void => {
                authorised_minor - self.capture_asked_minor - self.void_asked_minor
            }
            TransferKind::Refund => self.captured_minor - self.refund_asked_minor,
            TransferKind::Payout | TransferKind::Instalment | TransferKind::InstalmentRefund => 0,
        }
    }

    /// What was done so far.
    pub const fn done(&self, kind: TransferKind) -> i64 {
        match kind {
            TransferKind::Capture => self.captured_minor,
            TransferKind::Void => self.voided_minor,
            TransferKind::Refund => self.refunded_minor,
            TransferKind::Payout | TransferKind::Instalment | TransferKind::InstalmentRefund => 0,
        }
    }

    /// Adds to what was asked for; a failed request takes it off again.
    pub(crate) const fn add_asked(&mut self, kind: TransferKind, minor: i64) {
        match kind {
            TransferKind::Capture => self.capture_asked_minor += minor,
            TransferKind::Void => self.void_asked_minor += minor,
            TransferKind::Refund => self.refund_asked_minor += minor,
            TransferKind::Payout | TransferKind::Instalment | TransferKind::InstalmentRefund => {}
        }
    }

    /// Adds to what was done.
    pub(crate) const fn add_done(&mut self, kind: TransferKind, minor: i64) {
        match kind {
            TransferKind::Capture => self.captured_minor += minor,
            TransferKind::Void => self.voided_minor += minor,
            TransferKind::Refund => self.refunded_minor += minor,
            TransferKind::Payout | TransferKind::Instalment | TransferKind::InstalmentRefund => {}
        }
    }

    /// Where an authorised payment with these amounts stands.
    pub(crate) const fn state(&self, authorised_minor: i64) -> PaymentState {
        if self.captured_minor > 0 {
            if self.refunded_minor == self.captured_minor { PaymentState::Refunded } else { PaymentState::Captured }
        } else if self.voided_minor == authorised_minor {
            PaymentState::Voided
        } else if self.void_asked_minor == authorised_minor {
            PaymentState::Voiding
        } else {
            PaymentState::Authorised
        }
    }
}
