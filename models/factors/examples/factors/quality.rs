//! Quality on a file of histories: every model tuned on a validation part of train, then judged once on the test part.

use dhow_factors::{
    Accuracy, Blend, Bm25Settings, ContentMap, Ease, EvaluationReport, FactorModel, FactorSettings, FactorsError,
    Interactions, Neighbours, OrderedSettings, Popularity, Scorer, Split, evaluate, evaluate_cold, recency_weights,
    split_cold, split_last_fifth, validation_of,
};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::error::Error;
use std::fs::read_to_string;

/// Items recommended.
const COUNT: usize = 20;
/// Share of items held out for the cold figure.
const COLD_SHARE: f64 = 0.1;

type Random = rand_chacha::ChaCha8Rng;

/// A model class with settings that can be drawn.
trait Tuned {
    type Settings: std::fmt::Debug;
    fn draw(random: &mut Random) -> Self::Settings;
    fn fit(data: &Interactions, settings: &Self::Settings) -> Result<Box<dyn Scorer>, FactorsError>;
}

fn log_uniform(random: &mut Random, low: f32, high: f32) -> f32 {
    low * (high / low).powf(random.random::<f32>())
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}

struct TunedFactors;
impl Tuned for TunedFactors {
    type Settings = FactorSettings;
    fn draw(random: &mut Random) -> FactorSettings {
        FactorSettings {
            dimensions: one_of(random, &[96, 128, 192, 256]),
            iterations: one_of(random, &[6, 10, 15]),
            unobserved_weight: log_uniform(random, 0.005, 0.3),
            regularization: log_uniform(random, 0.0005, 0.02),
            frequency_exponent: one_of(random, &[0.5, 0.75, 1.0]),
            ..FactorSettings::default()
        }
    }
    fn fit(data: &Interactions, settings: &FactorSettings) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(FactorModel::fit(data, settings)?))
    }
}

struct TunedEase;
impl Tuned for TunedEase {
    type Settings = f32;
    fn draw(random: &mut Random) -> f32 {
        log_uniform(random, 10.0, 2000.0)
    }
    fn fit(data: &Interactions, settings: &f32) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(Ease::fit(data, *settings)?))
    }
}

struct TunedBm25;
impl Tuned for TunedBm25 {
    type Settings = Bm25Settings;
    fn draw(random: &mut Random) -> Bm25Settings {
        Bm25Settings {
            k1: log_uniform(random, 0.1, 200.0),
            b: random.random(),
            neighbours: one_of(random, &[20, 50, 100, 200, 500, 1000]),
        }
    }
    fn fit(data: &Interactions, settings: &Bm25Settings) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(Neighbours::bm25(data, settings)?))
    }
}

struct TunedOrdered;
impl Tuned for TunedOrdered {
    type Settings = OrderedSettings;
    fn draw(random: &mut Random) -> OrderedSettings {
        OrderedSettings {
            gap_exponent: random.random::<f32>() * 1.2,
            backward_share: random.random(),
            window: one_of(random, &[10, 30, 100]),
            source_damping: random.random::<f32>() * 0.6,
            target_damping: 0.2 + random.random::<f32>() * 0.6,
            neighbours: one_of(random, &[200, 500, 1000]),
        }
    }
    fn fit(data: &Interactions, settings: &OrderedSettings) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(Neighbours::ordered(data, settings)?))
    }
}

fn judge(
    data: &Interactions,
    split: &Split,
    model: &dyn Scorer,
    recency_exponent: f32,
) -> Result<EvaluationReport, FactorsError> {
    evaluate(data, split, COUNT, |history| {
        let mut scores = vec![0.0; model.items()];
        model.add_scores(&recency_weights(history, recency_exponent), &mut scores)?;
        Ok(scores)
    })
}

/// The settings that do best on the validation part among `trials` draws, with `recency_exponent` for histories.
fn tune<T: Tuned>(
    name: &str,
    seen: &Interactions,
    validation: &Split,
    trials: usize,
    recency_exponent: f32,
) -> Result<T::Settings, Box<dyn Error>> {
    let mut random = Random::seed_from_u64(11);
    let mut best: Option<(f64, T::Settings)> = None;
    for _ in 0..trials {
        let settings = T::draw(&mut random);
        let Accuracy { recall, ndcg, .. } =
            judge(seen, validation, T::fit(seen, &settings)?.as_ref(), recency_exponent)?.overall;
        eprintln!("{name} {recall:.5} {ndcg:.5} {settings:?}");
        if best.as_ref().is_none_or(|best| recall * ndcg > best.0) {
            best = Some((recall * ndcg, settings));
        }
    }
    best.map(|best| best.1).ok_or_else(|| "no trial".into())
}

fn shown(report: &EvaluationReport) -> Value {
    let segments: Vec<Value> = report.segments.iter().map(|segment| json!(segment)).collect();
    json!({
        "recall": report.overall.recall, "ndcg": report.overall.ndcg, "people": report.overall.people,
        "coverage": report.coverage, "recommended_popularity": report.recommended_popularity,
        "taken_popularity": report.taken_popularity, "segments": segments,
    })
}

pub fn run(file: &str, trials: usize, attributes: Option<&str>) -> Result<(), Box<dyn Error>> {
    let histories = read_to_string(file)?
        .lines()
        .map(|line| line.split_whitespace().skip(1).map(str::parse).collect::<Result<Vec<u32>, _>>())
        .collect::<Result<Vec<_>, _>>()?;
    let items = histories.iter().flatten().max().map_or(0, |item| *item as usize + 1);
    let split = split_last_fifth(&histories);
    let (validation, seen) = validation_of(&split.train, items)?;
    let data = Interactions::from_histories(&split.train, items)?;

    // The unordered models are tuned as they are published, for histories without recency: they are baselines too.
    let factors = tune::<TunedFactors>("factors", &seen, &validation, trials, 0.0)?;
    let bm25 = tune::<TunedBm25>("bm25", &seen, &validation, trials, 0.0)?;
    let ordered = tune::<TunedOrdered>("ordered", &seen, &validation, trials, 0.5)?;
    let ease = tune::<TunedEase>("ease", &seen, &validation, trials, 0.0)?;
    let models = |data: &Interactions| -> Result<Vec<(String, Box<dyn Scorer>)>, FactorsError> {
        Ok(vec![
            ("ease".into(), TunedEase::fit(data, &ease)?),
            ("factors".into(), TunedFactors::fit(data, &factors)?),
            ("ordered".into(), TunedOrdered::fit(data, &ordered)?),
            ("bm25".into(), TunedBm25::fit(data, &bm25)?),
            ("popularity".into(), Box::new(Popularity::fit(data))),
        ])
    };
    let learned = Blend::learn(models(&seen)?, &validation, COUNT)?;
    let fitted = models(&data)?;
    let mut result = serde_json::Map::new();
    for (name, model) in &fitted {
        result.insert(name.clone(), shown(&judge(&data, &split, model.as_ref(), 0.0)?));
    }
    let blend = learned.with_models(fitted.into_iter().map(|model| model.1).collect())?;
    result.insert("blend".into(), shown(&evaluate(&data, &split, COUNT, |history| blend.scores(history))?));
    let parts = blend.parts().iter().map(|part| json!([part.name, part.weight, part.recency_exponent])).collect();
    result.insert("parts".into(), parts);
    result.insert("settings".into(), json!(format!("{factors:?} {bm25:?} {ordered:?} EASE λ {ease}")));
    result.insert("trials".into(), json!(trials));
    if let Some(attributes) = attributes {
        let attributes = read_attributes(attributes, items)?;
        result.insert("cold".into(), cold(&histories, &attributes, items)?);
    }
    println!("RESULT {}", Value::Object(result));
    Ok(())
}

fn read_attributes(file: &str, items: usize) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
    let by_item: std::collections::BTreeMap<String, Vec<u32>> = serde_json::from_str(&read_to_string(file)?)?;
    let mut attributes = vec![Vec::new(); items];
    for (item, own) in by_item {
        let item: usize = item.parse()?;
        *attributes.get_mut(item).ok_or("an attribute of an unknown item")? = own;
    }
    Ok(attributes)
}

/// Held-out items ranked among themselves: attributes mapped to factors beside the most similar attributes.
fn cold(histories: &[Vec<u32>], attributes: &[Vec<u32>], items: usize) -> Result<Value, Box<dyn Error>> {
    // A validation tenth of the items, of another seed, chooses the settings; the test tenth is not in it.
    let test = split_cold(histories, items, COLD_SHARE, 1);
    let validation = split_cold(&test.train, items, COLD_SHARE, 2);
    let mut best: Option<(f64, FactorSettings, f32)> = None;
    for unobserved_weight in [0.02, 0.1, 0.4] {
        for dimensions in [32, 96] {
            let settings = FactorSettings { dimensions, unobserved_weight, iterations: 8, ..Default::default() };
            let data = Interactions::from_histories(&validation.train, items)?;
            let model = FactorModel::fit(&data, &settings)?;
            for regularization in [0.1, 0.5, 2.0, 8.0] {
                let recall = mapped(&validation, &data, &model, attributes, regularization)?;
                eprintln!("cold {recall:.5} {unobserved_weight} {dimensions} {regularization}");
                if best.as_ref().is_none_or(|best| recall > best.0) {
                    best = Some((recall, settings, regularization));
                }
            }
        }
    }
    let (_, settings, regularization) = best.ok_or("no trial")?;
    let data = Interactions::from_histories(&test.train, items)?;
    let model = FactorModel::fit(&data, &settings)?;
    let recall = mapped(&test, &data, &model, attributes, regularization)?;
    let similar = evaluate_cold(&test, COUNT, |person, item| similarity(&test.train[person], item, attributes))?;
    let chance = COUNT as f64 / test.cold.len() as f64;
    Ok(json!({
        "recall": recall, "recall_most_similar_attributes": similar.recall, "recall_chance": chance,
        "people": similar.people, "cold_items": test.cold.len(),
        "settings": format!("{settings:?} ridge {regularization}"),
    }))
}

fn mapped(
    split: &dhow_factors::ColdSplit,
    data: &Interactions,
    model: &FactorModel,
    attributes: &[Vec<u32>],
    regularization: f32,
) -> Result<f64, FactorsError> {
    let map = ContentMap::fit(attributes, data, model.items(), regularization, 5.0)?;
    let content: Vec<Vec<f32>> = attributes.iter().map(|own| map.predict(own)).collect();
    let accuracy = evaluate_cold(split, COUNT, |person, item| {
        content[item as usize].iter().zip(model.people().row(person)).map(|(a, b)| a * b).sum()
    })?;
    Ok(accuracy.recall)
}

/// Mean cosine of an item's attributes with those of a person's items.
fn similarity(person: &[u32], item: u32, attributes: &[Vec<u32>]) -> f32 {
    let own = &attributes[item as usize];
    let cosine = |other: &u32| {
        let theirs = &attributes[*other as usize];
        let shared = own.iter().filter(|attribute| theirs.contains(attribute)).count() as f32;
        shared / ((own.len() * theirs.len()).max(1) as f32).sqrt()
    };
    person.iter().map(cosine).sum::<f32>()
}
