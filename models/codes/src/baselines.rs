//! What a model must beat: the commonest code, and the example that shares the most words; neither knows a meaning.

use std::collections::{BTreeMap, BTreeSet};

use crate::Example;

/// The commonest prefix of `digits` digits; the smallest of several.
pub(crate) fn commonest<'e>(examples: &[&'e Example], digits: usize) -> &'e str {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for example in examples {
        *counts.entry(&example.code[..digits]).or_default() += 1;
    }
    let best = counts.iter().max_by(|one, other| one.1.cmp(other.1).then(other.0.cmp(one.0)));
    best.map_or("", |(prefix, _)| prefix)
}

/// Examples by their words, each word weighted by how rare it is.
pub(crate) struct SharedWords<'e> {
    examples: &'e [&'e Example],
    by_word: BTreeMap<String, Vec<usize>>,
    lengths: Vec<f64>,
}

impl<'e> SharedWords<'e> {
    pub(crate) fn new(examples: &'e [&'e Example]) -> Self {
        let mut by_word: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, example) in examples.iter().enumerate() {
            for word in words(&example.text) {
                by_word.entry(word).or_default().push(place);
            }
        }
        let mut lengths = vec![0.0; examples.len()];
        for places in by_word.values() {
            let weight = rarity(examples.len(), places.len());
            places.iter().for_each(|place| lengths[*place] += weight * weight);
        }
        lengths.iter_mut().for_each(|length| *length = length.sqrt());
        Self { examples, by_word, lengths }
    }

    /// The code of the example with the greatest cosine of words' rarities; the first of several; none where no word is
    /// shared.
    pub(crate) fn nearest(&self, text: &str) -> Option<&'e str> {
        let mut shared: BTreeMap<usize, f64> = BTreeMap::new();
        for word in words(text) {
            let Some(places) = self.by_word.get(&word) else { continue };
            let weight = rarity(self.examples.len(), places.len());
            places.iter().for_each(|place| *shared.entry(*place).or_default() += weight * weight);
        }
        let cosine = |(place, sum): (&usize, &f64)| (*place, sum / self.lengths[*place]);
        let best = shared.iter().map(cosine).max_by(|one, other| one.1.total_cmp(&other.1).then(other.0.cmp(&one.0)));
        best.map(|(place, _)| self.examples[place].code.as_str())
    }
}

fn rarity(examples: usize, places: usize) -> f64 {
    (1.0 + examples as f64 / places as f64).ln()
}

fn words(text: &str) -> BTreeSet<String> {
    let letters = |character: char| !character.is_alphanumeric();
    text.split(letters).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}
