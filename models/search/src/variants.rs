//! What a word of a query is looked up as: itself, a beginning, or the nearest words that products have; it scores nothing.

use std::collections::BTreeSet;

use tantivy::Term;
use tantivy::query::FuzzyTermQuery;

use crate::SearchError;
use crate::index::View;
use crate::schema::PREFIX_CHARS_MAX;
use crate::settings::KeywordSettings;
use crate::text::Word;

/// Words that may stand for one that no product has.
const TYPO_WORDS_MAX: usize = 24;
/// From so many characters on a word may be one edit away, and from so many two. Two neighbours swapped are one edit.
const TYPO_CHARS_MIN: [usize; 2] = [4, 8];

/// What a word is looked up as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variants {
    /// The words and how much each counts.
    pub words: Vec<(String, f64)>,
    /// What titles may have words that begin with it.
    pub beginning: Option<String>,
    /// Whether the words stand for one that no product has.
    pub corrected: bool,
}

/// The variants of a word; nothing where no product has any. `typed` says that somebody may be in the middle of it.
pub(crate) fn variants(
    view: &View<'_>,
    word: &Word,
    typed: bool,
    settings: &KeywordSettings,
) -> Result<Option<Variants>, SearchError> {
    let mut found = Variants { words: Vec::new(), beginning: None, corrected: false };
    if has(view, &word.stem)? {
        found.words.push((word.stem.clone(), 1.0));
    }
    if typed && word.full.chars().count() <= PREFIX_CHARS_MAX {
        let term = Term::from_field_text(view.columns.beginnings, &word.full);
        found.beginning = view.has(&term)?.then(|| word.full.clone());
    }
    let is_known = !found.words.is_empty() || found.beginning.is_some();
    if is_known || !word.stands || !word.stem.chars().all(char::is_alphabetic) {
        return Ok(is_known.then_some(found));
    }
    let length = word.full.chars().count();
    for (edits, (chars_min, weight)) in (1..).zip(TYPO_CHARS_MIN.into_iter().zip(settings.typo_weights)) {
        if length < chars_min {
            break;
        }
        let near = nearest(view, &word.stem, edits)?;
        if !near.is_empty() {
            found.words = near.into_iter().map(|word| (word, weight)).collect();
            found.corrected = true;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn has(view: &View<'_>, word: &str) -> Result<bool, SearchError> {
    for field in view.columns.words {
        if view.has(&Term::from_field_text(field, word))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Words of products within so many edits, those with the same first letter first, then in the order of the alphabet.
fn nearest(view: &View<'_>, word: &str, edits: u8) -> Result<Vec<String>, SearchError> {
    let mut near = BTreeSet::new();
    for field in view.columns.words {
        let query = FuzzyTermQuery::new(Term::from_field_text(field, word), edits, true);
        for segment in &view.segments {
            let inverted = segment.reader.inverted_index(field)?;
            let mut stream = inverted.terms().search(query.automaton()?).into_stream()?;
            while stream.advance() {
                let text = String::from_utf8_lossy(stream.key());
                near.insert((text.chars().next() != word.chars().next(), text.into_owned()));
            }
        }
    }
    let mut kept = Vec::new();
    for (_, text) in near {
        // The dictionary keeps words of products that are gone until segments are merged.
        if has(view, &text)? {
            kept.push(text);
        }
        if kept.len() == TYPO_WORDS_MAX {
            break;
        }
    }
    Ok(kept)
}
