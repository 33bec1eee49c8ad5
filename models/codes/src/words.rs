//! How alike texts are in their words, each weighted by how rare it is; it knows no meaning.

use std::collections::{BTreeMap, BTreeSet};

/// Texts by their words.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct WordIndex {
    by_word: BTreeMap<String, Vec<u32>>,
    /// Of each text, the length of its vector of rarities.
    lengths: Vec<f32>,
}

impl WordIndex {
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut by_word: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (place, text) in (0..).zip(texts) {
            for word in words(text) {
                by_word.entry(word).or_default().push(place);
            }
        }
        let mut lengths = vec![0.0; texts.len()];
        for places in by_word.values() {
            let weight = rarity(texts.len(), places.len());
            places.iter().for_each(|place| lengths[*place as usize] += weight * weight);
        }
        lengths.iter_mut().for_each(|length: &mut f32| *length = length.sqrt());
        Self { by_word, lengths }
    }

    /// The cosine to each text, 0 to 1; a word that no text has is the rarest.
    pub(crate) fn cosines(&self, text: &str) -> Vec<f32> {
        let mut cosines = vec![0.0; self.lengths.len()];
        let mut square = 0.0;
        for word in words(text) {
            let places = self.by_word.get(&word).map_or(&[][..], Vec::as_slice);
            let weight = rarity(self.lengths.len(), places.len().max(1));
            square += weight * weight;
            places.iter().for_each(|place| cosines[*place as usize] += weight * weight);
        }
        if square > 0.0 {
            let own = square.sqrt();
            let lengths = self.lengths.iter().map(|length| if *length > 0.0 { length * own } else { 1.0 });
            cosines.iter_mut().zip(lengths).for_each(|(cosine, length)| *cosine /= length);
        }
        cosines
    }
}

fn rarity(texts: usize, places: usize) -> f32 {
    (1.0 + texts as f32 / places as f32).ln()
}

fn words(text: &str) -> BTreeSet<String> {
    let between = |character: char| !character.is_alphanumeric();
    text.split(between).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}
