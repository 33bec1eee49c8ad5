//! A label that is asked for, and given up, until there is an answer or its time is over; it asks nobody itself.

use dhow_events::{MINUTE_MICROS, SECOND_MICROS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{CarrierError, LabelAnswer, VoidAnswer};

/// How long a carrier is asked again for a label, or to give one up, that it did not answer for.
pub const LABEL_ASKED_FOR_MICROS: i64 = 30 * MINUTE_MICROS;
/// How long is waited before it is asked again.
pub const LABEL_RETRY_MICROS: i64 = 15 * SECOND_MICROS;

/// Where a label stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LabelState {
    /// The carrier is to be asked.
    Asked {
        /// Not before this.
        next_at: Timestamp,
    },
    /// It is made.
    Made {
        /// The carrier's number of the shipment.
        tracking_number: String,
    },
    /// The carrier refused.
    Refused {
        /// Why.
        reason: String,
    },
    /// The carrier gave no answer in time. It may have made a label: a person asks it.
    Unknown,
}

/// A label of a shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The key under which it is asked for, every time.
    pub idempotency_key: String,
    /// When it was first asked for.
    pub requested_at: Timestamp,
    /// Where it stands.
    #[serde(flatten)]
    pub state: LabelState,
}

impl Label {
    /// A label that is to be asked for at once.
    pub fn asked(idempotency_key: String, now: Timestamp) -> Self {
        Self { idempotency_key, requested_at: now, state: LabelState::Asked { next_at: now } }
    }

    /// Whether the carrier is to be asked now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        matches!(self.state, LabelState::Asked { next_at } if next_at <= now)
    }

    /// Takes the carrier's answer; gives whether the label came to an end by it. What was made or refused stays so; what is
    /// unknown may still turn out to be either.
    pub fn take(&mut self, answer: Result<LabelAnswer, CarrierError>, now: Timestamp) -> bool {
        let is_asked = matches!(self.state, LabelState::Asked { .. });
        if !is_asked && self.state != LabelState::Unknown {
            return false;
        }
        let is_over = now.micros_since(self.requested_at) >= LABEL_ASKED_FOR_MICROS;
        let state = match answer {
            Ok(LabelAnswer::Made { tracking_number }) => LabelState::Made { tracking_number },
            Ok(LabelAnswer::Refused { reason }) | Err(CarrierError::Refused(reason)) => LabelState::Refused { reason },
            Ok(LabelAnswer::Pending) | Err(CarrierError::NoAnswer(_)) if !is_asked => return false,
            Ok(LabelAnswer::Pending) | Err(CarrierError::NoAnswer(_)) if is_over => LabelState::Unknown,
            Ok(LabelAnswer::Pending) | Err(CarrierError::NoAnswer(_)) => {
                LabelState::Asked { next_at: now + LABEL_RETRY_MICROS }
            }
        };
        self.state = state;
        !matches!(self.state, LabelState::Asked { .. })
    }
}

/// Where the giving up of a label stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum VoidState {
    /// The carrier is to be asked.
    Asked {
        /// Not before this.
        next_at: Timestamp,
    },
    /// It is given up.
    Done,
    /// The carrier refused, or has the parcels.
    Refused {
        /// Why.
        reason: String,
    },
    /// The carrier gave no answer in time. It may be asked anew.
    Unknown,
}

/// A request to give a label up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelVoid {
    /// When it was first asked for.
    pub requested_at: Timestamp,
    /// Where it stands.
    #[serde(flatten)]
    pub state: VoidState,
}

impl LabelVoid {
    /// Whether the carrier is to be asked now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        matches!(self.state, VoidState::Asked { next_at } if next_at <= now)
    }

    /// Takes the carrier's answer; gives whether the request came to an end by it. An end stays.
    pub fn take(&mut self, answer: Result<VoidAnswer, CarrierError>, now: Timestamp) -> bool {
        if !matches!(self.state, VoidState::Asked { .. }) {
            return false;
        }
        let is_over = now.micros_since(self.requested_at) >= LABEL_ASKED_FOR_MICROS;
        self.state = match answer {
            Ok(VoidAnswer::Done) => VoidState::Done,
            Ok(VoidAnswer::Refused { reason }) | Err(CarrierError::Refused(reason)) => VoidState::Refused { reason },
            Ok(VoidAnswer::Pending) | Err(CarrierError::NoAnswer(_)) if is_over => VoidState::Unknown,
            Ok(VoidAnswer::Pending) | Err(CarrierError::NoAnswer(_)) => {
                VoidState::Asked { next_at: now + LABEL_RETRY_MICROS }
            }
        };
        !matches!(self.state, VoidState::Asked { .. })
    }
}
