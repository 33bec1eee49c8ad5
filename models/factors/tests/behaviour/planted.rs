//! Generated histories whose tastes are known: groups of items that people stay in, and orders that they follow.

use rand::{Rng, RngExt, SeedableRng};

/// Persons of `groups` tastes over items `item % groups == taste`, the low numbers most often; no item twice.
pub fn tastes(seed: u64, people: usize, items: usize, groups: usize, length: usize) -> Vec<Vec<u32>> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..people).map(|person| history(&mut random, person % groups, items, groups, length)).collect()
}

fn history(random: &mut impl Rng, taste: usize, items: usize, groups: usize, length: usize) -> Vec<u32> {
    let mut history = Vec::new();
    while history.len() < length {
        let place = (items / groups) as f64 * random.random::<f64>().powi(2);
        let group = if random.random::<f64>() < 0.9 { taste } else { random.random_range(0..groups) };
        let item = (place as usize * groups + group) as u32;
        if !history.contains(&item) && (item as usize) < items {
            history.push(item);
        }
    }
    history
}

/// Persons who walk along a circle of items, mostly forward by one.
pub fn walks(seed: u64, people: usize, items: u32, length: usize) -> Vec<Vec<u32>> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..people)
        .map(|_| {
            let mut at = random.random_range(0..items);
            let mut history = vec![at];
            while history.len() < length {
                at = if random.random::<f64>() < 0.8 { (at + 1) % items } else { random.random_range(0..items) };
                if !history.contains(&at) {
                    history.push(at);
                }
            }
            history
        })
        .collect()
}
