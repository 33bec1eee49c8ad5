//! Saved questions: whether one product answers, told without an index by the words and filters of a search; it mends no typo and ranks nothing.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::document::ProductDocument;
use crate::error::{SearchError, SearchProblem};
use crate::filter::Filters;
use crate::query::{QUERY_BYTES_MAX, QUERY_WORDS_MAX};
use crate::settings::Field;
use crate::text::queried_words;

/// A question that is asked of products as they come: a product answers that has all its words, in any field, and passes its
/// filters. Words are made as in a search; of what was put together or taken apart from a word nothing is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedQuery {
    words: Vec<String>,
    filters: Filters,
}

impl SavedQuery {
    /// A question. It may be without words where a filter asks something.
    ///
    /// # Errors
    /// Every part that is out of its bounds, and a question that every product answers.
    pub fn new(text: &str, filters: Filters) -> Result<Self, SearchError> {
        let mut problems = Vec::new();
        let mut problem = |part, detail| problems.push(SearchProblem { part, detail });
        let mut words: Vec<String> = Vec::new();
        if text.len() > QUERY_BYTES_MAX {
            problem("q", format!("has {} bytes; at most {QUERY_BYTES_MAX} are taken", text.len()));
        } else {
            words.extend(queried_words(text).into_iter().filter(|word| word.stands).map(|word| word.stem));
            words.sort_unstable();
            words.dedup();
            if words.len() > QUERY_WORDS_MAX {
                problem("q", format!("has {} words; at most {QUERY_WORDS_MAX} are taken", words.len()));
            } else if words.is_empty() && (!text.trim().is_empty() || filters == Filters::default()) {
                problem("q", "has no word to look for".to_owned());
            }
        }
        filters.check(&mut problems);
        if problems.is_empty() { Ok(Self { words, filters }) } else { Err(SearchError::Invalid(problems)) }
    }

    /// Whether the product answers.
    pub fn matches(&self, product: &ProductWords<'_>) -> bool {
        self.words.iter().all(|word| product.words.contains(word)) && self.filters.pass(product.document)
    }
}

/// A product with its words, to be held against many questions.
#[derive(Debug)]
pub struct ProductWords<'a> {
    document: &'a ProductDocument,
    words: FxHashSet<String>,
}

impl<'a> ProductWords<'a> {
    /// Makes the words of all fields.
    pub fn of(document: &'a ProductDocument) -> Self {
        let words = Field::ALL.into_iter().flat_map(|field| document.words(field)).map(|word| word.stem);
        Self { document, words: words.collect() }
    }
}

/// Many saved questions, each under a key; a product is held only against those that have a word of it or no word.
#[derive(Debug)]
pub struct SavedQueries<K> {
    queries: Vec<(K, SavedQuery)>,
    /// By the longest word of each, which most likely is a rare one.
    by_word: FxHashMap<String, Vec<usize>>,
    wordless: Vec<usize>,
}

impl<K> SavedQueries<K> {
    /// Of these.
    pub fn new(queries: impl IntoIterator<Item = (K, SavedQuery)>) -> Self {
        let mut saved =
            Self { queries: queries.into_iter().collect(), by_word: FxHashMap::default(), wordless: Vec::new() };
        for (number, (_, query)) in saved.queries.iter().enumerate() {
            match query.words.iter().max_by_key(|word| word.chars().count()) {
                Some(word) => saved.by_word.entry(word.clone()).or_default().push(number),
                None => saved.wordless.push(number),
            }
        }
        saved
    }

    /// The keys of all questions that the product answers, in the order in which they were given.
    pub fn matching(&self, product: &ProductWords<'_>) -> Vec<&K> {
        let listed = product.words.iter().filter_map(|word| self.by_word.get(word));
        let mut numbers: Vec<usize> = listed.flatten().chain(&self.wordless).copied().collect();
        numbers.sort_unstable();
        let matching = |number: usize| self.queries.get(number).filter(|(_, query)| query.matches(product));
        numbers.into_iter().filter_map(matching).map(|(key, _)| key).collect()
    }
}

impl Filters {
    /// Whether all kinds let the product through, as [`Filters::allowed`] tells it of all products of an index.
    fn pass(&self, product: &ProductDocument) -> bool {
        let in_category = |path: &String| product.categories().any(|category| category == path.trim_matches('/'));
        let sold_in = |region: &String| product.sale_regions.admits(region);
        (self.categories.is_empty() || self.categories.iter().any(in_category))
            && (self.sellers.is_empty() || self.sellers.contains(&product.seller))
            && self.price_min.is_none_or(|min| product.price_minor >= min)
            && self.price_max.is_none_or(|max| product.price_minor <= max)
            && has_one_of_each(&product.attributes, &self.attributes)
            && self.region.as_ref().is_none_or(sold_in)
            && (product.available || !self.available_only)
    }
}

fn has_one_of_each(held: &BTreeMap<String, String>, asked: &BTreeMap<String, Vec<String>>) -> bool {
    asked.iter().all(|(name, values)| held.get(name).is_some_and(|value| values.contains(value)))
}
