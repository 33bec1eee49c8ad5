//! What a fraud model sees of a checkout: the planned features, what follows from them, and those of its links, online and point in time; no label.

use std::collections::BTreeSet;

use dhow_definitions::{DefinitionError, FeatureSet, VectorPlan};
use dhow_events::{Event, Fact, FactKind, Timestamp};
use dhow_fraud::{DERIVED_FEATURES, DERIVED_WORDS, Derived, ReasonBook, RiskKind};
use dhow_links::{FEATURE_WORDS, FEATURES, LinkQuery, LinkSettings, PastLinks};
use dhow_offline::OfflineError;
use dhow_streams::{Log, Offsets, Replay};

/// The vector of a checkout: the columns of the feature definitions, then what is derived from them, where the definitions
/// have all that it follows from, then those of the links.
#[derive(Debug, Clone)]
pub struct FraudVector {
    plan: VectorPlan,
    derived: Option<Derived>,
    names: Vec<String>,
    schema_hash: String,
    /// For each of [`RiskKind::ALL`] the columns that cannot be read when the kind is asked for.
    hidden: [Vec<usize>; RiskKind::ALL.len()],
}

/// What a question about a kind of fraud names of a checkout's columns: an account has no amount, a return no device.
const fn named_columns(kind: RiskKind) -> &'static [&'static str] {
    match kind {
        RiskKind::AccountTakeover => &["buyer", "device", "region"],
        RiskKind::CardTesting => &["buyer", "card", "device", "region", "total_usd_minor"],
        RiskKind::ReturnAbuse => &["buyer", "total_usd_minor"],
    }
}

impl FraudVector {
    /// The vector under these feature definitions.
    ///
    /// # Errors
    /// Definitions that give no vector of a checkout.
    pub fn new(features: &FeatureSet) -> Result<Self, DefinitionError> {
        let plan = VectorPlan::new(features, FactKind::CheckoutSubmitted)?;
        let derived = Derived::of(plan.names()).ok();
        let derived_names = derived.iter().flat_map(|_| DERIVED_FEATURES);
        let added: Vec<&str> = derived_names.chain(FEATURES).collect();
        let names: Vec<String> =
            plan.names().iter().cloned().chain(added.iter().map(|name| (*name).to_owned())).collect();
        let hidden = RiskKind::ALL.map(|kind| hidden_columns(features, &plan, &names, kind));
        let schema_hash = schema_hash(features, &added);
        Ok(Self { plan, derived, names, schema_hash, hidden })
    }

    /// The whole vector of a checkout at `at`, from the values of the plan and those of its links.
    pub fn values(&self, planned: &[f64], at: Timestamp, links: &[f64; FEATURES.len()]) -> Vec<f64> {
        let derived = self.derived.map(|derived| derived.values(planned, at));
        [planned, derived.as_ref().map_or(&[][..], |values| values), links].concat()
    }

    /// Whether a column stands in the feature definitions; the others follow from these, or are of links.
    pub fn is_planned(name: &str) -> bool {
        !DERIVED_FEATURES.contains(&name) && !FEATURES.contains(&name)
    }

    /// The columns that cannot be read when `kind` is asked for: of other entities and amounts than the question names, of
    /// flags, and of links, which are those of a whole checkout.
    pub fn hidden(&self, kind: RiskKind) -> &[usize] {
        &self.hidden[kind as usize]
    }

    /// The part of the feature definitions.
    pub const fn plan(&self) -> &VectorPlan {
        &self.plan
    }

    /// The names of all columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The hash over the feature definitions and the names of what was added to them.
    pub fn schema_hash(&self) -> &str {
        &self.schema_hash
    }

    /// How reasons call the columns that are not of the definitions.
    pub(crate) fn reasons() -> ReasonBook {
        let derived = DERIVED_FEATURES.iter().zip(DERIVED_WORDS);
        derived
            .chain(FEATURES.iter().zip(FEATURE_WORDS))
            .fold(ReasonBook::default(), |book, (name, words)| book.with(name, &name.to_uppercase(), words))
    }
}

fn hidden_columns(features: &FeatureSet, plan: &VectorPlan, names: &[String], kind: RiskKind) -> Vec<usize> {
    let named = named_columns(kind);
    let is_named = |column: &String| named.contains(&column.as_str());
    let mut seen: BTreeSet<String> = named.iter().map(|column| format!("{}_{column}", plan.spine().name())).collect();
    for planned in plan.views().iter().filter(|planned| features.views()[planned.view].entity().iter().all(is_named)) {
        seen.extend(names[planned.offset..planned.offset + planned.width].iter().cloned());
    }
    for ratio in features.ratios() {
        if seen.contains(&ratio.numerator) && seen.contains(&ratio.denominator) {
            seen.insert(ratio.name.clone());
        }
    }
    for (index, name) in DERIVED_FEATURES.into_iter().enumerate() {
        if Derived::follows_from(index).iter().all(|source| seen.contains(*source)) {
            seen.insert(name.to_owned());
        }
    }
    (0..names.len()).filter(|column| !seen.contains(&names[*column])).collect()
}

fn schema_hash(features: &FeatureSet, added: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(features.schema_hash().as_bytes());
    for name in added {
        hasher.update(b"\0").update(name.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The features of the links of each checkout as of its event time: what was known by then, as a request at that time
/// would have read it. Facts that are no checkouts have no numbers.
///
/// # Errors
/// The log cannot be read.
pub fn link_rows(
    log: &dyn Log,
    settings: LinkSettings,
    checkouts: &[Event],
) -> Result<Vec<[f64; FEATURES.len()]>, OfflineError> {
    let (mut places, mut queries) = (Vec::new(), Vec::new());
    for (place, event) in checkouts.iter().enumerate() {
        if let Fact::CheckoutSubmitted(checkout) = &event.fact {
            places.push(place);
            queries.push((LinkQuery::checkout(event.tenant, checkout), event.event_time));
        }
    }
    let mut past = PastLinks::new(settings, queries);
    for record in Replay::new(log, &Offsets::start(log.partition_count()), &Offsets::ends(log)?)? {
        let record = record?;
        past.apply(&record.event, record.known_time);
    }
    let mut rows = vec![[f64::NAN; FEATURES.len()]; checkouts.len()];
    for (place, values) in places.into_iter().zip(past.finish()) {
        rows[place] = values;
    }
    Ok(rows)
}
