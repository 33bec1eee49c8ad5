//! How far a buyer or a seller can be trusted, as of now: the evidence is read from features and links; how it is weighed is `dhow_fraud`'s.

use dhow_events::{BuyerId, DAY_MICROS, SellerId, TenantId, Timestamp};
use dhow_fraud::{BuyerEvidence, SellerEvidence, TrustScore};
use dhow_links::{Account, LinkQuery, Ring};
use serde::Serialize;
use serde_json::Value as Json;

use crate::error::failed;
use crate::{Engine, EngineError, FeatureAsk};

/// A trust score and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustReading {
    /// The time that it is as of.
    pub at: Timestamp,
    /// The score with its parts, badges and flags.
    pub trust: TrustScore,
    /// The numbers that it was made of, by name; null where there is none.
    pub evidence: Json,
    /// With whom the account shares cards, devices, addresses or payout accounts, in words.
    pub links: String,
}

/// What features and links say of an account.
struct Known {
    at: Timestamp,
    /// In the order in which they were asked for.
    values: Vec<f64>,
    ring: Ring,
}

impl Engine {
    /// The trust score of a buyer.
    ///
    /// # Errors
    /// Nothing is known of such a buyer; feature definitions without what the score is made of.
    pub fn buyer_trust(&self, tenant: TenantId, buyer: BuyerId) -> Result<TrustReading, EngineError> {
        let key = ("buyer", buyer.to_string());
        let known = self.known(tenant, Account::Buyer(buyer), key, &BuyerEvidence::FEATURES)?;
        let mut evidence =
            BuyerEvidence::from_features(&names(&BuyerEvidence::FEATURES), &known.values).map_err(lacking)?;
        evidence.ring_score = known.ring.features.ring_score;
        known.reading(evidence.trust(), &evidence)
    }

    /// The trust score of a seller.
    ///
    /// # Errors
    /// Nothing is known of such a seller; feature definitions without what the score is made of.
    pub fn seller_trust(&self, tenant: TenantId, seller: SellerId) -> Result<TrustReading, EngineError> {
        let key = ("seller", seller.to_string());
        let known = self.known(tenant, Account::Seller(seller), key, &SellerEvidence::FEATURES)?;
        let mut evidence =
            SellerEvidence::from_features(&names(&SellerEvidence::FEATURES), &known.values).map_err(lacking)?;
        evidence.ring_score = known.ring.features.ring_score;
        let registered = known.ring.accounts.first().and_then(|asked| asked.registered);
        evidence.account_age_days =
            registered.map_or(f64::NAN, |opened| known.at.micros_since(opened) as f64 / DAY_MICROS as f64);
        known.reading(evidence.trust(), &evidence)
    }

    fn known(
        &self,
        tenant: TenantId,
        account: Account,
        (column, id): (&str, String),
        features: &[&str],
    ) -> Result<Known, EngineError> {
        let missing = || EngineError::NotFound(format!("{column} {id}, as far as events have told"));
        let entity = [(column.to_owned(), Json::from(id.clone()))].into();
        let ask = FeatureAsk { features: names(features), entities: vec![entity] };
        let table = self.feature_table(tenant, ask).map_err(|error| match error {
            EngineError::Invalid(_) => lacking(error),
            other => other,
        })?;
        let row = table.rows.into_iter().next().ok_or_else(missing)?;
        if row.event_times.iter().all(Option::is_none) && !self.knows_account(tenant, account) {
            return Err(missing());
        }
        let values = row.values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        Ok(Known { at: table.at, values, ring: self.ring(&LinkQuery::account(tenant, account)) })
    }
}

impl Known {
    fn reading(&self, trust: TrustScore, evidence: &impl Serialize) -> Result<TrustReading, EngineError> {
        let evidence = serde_json::to_value(evidence).map_err(failed("trust"))?;
        Ok(TrustReading { at: self.at, trust, evidence, links: self.ring.words() })
    }
}

fn names(features: &[&str]) -> Vec<String> {
    features.iter().map(|name| (*name).to_owned()).collect()
}

/// The definitions in force are the user's own and lack a feature.
fn lacking(problem: impl std::fmt::Display) -> EngineError {
    EngineError::Conflict(format!("trust scores are made of the marketplace's features: {problem}"))
}
