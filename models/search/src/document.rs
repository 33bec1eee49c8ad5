//! A product as the index takes it in, and its bounds; it finds nothing.

use std::collections::BTreeMap;

use dhow_events::{ProductId, SaleRegions, SellerId};

use crate::SearchError;
use crate::settings::Field;
use crate::text::{Word, indexed_words};

/// The longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 1_024;
/// The longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 32 << 10;
/// The longest category path, in bytes.
pub const CATEGORY_BYTES_MAX: usize = 256;
/// Attributes of one product.
pub const ATTRIBUTES_MAX: usize = 64;
/// The longest name or value of an attribute, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 256;

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDocument {
    /// Its id.
    pub product: ProductId,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// The path of its category, from the general to the special, parts separated by `/`.
    pub category: String,
    /// Names and values.
    pub attributes: BTreeMap<String, String>,
    /// Who offers it.
    pub seller: SellerId,
    /// The price of one unit, in minor units of one currency for the whole index.
    pub price_minor: i64,
    /// Where it may be sold.
    pub sale_regions: SaleRegions,
    /// Whether it can be bought now.
    pub available: bool,
}

impl ProductDocument {
    /// The text that stands for its meaning: what is to be embedded.
    pub fn meaning_text(&self) -> &str {
        &self.title
    }

    /// # Errors
    /// The first field that is out of its bounds.
    pub(crate) fn check(&self) -> Result<(), SearchError> {
        let refuse = |part, detail| Err(SearchError::Product { product: self.product, part, detail });
        let bounded = |part, text: &str, limit| {
            if text.len() <= limit {
                return Ok(());
            }
            refuse(part, format!("has {} bytes; at most {limit} are indexed", text.len()))
        };
        bounded("title", &self.title, TITLE_BYTES_MAX)?;
        bounded("description", &self.description, DESCRIPTION_BYTES_MAX)?;
        bounded("category", &self.category, CATEGORY_BYTES_MAX)?;
        if self.attributes.len() > ATTRIBUTES_MAX {
            return refuse(
                "attributes",
                format!("are {}; at most {ATTRIBUTES_MAX} are indexed", self.attributes.len()),
            );
        }
        for text in self.attributes.iter().flat_map(|(name, value)| [name, value]) {
            bounded("attributes", text, ATTRIBUTE_BYTES_MAX)?;
        }
        Ok(())
    }

    /// The words of a field.
    pub(crate) fn words(&self, field: Field) -> Vec<Word> {
        match field {
            Field::Title => indexed_words(&self.title),
            Field::Category => indexed_words(&self.category.replace('/', " ")),
            Field::Attributes => self.attributes.values().flat_map(|value| indexed_words(value)).collect(),
            Field::Description => indexed_words(&self.description),
        }
    }

    /// The category and those above it: `home/kitchen` gives `home` and `home/kitchen`.
    pub(crate) fn categories(&self) -> impl Iterator<Item = &str> {
        let ends = self.category.match_indices('/').map(|(at, _)| at).chain([self.category.len()]);
        ends.map(|end| &self.category[..end]).filter(|path| !path.is_empty())
    }
}
