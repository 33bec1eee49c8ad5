//! `dhow features`: lists, shows and checks feature definitions, and computes them on tables of the user's own.

use dhow_definitions::{FeatureSet, Ratio, VectorPlan, View};
use dhow_events::{Clock, FactKind, SystemClock};
use dhow_offline::{ComputeRequest, compute_features, write_parquet};
use serde::Serialize;

use crate::arguments::{ComputeArguments, FeaturesAction, FeaturesArguments};
use crate::configuration::{Configuration, read_features};
use crate::failure::Failure;
use crate::output::{json, table, thousands};

#[derive(Serialize)]
struct ShownView {
    name: String,
    source: String,
    entity: Vec<String>,
    features: Vec<String>,
}

impl From<&View> for ShownView {
    fn from(view: &View) -> Self {
        Self {
            name: view.name().to_owned(),
            source: view.source().name().to_owned(),
            entity: view.entity().to_vec(),
            features: view.features().iter().map(|feature| feature.name().to_owned()).collect(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// An unknown view, or wrong definitions.
pub async fn run(arguments: &FeaturesArguments, configuration: &Configuration) -> Result<(), Failure> {
    match &arguments.action {
        FeaturesAction::List => list(&configuration.feature_set()?, arguments.json),
        FeaturesAction::Show { view } => show(&configuration.feature_set()?, view, arguments.json),
        FeaturesAction::Check { file } => {
            let set = read_features(file)?;
            eprintln!(
                "{}: {} version {}, {} views, {} features, schema {}",
                file.display(),
                set.name(),
                set.version(),
                set.views().len(),
                set.names().count(),
                &set.schema_hash()[..12]
            );
            Ok(())
        }
        FeaturesAction::Compute(compute) => compute_table(compute, arguments.json),
        FeaturesAction::Lineage { feature } => lineage(&configuration.feature_set()?, feature, arguments.json),
        FeaturesAction::Drift(drift) => crate::quality::compare(drift, arguments.json),
        FeaturesAction::Expect(expect) => crate::quality::expect(expect, arguments.json),
        FeaturesAction::Parity(parity) => crate::parity::run(parity, configuration, arguments.json).await,
    }
}

/// Where a feature's values come from and what reads them.
#[derive(Serialize)]
struct Lineage {
    feature: String,
    view: String,
    source: String,
    column: Option<String>,
    aggregate: String,
    window: String,
    entity: Vec<String>,
    filter: Option<String>,
    /// Ratios that it is part of.
    ratios: Vec<String>,
    /// Requests whose vectors hold it.
    requests: Vec<String>,
    definitions: String,
    schema_hash: String,
}

fn lineage(set: &FeatureSet, name: &str, as_json: bool) -> Result<(), Failure> {
    let found = set.views().iter().find_map(|view| {
        let feature = view.features().iter().find(|feature| feature.name() == name)?;
        Some((view, feature))
    });
    let Some((view, feature)) = found else {
        return Err(Failure::Input(format!("there is no feature `{name}`; `dhow features list` and `show` name them")));
    };
    let holds =
        |kind: &&FactKind| VectorPlan::new(set, **kind).is_ok_and(|plan| plan.names().iter().any(|one| one == name));
    let of_ratio = |ratio: &&Ratio| ratio.numerator == name || ratio.denominator == name;
    let lineage = Lineage {
        feature: name.to_owned(),
        view: view.name().to_owned(),
        source: view.source().name().to_owned(),
        column: feature.column().map(str::to_owned),
        aggregate: feature.aggregate().to_string(),
        window: feature.window().to_string(),
        entity: view.entity().to_vec(),
        filter: view.filter().map(ToString::to_string),
        ratios: set.ratios().iter().filter(of_ratio).map(|ratio| ratio.name.clone()).collect(),
        requests: FactKind::ALL.iter().filter(holds).map(|kind| kind.name().to_owned()).collect(),
        definitions: format!("{} version {}", set.name(), set.version()),
        schema_hash: set.schema_hash(),
    };
    if as_json {
        return json(&lineage);
    }
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let rows = [
        ("source", lineage.source.clone()),
        ("filter", lineage.filter.clone().unwrap_or_else(|| "none".to_owned())),
        ("entity", list(&lineage.entity)),
        ("column", lineage.column.clone().unwrap_or_else(|| "the events themselves".to_owned())),
        ("aggregate", lineage.aggregate.clone()),
        ("window", lineage.window.clone()),
        ("view", lineage.view.clone()),
        ("ratios", list(&lineage.ratios)),
        ("in vectors of", list(&lineage.requests)),
        ("definitions", format!("{}, schema {}", lineage.definitions, &lineage.schema_hash[..12])),
    ];
    println!("{name}");
    rows.iter().for_each(|(what, value)| println!("  {what:<14} {value}"));
    Ok(())
}

/// What was computed, for programs.
#[derive(Serialize)]
struct Summary<'a> {
    events: usize,
    rows: usize,
    features: &'a [String],
    seconds: f64,
    out: String,
}

fn compute_table(arguments: &ComputeArguments, as_json: bool) -> Result<(), Failure> {
    let begin = SystemClock.now();
    let set = read_features(&arguments.definitions)?;
    let request = ComputeRequest {
        events: &arguments.events,
        table: arguments.table.as_deref(),
        time: &arguments.time,
        known_time: arguments.known_time.as_deref(),
        id: arguments.id.as_deref(),
        spine: arguments.spine.as_deref(),
    };
    let computed = compute_features(&set, &request).map_err(Failure::input)?;
    write_parquet(&arguments.out, &computed.batch)?;
    let summary = Summary {
        events: computed.event_count,
        rows: computed.batch.num_rows(),
        features: &computed.names,
        seconds: SystemClock.now().micros_since(begin) as f64 / 1e6,
        out: arguments.out.display().to_string(),
    };
    if as_json {
        return json(&summary);
    }
    eprintln!(
        "{} features for {} rows from {} events in {:.2} s: {}",
        summary.features.len(),
        thousands(summary.rows as u64),
        thousands(summary.events as u64),
        summary.seconds,
        summary.out
    );
    Ok(())
}

fn list(set: &FeatureSet, as_json: bool) -> Result<(), Failure> {
    let views: Vec<ShownView> = set.views().iter().map(ShownView::from).collect();
    if as_json {
        return json(&views);
    }
    let row = |view: &ShownView| {
        vec![view.name.clone(), view.entity.join(", "), view.source.clone(), view.features.len().to_string()]
    };
    println!("{}", table(&["view", "entity", "source", "features"], &views.iter().map(row).collect::<Vec<_>>(), false));
    println!("{} version {}, {} features", set.name(), set.version(), set.names().count());
    Ok(())
}

fn show(set: &FeatureSet, name: &str, as_json: bool) -> Result<(), Failure> {
    let Some((_, view)) = set.view(name) else {
        return Err(Failure::Input(format!("there is no view `{name}`; `dhow features list` names them")));
    };
    let shown = ShownView::from(view);
    if as_json {
        return json(&shown);
    }
    println!("{}: of {}, from {}", shown.name, shown.entity.join(" and "), shown.source);
    shown.features.iter().for_each(|feature| println!("  {feature}"));
    Ok(())
}
