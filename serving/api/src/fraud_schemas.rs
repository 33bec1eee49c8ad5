//! The shapes of the fraud desk for the OpenAPI document: cases, health, rules and lists, beside those of commerce's other records.

#![expect(dead_code, reason = "these types describe what other crates serialise; nothing constructs them")]

use serde_json::Value as Json;
use utoipa::ToSchema;

/// A person's verdict on a case.
#[derive(ToSchema)]
pub(crate) struct GivenVerdict {
    /// `approve` or `decline`.
    verdict: String,
    /// `fraud` or `genuine`.
    label: String,
    /// Which kind of fraud, where the reviewer could tell.
    #[schema(required)]
    kind: Option<String>,
    reviewer: String,
    at: String,
}

/// A line of a case's history.
#[derive(ToSchema)]
pub(crate) struct CaseLine {
    at: String,
    /// `opened`, `claimed`, `released`, `noted`, `first_verdict` or `decided`.
    step: String,
    /// Null where the platform did it.
    #[schema(required)]
    reviewer: Option<String>,
    note: String,
}

/// A fraud decision that a person looks at.
#[derive(ToSchema)]
pub(crate) struct FraudCase {
    tenant: String,
    /// The decision that opened it, and its own id.
    decision: String,
    checkout: String,
    buyer: String,
    #[schema(required)]
    card: Option<String>,
    #[schema(required)]
    device: Option<String>,
    #[schema(required)]
    address: Option<String>,
    amount_usd_minor: i64,
    #[schema(minimum = 0, maximum = 1)]
    probability: f64,
    /// Probability times amount.
    expected_loss_usd_minor: i64,
    /// `review` or `step_up`.
    action: String,
    /// `open`, `claimed` or `decided`.
    state: String,
    #[schema(required)]
    claimed_by: Option<String>,
    #[schema(required)]
    claimed_until: Option<String>,
    /// When the payment rail is taken to give the amount free.
    authorisation_expires_at: String,
    #[schema(required)]
    verdict: Option<GivenVerdict>,
    /// Where two people were needed; the final one.
    #[schema(required)]
    second_verdict: Option<GivenVerdict>,
    /// Oldest first.
    history: Vec<CaseLine>,
    created_at: String,
    updated_at: String,
}

/// A page of cases, newest first.
#[derive(ToSchema)]
pub(crate) struct FraudCasePage {
    items: Vec<FraudCase>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// How good probabilities of fraud were, now that it is known.
#[derive(ToSchema)]
pub(crate) struct ScoreQuality {
    /// Frauds that the probabilities announced: their sum.
    expected_frauds: f64,
    /// The mean squared difference from what happened; smaller is better.
    brier: f64,
    /// Null where all were frauds or none.
    #[schema(required)]
    average_precision: Option<f64>,
    /// Over groups of equal size; null where all were frauds or none.
    #[schema(required)]
    calibration_error: Option<f64>,
}

/// How far scores have moved from those of the training data.
#[derive(ToSchema)]
pub(crate) struct ScoreShift {
    reference_count: u64,
    sample_count: u64,
    /// The population stability index.
    psi: f64,
    /// What it must reach to count at these sizes.
    psi_threshold: f64,
    /// The Kolmogorov-Smirnov distance.
    distance: f64,
    distance_threshold: f64,
    /// Whether one of the two reached its threshold.
    has_drifted: bool,
}

/// One week of fraud decisions.
#[derive(ToSchema)]
pub(crate) struct FraudWeek {
    /// Its Monday, midnight UTC.
    begins_at: String,
    decisions: u64,
    /// Those that asked for a review or more proof, or declined.
    alerts: u64,
    declines: u64,
    /// Decisions with a label, mature or not.
    labelled: u64,
    /// From decision to first label: the median.
    #[schema(required)]
    label_delay_hours_p50: Option<f64>,
    /// From decision to first label: reached by one in ten.
    #[schema(required)]
    label_delay_hours_p90: Option<f64>,
    /// Decisions of at least 14 days ago: one that nobody labelled counts as genuine, unless it was declined.
    mature: u64,
    /// Frauds among them.
    frauds: u64,
    /// Of the scores that decided; null before any decision is mature.
    #[schema(required)]
    quality: Option<ScoreQuality>,
    /// Of the present champion's scores; null where it decided nothing.
    #[schema(required)]
    score_shift: Option<ScoreShift>,
}

/// A model that looked on, beside the scores that decided, on the same mature decisions.
#[derive(ToSchema)]
pub(crate) struct FraudContest {
    /// `challenger` or `shadow`.
    alias: String,
    model: String,
    mature: u64,
    frauds: u64,
    challenger: ScoreQuality,
    champion: ScoreQuality,
}

/// How the fraud desk has fared.
#[derive(ToSchema)]
pub(crate) struct FraudHealth {
    /// The champion.
    #[schema(required)]
    model: Option<String>,
    /// Models that look on.
    shadows: Vec<String>,
    /// Models that should look on and cannot, with the reason.
    shadow_failures: Vec<String>,
    /// Whether there were more decisions than the 200,000 that are read: then the oldest weeks are incomplete.
    truncated: bool,
    /// Oldest first; the last one is not over.
    weeks: Vec<FraudWeek>,
    contests: Vec<FraudContest>,
}

/// A rule.
#[derive(ToSchema)]
pub(crate) struct FraudRule {
    /// Unique within the set; at most 47 plain characters.
    #[schema(example = "new_card_large_amount")]
    id: String,
    /// For people; 1 to 200 bytes.
    name: String,
    /// The condition in CEL, over `score`, `features.<name>`, `request.<name>` and `lists.blocked_<kind>s`.
    #[schema(example = "request.amount_usd_minor > 50000 && score > 0.2")]
    when: String,
    /// `{"do": "decide", "action": …}`, `{"do": "floor", "action": …}` or `{"do": "add_reason", "code": …}`; an action is
    /// `approve`, `review`, `step_up` or `decline`.
    #[schema(value_type = Object)]
    then: Json,
    /// Lower comes first.
    priority: i32,
    /// `draft`, `shadow`, `live` or `retired`.
    state: String,
}

/// A line of the log of published rules.
#[derive(ToSchema)]
pub(crate) struct RuleLogLine {
    at: String,
    author: String,
    /// The version in force from then on.
    version: String,
    /// The one before.
    #[schema(required)]
    replaced: Option<String>,
    /// `{"event": "published", …}` with its backtest, or `{"event": "rolled_back", "reason": …}`.
    #[schema(value_type = Object)]
    event: Json,
}

/// Who took a key off a list, and when.
#[derive(ToSchema)]
pub(crate) struct ListRemoval {
    at: String,
    author: String,
}

/// An entry of a block or allow list.
#[derive(ToSchema)]
pub(crate) struct ListEntry {
    kind: String,
    /// `block` or `allow`.
    effect: String,
    value: String,
    reason: String,
    note: String,
    author: String,
    created: String,
    #[schema(required)]
    expires: Option<String>,
    #[schema(required)]
    removed: Option<ListRemoval>,
}
