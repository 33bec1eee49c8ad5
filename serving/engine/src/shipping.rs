//! Carriers that the settings name, and their offers with what the delivery-time model promises; shipments themselves are commerce's.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_commerce::{Carriers, DeliveryPlace, country_of};
use dhow_delivery::{Parcel as DeliveryParcel, Stage};
use dhow_events::{CarrierId, Clock, Currency, MINUTE_MICROS, Region, SellerId, TenantId};
use dhow_shipping::{Carrier, ModelPromise, Parcel, QuoteRequest, Shopped, SimulatedCarrier, check_parcels, shop};
use futures::future::join_all;

use crate::{DeliveryAsk, Engine, EngineError};

/// A carrier of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierSettings {
    /// `simulated_post` or `simulated_express`.
    pub name: String,
    /// What its messages are signed with; without it none are taken.
    pub secret: Option<Vec<u8>>,
}

impl CarrierSettings {
    /// The two carriers that are simulated in the process, whose messages nobody signs.
    pub fn simulated() -> Vec<Self> {
        ["simulated_post", "simulated_express"].map(|name| Self { name: name.to_owned(), secret: None }).to_vec()
    }
}

/// A question for offers.
#[derive(Debug, Clone, PartialEq)]
pub struct ShippingAsk {
    /// From where.
    pub from: Region,
    /// To where.
    pub to: Region,
    /// The parcels.
    pub parcels: Vec<Parcel>,
    /// What prices are to be in.
    pub currency: Currency,
    /// Who sends and to which place, where the model is to be asked for its promise.
    pub sent: Option<(SellerId, DeliveryPlace)>,
}

/// The carriers of the settings.
///
/// # Errors
/// A name that is no carrier's, or stands twice.
pub(crate) fn carriers(settings: &[CarrierSettings], clock: &Arc<dyn Clock>) -> Result<Carriers, EngineError> {
    let mut carriers = Carriers::default();
    for CarrierSettings { name, secret } in settings {
        let carrier: Arc<dyn Carrier> = match name.as_str() {
            "simulated_post" => Arc::new(SimulatedCarrier::post(clock.clone())),
            "simulated_express" => Arc::new(SimulatedCarrier::express(clock.clone())),
            _ => {
                let reason = format!("`{name}` is no carrier; there are simulated_post and simulated_express");
                return Err(EngineError::Failed { part: "shipping", reason });
            }
        };
        carriers.add(carrier, secret.as_deref())?;
    }
    Ok(carriers)
}

impl Engine {
    /// What every carrier asks and promises, cheapest first. The promise is the model's where one is in force and the seller
    /// and the place are told, else the carrier's own; each answer of the model is recorded as a decision.
    ///
    /// # Errors
    /// Parcels that cannot be, a place out of its range; the model's decision cannot be written.
    pub async fn shipping_quotes(&self, tenant: TenantId, ask: &ShippingAsk) -> Result<Shopped, EngineError> {
        check_parcels(&ask.parcels)
            .map_err(|error| dhow_commerce::CommerceError::invalid("/parcels", error.to_string()))?;
        let request = QuoteRequest {
            from: country_of(ask.from),
            to: country_of(ask.to),
            parcels: ask.parcels.clone(),
            currency: ask.currency,
        };
        let carriers = self.commerce().carriers();
        let answers = carriers.all().map(|carrier| async {
            let answer = carrier.quote(&request).await;
            (carrier.name().to_owned(), answer)
        });
        let answers = join_all(answers).await;
        let mut promises: BTreeMap<String, ModelPromise> = BTreeMap::new();
        for (name, _) in answers.iter().filter(|(_, answer)| answer.is_ok()) {
            if let Some(promise) = self.model_promise(tenant, ask, name).await? {
                promises.insert(name.clone(), promise);
            }
        }
        Ok(shop(&request, answers, |carrier, _| promises.get(carrier).copied(), self.clock().now()))
    }

    /// How long the model says that a carrier takes from now; nothing where no model is in force, or too little is told.
    async fn model_promise(
        &self,
        tenant: TenantId,
        ask: &ShippingAsk,
        carrier: &str,
    ) -> Result<Option<ModelPromise>, EngineError> {
        let Some((seller, place)) = ask.sent else { return Ok(None) };
        let parcel = DeliveryParcel {
            seller,
            carrier: Some(CarrierId::from_reference(&tenant, carrier)),
            origin: ask.from,
            destination: ask.to,
            latitude: place.latitude,
            longitude: place.longitude,
            weight_grams: ask.parcels.iter().map(|parcel| i64::from(parcel.weight_grams)).sum(),
            at: self.clock().now(),
        };
        let ask = DeliveryAsk { stage: Stage::Dispatched, parcel, order: None, shipment: None, costs: None };
        let minutes = match self.delivery_time(tenant, &ask).await {
            Ok(answer) => answer.value.minutes,
            Err(EngineError::NoModel { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let micros = |minutes: f64| (minutes * MINUTE_MICROS as f64) as i64;
        Ok(Some(ModelPromise { p10_micros: micros(minutes[0]), p90_micros: micros(minutes[minutes.len() - 1]) }))
    }
}
