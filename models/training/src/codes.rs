//! Trains the model that suggests codes of a nomenclature, from labelled texts and the tenant's embedding model.

use std::collections::BTreeMap;

use dhow_codes::{CodesError, Example, LearnSettings, LevelReport, learn};
use dhow_registry::{ModelFormat, Task, open_embedder};

use crate::error::trainer;
use crate::promotion::{Candidate, Champion, champion_of, register_from};
use crate::{Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "codes";
/// The share of right suggestions that reports tell the confidence for.
const PRECISION: f64 = 0.9;

/// Texts whose codes are known.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledTexts {
    /// Digits of the prefixes of each level of the nomenclature, rising; the last is all digits of a code.
    pub levels: Vec<usize>,
    /// Code and text.
    pub texts: Vec<(String, String)>,
}

/// Trains, judges, registers and perhaps promotes the model of codes. Texts and judgement have no time: the split is by a
/// hash of the texts.
///
/// # Errors
/// No embedding model in force, labelled texts that do not fit or are too few, a failing registry.
pub fn train_codes(input: &TrainingInput<'_>, labelled: &LabelledTexts) -> Result<TaskReport, TrainingError> {
    let embedder = champion_of(input, Task::Embedding)?.ok_or_else(|| TrainingError::Data {
        task: TASK,
        reason: "no embedding model is in force; bring one by `dhow models import`".to_owned(),
    })?;
    let model = open_embedder(input.registry, embedder).map_err(trainer(TASK))?;
    let texts: Vec<&str> = labelled.texts.iter().map(|(_, text)| text.as_str()).collect();
    let vectors = model.embed(&texts).map_err(trainer(TASK))?;
    let example = |((code, text), vector): (&(String, String), Vec<f32>)| Example {
        code: code.clone(),
        text: text.clone(),
        vector,
    };
    let examples: Vec<Example> = labelled.texts.iter().zip(vectors).map(example).collect();
    let settings = LearnSettings {
        levels: labelled.levels.clone(),
        embedder: embedder.to_string(),
        precision: PRECISION,
        seed: input.seed,
    };
    let learned = learn(&examples, &settings).map_err(|error| match error {
        CodesError::Corrupt(_) => trainer(TASK)(error),
        other => TrainingError::Data { task: TASK, reason: other.to_string() },
    })?;
    let champion = match champion_of(input, Task::Codes)? {
        None => Champion::Absent,
        Some(_) => Champion::Incomparable("it may have learned from this test part".to_owned()),
    };
    let candidate = Candidate {
        task: Task::Codes,
        name: "codes".to_owned(),
        format: ModelFormat::Postcard,
        artifact: learned.model.to_bytes().map_err(trainer(TASK))?,
        feature_schema_hash: None,
        data_fingerprint: fingerprint(&labelled.texts),
        training_span: None,
        settings: BTreeMap::from([
            ("levels".to_owned(), labelled.levels.clone().into()),
            ("embedder".to_owned(), embedder.to_string().into()),
            ("words_share".to_owned(), learned.model.words_share().into()),
            ("temperatures".to_owned(), learned.model.temperatures().into()),
        ]),
        training_rows: examples.len() as u64,
        test_rows: learned.report.test_count as u64,
        figures: learned.report.levels.iter().rev().flat_map(figures).collect(),
        notes: learned.report.levels.iter().rev().map(note).collect(),
        champion,
    };
    // It cannot answer without the model that made its vectors, which is kept for as long as it is.
    register_from(input, candidate, Some(embedder))
}

/// The measure that decides promotions comes first: the share of right codes with all digits.
fn figures(level: &LevelReport) -> Vec<Figure> {
    let LevelReport { digits, accuracy: [accuracy, low, high], .. } = level;
    vec![
        Figure::new(&format!("right, of {digits} digits"), *accuracy, true)
            .within(*low, *high)
            .beside("commonest", level.accuracy_commonest)
            .beside("shared words", level.accuracy_shared_words),
        Figure::new(&format!("calibration error, of {digits} digits"), level.calibration_error, false),
    ]
}

fn note(level: &LevelReport) -> String {
    let LevelReport { digits, covered: [covered, right], .. } = level;
    match level.confidence_for_precision {
        Some(confidence) => format!(
            "{digits} digits: from a confidence of {confidence:.2} on, {:.1} % of the texts get a suggestion, of which {:.1} % are right",
            100.0 * covered,
            100.0 * right
        ),
        None => format!("{digits} digits: no confidence makes {:.0} % of the suggestions right", 100.0 * PRECISION),
    }
}

fn fingerprint(texts: &[(String, String)]) -> String {
    let mut hasher = blake3::Hasher::new();
    for (code, text) in texts {
        hasher.update(code.as_bytes()).update(b"\t").update(text.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
