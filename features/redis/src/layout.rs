//! Which keys and fields hold what, and the head of a partition; it talks to no server.

use dhow_definitions::FeatureSet;
use dhow_online::{Cut, PARTS_VERSION, PartsError, Share};
use serde::{Deserialize, Serialize};

use crate::RedisError;

/// The field with the [`Head`]. Names of series begin with a view's number, which is smaller than these letters.
pub(crate) const HEAD: &[u8] = b"head";
/// The field with all that is neither series nor head.
pub(crate) const PROGRESS: &[u8] = b"progress";

/// Names the keys of one set of definitions, divided into shares.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    set: String,
    count: u32,
}

impl Keys {
    pub(crate) fn new(features: &FeatureSet, count: u32) -> Self {
        let hash = features.schema_hash();
        let half = hash.get(..hash.len() / 2).unwrap_or(&hash);
        Self { set: format!("{}/{half}", features.name()), count }
    }

    /// How many shares there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The share of a partition.
    pub(crate) fn share(&self, partition: u32) -> Result<Share, RedisError> {
        Ok(Share::new(partition, self.count)?)
    }

    /// The hash with a partition's series, head and progress.
    pub(crate) fn series(&self, partition: u32) -> String {
        format!("dhow:{PARTS_VERSION}:{{{}/{partition}}}:series", self.set)
    }

    /// The list with the ids of a generation of events.
    pub(crate) fn ids(&self, partition: u32, generation: i64) -> String {
        format!("dhow:{PARTS_VERSION}:{{{}/{partition}}}:ids:{generation}", self.set)
    }
}

/// What stands beside the series of a partition for whoever reads or writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Names the saves that led here; 0 is that of a partition never saved.
    pub(crate) generation: u64,
    /// The next offset of the re-keyed topic.
    pub(crate) rekeyed_offset: u64,
    /// See [`dhow_online::Changes::generation`].
    pub(crate) ids_generation: i64,
    /// How far the source log is applied.
    pub(crate) cut: Cut,
}

impl Head {
    /// The head of a partition that was never saved.
    pub(crate) fn empty(share: Share) -> Self {
        let cut = Cut { share, offsets: Vec::new(), freshest_event_time: None, reads_from: None };
        Self { generation: 0, rekeyed_offset: 0, ids_generation: 0, cut }
    }

    /// Reads a stored head, or gives the empty one.
    pub(crate) fn parse(bytes: Option<&[u8]>, share: Share) -> Result<Self, RedisError> {
        let Some(bytes) = bytes else { return Ok(Self::empty(share)) };
        let head: Self = postcard::from_bytes(bytes).map_err(|error| Self::damaged(share, &error))?;
        match head.cut.share {
            found if found == share => Ok(head),
            found => Err(PartsError::OtherShare { found, wanted: share }.into()),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, RedisError> {
        postcard::to_extend(self, Vec::new()).map_err(|error| Self::damaged(self.cut.share, &error))
    }

    fn damaged(share: Share, error: &postcard::Error) -> RedisError {
        RedisError::Head { partition: share.number(), reason: error.to_string() }
    }

    /// The generation of the save after this one, which reaches `rekeyed_offset`.
    ///
    /// It depends on all saves before, not on their number: a Redis that fell back to an older state and was saved to
    /// again by another worker has another generation, unless its state is the same too.
    pub(crate) fn next_generation(generation: u64, rekeyed_offset: u64) -> u64 {
        // The finaliser of SplitMix64 over each of the two.
        let mixed = [generation, rekeyed_offset].into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, value| {
            let value = hash.rotate_left(17) ^ value;
            let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            value ^ (value >> 31)
        });
        mixed.max(1)
    }
}
