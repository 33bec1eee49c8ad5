//! The walk of a graph of near items beside the exact pass: time of building, recall and latency with filters; no persons are fitted.

use std::error::Error;
use std::time::Instant;

use dhow_factors::{IndexSettings, ItemIndex, Matrix, Pass};
use rand::{RngExt, SeedableRng};

const DIMENSIONS: usize = 32;
const CENTRES: usize = 200;
const QUERIES: usize = 1_000;
const COUNT: usize = 20;

/// Rows around some centres and of very different lengths, as factors of catalogues are.
fn rows(seed: u64, rows: usize) -> Vec<f32> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut of_centres = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let centres: Vec<f32> = (0..CENTRES * DIMENSIONS).map(|_| of_centres.random_range(-1.0..1.0)).collect();
    let mut values = Vec::with_capacity(rows * DIMENSIONS);
    for _ in 0..rows {
        let first = random.random_range(0..CENTRES) * DIMENSIONS;
        let size = random.random_range(0.05_f32..1.0).powi(2);
        let centre = &centres[first..first + DIMENSIONS];
        values.extend(centre.iter().map(|value| size * (value + random.random_range(-0.7..0.7))));
    }
    values
}

/// Builds both indexes over so many items and asks each the same.
pub fn run(items: &str) -> Result<(), Box<dyn Error>> {
    let items: usize = items.parse()?;
    let matrix = Matrix::from_rows(DIMENSIONS, &rows(1, items))?;
    let never = IndexSettings { max_exact_items: usize::MAX, ..IndexSettings::default() };
    let exact = ItemIndex::with_settings(&matrix, &never)?;
    let begin = Instant::now();
    let walked = ItemIndex::with_settings(&matrix, &IndexSettings { max_exact_items: 0, ..never })?;
    let build_s = begin.elapsed().as_secs_f64();
    let queries = rows(2, QUERIES);
    let mut figures = Vec::new();
    for one_in in [1, 2, 10, 100] {
        let admits = |item: u32| item.is_multiple_of(one_in);
        let (mut found, mut wanted, mut walks) = (0, 0, 0);
        let mut times_us = [Vec::new(), Vec::new()];
        for query in queries.chunks_exact(DIMENSIONS) {
            let begin = Instant::now();
            let answer = walked.search(query, COUNT, &admits)?;
            times_us[0].push(begin.elapsed().as_secs_f64() * 1e6);
            let begin = Instant::now();
            let best = exact.search(query, COUNT, &admits)?.best;
            times_us[1].push(begin.elapsed().as_secs_f64() * 1e6);
            found += best.iter().filter(|scored| answer.best.contains(scored)).count();
            wanted += best.len();
            walks += usize::from(answer.pass == Pass::Walk);
        }
        let [walk, pass] = times_us.map(|mut times| {
            times.sort_by(f64::total_cmp);
            (times[times.len() / 2], times[times.len() * 99 / 100])
        });
        figures.push(format!(
            "\"one_in_{one_in}\": {{\"recall\": {:.4}, \"walks\": {walks}, \"latency_us_p50\": {:.0}, \"latency_us_p99\": {:.0}, \
             \"exact_latency_us_p50\": {:.0}, \"exact_latency_us_p99\": {:.0}}}",
            found as f64 / wanted as f64, walk.0, walk.1, pass.0, pass.1
        ));
    }
    println!("RESULT {{\"items\": {items}, \"build_s\": {build_s:.1}, {}}}", figures.join(", "));
    Ok(())
}
