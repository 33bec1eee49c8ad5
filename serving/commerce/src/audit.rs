//! The audit log: who changed what through the API, each row bound by its hash to the one before; storing it is the database's.
//!
//! A row is written in the transaction of its change, without a place: a chain that is extended inside of transactions would
//! make all changes of a tenant wait for each other. A moment after the commit one chainer at a time gives rows their places
//! and hashes, in the order in which they were written; from then on a row that is changed, removed or put in between is
//! found. The last hash, noted elsewhere, also finds a log that was rewritten as a whole.

use dhow_events::{KeyId, TenantId, Timestamp};
use serde::Serialize;

use crate::words::worded;

/// The most subjects of one row; the first ones.
pub const AUDIT_SUBJECTS_MAX: usize = 20;
/// The longest request id, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// The most rows of one page.
pub const AUDIT_PAGE_MAX: u32 = 100;
/// Rows that are chained in one transaction at most.
pub const AUDIT_CHAINED_AT_ONCE_MAX: u32 = 1_000;
/// Rows that one verification recomputes at most.
pub const AUDIT_VERIFIED_MAX: i64 = 50_000;

worded! {
    /// What became of a request.
    AuditOutcome {
        /// It changed something: the row was written in the transaction of the change.
        Changed = "changed",
        /// It was answered, and nothing was changed: a repeated request, or one that found all as it wanted it.
        Unchanged = "unchanged",
        /// It was refused.
        Refused = "refused",
        /// The server failed.
        Failed = "failed",
    }
}

/// A request that may change something, as its row tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRequest {
    /// Whose data it is about; nothing where only the change itself tells, as with a rail's message.
    pub tenant: Option<TenantId>,
    /// The key that it was sent with; nothing where access is open, or a signature was asked for in place of a key.
    pub key: Option<KeyId>,
    /// Who sent it, where a person who logged in did.
    pub person: Option<String>,
    /// Method and route: `POST /v1/refunds`.
    pub operation: String,
    /// The path, with the ids that it names.
    pub path: String,
    /// The id that the caller or the server gave the request.
    pub request_id: String,
    /// When it came.
    pub at: Timestamp,
}

/// A row before it is chained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// When the request came.
    pub at: Timestamp,
    /// The key that it was sent with.
    pub key: Option<KeyId>,
    /// The person who sent it, where one who logged in did.
    pub person: Option<String>,
    /// Method and route.
    pub operation: String,
    /// The path.
    pub path: String,
    /// What was changed, as far as the change names it: ids of orders, payments, endpoints …
    pub subjects: Vec<String>,
    /// The request's id.
    pub request_id: String,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// The status of the answer; nothing where the row was written with the change, before there was an answer.
    pub status: Option<u16>,
}

/// A hash of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHash(pub [u8; 32]);

impl AuditHash {
    /// What stands before the first row.
    pub const GENESIS: Self = Self([0; 32]);

    /// The hash of `row`, which comes after one with the hash `self` at `place` - 1.
    pub fn next(self, place: i64, row: &AuditRow) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("dhow 2026 audit log row");
        hasher.update(&self.0).update(&place.to_le_bytes()).update(&row.at.micros().to_le_bytes());
        let key = row.key.map(|key| key.to_string()).unwrap_or_default();
        let status = row.status.map(|status| status.to_string()).unwrap_or_default();
        let tenant = row.tenant.to_string();
        let words = [&*tenant, &*key, &*row.operation, &*row.path, &*row.request_id, row.outcome.word(), &*status];
        for word in words.into_iter().chain(row.subjects.iter().map(String::as_str)) {
            // Lengths keep apart what would run together.
            hasher.update(&(word.len() as u64).to_le_bytes()).update(word.as_bytes());
        }
        if let Some(person) = &row.person {
            // No word is as long as this says, so a person is taken for no subject; rows without one keep their hash.
            hasher.update(&u64::MAX.to_le_bytes()).update(person.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// 64 hexadecimal digits.
    pub fn encode(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads what [`AuditHash::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

/// A chained row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the tenant's log, from 1 without gaps.
    pub place: i64,
    /// The row.
    pub row: AuditRow,
    /// Its hash, as it is stored; nothing where what is stored is no hash.
    pub hash: Option<AuditHash>,
}

/// The end of a tenant's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The last place; 0 where there is none.
    pub last_place: i64,
    /// The hash of the row there.
    pub hash: AuditHash,
}

/// The first row that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditBreak {
    /// Its place.
    pub place: i64,
    /// What is wrong there.
    pub why: String,
}

/// What recomputing a part of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerification {
    /// Rows that are as they were written.
    pub verified: i64,
    /// The last place that was looked at and was right.
    pub verified_to: i64,
    /// The end of the chain.
    pub head: AuditHead,
    /// The first row that is not; nothing where all are.
    pub broken: Option<AuditBreak>,
}

/// A chain that is being recomputed, row after row.
#[derive(Debug)]
pub struct AuditVerifier {
    place: i64,
    hash: AuditHash,
    verified: i64,
}

impl AuditVerifier {
    /// Begins after `place`, whose row has `hash`.
    pub const fn new(place: i64, hash: AuditHash) -> Self {
        Self { place, hash, verified: 0 }
    }

    /// The place up to which all was right.
    pub const fn place(&self) -> i64 {
        self.place
    }

    /// Rows that were right.
    pub const fn verified(&self) -> i64 {
        self.verified
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), AuditBreak> {
        let place = self.place + 1;
        let broken = |why: &str| AuditBreak { place, why: why.to_owned() };
        if entry.place != place {
            return Err(broken("the row is missing"));
        }
        let hash = self.hash.next(place, &entry.row);
        if entry.hash != Some(hash) {
            return Err(broken("the row is not the one that its hash was made of"));
        }
        (self.place, self.hash, self.verified) = (place, hash, self.verified + 1);
        Ok(())
    }

    /// Ends at the chain's end, once there are no more rows.
    ///
    /// # Errors
    /// Rows are missing there, or the last one is not the one that was written.
    pub fn end(&self, head: &AuditHead) -> Result<(), AuditBreak> {
        if self.place < head.last_place {
            return Err(AuditBreak { place: self.place + 1, why: "the row is missing".to_owned() });
        }
        if self.place > head.last_place || self.hash != head.hash {
            return Err(AuditBreak { place: self.place, why: "the chain does not end with this row".to_owned() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, request_id: &str, subjects: &[&str]) -> AuditRow {
        AuditRow {
            tenant: TenantId::default(),
            at: Timestamp::from_micros(7),
            key: None,
            person: None,
            operation: "POST /v1/refunds".to_owned(),
            path: path.to_owned(),
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            request_id: request_id.to_owned(),
            outcome: AuditOutcome::Changed,
            status: None,
        }
    }

    #[test]
    fn a_hash_tells_rows_apart_whose_words_run_together_alike() {
        let hash = |row: &AuditRow| AuditHash::GENESIS.next(1, row);
        let rows = [
            row("ab", "c", &[]),
            row("a", "bc", &[]),
            row("a", "b", &["c"]),
            row("a", "b", &["c", ""]),
            AuditRow { status: Some(200), ..row("ab", "c", &[]) },
            AuditRow { person: Some("c".to_owned()), ..row("a", "b", &[]) },
            AuditRow { person: Some(String::new()), ..row("a", "b", &[]) },
            AuditRow { person: Some("c".to_owned()), ..row("a", "b", &["c"]) },
        ];
        for (index, one) in rows.iter().enumerate() {
            assert!(rows[index + 1..].iter().all(|other| hash(one) != hash(other)), "{one:?}");
            assert_ne!(AuditHash::GENESIS.next(2, one), hash(one));
        }
        assert_eq!(AuditHash::decode(&hash(&rows[0]).encode()), Some(hash(&rows[0])));
    }
}
