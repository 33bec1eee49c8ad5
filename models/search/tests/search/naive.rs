//! Search written the obvious way, as the oracle: every product is looked at for every word; it is slow and has no index.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::ProductId;
use dhow_search::text::{Word, indexed_words, queried_words};
use dhow_search::{Field, Filters, KeywordSettings, ProductDocument};

fn words_of(document: &ProductDocument, field: Field) -> Vec<Word> {
    match field {
        Field::Title => indexed_words(&document.title),
        Field::Category => indexed_words(&document.category.replace('/', " ")),
        Field::Attributes => document.attributes.values().flat_map(|value| indexed_words(value)).collect(),
        Field::Description => indexed_words(&document.description),
    }
}

pub fn passes(document: &ProductDocument, filters: &Filters) -> bool {
    let in_category = |path: &String| document.category == *path || document.category.starts_with(&format!("{path}/"));
    let category = filters.categories.is_empty() || filters.categories.iter().any(in_category);
    let seller = filters.sellers.is_empty() || filters.sellers.contains(&document.seller);
    let price = document.price_minor >= filters.price_min.unwrap_or(i64::MIN)
        && document.price_minor <= filters.price_max.unwrap_or(i64::MAX);
    let attributes = filters
        .attributes
        .iter()
        .all(|(name, values)| document.attributes.get(name).is_some_and(|value| values.contains(value)));
    let region = filters.region.as_ref().is_none_or(|region| document.sale_regions.admits(region));
    category && seller && price && attributes && region && (document.available || !filters.available_only)
}

/// Whether a product has every word of a text that stands in it, and passes the filters.
pub fn answers(document: &ProductDocument, text: &str, filters: &Filters) -> bool {
    let has = |word: &Word| {
        Field::ALL.iter().any(|field| words_of(document, *field).iter().any(|other| other.stem == word.stem))
    };
    queried_words(text).iter().filter(|word| word.stands).all(has) && passes(document, filters)
}

/// Edits between two words, neighbours swapped being one (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut d = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = usize::from(a[i - 1] != b[j - 1]);
                let mut least = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + same);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(d[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    d[a.len()][b.len()]
}

type Texts = Vec<[Vec<Word>; 4]>;

/// What a word is looked up as, with weights; and what titles may have words beginning with it.
fn looked_up(
    word: &Word,
    typed: bool,
    texts: &Texts,
    settings: &KeywordSettings,
) -> (Vec<(String, f64)>, Option<String>) {
    let vocabulary: BTreeSet<&str> = texts.iter().flatten().flatten().map(|word| word.stem.as_str()).collect();
    let begins = |text: &[Vec<Word>; 4]| text[0].iter().any(|other| other.stands && other.full.starts_with(&word.full));
    let beginning = (typed && word.full.chars().count() <= 16 && texts.iter().any(begins)).then(|| word.full.clone());
    if vocabulary.contains(word.stem.as_str()) {
        return (vec![(word.stem.clone(), 1.0)], beginning);
    }
    if beginning.is_some() || !word.stands || !word.stem.chars().all(char::is_alphabetic) {
        return (Vec::new(), beginning);
    }
    for (allowed, chars_min) in [(1, 4), (2, 8)] {
        let mut near: Vec<&str> =
            vocabulary.iter().copied().filter(|other| edits(&word.stem, other) <= allowed).collect();
        if word.full.chars().count() >= chars_min && !near.is_empty() {
            near.sort_by_key(|other| (other.chars().next() != word.stem.chars().next(), *other));
            let weight = settings.typo_weights[allowed - 1];
            return (near.into_iter().take(24).map(|other| (other.to_owned(), weight)).collect(), None);
        }
    }
    (Vec::new(), None)
}

/// The products that answer and their scores, best first.
pub fn search(
    documents: &BTreeMap<ProductId, ProductDocument>,
    query: &str,
    typed: bool,
    filters: &Filters,
    settings: &KeywordSettings,
) -> Vec<(ProductId, f64)> {
    let texts: Texts = documents.values().map(|document| Field::ALL.map(|field| words_of(document, field))).collect();
    let mean = |field: usize| texts.iter().map(|text| text[field].len()).sum::<usize>() as f64 / texts.len() as f64;
    let mut words: Vec<Word> = Vec::new();
    for word in queried_words(query) {
        if !words.iter().any(|other| other.stem == word.stem) {
            words.push(word);
        }
    }
    let last = words.iter().rposition(|word| word.stands);
    let mut scores = vec![0.0; texts.len()];
    let mut matched = vec![0; texts.len()];
    let mut known = 0;
    for (at, word) in words.iter().enumerate() {
        let (variants, beginning) = looked_up(word, typed && Some(at) == last, &texts, settings);
        if variants.is_empty() && beginning.is_none() {
            continue;
        }
        known += 1;
        let counts: Vec<f64> = texts
            .iter()
            .map(|text| {
                let mut sum = 0.0;
                for (field, of) in settings.fields.iter().enumerate() {
                    let mut count = 0.0;
                    for (variant, weight) in &variants {
                        count += weight * text[field].iter().filter(|word| word.stem == *variant).count() as f64;
                    }
                    if let Some(beginning) = beginning.as_ref().filter(|_| field == 0 && count == 0.0) {
                        let begun =
                            text[0].iter().filter(|word| word.stands && word.full.starts_with(beginning.as_str()));
                        count += settings.prefix_weight * begun.count() as f64;
                    }
                    let length = text[field].len() as f64;
                    sum += if count > 0.0 {
                        of.weight * count / (1.0 - of.length_share + of.length_share * length / mean(field))
                    } else {
                        0.0
                    };
                }
                sum
            })
            .collect();
        let having = counts.iter().filter(|count| **count > 0.0).count() as f64;
        let rarity = (1.0 + (texts.len() as f64 - having + 0.5) / (having + 0.5)).ln();
        for (at, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0.0) {
            scores[at] += rarity * count * (settings.saturation + 1.0) / (count + settings.saturation);
            matched[at] += 1;
        }
    }
    let required = ((settings.required_share * f64::from(known)).ceil() as i32).max(1);
    let mut found: Vec<(ProductId, f64)> = documents
        .iter()
        .enumerate()
        .filter(|(at, (_, document))| matched[*at] >= required && passes(document, filters))
        .map(|(at, (product, _))| (*product, scores[at]))
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found
}
