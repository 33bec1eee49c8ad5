//! Scores of payments, accounts and returns: each by the model of the kind of fraud that it may be; checkouts are scored in `fraud`.
//!
//! A question names a part of what a checkout names, so it is read as a checkout of which the model sees that part alone.

use dhow_commerce::{DecisionKind, FraudDecision};
use dhow_events::facts::{CheckoutSubmitted, RiskScored};
use dhow_events::{
    BuyerId, CardId, CheckoutId, DecisionId, DeviceId, Money, OrderId, PaymentId, Region, TenantId, Timestamp,
};
use dhow_fraud::{DEFAULT_REASONS, RiskKind};
use dhow_links::FEATURES;
use dhow_training::OpenKind;
use serde::Serialize;

use crate::cuts::applied_offsets;
use crate::decisions::Question;
use crate::error::{failed, unread};
use crate::fraud::{FraudDesk, action, band, codes, reasons};
use crate::{Answer, Engine, EngineError};

/// The region of a question that names none; no model sees it.
const NO_REGION: &str = "ZZ";

/// What is to be scored.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RiskQuestion {
    /// A payment by card that is about to be authorised: may it find out whether the card works?
    Payment {
        /// Who pays.
        buyer: BuyerId,
        /// The payment, where it has an id.
        payment: Option<PaymentId>,
        /// The card.
        card: CardId,
        /// The device used.
        device: Option<DeviceId>,
        /// Where the device is.
        region: Region,
        /// How much.
        amount: Money,
        /// The same in US cents.
        amount_usd_minor: i64,
    },
    /// An account that somebody uses: may it be somebody else than its owner?
    Account {
        /// Whose account.
        buyer: BuyerId,
        /// The device used.
        device: Option<DeviceId>,
        /// Where the device is.
        region: Region,
    },
    /// An order that is to be returned: may it have been made for that?
    Return {
        /// Who returns it.
        buyer: BuyerId,
        /// The order, where it has an id.
        order: Option<OrderId>,
        /// What the order was worth.
        amount: Money,
        /// The same in US cents.
        amount_usd_minor: i64,
    },
}

impl RiskQuestion {
    /// The kind of fraud that it is scored for.
    pub const fn risk(&self) -> RiskKind {
        match self {
            Self::Payment { .. } => RiskKind::CardTesting,
            Self::Account { .. } => RiskKind::AccountTakeover,
            Self::Return { .. } => RiskKind::ReturnAbuse,
        }
    }

    /// A checkout that has what the question names; what it does not name stands there as a placeholder and is hidden from the model.
    ///
    /// # Errors
    /// None in practice: the placeholder of a region is one.
    pub fn as_checkout(&self) -> Result<CheckoutSubmitted, EngineError> {
        let nowhere = Region::new(NO_REGION).map_err(failed("risk"))?;
        let named = |buyer: BuyerId, region: Region, (total, total_usd_minor): (Money, i64)| CheckoutSubmitted {
            buyer,
            checkout: CheckoutId::from_u128(0),
            session: None,
            device: None,
            card: None,
            address: None,
            region,
            delivery_region: region,
            payment_method: String::new(),
            line_count: 1,
            quantity: 1,
            total,
            total_usd_minor,
        };
        Ok(match *self {
            Self::Payment { buyer, card, device, region, amount, amount_usd_minor, .. } => {
                CheckoutSubmitted { card: Some(card), device, ..named(buyer, region, (amount, amount_usd_minor)) }
            }
            Self::Account { buyer, device, region } => {
                CheckoutSubmitted { device, ..named(buyer, region, (Money::usd(0), 0)) }
            }
            Self::Return { buyer, amount, amount_usd_minor, .. } => named(buyer, nowhere, (amount, amount_usd_minor)),
        })
    }

    /// The fields of a request that the question has, as lists know them.
    const fn named_fields(&self) -> &'static [&'static str] {
        match self {
            Self::Payment { .. } => &[
                "amount_usd_minor",
                "amount_minor",
                "currency",
                "region",
                "country",
                "hour",
                "buyer",
                "card",
                "device",
            ],
            Self::Account { .. } => &["region", "country", "hour", "buyer", "device"],
            Self::Return { .. } => &["amount_usd_minor", "amount_minor", "currency", "hour", "buyer"],
        }
    }

    /// What is at stake in US cents, where it is named.
    const fn stake_usd_minor(&self) -> Option<i64> {
        match self {
            Self::Payment { amount_usd_minor, .. } | Self::Return { amount_usd_minor, .. } => Some(*amount_usd_minor),
            Self::Account { .. } => None,
        }
    }

    /// The id of the payment or the order, where it has one; otherwise the buyer's.
    fn subject(&self) -> String {
        match self {
            Self::Payment { payment: Some(payment), .. } => payment.to_string(),
            Self::Return { order: Some(order), .. } => order.to_string(),
            Self::Payment { buyer, .. } | Self::Account { buyer, .. } | Self::Return { buyer, .. } => buyer.to_string(),
        }
    }
}

impl FraudDesk {
    fn score_risk(
        &self,
        tenant: TenantId,
        (question, checkout): (&RiskQuestion, &CheckoutSubmitted),
        now: Timestamp,
    ) -> Result<FraudDecision, EngineError> {
        let begin = self.shared.stopwatch.now();
        let models = self.shared.champions.of(tenant);
        let champion = models.fraud.as_ref().ok_or(EngineError::NoModel { task: "fraud" })?;
        let kind = question.risk();
        let unscored = |reason: &str| EngineError::KindNotScored { kind: kind.words(), reason: reason.to_owned() };
        let OpenKind { model, bands, bands_version } = champion.model.kinds.of(kind).map_err(unscored)?;
        if model.feature_names() != self.vector.names() {
            return Err(unscored("it reads other features than the definitions in force"));
        }
        let read = self.read(tenant, checkout, now).map_err(unread)?;
        let mut values = self.vector.values(&read.values, now, &[f64::NAN; FEATURES.len()]);
        let score = model.score(&mut values, DEFAULT_REASONS).map_err(failed("fraud model"))?;
        let stake_usd_minor = question.stake_usd_minor().unwrap_or(bands.stake_usd_minor);
        let judged = (score.probability, band(bands.thresholds.decide(&score, stake_usd_minor)));
        let named = (checkout, question.named_fields());
        let (rules, set) = self.rules.judge_by_lists(tenant, named, now, &values, judged)?;
        Ok(FraudDecision {
            probability: score.probability,
            action: action(rules.outcome.action),
            reasons: reasons(&set, &rules.outcome, &score),
            thresholds: Some(bands_version.clone()),
            rules: Some(rules),
            shadows: Vec::new(),
            model: champion.label.to_string(),
            features: self.named(&values),
            applied_offsets: applied_offsets(&read.as_of),
            degraded: false,
            latency_us: self.shared.stopwatch.now().micros_since(begin),
        })
    }
}

impl Engine {
    /// Scores a payment, an account or a return. The decision is recorded before this returns; it opens no case.
    ///
    /// # Errors
    /// No model in force, or none of this kind of fraud; the record could not be written: then there is no answer.
    pub async fn score_risk(
        &self,
        tenant: TenantId,
        asked: RiskQuestion,
    ) -> Result<Answer<FraudDecision>, EngineError> {
        let now = self.clock().now();
        let decision = DecisionId::at(now, self.random());
        let checkout = asked.as_checkout()?;
        let scored = self.fraud_desk().score_risk(tenant, (&asked, &checkout), now)?;
        let mut answer = scored.answer();
        answer["risk"] = asked.risk().word().into();
        let question = Question {
            tenant,
            kind: DecisionKind::Risk,
            subject: asked.subject(),
            request: serde_json::to_value(&asked).map_err(failed("decision record"))?,
            answer,
            at: now,
        };
        let fact = RiskScored {
            buyer: checkout.buyer,
            decision,
            subject: asked.risk().subject().to_owned(),
            model: scored.model.clone(),
            probability: scored.probability,
            action: scored.action.to_string(),
            reasons: codes(&scored.reasons),
        };
        self.record_scored(question, decision, scored, fact.into()).await
    }
}
