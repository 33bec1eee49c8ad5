//! Quality on a file of histories by the interactions protocol; writes the splits and each person's figures for the peers.

use dhow_factors::{
    Ease, InteractionData, Interactions, ProtocolSettings, evaluate_cold, evaluate_cold_items, evaluate_interactions,
    recency_weights, split_cold, split_last_fifth, split_leave_last,
};
use std::error::Error;
use std::fs::{create_dir_all, read_to_string, write};
use std::path::Path;

/// Seed of every draw.
const SEED: u64 = 1;
/// λ of EASE where it judges what behaviour would tell of the cold items.
const KNOWN_RIDGE: f32 = 300.0;
/// Every so manieth person's cold items are hidden from that EASE.
const KNOWN_HIDDEN: usize = 5;

fn histories(file: &str) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
    let history = |line: &str| line.split_whitespace().skip(1).map(str::parse).collect::<Result<Vec<u32>, _>>();
    Ok(read_to_string(file)?.lines().map(history).collect::<Result<_, _>>()?)
}

/// Writes the parts of the protocol, a line of items per person, for models that are not of this crate.
pub fn split(file: &str, folder: &str) -> Result<(), Box<dyn Error>> {
    let histories = histories(file)?;
    let test = split_last_fifth(&histories);
    let validation = split_last_fifth(&test.train);
    let last = split_leave_last(&histories);
    create_dir_all(folder)?;
    let parts = [
        ("seen", &validation.train),
        ("validation", &validation.test),
        ("train", &test.train),
        ("test", &test.test),
        ("train_last", &last.train),
        ("test_last", &last.test),
    ];
    for (name, part) in parts {
        let line = |items: &Vec<u32>| items.iter().map(u32::to_string).collect::<Vec<_>>().join(" ") + "\n";
        write(Path::new(folder).join(name), part.iter().map(line).collect::<String>())?;
    }
    Ok(())
}

/// Judges the blend; each person's figures go to `people`, in the form in which the peers write theirs.
pub fn run(file: &str, trials: [usize; 2], people: &str, attributes: Option<&str>) -> Result<(), Box<dyn Error>> {
    let histories = histories(file)?;
    let items = histories.iter().flatten().max().map_or(0, |item| *item as usize + 1);
    let attributes = attributes.map(|file| read_attributes(file, items)).transpose()?;
    let data = InteractionData { histories, items, attributes };
    let [neighbour_trials, factor_trials] = trials;
    let settings = ProtocolSettings { neighbour_trials, factor_trials, ..ProtocolSettings::default() };
    let report = evaluate_interactions(&data, &settings, SEED)?;
    let of = |methods: &[dhow_factors::Method]| {
        let blend = methods.first().map(|blend| &blend.report);
        blend.map(|report| serde_json::json!({"recall": report.recall_by_person, "ndcg": report.ndcg_by_person}))
    };
    let each = serde_json::json!({"blend": of(&report.last_fifth), "blend_last": of(&report.leave_last)});
    write(people, each.to_string())?;
    println!("RESULT {}", serde_json::to_string(&report)?);
    Ok(())
}

fn read_attributes(file: &str, items: usize) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
    let by_item: std::collections::BTreeMap<String, Vec<u32>> = serde_json::from_str(&read_to_string(file)?)?;
    let mut attributes = vec![Vec::new(); items];
    for (item, own) in by_item {
        let place = item.parse::<usize>()?;
        *attributes.get_mut(place).ok_or_else(|| format!("attributes of item {item}, which nobody took"))? = own;
    }
    Ok(attributes)
}

/// The cold items part of the protocol alone.
pub fn cold(file: &str, attributes: &str) -> Result<(), Box<dyn Error>> {
    let (histories, attributes) = with_attributes(file, attributes)?;
    let report = evaluate_cold_items(&histories, &attributes, &ProtocolSettings::default(), SEED)?;
    println!("RESULT {}", serde_json::to_string(&report)?);
    Ok(())
}

/// What the same items reach if they are not cold: EASE sees who else took them, for four persons in five, and ranks them for
/// the fifth. No attribute is used.
pub fn cold_known(file: &str, attributes: &str) -> Result<(), Box<dyn Error>> {
    let (histories, attributes) = with_attributes(file, attributes)?;
    let settings = ProtocolSettings::default();
    let mut split = split_cold(&histories, attributes.len(), settings.cold_share, SEED);
    let hidden = |person: usize| person.is_multiple_of(KNOWN_HIDDEN);
    let seen: Vec<Vec<u32>> = (0..histories.len())
        .map(|person| if hidden(person) { split.train[person].clone() } else { histories[person].clone() })
        .collect();
    split.test.iter_mut().enumerate().filter(|(person, _)| !hidden(*person)).for_each(|(_, test)| test.clear());
    let model = Ease::fit(&Interactions::from_histories(&seen, attributes.len())?, KNOWN_RIDGE)?;
    let found = evaluate_cold(&split, settings.count, |person| {
        let mut scores = vec![0.0; attributes.len()];
        model.add_scores(&recency_weights(&split.train[person], 0.0), &mut scores)?;
        Ok(split.cold.iter().map(|item| scores[*item as usize]).collect())
    })?;
    println!("RESULT {}", serde_json::to_string(&found.overall)?);
    Ok(())
}

/// A list per person, or per item.
type Lists = Vec<Vec<u32>>;

fn with_attributes(file: &str, attributes: &str) -> Result<(Lists, Lists), Box<dyn Error>> {
    let histories = histories(file)?;
    let items = histories.iter().flatten().max().map_or(0, |item| *item as usize + 1);
    Ok((histories, read_attributes(attributes, items)?))
}
