//! Learning: split, fit temperatures on validation, judge once on the test part, then take every example in.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::model::{check_levels, check_vector, is_code};
use crate::{CodeModel, CodesError, EXAMPLES_MAX, Example};

/// Temperatures that are tried: a hundredth of a cosine makes nearly the nearest example alone count, one nearly all alike.
const TEMPERATURES: (f64, f64) = (0.005, 1.0);
/// Shares of the words in the likeness that are tried.
const WORDS_SHARES: [f32; 4] = [0.0, 0.25, 0.5, 0.75];
/// Steps of the search for a temperature; each narrows its logarithm by the golden ratio.
const TEMPERATURE_STEPS: usize = 24;
/// A share that is 0 by rounding costs as much as this one.
const SHARE_MIN: f64 = 1e-12;
/// What is left out must be at least so many, for validation and test each.
const LEFT_OUT_MIN: usize = 50;
/// The most examples that temperatures are fitted on.
const VALIDATION_MAX: usize = 2_000;
/// The quantile of the normal distribution for intervals of 95 %.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// How a model is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnSettings {
    /// Digits of the prefixes of each level, rising; the last is all digits of a code.
    pub levels: Vec<usize>,
    /// The id of the model that made the vectors.
    pub embedder: String,
    /// The share of right suggestions that the report looks for, 0 to 1.
    pub precision: f64,
    /// Which examples are left out follows from it.
    pub seed: u64,
}

/// How the model did at a level, on examples that it had not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelReport {
    /// Digits of the prefixes.
    pub digits: usize,
    /// The share of texts whose best guess was right, with its 95 % interval (Wilson's).
    pub accuracy: [f64; 3],
    /// The same share of always the commonest prefix.
    pub accuracy_commonest: f64,
    /// The same share of the example that shares the most, and the rarest, words.
    pub accuracy_shared_words: f64,
    /// The mean distance between confidence and truth over ten bins of confidence.
    pub calibration_error: f64,
    /// The confidence from which on so many of validation's guesses were right as was asked for; nothing where none is.
    pub confidence_for_precision: Option<f64>,
    /// The share of test texts with a guess that sure, and the share of right ones among them.
    pub covered: [f64; 2],
}

/// How the model did.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeReport {
    /// Examples that judged.
    pub test_count: usize,
    /// By level.
    pub levels: Vec<LevelReport>,
}

/// The model of all examples, and how one without the test part did on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// The model.
    pub model: CodeModel,
    /// The judgement.
    pub report: CodeReport,
}

/// Learns from examples.
///
/// # Errors
/// Levels that do not rise, a code or vector that does not fit, too few or too many examples.
pub fn learn(examples: &[Example], settings: &LearnSettings) -> Result<Learned, CodesError> {
    check(examples, &settings.levels)?;
    let parts = Parts::of(examples, settings)?;
    let model = CodeModel::new(&settings.levels, &settings.embedder, parts.known.clone());
    let (words_share, temperatures) = fit(&model, &parts.validation);
    let model = model.fitted(words_share, temperatures.clone());
    let report = judge(&model, &parts, settings.precision);
    let all = CodeModel::new(&settings.levels, &settings.embedder, examples.iter().collect());
    Ok(Learned { model: all.fitted(words_share, temperatures), report })
}

fn check(examples: &[Example], levels: &[usize]) -> Result<(), CodesError> {
    check_levels(levels)?;
    let digits = levels[levels.len() - 1];
    let dimensions = examples.first().map_or(0, |example| example.vector.len());
    for (index, Example { code, vector, .. }) in examples.iter().enumerate() {
        if !is_code(code, digits) {
            return Err(CodesError::Code { index, code: code.clone(), digits });
        }
        check_vector(index, vector, dimensions)?;
    }
    Ok(())
}

/// Who is learned from, who temperatures are fitted on, who judges.
struct Parts<'e> {
    known: Vec<&'e Example>,
    validation: Vec<&'e Example>,
    test: Vec<&'e Example>,
}

impl<'e> Parts<'e> {
    /// Draws a fifth of the examples for the test and a tenth for validation by a hash of their texts, so that the same text
    /// is never on two sides. Of each code the example with the smallest hash is known: a code that nobody showed cannot be
    /// guessed. All parts are in the order of the hashes: how the examples were sorted changes nothing, and what validation is
    /// cut to is not the first chapters of a table.
    fn of(examples: &'e [Example], settings: &LearnSettings) -> Result<Self, CodesError> {
        let draw = |text: &str| -> u64 {
            let mut hasher = blake3::Hasher::new_derive_key("dhow 2026 split of code examples");
            hasher.update(&settings.seed.to_le_bytes()).update(text.as_bytes());
            let mut low = [0; 8];
            low.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
            u64::from_le_bytes(low)
        };
        let mut drawn: Vec<(u64, &Example)> = examples.iter().map(|example| (draw(&example.text), example)).collect();
        drawn.sort_by(|one, other| (one.0, &one.1.code).cmp(&(other.0, &other.1.code)));
        let mut kept: BTreeMap<&str, u64> = BTreeMap::new();
        for (draw, example) in &drawn {
            kept.entry(&example.code).or_insert(*draw);
        }
        let keeps: BTreeSet<u64> = kept.into_values().collect();
        let mut parts = Self { known: Vec::new(), validation: Vec::new(), test: Vec::new() };
        for (draw, example) in drawn {
            match (draw >> 32) % 10 {
                _ if keeps.contains(&draw) => parts.known.push(example),
                0 | 1 => parts.test.push(example),
                2 => parts.validation.push(example),
                _ => parts.known.push(example),
            }
        }
        let judged = parts.validation.len().min(parts.test.len());
        if judged < LEFT_OUT_MIN || examples.len() > EXAMPLES_MAX {
            return Err(CodesError::Examples { found: examples.len(), judged, least: LEFT_OUT_MIN });
        }
        parts.validation.truncate(VALIDATION_MAX);
        Ok(parts)
    }
}

/// The share of the words and the temperature of each level under which the texts' true codes are likeliest.
fn fit(model: &CodeModel, texts: &[&Example]) -> (f32, Vec<f64>) {
    let mut best = (f64::INFINITY, (0.0, Vec::new()));
    for words_share in WORDS_SHARES {
        let fitted = temperatures(model, texts, words_share);
        if let Some((_, cost)) = fitted.last().filter(|(_, cost)| *cost < best.0) {
            best = (*cost, (words_share, fitted.iter().map(|(temperature, _)| *temperature).collect()));
        }
    }
    best.1
}

/// By level, the likeliest temperature at a share of the words, and what it costs.
fn temperatures(model: &CodeModel, texts: &[&Example], words_share: f32) -> Vec<(f64, f64)> {
    let likeness = |text: &&Example| model.likeness(&text.text, &text.vector, words_share);
    let likeness: Vec<Vec<f32>> = texts.par_iter().map(likeness).collect();
    let cost = |digits: usize, temperature: f64| -> f64 {
        let of = |(likeness, text): (&Vec<f32>, &&Example)| {
            let shares = model.shares(likeness, digits, temperature);
            let own = shares.iter().find(|share| model.prefix(share.nearest, digits) == &text.code[..digits]);
            -own.map_or(SHARE_MIN, |share| share.share.max(SHARE_MIN)).ln()
        };
        // Gathered before it is added up, so that the sum has one order on any number of threads.
        likeness.par_iter().zip(texts).map(of).collect::<Vec<f64>>().iter().sum()
    };
    let level = |&digits: &usize| {
        let temperature = golden_section(|logarithm| cost(digits, logarithm.exp())).exp();
        (temperature, cost(digits, temperature))
    };
    model.levels().iter().map(level).collect()
}

/// Where a function of one valley between the logarithms of [`TEMPERATURES`] is least.
fn golden_section(cost: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (cost(left), cost(right));
    for _ in 0..TEMPERATURE_STEPS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = cost(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = cost(right);
        }
    }
    f64::midpoint(low, high)
}

/// A guess: how sure it was, and whether it was right.
type Outcome = (f64, bool);

fn judge(model: &CodeModel, parts: &Parts<'_>, precision: f64) -> CodeReport {
    let nearest: Vec<&str> = parts.test.par_iter().map(|text| nearest_by_words(model, &text.text)).collect();
    let (validation, test) = (outcomes(model, &parts.validation), outcomes(model, &parts.test));
    let count = parts.test.len() as f64;
    let level = |(level, &digits): (usize, &usize)| {
        let (outcomes, test): (&[Outcome], &[&Example]) = (&test[level], &parts.test);
        let is = |guess: &str, text: &Example| guess[..digits] == text.code[..digits];
        let most = commonest(&parts.known, digits);
        let by_words = nearest.iter().zip(test).filter(|(guess, text)| is(guess, text));
        let confidence = confidence_for(&validation[level], precision);
        LevelReport {
            digits,
            accuracy: wilson(outcomes.iter().filter(|(_, right)| *right).count(), outcomes.len()),
            accuracy_commonest: test.iter().filter(|text| text.code[..digits] == *most).count() as f64 / count,
            accuracy_shared_words: by_words.count() as f64 / count,
            calibration_error: calibration_error(outcomes),
            confidence_for_precision: confidence,
            covered: confidence.map_or([0.0, 0.0], |confidence| covered(outcomes, confidence)),
        }
    };
    CodeReport { test_count: parts.test.len(), levels: model.levels().iter().enumerate().map(level).collect() }
}

/// The commonest prefix of `digits` digits; the smallest of several.
fn commonest<'e>(examples: &[&'e Example], digits: usize) -> &'e str {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for example in examples {
        *counts.entry(&example.code[..digits]).or_default() += 1;
    }
    let best = counts.iter().max_by(|one, other| one.1.cmp(other.1).then(other.0.cmp(one.0)));
    best.map_or("", |(prefix, _)| prefix)
}

/// The code of the example whose words are most like the text's; the first of several.
fn nearest_by_words<'m>(model: &'m CodeModel, text: &str) -> &'m str {
    let cosines = model.by_words(text);
    let places =
        (0..cosines.len()).max_by(|&one, &other| cosines[one].total_cmp(&cosines[other]).then(other.cmp(&one)));
    places.and_then(|place| model.example(place)).map_or("", |(code, _)| code)
}

/// By level, the best guess of each text.
fn outcomes(model: &CodeModel, texts: &[&Example]) -> Vec<Vec<Outcome>> {
    let of = |text: &&Example| -> Vec<Outcome> {
        let likeness = model.likeness(&text.text, &text.vector, model.words_share());
        let levels = model.levels().iter().zip(model.temperatures());
        let guess = |(&digits, &temperature): (&usize, &f64)| {
            let best = model.best(&likeness, digits, temperature, 1);
            best.first().map_or((0.0, false), |best| (best.confidence, best.code == text.code[..digits]))
        };
        levels.map(guess).collect()
    };
    let by_text: Vec<Vec<Outcome>> = texts.par_iter().map(of).collect();
    (0..model.levels().len()).map(|level| by_text.iter().map(|levels| levels[level]).collect()).collect()
}

/// The least confidence from which on at least `precision` of the guesses were right.
fn confidence_for(outcomes: &[Outcome], precision: f64) -> Option<f64> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut right, mut found) = (0_usize, None);
    for (place, (confidence, is_right)) in sorted.iter().enumerate() {
        right += usize::from(*is_right);
        if right as f64 >= precision * (place + 1) as f64 {
            found = Some(*confidence);
        }
    }
    found
}

fn covered(outcomes: &[Outcome], confidence: f64) -> [f64; 2] {
    let sure: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.0 >= confidence).collect();
    let right = sure.iter().filter(|outcome| outcome.1).count();
    [sure.len() as f64 / outcomes.len() as f64, right as f64 / sure.len().max(1) as f64]
}

fn calibration_error(outcomes: &[Outcome]) -> f64 {
    let mut bins = [(0.0, 0.0); 10];
    for (confidence, right) in outcomes {
        let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
        bin.0 += confidence;
        bin.1 += f64::from(u8::from(*right));
    }
    bins.iter().map(|(said, was)| (said - was).abs()).sum::<f64>() / outcomes.len() as f64
}

/// A share with its 95 % interval: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).
fn wilson(right: usize, count: usize) -> [f64; 3] {
    let (count, share) = (count as f64, right as f64 / count as f64);
    let square = NORMAL_95 * NORMAL_95;
    let middle = (share + square / (2.0 * count)) / (1.0 + square / count);
    let half =
        NORMAL_95 / (1.0 + square / count) * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    [share, middle - half, middle + half]
}
