//! Text embeddings: by hand on a tiny encoder, and with the real MiniLM where the data folder holds it.

use std::path::PathBuf;

use dhow_registry::{EmbedError, EmbedderSettings, TextEmbedder, similarity};

use crate::protobuf::{F32, I8, I64, constant, floats, linear, model, node, value};

/// Words of the tiny tokenizer; the ids are the places.
const WORDS: [&str; 6] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "shirt"];
/// One row of two 8-bit numbers for each word, and each row's scale.
const ROWS: [[i8; 2]; 6] = [[0, 0], [1, 1], [2, 0], [0, 2], [100, -50], [-20, 127]];
const SCALES: [f32; 6] = [1.0, 0.5, 1.0, 0.5, 0.25, 0.125];

/// A tokenizer of whole lower-case words.
pub fn tiny_tokenizer() -> Vec<u8> {
    let vocabulary: serde_json::Map<_, _> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    serde_json::json!({
        "version": "1.0", "truncation": null, "added_tokens": [], "decoder": null,
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
    .to_string()
    .into_bytes()
}

/// An encoder that only looks words up in an 8-bit table which it widens, as weight-only quantized models do.
pub fn tiny_encoder() -> Vec<u8> {
    let raw: Vec<u8> = ROWS.iter().flatten().map(|&value| value as u8).collect();
    model(
        vec![
            crate::protobuf::with_integer(node("Cast", &["table"], "wide"), "to", F32),
            node("Mul", &["wide", "scales"], "vectors"),
            node("Gather", &["vectors", "input_ids"], "last_hidden_state"),
        ],
        vec![constant("table", I8, &[6, 2], &raw), floats("scales", &[6, 1], &SCALES)],
        vec![value("input_ids", I64, &["batch", "sequence"])],
        vec![value("last_hidden_state", F32, &["batch", "sequence", "2"])],
    )
}

fn tiny(max_tokens: usize) -> Result<TextEmbedder, EmbedError> {
    TextEmbedder::from_parts(&tiny_encoder(), &tiny_tokenizer(), EmbedderSettings { max_tokens })
}

/// The mean of the rows, scaled to length 1.
fn expected(ids: &[usize]) -> Vec<f32> {
    let mean = [0, 1].map(|axis| {
        ids.iter().map(|&id| f64::from(ROWS[id][axis]) * f64::from(SCALES[id])).sum::<f64>() / ids.len() as f64
    });
    let length = mean[0].hypot(mean[1]);
    mean.iter().map(|value| (value / length) as f32).collect()
}

#[test]
fn a_text_becomes_the_unit_mean_of_its_token_vectors_without_padding() {
    let embedder = tiny(128).unwrap();
    assert_eq!(embedder.dimension(), 2);
    let vectors = embedder.embed(&["Red shirt", "", "shirt", "a blue Shirt"]).unwrap();
    for (vector, ids) in vectors.iter().zip([&[2, 4, 5, 3][..], &[2, 3], &[2, 5, 3], &[2, 1, 1, 5, 3]]) {
        for (found, wanted) in vector.iter().zip(expected(ids)) {
            assert!((found - wanted).abs() < 1e-6, "{ids:?}: {found} instead of {wanted}");
        }
    }
    assert_eq!(embedder.embed(&["shirt"]).unwrap()[0], vectors[2], "the neighbours change nothing");
}

#[test]
fn a_long_text_is_cut_to_its_first_tokens_and_a_huge_one_refused() {
    let embedder = tiny(4).unwrap();
    assert_eq!(embedder.token_ids("red shirt shirt shirt").unwrap(), [2, 4, 5, 3]);
    let huge = "red ".repeat(20_000);
    let refused = embedder.embed(&["red", &huge]);
    assert!(matches!(refused, Err(EmbedError::TextTooLong { index: 1, found: 80_000 })));
}

#[test]
fn parts_that_make_no_text_encoder_are_refused() {
    assert!(matches!(tiny(2), Err(EmbedError::BadMaxTokens(2))));
    assert!(matches!(tiny(513), Err(EmbedError::BadMaxTokens(513))));
    let settings = EmbedderSettings::default();
    let refused = TextEmbedder::from_parts(&tiny_encoder(), b"{}", settings);
    assert!(matches!(refused, Err(EmbedError::Tokenizer(_))));
    let refused = TextEmbedder::from_parts(&linear(&[0.0; 6], &[0.0; 2]), &tiny_tokenizer(), settings);
    assert!(matches!(refused, Err(EmbedError::NotAnEncoder(what)) if what.contains("x: f32[batch, 3]")));
    assert_eq!(similarity(&[1.0], &[1.0, 0.0]), None);
}

/// The folder of the real model, if the data folder holds it.
pub fn minilm(test: &str) -> Option<(PathBuf, PathBuf)> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("DHOW_DATA_DIR").map_or_else(default, PathBuf::from);
    let folder = data.join("models/minilm_int8");
    let files = (folder.join("model_int8.onnx"), folder.join("tokenizer.json"));
    if !(files.0.is_file() && files.1.is_file()) {
        println!("SKIPPED: {test}: data folder absent");
        return None;
    }
    Some(files)
}

#[test]
fn minilm_agrees_with_onnx_runtime_and_ranks_related_titles_above_unrelated_ones() {
    let Some((onnx, tokenizer)) =
        minilm("minilm_agrees_with_onnx_runtime_and_ranks_related_titles_above_unrelated_ones")
    else {
        return;
    };
    let (onnx, tokenizer) = (std::fs::read(onnx).unwrap(), std::fs::read(tokenizer).unwrap());
    let embedder = TextEmbedder::from_parts(&onnx, &tokenizer, EmbedderSettings::default()).unwrap();
    assert_eq!(embedder.dimension(), 384);

    // Ids and values that Hugging Face's tokenizer and ONNX Runtime 1.31 gave for the same files.
    let title = "Sony pink Cyber-shot 7.2 megapixel digital camera – DSCW120P";
    let ids = [
        101, 8412, 5061, 16941, 1011, 2915, 1021, 1012, 1016, 13164, 8197, 2595, 2884, 3617, 4950, 1516, 16233, 2278,
        2860, 12521, 2692, 2361, 102,
    ];
    assert_eq!(embedder.token_ids(title).unwrap(), ids);
    let vector = &embedder.embed(&[title]).unwrap()[0];
    let golden = [-0.021903, 0.004945, -0.009012, -0.043521, -0.007441, -0.049522];
    for (found, wanted) in vector.iter().zip(golden) {
        assert!((found - wanted).abs() < 1e-4, "{found} instead of {wanted}");
    }

    let groups = [
        ["samsung 50 inch plasma hdtv", "samsung 50\" 1080p plasma television"],
        ["red cotton t-shirt for women", "ladies crimson tee, 100% cotton"],
        ["stainless steel kitchen knife set", "chef's knives with block, 6 pieces"],
        ["wooden toy train for toddlers", "children's railway set made of wood"],
        ["wireless noise cancelling headphones", "bluetooth over-ear headset"],
    ];
    let titles = groups.as_flattened();
    let vectors = embedder.embed(titles).unwrap();
    for (query, vector) in vectors.iter().enumerate() {
        let partner = query ^ 1;
        let related = similarity(vector, &vectors[partner]).unwrap();
        for (other, unrelated) in vectors.iter().enumerate().filter(|(other, _)| *other != query && *other != partner) {
            let unrelated = similarity(vector, unrelated).unwrap();
            assert!(
                related > unrelated,
                "`{}`: {related} to `{}`, {unrelated} to `{}`",
                titles[query],
                titles[partner],
                titles[other]
            );
        }
    }
}
