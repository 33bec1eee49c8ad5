//! Two carriers in this process, with faults at declared weights; they carry nothing and are no model of real ones.

use std::sync::Arc;

use dhow_events::{Clock, DAY_MICROS, HOUR_MICROS, Money, SECOND_MICROS};
use dhow_ledger::divide::{Rounding, ratio};

use crate::{
    Carrier, CarrierError, CarrierFuture, CarrierQuote, LabelAnswer, LabelRequest, QuoteRequest, VoidAnswer,
    VoidRequest, VolumetricRule, check_parcels,
};

/// Weights of the first parcel, in grams, that provoke a fault of [`SimulatedCarrier`].
pub mod trigger {
    /// No quote and no label: `not_served`.
    pub const NOT_SERVED_GRAMS: u32 = 900_001;
    /// A quote, but the label is refused: `address_unknown`.
    pub const REFUSED_GRAMS: u32 = 900_002;
    /// The label is made at once, but its answers are lost for [`LOST_FOR_MICROS`].
    pub const LOST_ANSWER_GRAMS: u32 = 900_003;
    /// The label is pending for [`DELAYED_FOR_MICROS`], then made.
    pub const DELAYED_GRAMS: u32 = 900_004;
    /// No quote and no label ever comes.
    pub const SILENT_GRAMS: u32 = 900_005;
    /// A label that is not given up again: `already_collected`.
    pub const NOT_VOIDED_GRAMS: u32 = 900_006;
    /// A label whose giving up is done at once, but its answers are lost for [`LOST_FOR_MICROS`].
    pub const VOID_LOST_GRAMS: u32 = 900_007;
    /// How long answers are lost.
    pub const LOST_FOR_MICROS: i64 = 20 * super::SECOND_MICROS;
    /// How long a delayed answer takes.
    pub const DELAYED_FOR_MICROS: i64 = 60 * super::SECOND_MICROS;
}

/// What a simulated carrier asks and promises.
#[derive(Debug, Clone, Copy)]
struct Tariff {
    name: &'static str,
    rule: VolumetricRule,
    /// A parcel's price and that of each kilogram, in minor units of any currency, within a country.
    parcel_minor: i64,
    kilogram_minor: u64,
    /// How many times that between countries.
    abroad: i64,
    /// P10 and P90 within a country, and between countries.
    home_micros: (i64, i64),
    abroad_micros: (i64, i64),
}

const POST: Tariff = Tariff {
    name: "simulated_post",
    rule: VolumetricRule { cm3_per_kg: 6_000, step_grams: 1_000 },
    parcel_minor: 390,
    kilogram_minor: 60,
    abroad: 4,
    home_micros: (DAY_MICROS, 3 * DAY_MICROS),
    abroad_micros: (5 * DAY_MICROS, 15 * DAY_MICROS),
};

const EXPRESS: Tariff = Tariff {
    name: "simulated_express",
    rule: VolumetricRule { cm3_per_kg: 5_000, step_grams: 500 },
    parcel_minor: 1_150,
    kilogram_minor: 210,
    abroad: 3,
    home_micros: (12 * HOUR_MICROS, DAY_MICROS),
    abroad_micros: (2 * DAY_MICROS, 4 * DAY_MICROS),
};

const GRAMS_PER_KG: u64 = 1_000;

/// Answers from the request and the clock alone: idempotent by construction, across restarts too.
#[derive(Clone)]
pub struct SimulatedCarrier {
    tariff: Tariff,
    clock: Arc<dyn Clock>,
}

impl SimulatedCarrier {
    /// The cheap and slow one, `simulated_post`.
    pub fn post(clock: Arc<dyn Clock>) -> Self {
        Self { tariff: POST, clock }
    }

    /// The fast and dear one, `simulated_express`.
    pub fn express(clock: Arc<dyn Clock>) -> Self {
        Self { tariff: EXPRESS, clock }
    }

    fn offer(&self, request: &QuoteRequest) -> Result<CarrierQuote, CarrierError> {
        check_parcels(&request.parcels).map_err(|error| CarrierError::Refused(error.to_string()))?;
        match fault_weight(request) {
            trigger::NOT_SERVED_GRAMS => return Err(CarrierError::Refused("not_served".to_owned())),
            trigger::SILENT_GRAMS => return Err(CarrierError::NoAnswer("the simulator is silent".to_owned())),
            _ => {}
        }
        let tariff = self.tariff;
        let is_home = request.from == request.to;
        let (factor, (p10_micros, p90_micros)) =
            if is_home { (1, tariff.home_micros) } else { (tariff.abroad, tariff.abroad_micros) };
        let (mut minor, mut chargeable_grams) = (0_i64, 0_u64);
        for parcel in &request.parcels {
            let grams = parcel.chargeable_grams(tariff.rule);
            let fits = i64::try_from(grams).map_err(|error| CarrierError::Refused(error.to_string()))?;
            let by_weight = ratio(fits, tariff.kilogram_minor, GRAMS_PER_KG, Rounding::Up)
                .map_err(|error| CarrierError::Refused(error.to_string()))?;
            minor += factor * (tariff.parcel_minor + by_weight);
            chargeable_grams += grams;
        }
        let (service, price) = ("standard".to_owned(), Money::new(minor, request.currency));
        Ok(CarrierQuote { service, price, chargeable_grams, p10_micros, p90_micros })
    }

    fn made(&self, request: &LabelRequest) -> Result<LabelAnswer, CarrierError> {
        self.offer(&request.shipment)?;
        let waited_micros = self.clock.now().micros_since(request.requested_at);
        Ok(match fault_weight(&request.shipment) {
            trigger::REFUSED_GRAMS => LabelAnswer::Refused { reason: "address_unknown".to_owned() },
            trigger::LOST_ANSWER_GRAMS if waited_micros < trigger::LOST_FOR_MICROS => {
                return Err(CarrierError::NoAnswer("the simulator lost the answer".to_owned()));
            }
            trigger::DELAYED_GRAMS if waited_micros < trigger::DELAYED_FOR_MICROS => LabelAnswer::Pending,
            _ => LabelAnswer::Made { tracking_number: format!("{}_{}", self.tariff.name, request.idempotency_key) },
        })
    }

    fn given_up(&self, request: &VoidRequest) -> Result<VoidAnswer, CarrierError> {
        let waited_micros = self.clock.now().micros_since(request.requested_at);
        Ok(match fault_weight(&request.shipment) {
            trigger::NOT_VOIDED_GRAMS => VoidAnswer::Refused { reason: "already_collected".to_owned() },
            trigger::VOID_LOST_GRAMS if waited_micros < trigger::LOST_FOR_MICROS => {
                return Err(CarrierError::NoAnswer("the simulator lost the answer".to_owned()));
            }
            _ => VoidAnswer::Done,
        })
    }
}

fn fault_weight(request: &QuoteRequest) -> u32 {
    request.parcels.first().map_or(0, |parcel| parcel.weight_grams)
}

impl Carrier for SimulatedCarrier {
    fn name(&self) -> &str {
        self.tariff.name
    }

    fn quote<'a>(&'a self, request: &'a QuoteRequest) -> CarrierFuture<'a, CarrierQuote> {
        Box::pin(async { self.offer(request) })
    }

    fn label<'a>(&'a self, request: &'a LabelRequest) -> CarrierFuture<'a, LabelAnswer> {
        Box::pin(async { self.made(request) })
    }

    fn void<'a>(&'a self, request: &'a VoidRequest) -> CarrierFuture<'a, VoidAnswer> {
        Box::pin(async { self.given_up(request) })
    }
}
