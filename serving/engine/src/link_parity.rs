//! Features of links that fraud scores were served with, computed again from the log as of the offsets that they carry.

use dhow_commerce::DecisionRecord;
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{TenantId, Timestamp};
use dhow_links::{FEATURES, LinkIndex, LinkQuery, LinkSettings};
use dhow_offline::{DIFFERENCES_SHOWN_MAX, ParityDifference, ParityReport};
use dhow_store::Store;
use dhow_streams::{Log, Offsets, Replay};

use crate::EngineError;
use crate::cuts::links_cut;
use crate::error::failed;
use crate::monitor::fraud_decisions;

/// The part of the platform that errors name.
const PART: &str = "parity of links";

/// The features of links that one decision was made with.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedLinks {
    decision: String,
    query: LinkQuery,
    at: Timestamp,
    /// One for each of [`FEATURES`] that the decision has.
    values: Vec<(String, Option<f64>)>,
    applied: Offsets,
}

/// What the latest fraud decisions read of links, at most `last`.
///
/// # Errors
/// The database cannot be read, or holds a decision whose request is no checkout.
pub async fn served_links(
    store: &Store,
    tenant: TenantId,
    partition_count: u32,
    last: usize,
) -> Result<Vec<ServedLinks>, EngineError> {
    let records = fraud_decisions(store, tenant, None, last).await?;
    records.iter().map(|record| served(record, partition_count)).collect()
}

fn served(record: &DecisionRecord, partition_count: u32) -> Result<ServedLinks, EngineError> {
    let checkout: CheckoutSubmitted = serde_json::from_value(record.request.clone()).map_err(failed(PART))?;
    let of_links = record.features.iter().filter(|feature| FEATURES.contains(&feature.name.as_str()));
    Ok(ServedLinks {
        decision: record.id.to_string(),
        query: LinkQuery::checkout(record.tenant, &checkout),
        at: record.created_at,
        values: of_links.map(|feature| (feature.name.clone(), feature.value)).collect(),
        applied: links_cut(&record.applied_offsets, partition_count),
    })
}

/// Computes what was served again in one pass over the log, the earliest offsets first, and compares it bit for bit. The
/// index of the whole log is built for it, so that it takes the memory of a second one.
///
/// # Errors
/// The log cannot be read, or ends before an offset.
pub fn check_links(log: &dyn Log, settings: LinkSettings, served: &[ServedLinks]) -> Result<ParityReport, EngineError> {
    let mut report = ParityReport::default();
    let mut index = LinkIndex::new(settings);
    let mut applied = Offsets::start(log.partition_count());
    let mut in_order: Vec<&ServedLinks> = served.iter().collect();
    in_order.sort_by_key(|one| one.applied.record_count());
    for one in in_order {
        if one.values.len() != FEATURES.len() {
            report.other_definitions += 1;
            continue;
        }
        if one.applied.0.iter().zip(&applied.0).any(|(reach, applied)| reach < applied) {
            report.other_order += 1;
            continue;
        }
        for record in Replay::new(log, &applied, &one.applied).map_err(failed(PART))? {
            let record = record.map_err(failed(PART))?;
            index.apply(&record.event, record.known_time);
        }
        applied.clone_from(&one.applied);
        compare(&mut report, one, &index.features(&one.query, one.at).values());
    }
    Ok(report)
}

fn compare(report: &mut ParityReport, one: &ServedLinks, again: &[f64; FEATURES.len()]) {
    report.vectors += 1;
    for ((feature, served), again) in one.values.iter().zip(again) {
        report.values += 1;
        let recomputed = Some(*again).filter(|value| value.is_finite());
        if served.map(f64::to_bits) == recomputed.map(f64::to_bits) {
            continue;
        }
        report.difference_count += 1;
        if report.differences.len() < DIFFERENCES_SHOWN_MAX {
            let (decision, feature) = (one.decision.clone(), feature.clone());
            report.differences.push(ParityDifference { decision, feature, served: *served, recomputed });
        }
    }
}
