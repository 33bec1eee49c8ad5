//! Random bits for new ids from a seed that is passed in; it never asks the operating system.

use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of random bits: the keyed hash of a counter, so that threads share it without a lock.
///
/// A server draws a fresh 256-bit seed at its start; a test passes a fixed one.
#[derive(Debug)]
pub struct IdSource {
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl IdSource {
    /// The stream of `seed`.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }

    /// The next 128 bits.
    pub fn random(&self) -> u128 {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut bits = [0; 16];
        bits.copy_from_slice(&blake3::keyed_hash(&self.seed, &count.to_le_bytes()).as_bytes()[..16]);
        u128::from_le_bytes(bits)
    }
}
