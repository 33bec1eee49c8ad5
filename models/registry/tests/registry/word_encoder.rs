//! A small text encoder and its tokenizer for tests: each word has a vector of its own, and those of some words are alike.

use crate::protobuf::{F32, I64, floats, model, node, value};

const DIMENSIONS: usize = 16;
const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// The graph and the `tokenizer.json` of an encoder that knows these groups of words: words of a group mean nearly the same.
pub fn word_encoder(groups: &[&[&str]]) -> (Vec<u8>, Vec<u8>) {
    let words: Vec<&str> =
        SPECIAL.iter().copied().chain(groups.iter().flat_map(|group| group.iter().copied())).collect();
    let mut rows = vec![[0.0_f32; DIMENSIONS]; SPECIAL.len()];
    for (place, group) in groups.iter().enumerate() {
        for word in 0..group.len() {
            let mut row = [0.0; DIMENSIONS];
            row[place % DIMENSIONS] = 1.0;
            // What sets the word apart from the others of its group.
            row[(place + 5 + word * 3) % DIMENSIONS] += 0.4;
            rows.push(row);
        }
    }
    let vocabulary: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "decoder": null,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    // The end mark points somewhere, so that a text without a known word has a direction too.
    rows[3][DIMENSIONS - 1] = 0.2;
    let (count, dimensions) = (words.len().to_string(), DIMENSIONS.to_string());
    let graph = model(
        vec![node("Gather", &["table", "input_ids"], "last_hidden_state")],
        vec![floats("table", &[count.parse().expect("a number"), DIMENSIONS as u64], rows.as_flattened())],
        vec![value("input_ids", I64, &["batch", "sequence"])],
        vec![value("last_hidden_state", F32, &["batch", "sequence", &dimensions])],
    );
    (graph, tokenizer.to_string().into_bytes())
}

/// Goods by code, and words that their descriptions are made of.
pub const GOODS: [(&str, &[&str]); 6] = [
    ("851830", &["headphones", "earphones", "wireless", "sound", "ear", "headset"]),
    ("851762", &["router", "network", "modem", "switch", "signal", "antenna"]),
    ("610910", &["shirt", "cotton", "knitted", "tee", "sleeve", "vest"]),
    ("620342", &["trousers", "denim", "jeans", "woven", "leg", "pocket"]),
    ("640399", &["shoes", "leather", "sole", "boots", "heel", "lace"]),
    ("090121", &["coffee", "roasted", "beans", "arabica", "espresso", "ground"]),
];

/// The groups of words of [`GOODS`].
pub fn groups() -> Vec<&'static [&'static str]> {
    GOODS.iter().map(|(_, words)| *words).collect()
}

/// All texts of three different words of each of [`GOODS`], with the code, as CSV.
pub fn labelled() -> String {
    let mut csv = "code,text\n".to_owned();
    for (code, words) in GOODS {
        for first in words {
            for second in words.iter().filter(|word| *word != first) {
                for third in words.iter().filter(|word| *word != first && *word != second) {
                    csv.push_str(&format!("{code},{first} {second} {third}\n"));
                }
            }
        }
    }
    csv
}
