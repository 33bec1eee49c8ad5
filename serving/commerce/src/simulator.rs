//! A payment rail in this process, with faults at declared amounts; it moves no money and is no model of a real rail.

use std::sync::Arc;

use dhow_events::{Clock, SECOND_MICROS};
use dhow_ledger::Asset;
use dhow_ledger::divide::{Rounding, ratio};

use crate::{
    Authorisation, AuthorisationRequest, NoticeError, PaymentRail, RailError, RailNotice, RailQuote, SignedNotice,
    TransferAnswer, TransferRequest, read_signed,
};

/// Amounts, in minor units of any currency, that provoke a fault of [`SimulatedRail`].
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
    /// In crypto: never paid, so that its quote runs out.
    pub const QUOTE_UNPAID_MINOR: i64 = 9_000_006;
    /// How long a quote holds.
    pub const QUOTED_FOR_MICROS: i64 = 900 * super::SECOND_MICROS;
    /// A transfer that is declined: `refused_by_bank`.
    pub const TRANSFER_DECLINED_MINOR: i64 = 7_000_001;
    /// A transfer that is done at once, but whose answers are lost for [`LOST_FOR_MICROS`].
    pub const TRANSFER_LOST_MINOR: i64 = 7_000_003;
    /// A transfer that is pending for [`DELAYED_FOR_MICROS`], then done.
    pub const TRANSFER_DELAYED_MINOR: i64 = 7_000_004;
    /// How long answers are lost.
    pub const LOST_FOR_MICROS: i64 = 20 * super::SECOND_MICROS;
    /// How long a delayed answer takes.
    pub const DELAYED_FOR_MICROS: i64 = 60 * super::SECOND_MICROS;
}

/// What the simulator takes a whole asset to cost, in cents.
const PRICES_USD_MINOR: [(Asset, u64); 4] =
    [(Asset::Btc, 10_000_000), (Asset::Eth, 400_000), (Asset::Usdc, 100), (Asset::Usdt, 100)];

/// Answers from the request and the clock alone: idempotent by construction, across restarts too.
#[derive(Clone)]
pub struct SimulatedRail {
    clock: Arc<dyn Clock>,
    secret: Option<Arc<[u8]>>,
}

impl SimulatedRail {
    /// A rail that lives by `clock`. Without a secret it takes no messages.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, secret: None }
    }

    /// The rail whose messages are signed with `secret`.
    pub fn with_secret(self, secret: &[u8]) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }

    /// A quote until the buyer has paid, which takes [`trigger::DELAYED_FOR_MICROS`].
    fn crypto(&self, asset: Asset, request: &AuthorisationRequest) -> Authorisation {
        let waited_micros = self.clock.now().micros_since(request.requested_at);
        let is_unpaid = request.amount.amount_minor == trigger::QUOTE_UNPAID_MINOR;
        if !is_unpaid && waited_micros >= trigger::DELAYED_FOR_MICROS {
            return Authorisation::Approved { reference: format!("sim_{}", request.idempotency_key) };
        }
        if waited_micros >= trigger::QUOTED_FOR_MICROS {
            return Authorisation::Declined { reason: "quote_expired".to_owned() };
        }
        let price = PRICES_USD_MINOR.iter().find(|(priced, _)| *priced == asset).map_or(0, |(_, price)| *price);
        match ratio(request.amount_usd_minor, 10_u64.pow(asset.decimals()), price, Rounding::Up) {
            Ok(units) => {
                let expires_at = request.requested_at + trigger::QUOTED_FOR_MICROS;
                Authorisation::Quoted { quote: RailQuote { asset, amount: asset.shown(units), expires_at } }
            }
            Err(error) => Authorisation::Declined { reason: error.to_string() },
        }
    }

    fn answer(&self, request: &AuthorisationRequest) -> Result<Authorisation, RailError> {
        if let Some(asset) = request.method.asset() {
            return Ok(self.crypto(asset, request));
        }
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
    fn name(&self) -> &str {
        "simulator"
    }

    async fn authorise(&self, request: &AuthorisationRequest) -> Result<Authorisation, RailError> {
        self.answer(request)
    }

    async fn transfer(&self, request: &TransferRequest) -> Result<TransferAnswer, RailError> {
        let waited_micros = self.clock.now().micros_since(request.requested_at);
        Ok(match request.amount.amount_minor {
            trigger::TRANSFER_DECLINED_MINOR => TransferAnswer::Declined { reason: "refused_by_bank".to_owned() },
            trigger::TRANSFER_LOST_MINOR if waited_micros < trigger::LOST_FOR_MICROS => {
                return Err(RailError::NoAnswer("the simulator lost the answer".to_owned()));
            }
            trigger::TRANSFER_DELAYED_MINOR if waited_micros < trigger::DELAYED_FOR_MICROS => TransferAnswer::Pending,
            _ => TransferAnswer::Done { reference: format!("sim_{}", request.idempotency_key) },
        })
    }

    fn read_notice(&self, signed: &SignedNotice<'_>) -> Result<RailNotice, NoticeError> {
        let secret = self.secret.as_deref().ok_or(NoticeError::Signature)?;
        read_signed(secret, self.clock.now(), signed)
    }
}
