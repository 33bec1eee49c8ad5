//! The promotion ledger: which model had which alias when, as checksummed JSON lines; it does no IO.

use dhow_events::{ModelId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::card::{Alias, Task};
use crate::sealed::{CHAIN_START, seal, unseal};

/// One entry of the ledger: from `at` on, `model_id` has the alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Whose alias it is.
    pub tenant: TenantId,
    /// For which task.
    pub task: Task,
    /// The role that the model takes.
    pub alias: Alias,
    /// The model.
    pub model_id: ModelId,
    /// From when on.
    pub at: Timestamp,
    /// The reason, for people.
    pub why: String,
}

/// A line of the ledger that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is corrupt: {what}")]
pub struct CorruptLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// All promotions so far, in the order in which they were written. For one tenant, task and alias `at` never decreases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    promotions: Vec<Promotion>,
    last_checksum: String,
    whole_bytes: usize,
    torn_bytes: usize,
}

impl Ledger {
    /// Reads the file's bytes.
    ///
    /// What stands after the last line end was never acknowledged: it is left out and counted in
    /// [`torn_bytes`](Self::torn_bytes).
    ///
    /// # Errors
    /// A finished line that is not exactly what was once written after the line before it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CorruptLine> {
        let whole_bytes = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |position| position + 1);
        let mut ledger = Self {
            promotions: Vec::new(),
            last_checksum: CHAIN_START.to_owned(),
            whole_bytes,
            torn_bytes: bytes.len() - whole_bytes,
        };
        for (index, line) in bytes[..whole_bytes].split_inclusive(|&byte| byte == b'\n').enumerate() {
            let corrupt = |what: String| CorruptLine { line: index + 1, what };
            let line = std::str::from_utf8(&line[..line.len() - 1])
                .map_err(|error| corrupt(format!("it is not UTF-8: {error}")))?;
            let (checksum, body) = unseal(&ledger.last_checksum, line)
                .ok_or_else(|| corrupt("its checksum does not fit it and the line before".to_owned()))?;
            let promotion = serde_json::from_str(body)
                .map_err(|error| corrupt(format!("it is no promotion of this version: {error}")))?;
            ledger.promotions.push(promotion);
            ledger.last_checksum = checksum.to_owned();
        }
        Ok(ledger)
    }

    /// The line, with its end, that appends `promotion` to this ledger's file.
    pub(crate) fn line_for(&self, promotion: &Promotion) -> serde_json::Result<String> {
        let body = serde_json::to_string(promotion)?;
        Ok(seal(&self.last_checksum, &body) + "\n")
    }

    /// Every promotion, oldest first.
    pub fn promotions(&self) -> &[Promotion] {
        &self.promotions
    }

    /// The last promotion to an alias, or `None` if there was none.
    pub fn last(&self, tenant: &TenantId, task: Task, alias: Alias) -> Option<&Promotion> {
        self.promotions.iter().rev().find(|entry| entry.tenant == *tenant && entry.task == task && entry.alias == alias)
    }

    /// The model that has the alias now.
    pub fn resolve(&self, tenant: &TenantId, task: Task, alias: Alias) -> Option<ModelId> {
        self.last(tenant, task, alias).map(|entry| entry.model_id)
    }

    /// The model that had the alias at `time`, its first instant included. Of two promotions at the same instant the
    /// later written one counts.
    pub fn alias_at(&self, tenant: &TenantId, task: Task, alias: Alias, time: Timestamp) -> Option<ModelId> {
        let mut newest_first = self.promotions.iter().rev();
        newest_first
            .find(|entry| entry.tenant == *tenant && entry.task == task && entry.alias == alias && entry.at <= time)
            .map(|entry| entry.model_id)
    }

    /// The length of the file's intact part.
    pub(crate) fn whole_bytes(&self) -> usize {
        self.whole_bytes
    }

    /// How many bytes of an interrupted, never acknowledged write stood at the file's end and were left out.
    pub fn torn_bytes(&self) -> usize {
        self.torn_bytes
    }
}
