//! Quality on a file of histories by the interactions protocol; writes the splits and each person's figures for the peers.

use dhow_factors::{InteractionData, ProtocolSettings, evaluate_interactions, split_last_fifth, split_leave_last};
use std::error::Error;
use std::fs::{create_dir_all, read_to_string, write};
use std::path::Path;

/// Seed of every draw.
const SEED: u64 = 1;

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
