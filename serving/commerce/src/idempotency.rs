//! Requests that are sent again: the key, what it guards, and what a claim of it finds; storing it is the database's.

use dhow_events::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CommerceError, StorageError, StorageTransaction};
use dhow_events::Timestamp;

/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// An idempotency key and the hash of the request that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    key: String,
    request_hash: String,
}

impl Idempotency {
    /// The key of a request; `route` (method and path) and `body` make its hash, so a key used for another request is
    /// noticed.
    ///
    /// # Errors
    /// A key that is empty, longer than [`IDEMPOTENCY_KEY_BYTES_MAX`], or holds other than visible ASCII characters.
    pub fn new(key: &str, route: &str, body: &[u8]) -> Result<Self, CommerceError> {
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX || !visible {
            let message = format!("must have 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters");
            return Err(CommerceError::invalid("/idempotency_key", message));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(route.len() as u64).to_le_bytes()).update(route.as_bytes()).update(body);
        Ok(Self { key: key.to_owned(), request_hash: hasher.finalize().to_hex().to_string() })
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The hash of route and body: 64 hexadecimal digits.
    pub fn request_hash(&self) -> &str {
        &self.request_hash
    }
}

/// What claiming a key finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is new and now ours; the answer is saved under it when the request ends.
    New,
    /// The same request was answered before: its answer.
    Answered(String),
    /// The same request is not answered yet.
    InFlight,
    /// The key stands for another request.
    OtherRequest,
}

/// An answer, and whether it is a saved one.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered<T> {
    /// The answer.
    pub value: T,
    /// Whether it was given before, to the same request.
    pub replayed: bool,
}

/// Claims `key` within `transaction`: the saved answer where there is one, nothing where the request is new.
pub(crate) async fn claim<X: StorageTransaction, T: DeserializeOwned>(
    transaction: &mut X,
    tenant: TenantId,
    key: Option<&Idempotency>,
    now: Timestamp,
) -> Result<Option<T>, CommerceError> {
    let Some(key) = key else { return Ok(None) };
    match transaction.claim_idempotency_key(tenant, key, now).await? {
        Claim::New => Ok(None),
        Claim::Answered(answer) => serde_json::from_str(&answer).map(Some).map_err(|error| {
            StorageError::Corrupt { what: "a saved idempotent answer", detail: error.to_string() }.into()
        }),
        Claim::InFlight => Err(CommerceError::InFlight { key: key.key().to_owned() }),
        Claim::OtherRequest => Err(CommerceError::KeyReused { key: key.key().to_owned() }),
    }
}

/// Saves `value` as the answer of the claimed `key`.
pub(crate) async fn save_answer<X: StorageTransaction, T: Serialize>(
    transaction: &mut X,
    tenant: TenantId,
    key: Option<&str>,
    value: &T,
) -> Result<(), CommerceError> {
    let Some(key) = key else { return Ok(()) };
    let answer = serde_json::to_string(value)
        .map_err(|error| StorageError::Corrupt { what: "an answer to be saved", detail: error.to_string() })?;
    Ok(transaction.save_idempotent_answer(tenant, key, &answer).await?)
}
