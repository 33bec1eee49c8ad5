//! Feature sets: named, versioned collections of views with the ratios and flags derived from them; no text format here.

use std::sync::Arc;

use dhow_events::FactKind;

use crate::filter::BoundFilter;
use crate::view::check_name;
use crate::{DefinitionError, Filter, Source, TableSchema, View};

/// The definitions of [`FeatureSet::marketplace`], as text.
pub const MARKETPLACE: &str = include_str!("marketplace.toml");

/// The most views that a set may hold; their numbers fit 16 bits with room to spare.
pub const MAX_VIEWS: usize = 1024;

/// One number of a request vector divided by another. No value where either has none or the divisor is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ratio {
    /// Its name in a vector.
    pub name: String,
    /// The name of a feature, or of a column of the request as the vector names it.
    pub numerator: String,
    /// The same.
    pub denominator: String,
}

impl Ratio {
    /// The quotient; no value where either is none or the divisor is zero.
    pub fn of(numerator: f64, denominator: f64) -> f64 {
        if denominator == 0.0 { f64::NAN } else { numerator / denominator }
    }
}

/// A yes or no (1 or 0) that is computed from the request itself.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestFlag {
    /// Its name in a vector.
    pub name: String,
    /// Which requests have it.
    pub source: FactKind,
    /// When it is 1.
    pub filter: Filter,
    pub(crate) bound: BoundFilter,
}

impl RequestFlag {
    /// A flag of facts of `source` that is 1 where `filter` holds.
    ///
    /// # Errors
    /// A bad name, an unknown column, or a comparison of different types.
    pub fn new(name: &str, source: FactKind, filter: Filter) -> Result<Self, DefinitionError> {
        check_name(name)?;
        let bound = filter.bind(&source.into())?;
        Ok(Self { name: name.to_owned(), source, filter, bound })
    }
}

/// A named version of all features of an installation.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSet {
    name: String,
    version: u32,
    views: Vec<View>,
    ratios: Vec<Ratio>,
    flags: Vec<RequestFlag>,
}

impl FeatureSet {
    /// A set of checked views and what is derived from them.
    ///
    /// # Errors
    /// A bad name, version 0, no or too many views, or a name that two views, features, ratios, flags or different
    /// tables share.
    pub fn new(
        name: &str,
        version: u32,
        views: Vec<View>,
        ratios: Vec<Ratio>,
        flags: Vec<RequestFlag>,
    ) -> Result<Self, DefinitionError> {
        check_name(name)?;
        if version == 0 {
            return Err(DefinitionError::Meaning("versions begin with 1".to_owned()));
        }
        if views.is_empty() || views.len() > MAX_VIEWS {
            return Err(DefinitionError::Meaning(format!(
                "a set has 1 to {MAX_VIEWS} views; this one has {}",
                views.len()
            )));
        }
        let set = Self { name: name.to_owned(), version, views, ratios, flags };
        set.check_unique()?;
        Ok(set)
    }

    /// Reads a definition file; `marketplace.toml` beside this crate's sources is one with every part explained.
    ///
    /// # Errors
    /// [`DefinitionError::Text`] with the place: bad TOML, an unknown key, or a definition that means nothing.
    pub fn from_toml(text: &str) -> Result<Self, DefinitionError> {
        crate::parse::parse(text)
    }

    /// The features that Dhow's own models read.
    ///
    /// # Errors
    /// None, unless the file that is compiled in was broken; a test reads it.
    pub fn marketplace() -> Result<Self, DefinitionError> {
        Self::from_toml(MARKETPLACE)
    }

    fn check_unique(&self) -> Result<(), DefinitionError> {
        let mut view_names: Vec<&str> = self.views.iter().map(View::name).collect();
        let mut names: Vec<&str> = self.names().collect();
        names.extend(self.ratios.iter().map(|ratio| ratio.name.as_str()));
        names.extend(self.flags.iter().map(|flag| flag.name.as_str()));
        for (list, what) in [(&mut view_names, "view"), (&mut names, "feature, ratio or flag")] {
            list.sort_unstable();
            if let Some(pair) = list.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(DefinitionError::Meaning(format!("more than one {what} is called `{}`", pair[0])));
            }
        }
        let tables = self.tables();
        match tables.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            None => Ok(()),
            Some(pair) => {
                let message = format!("two different tables are called `{}`", pair[0].name());
                Err(DefinitionError::Meaning(message))
            }
        }
    }

    /// The tables that views are made of, in the order of their names.
    pub fn tables(&self) -> Vec<&Arc<TableSchema>> {
        let mut tables: Vec<&Arc<TableSchema>> = Vec::new();
        for view in &self.views {
            if let Source::Table(table) = view.source()
                && !tables.contains(&table)
            {
                tables.push(table);
            }
        }
        tables.sort_by(|left, right| left.name().cmp(right.name()));
        tables
    }

    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The set's version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The views; a view's number is its place here.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The number and the view that is called `name`.
    pub fn view(&self, name: &str) -> Option<(usize, &View)> {
        self.views.iter().enumerate().find(|(_, view)| view.name() == name)
    }

    /// The ratios of request vectors.
    pub fn ratios(&self) -> &[Ratio] {
        &self.ratios
    }

    /// The flags of request vectors.
    pub fn flags(&self) -> &[RequestFlag] {
        &self.flags
    }

    /// The names of all features, view by view.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.views.iter().flat_map(|view| view.features().iter().map(|feature| feature.name()))
    }

    /// That every view is made of facts, as executors of the marketplace's log require.
    ///
    /// # Errors
    /// The first view of a table.
    pub fn require_facts(&self) -> Result<(), DefinitionError> {
        match self.views.iter().find(|view| view.source().fact().is_none()) {
            None => Ok(()),
            Some(view) => Err(DefinitionError::Meaning(format!(
                "view `{}` is of table `{}`, which the marketplace's log does not hold; features of tables are computed \
                 from their files",
                view.name(),
                view.source().name()
            ))),
        }
    }

    /// What the set means, as text: equal for two sets exactly if they define the same features in the same order.
    pub fn canonical(&self) -> String {
        let mut text = format!("set {} version {}\n", self.name, self.version);
        for table in self.tables() {
            text.push_str(&format!("{}\n", table.canonical()));
        }
        for view in &self.views {
            let filter = view.filter().map_or_else(String::new, |filter| format!(" where {filter}"));
            text.push_str(&format!(
                "view {} of {} by {}{filter}\n",
                view.name(),
                view.source().name(),
                view.entity().join(",")
            ));
            for feature in view.features() {
                let of = match feature.ratio() {
                    Some(parts) => format!("{}/{}", parts.numerator, parts.denominator),
                    None => feature.column().unwrap_or("*").to_owned(),
                };
                text.push_str(&format!(
                    "  {} = {}({of}) over {}\n",
                    feature.name(),
                    feature.aggregate(),
                    feature.window()
                ));
            }
        }
        for ratio in &self.ratios {
            text.push_str(&format!("ratio {} = {} / {}\n", ratio.name, ratio.numerator, ratio.denominator));
        }
        for flag in &self.flags {
            text.push_str(&format!("flag {} of {} where {}\n", flag.name, flag.source.name(), flag.filter));
        }
        text
    }

    /// The blake3 hash of [`FeatureSet::canonical`], in hexadecimal: what models and snapshots record.
    pub fn schema_hash(&self) -> String {
        blake3::hash(self.canonical().as_bytes()).to_hex().to_string()
    }
}
