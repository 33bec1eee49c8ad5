//! Benchmarks of the personal models for `benches/factors.sh`: fitting, top lists, fold-in, quality; prints `RESULT {json}`.
//!
//! `factors generate|fit|fit-exact|top|fold-in FILE`, on as many threads as `RAYON_NUM_THREADS` says ·
//! `factors split FILE FOLDER` · `factors quality FILE TRIALS PEOPLE [ATTRIBUTES]` ·
//! `factors cold|cold-known FILE ATTRIBUTES` · `factors walk ITEMS`

mod quality;
mod walk;

use dhow_factors::{FactorModel, FactorSettings, Interactions, ItemIndex, Solver, Split, split_leave_last};
use rand::{RngExt, SeedableRng};
use std::error::Error;
use std::fs::read_to_string;
use std::time::Instant;

/// Shape of the generated data: persons, items and tastes.
const PEOPLE: usize = 50_000;
const ITEMS: usize = 20_000;
const TASTES: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["generate", file] => generate(file),
        ["fit", file] => fit(file, Solver::ConjugateGradients { steps: 3 }),
        ["fit-exact", file] => fit(file, Solver::Exact),
        ["top", file] => top(file),
        ["fold-in", file] => fold_in(file, rayon::current_num_threads()),
        ["walk", items] => walk::run(items),
        ["split", file, folder] => quality::split(file, folder),
        ["quality", file, trials, people] => quality::run(file, trials_of(trials)?, people, None),
        ["quality", file, trials, people, attributes] => {
            quality::run(file, trials_of(trials)?, people, Some(attributes))
        }
        ["cold", file, attributes] => quality::cold(file, attributes),
        ["cold-known", file, attributes] => quality::cold_known(file, attributes),
        _ => Err("usage: factors generate|fit|fit-exact|top|fold-in FILE, split FILE FOLDER, \
                  quality FILE TRIALS PEOPLE [ATTRIBUTES], cold|cold-known FILE ATTRIBUTES, walk ITEMS"
            .into()),
    }
}

/// Trials of neighbours and of factors, as `20,6`.
fn trials_of(text: &str) -> Result<[usize; 2], Box<dyn Error>> {
    let trials = text.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    <[usize; 2]>::try_from(trials).map_err(|_| format!("trials are two numbers as 20,6, not {text}").into())
}

/// CPU seconds of this process and its threads so far, in steps of the kernel's 10 ms.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// Histories of persons with three tastes each over items of Zipf popularity: 50 k × 20 k with about 747 k pairs.
fn generate(file: &str) -> Result<(), Box<dyn Error>> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20_211_107);
    let mut lines = String::new();
    let mut pairs = 0;
    for _ in 0..PEOPLE {
        let tastes: [usize; 3] = std::array::from_fn(|_| random.random_range(0..TASTES));
        let length = (3.0 + 12.45 * -(1.0 - random.random::<f64>()).ln()) as usize;
        let mut history: Vec<usize> = Vec::new();
        let mut tries = 0;
        while history.len() < length && tries < 10 * length {
            tries += 1;
            // The inverse of the Zipf distribution function with exponent 1, in its continuous form.
            let taste = if random.random::<f64>() < 0.8 {
                tastes[random.random_range(0..3)]
            } else {
                random.random_range(0..TASTES)
            };
            let rank = ((ITEMS / TASTES) as f64).powf(random.random::<f64>()) as usize - 1;
            let item = rank * TASTES + taste;
            if !history.contains(&item) {
                history.push(item);
            }
        }
        pairs += history.len();
        lines.push_str(&history.iter().map(usize::to_string).collect::<Vec<_>>().join(" "));
        lines.push('\n');
    }
    std::fs::write(file, lines)?;
    println!("RESULT {{\"pairs\": {pairs}}}");
    Ok(())
}

fn load(file: &str) -> Result<(Split, Interactions), Box<dyn Error>> {
    let text = read_to_string(file)?;
    let histories = text
        .lines()
        .map(|line| line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>())
        .collect::<Result<Vec<_>, _>>()?;
    let split = split_leave_last(&histories);
    let interactions = Interactions::from_histories(&split.train, ITEMS)?;
    Ok((split, interactions))
}

/// What `implicit` is given as alpha = 11, regularization = 5: its confidence 11 is an extra weight of 10 here.
fn settings() -> FactorSettings {
    FactorSettings {
        observed_weight: 10.0,
        unobserved_weight: 1.0,
        regularization: 5.0,
        frequency_exponent: 0.0,
        ..FactorSettings::default()
    }
}

fn fit(file: &str, solver: Solver) -> Result<(), Box<dyn Error>> {
    let (split, interactions) = load(file)?;
    let (begin, wall) = (cpu_seconds()?, Instant::now());
    let model = FactorModel::fit(&interactions, &FactorSettings { solver, ..settings() })?;
    let (fit_cpu_s, fit_wall_s) = (cpu_seconds()? - begin, wall.elapsed().as_secs_f64());
    let loss = model.loss(&interactions)?;
    let mut tested = split;
    tested.test.iter_mut().skip(10_000).for_each(Vec::clear);
    let index = ItemIndex::new(model.items());
    let lists = index.top_for_all(model.people(), 20, |person| &tested.train[person])?;
    let people = (0..tested.test.len()).filter(|person| !tested.test[*person].is_empty());
    let gains: Vec<f64> = people
        .map(|person| {
            let place = lists[person].iter().position(|scored| scored.item == tested.test[person][0]);
            place.map_or(0.0, |place| 1.0 / (place as f64 + 2.0).log2())
        })
        .collect();
    let ndcg = gains.iter().sum::<f64>() / gains.len() as f64;
    let pairs = interactions.pairs();
    println!(
        "RESULT {{\"fit_cpu_s\": {fit_cpu_s:.2}, \"fit_wall_s\": {fit_wall_s:.2}, \"loss\": {loss:.1}, \"ndcg\": {ndcg:.5}, \"pairs\": {pairs}}}"
    );
    Ok(())
}

fn top(file: &str) -> Result<(), Box<dyn Error>> {
    let (split, interactions) = load(file)?;
    let model = FactorModel::fit(&interactions, &settings())?;
    let begin = cpu_seconds()?;
    let index = ItemIndex::new(model.items());
    let lists = index.top_for_all(model.people(), 20, |person| &split.train[person])?;
    let top_cpu_s = cpu_seconds()? - begin;
    let per_s = lists.len() as f64 / top_cpu_s;
    println!("RESULT {{\"top_cpu_s\": {top_cpu_s:.2}, \"people_per_cpu_s\": {per_s:.0}}}");
    Ok(())
}

/// Requests of new persons: a fold-in, then the best 20 of a tenth of the items.
fn fold_in(file: &str, threads: usize) -> Result<(), Box<dyn Error>> {
    const REQUESTS: usize = 20_000;
    let (split, interactions) = load(file)?;
    let model = FactorModel::fit(&interactions, &settings())?;
    let index = ItemIndex::new(model.items());
    let allowed = dhow_factors::ItemSet::new((0..ITEMS as u32).filter(|item| item % 10 == 3));
    let run = |thread: usize| {
        let mut times_us: Vec<f64> = Vec::new();
        for at in 0..REQUESTS / threads {
            let history = &split.train[(at * threads + thread) % split.train.len()];
            let weighted: Vec<(u32, f32)> = history.iter().map(|item| (*item, 1.0)).collect();
            let begin = Instant::now();
            let answer = model.fold_in(&weighted).and_then(|person| index.top(&person, 20, Some(&allowed), history));
            times_us.push(begin.elapsed().as_secs_f64() * 1e6);
            if answer.is_err() {
                return Vec::new();
            }
        }
        times_us
    };
    let mut times_us: Vec<f64> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_default()).collect()
    });
    if times_us.is_empty() {
        return Err("a request failed".into());
    }
    times_us.sort_by(f64::total_cmp);
    let at = |share: f64| times_us[(share * (times_us.len() - 1) as f64) as usize];
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!(
        "RESULT {{\"latency_us_p50\": {p50:.1}, \"latency_us_p99\": {p99:.1}, \"latency_us_p999\": {p999:.1}, \"requests\": {}}}",
        times_us.len()
    );
    Ok(())
}
