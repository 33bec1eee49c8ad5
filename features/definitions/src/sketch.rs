//! Counting different values in four kilobytes (HyperLogLog) and rounding values into quantile buckets; no windows here.

use serde::{Deserialize, Serialize};

/// Bits of a hash that choose a register.
const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// The highest rank that the rest of a hash can have.
const MAX_RANK: usize = (64 - REGISTER_BITS) as usize + 1;
/// Above this many touched registers all of them are written down, which is then smaller.
const MAX_LISTED: usize = REGISTERS / 4;
/// Bits of a float below the eight significant ones that a quantile bucket keeps.
const DROPPED_BITS: u32 = 52 - 7;

/// A HyperLogLog of 4096 registers (Flajolet et al., 2007) with the estimator of Ertl, "New cardinality estimation
/// algorithms for HyperLogLog sketches" (2017), which needs no tables and no logarithm: its bits are the same on every
/// machine. What it holds depends on the set of tokens only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HyperLogLog(Registers);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Registers {
    /// Those that are not zero: register in the upper bits, rank in the lowest 8; sorted.
    Listed(Vec<u32>),
    /// The rank of each.
    All(Box<[u8]>),
}

impl Default for HyperLogLog {
    fn default() -> Self {
        Self(Registers::Listed(Vec::new()))
    }
}

impl HyperLogLog {
    /// Takes in what tells a value from others of its column.
    pub fn insert(&mut self, token: u128) {
        let hash = hash(token);
        let rest = hash << REGISTER_BITS;
        let rank = if rest == 0 { MAX_RANK as u32 } else { rest.leading_zeros() + 1 };
        self.raise((hash >> (64 - REGISTER_BITS)) as u32, rank as u8);
    }

    /// Takes in all that `other` has taken in.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            Registers::Listed(listed) => listed.iter().for_each(|entry| self.raise(entry >> 8, *entry as u8)),
            Registers::All(ranks) => {
                let all = self.spread();
                for (mine, theirs) in all.iter_mut().zip(ranks) {
                    *mine = (*mine).max(*theirs);
                }
            }
        }
    }

    fn raise(&mut self, register: u32, rank: u8) {
        let listed = match &mut self.0 {
            Registers::All(ranks) => {
                if let Some(known) = ranks.get_mut(register as usize) {
                    *known = rank.max(*known);
                }
                return;
            }
            Registers::Listed(listed) => listed,
        };
        match listed.binary_search_by_key(&register, |entry| entry >> 8) {
            Ok(place) => listed[place] = listed[place].max(register << 8 | u32::from(rank)),
            Err(place) => listed.insert(place, register << 8 | u32::from(rank)),
        }
        if listed.len() > MAX_LISTED {
            self.spread();
        }
    }

    /// Writes every register down, if that was not done before.
    fn spread(&mut self) -> &mut [u8] {
        if let Registers::Listed(listed) = &self.0 {
            let mut all = vec![0; REGISTERS].into_boxed_slice();
            for entry in listed {
                if let Some(rank) = all.get_mut((entry >> 8) as usize) {
                    *rank = *entry as u8;
                }
            }
            self.0 = Registers::All(all);
        }
        match &mut self.0 {
            Registers::All(all) => all,
            Registers::Listed(_) => &mut [],
        }
    }

    /// About how many different tokens were taken in, rounded to a whole number: standard error 1.6 %.
    pub fn estimate(&self) -> f64 {
        let mut of_rank = [0_u32; MAX_RANK + 1];
        match &self.0 {
            Registers::Listed(listed) => {
                of_rank[0] = (REGISTERS - listed.len()) as u32;
                listed.iter().for_each(|entry| of_rank[(*entry as u8 as usize).min(MAX_RANK)] += 1);
            }
            Registers::All(ranks) => ranks.iter().for_each(|rank| of_rank[usize::from(*rank).min(MAX_RANK)] += 1),
        }
        if of_rank[0] as usize == REGISTERS {
            return 0.0;
        }
        let registers = REGISTERS as f64;
        let mut z = registers * tau(1.0 - f64::from(of_rank[MAX_RANK]) / registers);
        for rank in (1..MAX_RANK).rev() {
            z = 0.5 * (z + f64::from(of_rank[rank]));
        }
        z += registers * sigma(f64::from(of_rank[0]) / registers);
        (registers * registers / (2.0 * std::f64::consts::LN_2) / z).round()
    }

    /// Bytes taken beside the sketch itself, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Registers::Listed(listed) => listed.capacity() * 4,
            Registers::All(ranks) => ranks.len(),
        }
    }
}

/// Ertl's sigma: the part of registers that are still zero.
fn sigma(share: f64) -> f64 {
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let next = sum + power * weight;
        weight += weight;
        if next == sum {
            return sum;
        }
        sum = next;
    }
}

/// Ertl's tau: the part of registers at the highest rank.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        weight *= 0.5;
        let next = sum - (1.0 - root) * (1.0 - root) * weight;
        if next == sum {
            return sum / 3.0;
        }
        sum = next;
    }
}

/// Tokens can be plain numbers, so both halves go through the finalizer of MurmurHash3.
fn hash(token: u128) -> u64 {
    finalize(finalize(token as u64 ^ 0x9e37_79b9_7f4a_7c15) ^ (token >> 64) as u64)
}

fn finalize(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

/// What a number counts as in a quantile: it rounded to eight significant bits.
pub fn quantile_level(value: f64) -> f64 {
    bucket_value(bucket(value))
}

/// The bucket of a number: it rounded to eight significant bits, as an integer in the order of the numbers.
pub(crate) fn bucket(value: f64) -> i32 {
    let magnitude = ((value.abs().to_bits() + (1 << (DROPPED_BITS - 1))) >> DROPPED_BITS) as i32;
    if value < 0.0 { -magnitude } else { magnitude }
}

/// The number that a bucket stands for.
pub(crate) fn bucket_value(bucket: i32) -> f64 {
    let magnitude = f64::from_bits(u64::from(bucket.unsigned_abs()) << DROPPED_BITS);
    if bucket < 0 { -magnitude } else { magnitude }
}
