//! Finds rows that repeat an event by its id; it knows nothing about entities.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Rows dealt at once, and the parts that they are dealt into by a hash of their ids.
const CHUNK_ROWS: usize = 1 << 16;
const PART_BITS: u32 = 8;

/// For each row whether it repeats an event: another row with its id has a lesser known time, or the same and comes first.
pub(crate) fn repeated(ids: &[u128], known_times: Option<&[i64]>) -> Vec<bool> {
    let chunks: Vec<Vec<Vec<(u128, u32)>>> = ids
        .par_chunks(CHUNK_ROWS)
        .enumerate()
        .map(|(chunk, ids)| {
            let mut parts = vec![Vec::new(); 1 << PART_BITS];
            for (row, &id) in (chunk * CHUNK_ROWS..).zip(ids) {
                parts[part_of(id)].push((id, row as u32));
            }
            parts
        })
        .collect();
    let known = |row: u32| known_times.map_or(0, |times| times[row as usize]);
    let repeats: Vec<Vec<u32>> = (0..1_usize << PART_BITS)
        .into_par_iter()
        .map(|part| {
            let rows = chunks.iter().map(|parts| parts[part].len()).sum();
            let mut first = FxHashMap::with_capacity_and_hasher(rows, Default::default());
            let mut repeats = Vec::new();
            for &(id, row) in chunks.iter().flat_map(|parts| &parts[part]) {
                let kept = first.entry(id).or_insert(row);
                if *kept != row {
                    let earlier = known(row) < known(*kept);
                    repeats.push(if earlier { std::mem::replace(kept, row) } else { row });
                }
            }
            repeats
        })
        .collect();
    let mut repeated = vec![false; ids.len()];
    for row in repeats.into_iter().flatten() {
        repeated[row as usize] = true;
    }
    repeated
}

/// Ids may be counters or random, so all of their bits choose.
fn part_of(id: u128) -> usize {
    let folded = (id as u64) ^ (id >> 64) as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PART_BITS)) as usize
}
