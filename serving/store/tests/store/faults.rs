//! Faults of a rail, drawn from a seed; it holds no test.

use dhow_commerce::RailError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What goes wrong with one call of the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The request does not arrive.
    LostBefore,
    /// The answer does not arrive.
    LostAfter,
    /// The rail will know later.
    Pending,
}

impl Fault {
    pub fn before(fault: Option<Self>) -> Result<(), RailError> {
        lost(fault == Some(Self::LostBefore))
    }

    pub fn after(fault: Option<Self>) -> Result<(), RailError> {
        lost(fault == Some(Self::LostAfter))
    }
}

fn lost(is_lost: bool) -> Result<(), RailError> {
    if is_lost { Err(RailError::NoAnswer("lost".to_owned())) } else { Ok(()) }
}

/// A stream of faults: of six calls three go well.
pub struct Faults(ChaCha8Rng);

impl Faults {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn next(&mut self) -> Fault {
        match self.0.random_range(0..6) {
            0 => Fault::LostBefore,
            1 => Fault::LostAfter,
            2 => Fault::Pending,
            _ => Fault::None,
        }
    }
}
