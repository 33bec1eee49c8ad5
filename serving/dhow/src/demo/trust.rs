//! Trust scores at the end of the demo beside the truth: of buyers by what they did, and of sellers; it asks and counts.

use std::collections::BTreeMap;

use dhow_datasets::Truth;
use dhow_datasets::simulator::CheckoutKind;
use dhow_engine::{Engine, EngineError, TrustReading};
use dhow_events::{BuyerId, CheckoutId, SellerId, TenantId};
use dhow_offline::{Lake, QueryBounds, SqlSession, ids};
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::failure::Failure;

/// Accounts of each kind that are asked about, at most.
const ACCOUNTS_MAX: usize = 1_000;

/// The trust scores of some accounts.
#[derive(Debug, Clone, Serialize)]
pub struct TrustFigures {
    /// Whose.
    pub accounts_of: String,
    /// How many.
    pub accounts: u64,
    /// The median score, 0 to 100.
    pub median_score: f64,
    /// The share of them with a risk flag.
    pub flagged_share: f64,
}

impl TrustFigures {
    fn of(accounts_of: String, readings: &[TrustReading]) -> Option<Self> {
        let mut scores: Vec<f64> = readings.iter().map(|reading| reading.trust.score).collect();
        scores.sort_by(f64::total_cmp);
        let flagged = readings.iter().filter(|reading| !reading.trust.flags.is_empty()).count();
        Some(Self {
            accounts_of,
            accounts: readings.len() as u64,
            median_score: *scores.get(scores.len() / 2)?,
            flagged_share: flagged as f64 / readings.len() as f64,
        })
    }
}

/// Asks for the scores of buyers by the worst that they did, as the truth knows it, and of sellers.
///
/// # Errors
/// The lake or the features cannot be read.
pub async fn ask(engine: &Engine, tenant: TenantId, truth: &Truth) -> Result<Vec<TrustFigures>, Failure> {
    let session = SqlSession::open(&Lake::open(engine.lake().clone())?, &tenant, QueryBounds::default())?;
    let kinds: FxHashMap<CheckoutId, CheckoutKind> =
        truth.checkouts.iter().map(|checkout| (checkout.checkout, checkout.kind)).collect();
    let batches = session.query("SELECT buyer, checkout FROM checkout_submitted").await?;
    let (buyers, checkouts) = (ids(&batches, "buyer", BuyerId::KIND)?, ids(&batches, "checkout", CheckoutId::KIND)?);
    let mut kind_of: BTreeMap<BuyerId, CheckoutKind> = BTreeMap::new();
    for (buyer, checkout) in buyers.into_iter().flatten().zip(checkouts.into_iter().flatten()) {
        let Some(kind) = kinds.get(&CheckoutId::from_u128(checkout)) else { continue };
        let worst = kind_of.entry(BuyerId::from_u128(buyer)).or_insert(*kind);
        *worst = (*worst).max(*kind);
    }
    let honest = [(CheckoutKind::Honest, 0.0)];
    let mut figures = Vec::new();
    for (kind, _) in honest.into_iter().chain(CheckoutKind::FRAUD_SHARES) {
        let of_kind: Vec<BuyerId> =
            kind_of.iter().filter(|(_, known)| **known == kind).map(|(buyer, _)| *buyer).collect();
        let readings = readings(&of_kind, |buyer| engine.buyer_trust(tenant, *buyer))?;
        figures.extend(TrustFigures::of(format!("buyers: {}", kind.word().replace('_', " ")), &readings));
    }
    let batches = session.query("SELECT DISTINCT seller FROM seller_registered").await?;
    let mut sellers: Vec<SellerId> =
        ids(&batches, "seller", SellerId::KIND)?.into_iter().flatten().map(SellerId::from_u128).collect();
    sellers.sort_unstable();
    let readings = readings(&sellers, |seller| engine.seller_trust(tenant, *seller))?;
    figures.extend(TrustFigures::of("sellers".to_owned(), &readings));
    Ok(figures)
}

/// The scores of some of the accounts, spread evenly; one that is no longer kept has none.
fn readings<Id>(
    accounts: &[Id],
    ask: impl Fn(&Id) -> Result<TrustReading, EngineError>,
) -> Result<Vec<TrustReading>, Failure> {
    let step = accounts.len().div_ceil(ACCOUNTS_MAX).max(1);
    let mut readings = Vec::new();
    for account in accounts.iter().step_by(step) {
        match ask(account) {
            Ok(reading) => readings.push(reading),
            Err(EngineError::NotFound(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(readings)
}
