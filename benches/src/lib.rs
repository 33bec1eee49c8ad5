//! What the benchmark programs share: one kept HTTP connection, exact waiting, the machine's counters, facts for recommenders; no benchmark is here.

pub mod http;
pub mod machine;
pub mod told;

/// The value below which the share `q` (0 to 1) of a sorted sample lies; 0 of an empty one.
pub fn quantile(sorted: &[u64], q: f64) -> u64 {
    let place = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(0)
}
