//! Nodes by number and by key, growing without ever moving or rehashing all of them at once; what a node is, is open.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

/// Nodes that are allocated together.
const CHUNK_NODES: usize = 4096;
/// Hash tables that share the keys. Each grows by itself, so that no single update pays for rehashing millions of keys:
/// at ten million keys a table holds about 2,400.
const TABLES: usize = 4096;

/// What can be kept in a [`Directory`].
pub(crate) trait Keyed {
    /// What it is found by; it never changes.
    type Key: Copy + Eq + Hash;
    /// The key.
    fn key(&self) -> Self::Key;
}

/// A node's number beside half of its key's hash, from which a table grows without looking at the nodes.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    slot: u32,
}

/// Nodes, each in a numbered slot that it keeps until it is removed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Directory<T> {
    chunks: Vec<Vec<Option<T>>>,
    /// Slots whose node was removed; the last one is used again first.
    free: Vec<u32>,
    #[serde(skip, default = "empty_tables")]
    tables: Vec<HashTable<Place>>,
}

fn empty_tables() -> Vec<HashTable<Place>> {
    (0..TABLES).map(|_| HashTable::new()).collect()
}

/// The table of a key, and the half of its hash that is kept there.
fn hash_of<K: Hash>(key: &K) -> (usize, u32) {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    let hash = hasher.finish().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 52) as usize % TABLES, (hash >> 20) as u32)
}

/// The hash that a table works with: it looks at the lowest and the highest bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<T: Keyed> Directory<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), tables: empty_tables() }
    }

    /// Slots, vacant ones included.
    pub(crate) fn slot_count(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK_NODES + last.len())
    }

    /// Nodes.
    pub(crate) fn len(&self) -> usize {
        self.slot_count() - self.free.len()
    }

    /// The node in a slot; nothing where it is vacant.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK_NODES)?.get(slot % CHUNK_NODES)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK_NODES)?.get_mut(slot % CHUNK_NODES)?.as_mut()
    }

    /// The slot of the node with this key.
    pub(crate) fn find(&self, key: &T::Key) -> Option<u32> {
        let (table, hash) = hash_of(key);
        let is_it = |place: &Place| place.hash == hash && self.get(place.slot).is_some_and(|node| node.key() == *key);
        self.tables[table].find(spread(hash), is_it).map(|place| place.slot)
    }

    /// Puts in a node whose key is not there yet; gives its slot.
    pub(crate) fn insert(&mut self, node: T) -> u32 {
        let (table, hash) = hash_of(&node.key());
        let slot = self.place(node);
        self.tables[table].insert_unique(spread(hash), Place { hash, slot }, |place| spread(place.hash));
        slot
    }

    fn place(&mut self, node: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.chunks[slot as usize / CHUNK_NODES][slot as usize % CHUNK_NODES] = Some(node);
            return slot;
        }
        let slot = self.slot_count() as u32;
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_NODES => last.push(Some(node)),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_NODES);
                chunk.push(Some(node));
                self.chunks.push(chunk);
            }
        }
        slot
    }

    /// Takes out the node in a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        let place = slot as usize;
        let removed = self.chunks.get_mut(place / CHUNK_NODES).and_then(|chunk| chunk.get_mut(place % CHUNK_NODES));
        let Some(node) = removed.and_then(Option::take) else { return };
        let (table, hash) = hash_of(&node.key());
        if let Ok(found) = self.tables[table].find_entry(spread(hash), |place| place.slot == slot) {
            found.remove();
        }
        self.free.push(slot);
    }

    /// Every node with its slot, by rising slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.slot_count() as u32).filter_map(|slot| Some((slot, self.get(slot)?)))
    }

    /// Makes the tables of what was read back. Gives what is wrong where the slots are not as [`Directory::place`]
    /// leaves them or a key stands twice.
    pub(crate) fn rebuild(&mut self) -> Result<(), &'static str> {
        let full = self.chunks.split_last().is_none_or(|(last, others)| {
            (1..=CHUNK_NODES).contains(&last.len()) && others.iter().all(|chunk| chunk.len() == CHUNK_NODES)
        });
        if !full {
            return Err("its slots are not filled in order");
        }
        // Room for what is yet to come, which pushing to a vector that was read back would otherwise allocate by doubling.
        if let Some(last) = self.chunks.last_mut() {
            last.reserve_exact(CHUNK_NODES - last.len());
        }
        let mut free = self.free.clone();
        free.sort_unstable();
        let vacant = (0..self.slot_count() as u32).filter(|slot| self.get(*slot).is_none());
        if !vacant.eq(free) {
            return Err("its list of free slots is wrong");
        }
        self.tables = empty_tables();
        for slot in 0..self.slot_count() as u32 {
            let Some(key) = self.get(slot).map(Keyed::key) else { continue };
            if self.find(&key).is_some() {
                return Err("a key stands in it twice");
            }
            let (table, hash) = hash_of(&key);
            self.tables[table].insert_unique(spread(hash), Place { hash, slot }, |place| spread(place.hash));
        }
        Ok(())
    }
}
