//! Reads a feature set from TOML and gives every mistake its line and column; what makes sense is checked elsewhere.

use std::ops::Range;

use dhow_events::FactKind;
use serde::Deserialize;
use toml::Spanned;

use crate::{Aggregate, DefinitionError, FeatureSet, FeatureSpec, Filter, Ratio, RequestFlag, Span, View, Window};

/// The longest definition file, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetText {
    name: Spanned<String>,
    version: u32,
    view: Vec<ViewText>,
    #[serde(default)]
    ratio: Vec<RatioText>,
    #[serde(default)]
    flag: Vec<FlagText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewText {
    name: Spanned<String>,
    source: Spanned<String>,
    entity: Spanned<Vec<String>>,
    filter: Option<Spanned<String>>,
    features: Vec<Spanned<FeaturesText>>,
}

/// Every aggregate over every window: a compact way to write the usual families of features.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeaturesText {
    column: Option<String>,
    aggregates: Vec<Spanned<String>>,
    windows: Vec<Spanned<String>>,
    hop: Option<Spanned<String>>,
    delay: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioText {
    name: String,
    numerator: String,
    denominator: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlagText {
    name: Spanned<String>,
    source: Spanned<String>,
    filter: Spanned<String>,
}

/// Knows the text, so that a place can be told by line and column.
struct Reader<'a> {
    text: &'a str,
}

pub(crate) fn parse(text: &str) -> Result<FeatureSet, DefinitionError> {
    let reader = Reader { text };
    if text.len() > MAX_TEXT_BYTES {
        return Err(reader.at(0, format!("the text has {} bytes; at most {MAX_TEXT_BYTES} are read", text.len())));
    }
    let set: SetText = toml::from_str(text)
        .map_err(|error| reader.at(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let views = set.view.iter().map(|view| reader.view(view)).collect::<Result<_, _>>()?;
    let flags = set.flag.iter().map(|flag| reader.flag(flag)).collect::<Result<_, _>>()?;
    let ratios = set
        .ratio
        .into_iter()
        .map(|RatioText { name, numerator, denominator }| Ratio { name, numerator, denominator })
        .collect();
    reader.locate(set.name.span(), FeatureSet::new(set.name.get_ref(), set.version, views, ratios, flags))
}

impl Reader<'_> {
    fn at(&self, offset: usize, message: String) -> DefinitionError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        DefinitionError::Text {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
        }
    }

    /// Gives a mistake of meaning the place of the text that made it.
    fn locate<T>(&self, span: Range<usize>, result: Result<T, DefinitionError>) -> Result<T, DefinitionError> {
        result.map_err(|error| match error {
            DefinitionError::Meaning(message) => self.at(span.start, message),
            located => located,
        })
    }

    fn view(&self, text: &ViewText) -> Result<View, DefinitionError> {
        let source = self.source(&text.source)?;
        let entity = text.entity.get_ref().clone();
        let filter = text.filter.as_ref().map(|filter| self.filter(filter, source)).transpose()?;
        let mut specs = Vec::new();
        for features in &text.features {
            // Each group is tried on its own first, so that a mistake is reported where it stands.
            let group = self.features(features.get_ref())?;
            self.locate(text.entity.span(), check_entity(source, &entity))?;
            let trial = View::new(text.name.get_ref(), source, entity.clone(), None, group.clone());
            self.locate(features.span(), trial.map(|_| ()))?;
            specs.extend(group);
        }
        self.locate(text.name.span(), View::new(text.name.get_ref(), source, entity, filter, specs))
    }

    fn features(&self, text: &FeaturesText) -> Result<Vec<FeatureSpec>, DefinitionError> {
        let span = |text: &Spanned<String>| self.locate(text.span(), text.get_ref().parse::<Span>());
        let hop = text.hop.as_ref().map(span).transpose()?;
        let delay = text.delay.as_ref().map(span).transpose()?;
        let mut specs = Vec::with_capacity(text.aggregates.len() * text.windows.len());
        for aggregate in &text.aggregates {
            let aggregate: Aggregate = self.locate(aggregate.span(), aggregate.get_ref().parse())?;
            for window in &text.windows {
                let length = if window.get_ref() == "ever" { None } else { Some(span(window)?) };
                let window = self.locate(window.span(), Window::new(length, hop, delay))?;
                specs.push(FeatureSpec { aggregate, column: text.column.clone(), window });
            }
        }
        Ok(specs)
    }

    fn flag(&self, text: &FlagText) -> Result<RequestFlag, DefinitionError> {
        let source = self.source(&text.source)?;
        let filter = self.filter(&text.filter, source)?;
        self.locate(text.name.span(), RequestFlag::new(text.name.get_ref(), source, filter))
    }

    fn source(&self, text: &Spanned<String>) -> Result<FactKind, DefinitionError> {
        FactKind::from_name(text.get_ref()).ok_or_else(|| {
            let names: Vec<&str> = FactKind::ALL.iter().map(|kind| kind.name()).collect();
            let message = format!("`{}` is not a kind of event; known are {}", text.get_ref(), names.join(", "));
            self.at(text.span().start, message)
        })
    }

    fn filter(&self, text: &Spanned<String>, source: FactKind) -> Result<Filter, DefinitionError> {
        // The text begins after its opening quote; a filter needs no escapes, so offsets within it are exact.
        let filter = Filter::parse(text.get_ref())
            .map_err(|problem| self.at(text.span().start + 1 + problem.offset, problem.message))?;
        self.locate(text.span(), filter.bind(source))?;
        Ok(filter)
    }
}

fn check_entity(source: FactKind, entity: &[String]) -> Result<(), DefinitionError> {
    crate::view::bind_entity(source, entity).map(|_| ())
}
