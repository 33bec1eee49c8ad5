//! A payment rail in this process, with faults at declared amounts; it moves no money and is no model of a real rail.

use std::sync::Arc;

use dhow_events::{Clock, SECOND_MICROS};

use crate::{Authorisation, AuthorisationRequest, PaymentRail, RailError, VoidRequest};

/// Totals, in minor units of any currency, that provoke a fault of [`SimulatedRail`].
pub mod trigger {
    /// Declined: `card_declined`.
    pub const DECLINED_MINOR: i64 = 9_000_001;
    /// Declined: `insufficient_funds`.
    pub const INSUFFICIENT_FUNDS_MINOR: i64 = 9_000_002;
    /// Authorised at once, but the answers are lost for [`LOST_FOR_MICROS`].
    pub const LOST_ANSWER_MINOR: i64 = 9_000_003;
    /// Pending for [`DELAYED_FOR_MICROS`], then authorised.
    pub const DELAYED_MINOR: i64 = 9_000_004;
    /// Pending for [`DELAYED_FOR_MICROS`], then declined: `insufficient_funds`.
    pub const DELAYED_DECLINED_MINOR: i64 = 9_000_005;
    /// How long answers are lost.
    pub const LOST_FOR_MICROS: i64 = 20 * super::SECOND_MICROS;
    /// How long a delayed answer takes.
    pub const DELAYED_FOR_MICROS: i64 = 60 * super::SECOND_MICROS;
}

/// Answers from the request and the clock alone: idempotent by construction, across restarts too.
#[derive(Clone)]
pub struct SimulatedRail {
    clock: Arc<dyn Clock>,
}

impl SimulatedRail {
    /// A rail that lives by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    fn answer(&self, request: &AuthorisationRequest) -> Result<Authorisation, RailError> {
        let waited_micros = self.clock.now().micros_since(request.requested_at);
        let declined = |reason: &str| Authorisation::Declined { reason: reason.to_owned() };
        let approved = || Authorisation::Approved { reference: format!("sim_{}", request.idempotency_key) };
        Ok(match request.amount.amount_minor {
            trigger::DECLINED_MINOR => declined("card_declined"),
            trigger::INSUFFICIENT_FUNDS_MINOR => declined("insufficient_funds"),
            trigger::LOST_ANSWER_MINOR if waited_micros < trigger::LOST_FOR_MICROS => {
                return Err(RailError::NoAnswer("the simulator lost the answer".to_owned()));
            }
            trigger::DELAYED_MINOR | trigger::DELAYED_DECLINED_MINOR if waited_micros < trigger::DELAYED_FOR_MICROS => {
                Authorisation::Pending
            }
            trigger::DELAYED_DECLINED_MINOR => declined("insufficient_funds"),
            _ => approved(),
        })
    }
}

impl PaymentRail for SimulatedRail {
    async fn authorise(&self, request: &AuthorisationRequest) -> Result<Authorisation, RailError> {
        self.answer(request)
    }

    async fn void(&self, _request: &VoidRequest) -> Result<(), RailError> {
        Ok(())
    }
}
