//! `dhow features`: lists, shows and checks feature definitions.

use dhow_definitions::{FeatureSet, View};
use serde::Serialize;

use crate::arguments::{FeaturesAction, FeaturesArguments};
use crate::configuration::{Configuration, read_features};
use crate::failure::Failure;
use crate::output::{json, table};

#[derive(Serialize)]
struct ShownView {
    name: String,
    source: &'static str,
    entity: Vec<String>,
    features: Vec<String>,
}

impl From<&View> for ShownView {
    fn from(view: &View) -> Self {
        Self {
            name: view.name().to_owned(),
            source: view.source().name(),
            entity: view.entity().to_vec(),
            features: view.features().iter().map(|feature| feature.name().to_owned()).collect(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// An unknown view, or wrong definitions.
pub fn run(arguments: &FeaturesArguments, configuration: &Configuration) -> Result<(), Failure> {
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
    }
}

fn list(set: &FeatureSet, as_json: bool) -> Result<(), Failure> {
    let views: Vec<ShownView> = set.views().iter().map(ShownView::from).collect();
    if as_json {
        return json(&views);
    }
    let row = |view: &ShownView| {
        vec![view.name.clone(), view.entity.join(", "), view.source.to_owned(), view.features.len().to_string()]
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
