//! What tantivy keeps of a product: postings of words and of filter values, and the product's slot; it decides no score.

use tantivy::schema::{FAST, Field as IndexField, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{TantivyDocument, Term};

use crate::document::ProductDocument;
use crate::settings::Field;
use crate::text::Word;

/// The longest beginning of a word that is looked up as one, in characters.
pub(crate) const PREFIX_CHARS_MAX: usize = 16;
/// What stands between an attribute's name and value.
const SEPARATOR: char = '\u{1f}';

/// The fields.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub schema: Schema,
    pub slot: IndexField,
    /// In the order of [`Field::ALL`].
    pub words: [IndexField; 4],
    /// The beginnings of the title's words.
    pub beginnings: IndexField,
    categories: IndexField,
    seller: IndexField,
    attributes: IndexField,
    restricted: IndexField,
    available: IndexField,
}

impl Columns {
    pub fn new() -> Self {
        let mut builder = Schema::builder();
        let postings = |option| {
            let indexing = TextFieldIndexing::default().set_tokenizer("raw").set_fieldnorms(false);
            TextOptions::default().set_indexing_options(indexing.set_index_option(option))
        };
        let counted = postings(IndexRecordOption::WithFreqs);
        let plain = postings(IndexRecordOption::Basic);
        let slot = builder.add_u64_field("slot", INDEXED | FAST);
        let words = ["title", "category", "attributes", "description"]
            .map(|name| builder.add_text_field(name, counted.clone()));
        let beginnings = builder.add_text_field("beginnings", counted);
        let [categories, seller, attributes, restricted, available] =
            ["categories", "seller", "attribute_values", "restricted", "available"]
                .map(|name| builder.add_text_field(name, plain.clone()));
        let schema = builder.build();
        Self { schema, slot, words, beginnings, categories, seller, attributes, restricted, available }
    }

    /// The document of a product, given the words of its fields.
    pub fn document(&self, slot: u32, product: &ProductDocument, words: &[Vec<Word>; 4]) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.slot, u64::from(slot));
        for (field, words) in self.words.iter().zip(words) {
            document.add_pre_tokenized_text(*field, tokens(words.iter().map(|word| word.stem.as_str())));
        }
        let title = &words[Field::Title as usize];
        let starts: Vec<&str> =
            title.iter().filter(|word| word.stands).flat_map(|word| beginnings(&word.full)).collect();
        document.add_pre_tokenized_text(self.beginnings, tokens(starts.into_iter()));
        for path in product.categories() {
            document.add_text(self.categories, path);
        }
        document.add_text(self.seller, product.seller.to_string());
        for (name, value) in &product.attributes {
            document.add_text(self.attributes, joined(name, value));
        }
        if !product.sale_regions.is_everywhere() {
            document.add_text(self.restricted, "yes");
        }
        document.add_text(self.available, if product.available { "yes" } else { "no" });
        document
    }

    pub fn slot_term(&self, slot: u32) -> Term {
        Term::from_field_u64(self.slot, u64::from(slot))
    }

    pub fn category_term(&self, path: &str) -> Term {
        Term::from_field_text(self.categories, path)
    }

    pub fn seller_term(&self, seller: &str) -> Term {
        Term::from_field_text(self.seller, seller)
    }

    pub fn attribute_term(&self, name: &str, value: &str) -> Term {
        Term::from_field_text(self.attributes, &joined(name, value))
    }

    /// What a product has that is not sold everywhere.
    pub fn restricted_term(&self) -> Term {
        Term::from_field_text(self.restricted, "yes")
    }

    pub fn available_term(&self) -> Term {
        Term::from_field_text(self.available, "yes")
    }
}

fn joined(name: &str, value: &str) -> String {
    format!("{name}{SEPARATOR}{value}")
}

/// The beginnings of a word, the whole included, up to [`PREFIX_CHARS_MAX`].
fn beginnings(word: &str) -> impl Iterator<Item = &str> {
    word.char_indices().take(PREFIX_CHARS_MAX).map(|(at, c)| &word[..at + c.len_utf8()])
}

fn tokens<'a>(words: impl Iterator<Item = &'a str>) -> PreTokenizedString {
    let token = |(position, text): (usize, &str)| Token { text: text.to_owned(), position, ..Token::default() };
    PreTokenizedString { text: String::new(), tokens: words.enumerate().map(token).collect() }
}
