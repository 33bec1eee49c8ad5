//! Reads a feature set from TOML and gives every mistake its line and column; what makes sense is checked elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use dhow_events::FactKind;
use serde::Deserialize;
use toml::Spanned;

use crate::source::{check_column_name, column_type};
use crate::{
    Aggregate, DefinitionError, FeatureSet, FeatureSpec, Filter, Ratio, RatioParts, RequestFlag, Source, Span,
    TableSchema, View, Window,
};

/// The longest definition file, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// The most tables that a file may declare.
const MAX_TABLES: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetText {
    name: Spanned<String>,
    version: u32,
    #[serde(default)]
    table: Vec<TableText>,
    view: Vec<ViewText>,
    #[serde(default)]
    ratio: Vec<RatioText>,
    #[serde(default)]
    flag: Vec<FlagText>,
}

/// A table of the user's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    name: Spanned<String>,
    columns: BTreeMap<Spanned<String>, Spanned<String>>,
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
    /// The aggregate `ratio` divides these features of the same view and window, such as `amount_sum` by `count`.
    numerator: Option<Spanned<String>>,
    denominator: Option<Spanned<String>>,
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
    let tables = reader.tables(&set.table)?;
    let views = set.view.iter().map(|view| reader.view(view, &tables)).collect::<Result<_, _>>()?;
    let flags = set.flag.iter().map(|flag| reader.flag(flag, &tables)).collect::<Result<_, _>>()?;
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

    fn tables(&self, texts: &[TableText]) -> Result<Vec<Arc<TableSchema>>, DefinitionError> {
        let mut tables: Vec<Arc<TableSchema>> = Vec::new();
        for text in texts {
            let table = Arc::new(self.table(text)?);
            let problem = if tables.iter().any(|known| known.name() == table.name()) {
                format!("table `{}` is declared twice", table.name())
            } else if tables.len() == MAX_TABLES {
                format!("more than {MAX_TABLES} tables are declared")
            } else {
                tables.push(table);
                continue;
            };
            return Err(self.at(text.name.span().start, problem));
        }
        Ok(tables)
    }

    /// A table whose columns stand in the order of the file.
    fn table(&self, text: &TableText) -> Result<TableSchema, DefinitionError> {
        let mut named: Vec<_> = text.columns.iter().collect();
        named.sort_by_key(|(name, _)| name.span().start);
        let mut columns = Vec::with_capacity(named.len());
        for (name, word) in named {
            self.locate(name.span(), check_column_name(name.get_ref()))?;
            columns.push((name.get_ref().clone(), self.locate(word.span(), column_type(word.get_ref()))?));
        }
        self.locate(text.name.span(), TableSchema::new(text.name.get_ref(), columns))
    }

    fn view(&self, text: &ViewText, tables: &[Arc<TableSchema>]) -> Result<View, DefinitionError> {
        let source = self.source(&text.source, tables)?;
        let entity = text.entity.get_ref().clone();
        let filter = text.filter.as_ref().map(|filter| self.filter(filter, &source)).transpose()?;
        let groups = text.features.iter().map(|features| Ok((features.span(), self.features(features.get_ref())?)));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        let specs: Vec<FeatureSpec> = groups.iter().flat_map(|(_, group)| group).cloned().collect();
        self.locate(text.entity.span(), check_entity(&source, &entity))?;
        let is_ratio = |spec: &FeatureSpec| spec.ratio.is_some();
        for (span, group) in groups {
            // Each group is tried on its own first, so that a mistake is reported where it stands; ratios with all that
            // they can be of.
            let parts = specs.iter().filter(|spec| group.iter().any(is_ratio) && !is_ratio(spec)).cloned();
            let trial = parts.chain(group.iter().cloned()).collect();
            let trial = View::new(text.name.get_ref(), source.clone(), entity.clone(), None, trial);
            self.locate(span, trial.map(|_| ()))?;
        }
        self.locate(text.name.span(), View::new(text.name.get_ref(), source, entity, filter, specs))
    }

    fn features(&self, text: &FeaturesText) -> Result<Vec<FeatureSpec>, DefinitionError> {
        let span = |text: &Spanned<String>| self.locate(text.span(), text.get_ref().parse::<Span>());
        let hop = text.hop.as_ref().map(span).transpose()?;
        let delay = text.delay.as_ref().map(span).transpose()?;
        let ratio = match (&text.numerator, &text.denominator) {
            (Some(numerator), Some(denominator)) => {
                Some(RatioParts { numerator: numerator.get_ref().clone(), denominator: denominator.get_ref().clone() })
            }
            (None, None) => None,
            (Some(part), None) | (None, Some(part)) => {
                let message = "a ratio needs both `numerator` and `denominator`; one is missing";
                return Err(self.at(part.span().start, message.to_owned()));
            }
        };
        let mut specs = Vec::with_capacity(text.aggregates.len() * text.windows.len());
        for aggregate in &text.aggregates {
            let family = self.locate(aggregate.span(), Aggregate::family(aggregate.get_ref()))?;
            for window in &text.windows {
                let length = if window.get_ref() == "ever" { None } else { Some(span(window)?) };
                let window = self.locate(window.span(), Window::new(length, hop, delay))?;
                let spec =
                    |&aggregate| FeatureSpec { aggregate, column: text.column.clone(), window, ratio: ratio.clone() };
                specs.extend(family.iter().map(spec));
            }
        }
        Ok(specs)
    }

    fn flag(&self, text: &FlagText, tables: &[Arc<TableSchema>]) -> Result<RequestFlag, DefinitionError> {
        let Source::Fact(source) = self.source(&text.source, tables)? else {
            return Err(self.at(
                text.source.span().start,
                format!("a flag is of a kind of event; `{}` is a table", text.source.get_ref()),
            ));
        };
        let filter = self.filter(&text.filter, &source.into())?;
        self.locate(text.name.span(), RequestFlag::new(text.name.get_ref(), source, filter))
    }

    /// The kind of event or the table that a view names.
    fn source(&self, text: &Spanned<String>, tables: &[Arc<TableSchema>]) -> Result<Source, DefinitionError> {
        let name = text.get_ref();
        if let Some(table) = tables.iter().find(|table| table.name() == name) {
            return Ok(Source::Table(table.clone()));
        }
        FactKind::from_name(name).map(Source::Fact).ok_or_else(|| {
            let kinds = FactKind::ALL.iter().map(|kind| kind.name());
            let names: Vec<&str> = tables.iter().map(|table| table.name()).chain(kinds).collect();
            let message =
                format!("`{name}` is not a kind of event or a declared table; known are {}", names.join(", "));
            self.at(text.span().start, message)
        })
    }

    fn filter(&self, text: &Spanned<String>, source: &Source) -> Result<Filter, DefinitionError> {
        // The text begins after its opening quote; a filter needs no escapes, so offsets within it are exact.
        let filter = Filter::parse(text.get_ref())
            .map_err(|problem| self.at(text.span().start + 1 + problem.offset, problem.message))?;
        self.locate(text.span(), filter.bind(source))?;
        Ok(filter)
    }
}

fn check_entity(source: &Source, entity: &[String]) -> Result<(), DefinitionError> {
    crate::view::bind_entity(source, entity).map(|_| ())
}
