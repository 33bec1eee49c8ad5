//! Watches the features that fraud scores were served with: parity with the log, drift, expectations; it changes nothing.
//!
//! A round looks at the decisions since the round before. Their vectors are computed again from the log as of the offsets
//! that they carry, and must come out bit for bit; events known but not applied then are counted as staleness. Once
//! enough vectors of one model are together they are compared with those that it learned from, and with what was agreed
//! of the columns. Findings are in [`Status`](crate::Status), in the metrics and in the server's log. Now and
//! then it has the models' calibration judged.

use std::time::Duration;

use dhow_commerce::{DecisionFilter, DecisionKind, DecisionRecord, PAGE_LIMIT_MAX, PageRequest, Storage};
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{DecisionId, TenantId, Timestamp};
use dhow_offline::{ParityReport, ServedVector, check_parity};
use dhow_quality::{Column, Drift, DriftSettings, Expectations, Violation, drift};
use dhow_store::Store;
use dhow_training::{FraudVector, Reference};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use tokio::sync::watch;

use crate::calibration::CALIBRATION_PAUSE;
use crate::cuts::cuts_of;
use crate::error::failed;
use crate::priority::beside_requests;
use crate::tasks::stopped;
use crate::{Engine, EngineError, ModelCalibration};

/// A round may take one part in so many of the time: reading a long log again must not slow the requests.
const SHARE_OF_TIME: u32 = 20;
/// How often a quiet comparison of a whole window may raise an alarm.
const FALSE_ALARM_RATE: f64 = 0.01;
/// PSI and the distance each test a feature.
const MEASURES: f64 = 2.0;

/// How the monitor works.
#[derive(Debug, Clone)]
pub struct MonitorSettings {
    /// From one round to the next, at least.
    pub pause: Duration,
    /// The most vectors that a round looks at: the newest.
    pub vectors_max: usize,
    /// Vectors that are compared with the reference at once.
    pub window_vectors: usize,
    /// What was agreed of the served columns.
    pub expectations: Option<Expectations>,
}

impl Default for MonitorSettings {
    /// A round each minute, of 1,000 vectors; windows of 500; no expectations.
    fn default() -> Self {
        Self { pause: Duration::from_secs(60), vectors_max: 1_000, window_vectors: 500, expectations: None }
    }
}

/// A feature whose distribution is not that which the model learned from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftedFeature {
    /// Its name.
    pub feature: String,
    /// How far it moved.
    #[serde(flatten)]
    pub drift: Drift,
}

/// The last window that was compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftCheck {
    /// The model whose training data is the reference.
    pub model: String,
    /// When it was compared.
    pub at: Timestamp,
    /// Vectors of the window.
    pub vectors: usize,
    /// The largest population stability index of a feature, drifted or not.
    pub psi_max: f64,
    /// The largest distance of a feature's distribution functions, drifted or not; 0 to 1.
    pub distance_max: f64,
    /// What has drifted.
    pub drifted: Vec<DriftedFeature>,
    /// Expectations that the window breaks.
    pub violations: Vec<Violation>,
}

/// What the monitor has found since the start, for one tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FeatureHealth {
    /// When the last round ended.
    pub checked_at: Option<Timestamp>,
    /// Parity over all rounds.
    pub parity: ParityReport,
    /// The last window.
    pub drift: Option<DriftCheck>,
    /// Why the last round failed, if it did.
    pub failure: Option<String>,
}

/// Vectors that wait for their window to fill.
#[derive(Default)]
struct Window {
    model: String,
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

#[derive(Default)]
struct Watched {
    seen_until: Option<Timestamp>,
    window: Window,
    health: FeatureHealth,
    calibration: Vec<ModelCalibration>,
}

/// What the monitor keeps between rounds, by tenant.
#[derive(Default)]
pub(crate) struct Monitor(Mutex<FxHashMap<TenantId, Watched>>);

impl Monitor {
    /// What was found of the tenant's features.
    pub(crate) fn health(&self, tenant: TenantId) -> FeatureHealth {
        self.0.lock().get(&tenant).map(|watched| watched.health.clone()).unwrap_or_default()
    }

    /// How the tenant's fraud models were judged last.
    pub(crate) fn calibration(&self, tenant: TenantId) -> Vec<ModelCalibration> {
        self.0.lock().get(&tenant).map(|watched| watched.calibration.clone()).unwrap_or_default()
    }

    /// Keeps a judgement until the next.
    pub(crate) fn set_calibration(&self, tenant: TenantId, judged: Vec<ModelCalibration>) {
        self.0.lock().entry(tenant).or_default().calibration = judged;
    }

    /// Puts vectors, the newest first, into the tenant's window and gives the windows that are full now.
    fn take_in(&self, tenant: TenantId, records: &[DecisionRecord], window_vectors: usize) -> Vec<Window> {
        let mut all = self.0.lock();
        let watched = all.entry(tenant).or_default();
        watched.seen_until = records.iter().map(|record| record.created_at).max().or(watched.seen_until);
        let mut full = Vec::new();
        // The oldest first, as they were served.
        for record in records.iter().rev() {
            watched.window.push(record);
            if watched.window.rows.len() >= window_vectors {
                full.push(std::mem::take(&mut watched.window));
            }
        }
        full
    }
}

impl Engine {
    /// Runs rounds until `stop` turns true.
    pub(crate) async fn watch_features(&self, mut stop: watch::Receiver<bool>) {
        let mut judged_at = None;
        while !*stop.borrow() {
            let begin = self.stopwatch().now();
            let pause_us = CALIBRATION_PAUSE.as_micros() as i64;
            let judge = judged_at.is_none_or(|last| begin.micros_since(last) >= pause_us);
            if judge {
                judged_at = Some(begin);
            }
            for tenant in self.tenants() {
                let mut watched = self.watch_tenant(*tenant).await;
                if judge && watched.is_ok() {
                    watched = self.judge_calibration(*tenant).await;
                }
                if let Err(error) = watched {
                    tracing::error!(%error, %tenant, "the features could not be checked");
                    self.monitor().0.lock().entry(*tenant).or_default().health.failure = Some(error.to_string());
                }
            }
            let took = Duration::from_micros(self.stopwatch().now().micros_since(begin).unsigned_abs());
            tokio::select! {
                () = tokio::time::sleep(self.monitor_settings().pause.max(took * SHARE_OF_TIME)) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    /// One round over the tenant's decisions.
    ///
    /// # Errors
    /// The database or the log cannot be read.
    pub async fn watch_tenant(&self, tenant: TenantId) -> Result<(), EngineError> {
        let since = self.monitor().0.lock().entry(tenant).or_default().seen_until;
        let records = fraud_decisions(self.store(), tenant, since, self.monitor_settings().vectors_max).await?;
        let parity = self.recompute(tenant, &records).await?;
        let now = self.clock().now();
        let full = self.monitor().take_in(tenant, &records, self.monitor_settings().window_vectors);
        // Compared outside the lock: whoever asks how the features are does not wait for it.
        let mut drift = None;
        for window in full {
            if let Some(reference) = self.reference(tenant, &window.model) {
                drift = Some(self.compare(window, &reference, now)?);
            }
        }
        let mut all = self.monitor().0.lock();
        let health = &mut all.entry(tenant).or_default().health;
        health.parity.add(parity);
        health.drift = drift.or(health.drift.take());
        health.checked_at = Some(now);
        health.failure = None;
        Ok(())
    }

    async fn recompute(&self, tenant: TenantId, records: &[DecisionRecord]) -> Result<ParityReport, EngineError> {
        if records.is_empty() {
            return Ok(ParityReport::default());
        }
        let served = records.iter().map(served_vector).collect::<Result<Vec<_>, _>>()?;
        let (log, features, online) = (self.shared_log(), self.features().clone(), *self.online_settings());
        let plan = self.fraud_desk().vector.plan().clone();
        let check = move || check_parity(&*log, features, online, &plan, tenant, &served);
        let report = beside_requests(check).await.map_err(failed("parity"))?.map_err(failed("parity"))?;
        for difference in &report.differences {
            tracing::error!(
                decision = %difference.decision, feature = %difference.feature,
                served = ?difference.served, recomputed = ?difference.recomputed,
                "a served feature is not what the log gives"
            );
        }
        Ok(report)
    }

    /// What the champion called `model` learned from; nothing where another is in force by now.
    fn reference(&self, tenant: TenantId, model: &str) -> Option<Reference> {
        let champion = self.champions().of(tenant).fraud.clone()?;
        (&*champion.label == model).then(|| champion.model.reference.clone())
    }

    fn compare(&self, window: Window, reference: &Reference, at: Timestamp) -> Result<DriftCheck, EngineError> {
        let rate = FALSE_ALARM_RATE / (MEASURES * window.names.len().max(1) as f64);
        let settings = DriftSettings { false_alarm_rate: rate, ..DriftSettings::default() };
        let (mut drifted, mut psi_max, mut distance_max) = (Vec::new(), 0.0_f64, 0.0_f64);
        for (index, feature) in window.names.iter().enumerate() {
            let found = drift(&reference.column(index), &window.column(index), &settings).map_err(failed("drift"))?;
            (psi_max, distance_max) = (psi_max.max(found.psi), distance_max.max(found.distance));
            if found.has_drifted {
                tracing::warn!(%feature, psi = found.psi, distance = found.distance, "a feature has drifted");
                drifted.push(DriftedFeature { feature: feature.clone(), drift: found });
            }
        }
        let column = |name: &str| {
            window.names.iter().position(|known| known == name).map(|index| profile(&window.column(index)))
        };
        let expectations = self.monitor_settings().expectations.as_ref();
        let violations = expectations.map(|agreed| agreed.check(column)).unwrap_or_default();
        for violation in &violations {
            tracing::warn!(%violation, "an expectation of the features is broken");
        }
        let vectors = window.rows.len();
        Ok(DriftCheck { model: window.model, at, vectors, psi_max, distance_max, drifted, violations })
    }
}

impl Window {
    /// Adds a vector; one of another model begins a new window.
    fn push(&mut self, record: &DecisionRecord) {
        let names = || record.features.iter().map(|feature| &feature.name);
        if self.model != record.model || !self.names.iter().eq(names()) {
            *self = Self { model: record.model.clone(), names: names().cloned().collect(), rows: Vec::new() };
        }
        self.rows.push(record.features.iter().map(|feature| feature.value.unwrap_or(f64::NAN)).collect());
    }

    fn column(&self, index: usize) -> Vec<f64> {
        self.rows.iter().map(|row| row[index]).collect()
    }
}

fn profile(values: &[f64]) -> Column {
    let there: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let distinct: FxHashSet<u64> = there.iter().map(|value| value.to_bits()).collect();
    Column {
        rows: values.len() as u64,
        missing: (values.len() - there.len()) as u64,
        min: there.iter().copied().reduce(f64::min),
        max: there.iter().copied().reduce(f64::max),
        distinct: distinct.len() as u64,
        age_hours: None,
    }
}

/// The vectors of the latest fraud decisions, at most `last`, the newest first.
///
/// # Errors
/// The database cannot be read, or holds a decision whose request is no checkout.
pub async fn served_vectors(store: &Store, tenant: TenantId, last: usize) -> Result<Vec<ServedVector>, EngineError> {
    let records = fraud_decisions(store, tenant, None, last).await?;
    records.iter().map(served_vector).collect()
}

/// The latest fraud decisions made after `since`, at most `last`, the newest first.
pub(crate) async fn fraud_decisions(
    store: &Store,
    tenant: TenantId,
    since: Option<Timestamp>,
    last: usize,
) -> Result<Vec<DecisionRecord>, EngineError> {
    let filter = DecisionFilter { kind: Some(DecisionKind::Fraud), outcome: None };
    let (mut records, mut cursor) = (Vec::new(), None::<String>);
    while records.len() < last {
        let page = PageRequest::new(PAGE_LIMIT_MAX, cursor.as_deref(), DecisionId::KIND.prefix)
            .map_err(failed("decisions"))?;
        let page = store.decisions(tenant, &filter, &page).await.map_err(failed("decisions"))?;
        let found = page.items.len();
        let new = page.items.into_iter().take_while(|record| since.is_none_or(|since| record.created_at > since));
        let before = records.len();
        records.extend(new);
        match page.next {
            Some(next) if records.len() - before == found => cursor = Some(next),
            _ => break,
        }
    }
    records.truncate(last);
    Ok(records)
}

/// The part of the feature definitions, from which the derived part follows; that of the links is in `link_parity`.
fn served_vector(record: &DecisionRecord) -> Result<ServedVector, EngineError> {
    let fact: CheckoutSubmitted = serde_json::from_value(record.request.clone()).map_err(failed("decision record"))?;
    let of_definitions = record.features.iter().filter(|feature| FraudVector::is_planned(&feature.name));
    Ok(ServedVector {
        decision: record.id.to_string(),
        fact: fact.into(),
        at: record.created_at,
        values: of_definitions.map(|feature| (feature.name.clone(), feature.value)).collect(),
        cuts: cuts_of(&record.applied_offsets).map_err(failed("decision record"))?,
    })
}
