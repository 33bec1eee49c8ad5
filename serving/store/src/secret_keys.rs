//! Keys that secrets are sealed with, and what they make of one: a ciphertext bound to its row; it reads no file and writes no row.
//!
//! A key is 32 random bytes. From them follow a key of ChaCha20-Poly1305, a key that nonces are derived with, and the id by
//! which a ciphertext names its key. The nonce is a keyed hash of the row and the secret, so that no two texts share one, and
//! a row that is written again unchanged has the same ciphertext.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The most keys that may be configured at once: one that seals, and those before it.
pub const SECRET_KEYS_MAX: usize = 16;

const KEY_BYTES: usize = 32;
/// The bytes of a key's id.
const ID_BYTES: usize = 8;
/// What the text of a key begins with.
const TEXT_HEAD: &str = "dhow-secrets-key-1 ";

/// A key, or a set of keys, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// The text is no key. What it says is not repeated.
    #[error("this is no key for secrets; `dhow secrets keys new FILE` makes one")]
    NotAKey,
    /// More keys than [`SECRET_KEYS_MAX`].
    #[error("{0} keys for secrets are configured; at most {SECRET_KEYS_MAX} can be")]
    TooMany(usize),
    /// One key is named more than once.
    #[error("the key {0} is named twice")]
    Twice(String),
}

/// Why a secret is not sealed, or not unsealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("it is sealed with the key {0}, which is not configured; name its file in `secrets.key_files`")]
    NoKey(String),
    #[error("its ciphertext was changed, or belongs to another row")]
    Refused,
    #[error("it is too long to be sealed")]
    TooLong,
}

/// A key that secrets are sealed with. Its `Debug` shows its id alone.
pub struct SecretKey {
    id: String,
    cipher: LessSafeKey,
    nonces: [u8; KEY_BYTES],
}

impl SecretKey {
    /// The key that follows from 32 random bytes.
    ///
    /// # Errors
    /// [`SecretKeyError::NotAKey`] where no key follows from them.
    pub fn from_random(random: &[u8; KEY_BYTES]) -> Result<Self, SecretKeyError> {
        let key = blake3::derive_key("dhow 2026 sealed secrets, key of the cipher", random);
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|_| SecretKeyError::NotAKey)?;
        let id = blake3::derive_key("dhow 2026 sealed secrets, id of the key", random);
        Ok(Self {
            id: hex::encode(&id[..ID_BYTES]),
            cipher: LessSafeKey::new(unbound),
            nonces: blake3::derive_key("dhow 2026 sealed secrets, key of the nonces", random),
        })
    }

    /// The text that [`from_text`](Self::from_text) reads, with a line end. Whoever has it can unseal.
    pub fn text_of(random: &[u8; KEY_BYTES]) -> String {
        format!("{TEXT_HEAD}{}\n", hex::encode(random))
    }

    /// Reads what [`text_of`](Self::text_of) wrote.
    ///
    /// # Errors
    /// [`SecretKeyError::NotAKey`].
    pub fn from_text(text: &str) -> Result<Self, SecretKeyError> {
        let digits = text.trim_end().strip_prefix(TEXT_HEAD).ok_or(SecretKeyError::NotAKey)?;
        let mut random = [0; KEY_BYTES];
        hex::decode_to_slice(digits, &mut random).map_err(|_| SecretKeyError::NotAKey)?;
        Self::from_random(&random)
    }

    /// The name of the key: 16 hexadecimal digits, which tell nothing of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn nonce(&self, row: &[u8], secret: &[u8]) -> [u8; NONCE_LEN] {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonces);
        hasher.update(&(row.len() as u64).to_le_bytes()).update(row).update(secret);
        let mut nonce = [0; NONCE_LEN];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }

    /// The nonce and the ciphertext with its tag, in hexadecimal digits.
    fn seal(&self, row: &[u8], secret: &str) -> Result<String, SealError> {
        let bytes = self.nonce(row, secret.as_bytes());
        let nonce = Nonce::assume_unique_for_key(bytes);
        let mut text = secret.as_bytes().to_vec();
        let sealed = self.cipher.seal_in_place_separate_tag(nonce, Aad::from(row), &mut text);
        let tag = sealed.map_err(|_| SealError::TooLong)?;
        Ok(hex::encode([bytes.as_slice(), &text, tag.as_ref()].concat()))
    }

    fn unseal(&self, row: &[u8], sealed: &str) -> Option<String> {
        let mut bytes = hex::decode(sealed).ok()?;
        let (nonce, text) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let secret = self.cipher.open_in_place(nonce, Aad::from(row), text).ok()?;
        String::from_utf8(secret.to_vec()).ok()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.id)
    }
}

/// The keys in force: the first seals, all unseal. The default holds none, and leaves secrets in clear.
#[derive(Debug, Default)]
pub struct SecretKeys(Vec<SecretKey>);

impl SecretKeys {
    /// With these, in this order.
    ///
    /// # Errors
    /// [`SecretKeyError::TooMany`], [`SecretKeyError::Twice`].
    pub fn new(keys: Vec<SecretKey>) -> Result<Self, SecretKeyError> {
        if keys.len() > SECRET_KEYS_MAX {
            return Err(SecretKeyError::TooMany(keys.len()));
        }
        let twice = |(at, key): (usize, &SecretKey)| keys[..at].iter().any(|other| other.id == key.id);
        if let Some(key) = keys.iter().enumerate().find(|one| twice(*one)).map(|(_, key)| key) {
            return Err(SecretKeyError::Twice(key.id.clone()));
        }
        Ok(Self(keys))
    }

    /// The id of the key that seals, if there is one.
    pub fn sealing(&self) -> Option<&str> {
        self.0.first().map(SecretKey::id)
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// What is stored of a secret in `row`, and the id of the key that sealed it.
    pub(crate) fn seal(&self, row: &[u8], secret: String) -> Result<(String, Option<String>), SealError> {
        match self.0.first() {
            None => Ok((secret, None)),
            Some(key) => Ok((key.seal(row, &secret)?, Some(key.id.clone()))),
        }
    }

    /// The secret in `row` of which `stored` is stored.
    pub(crate) fn unseal(&self, row: &[u8], stored: String, sealed_by: Option<&str>) -> Result<String, SealError> {
        let Some(id) = sealed_by else { return Ok(stored) };
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| SealError::NoKey(id.to_owned()))?;
        key.unseal(row, &stored).ok_or(SealError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> SecretKey {
        SecretKey::from_random(&[number; KEY_BYTES]).expect("a key")
    }

    #[test]
    fn a_key_is_read_from_its_text_and_its_text_and_id_tell_of_no_other() {
        let text = SecretKey::text_of(&[3; KEY_BYTES]);
        let read = SecretKey::from_text(&text).expect("it is a key");
        let sealed = key(3).seal(b"row", "whsec_x").expect("it is sealed");
        assert_eq!(read.unseal(b"row", &sealed).as_deref(), Some("whsec_x"));
        assert_eq!(read.id(), key(3).id());
        assert_ne!(read.id(), key(4).id());
        assert!(!text.contains(read.id()) && !format!("{read:?}").contains("0303"));
        for wrong in ["", "dhow-secrets-key-1 03", &text[..text.len() - 2], &text.replace("key-1", "key-2")] {
            assert_eq!(SecretKey::from_text(wrong).err(), Some(SecretKeyError::NotAKey), "{wrong}");
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_row_by_its_key_whole_and_nowhere_else() {
        let keys = SecretKeys::new(vec![key(1), key(2)]).expect("two keys");
        let (sealed, by) = keys.seal(b"a", "whsec_secret".to_owned()).expect("it is sealed");
        let by = by.as_deref();
        assert_eq!(by, Some(key(1).id()));
        assert!(!sealed.contains("whsec") && !sealed.contains(&hex::encode("whsec")));
        assert_eq!(keys.unseal(b"a", sealed.clone(), by).as_deref(), Ok("whsec_secret"));
        assert_eq!(keys.unseal(b"b", sealed.clone(), by), Err(SealError::Refused), "another row");
        assert_eq!(keys.unseal(b"a", sealed.clone(), Some(key(2).id())), Err(SealError::Refused), "another key");
        let other = SecretKeys::new(vec![key(2)]).expect("one key");
        assert_eq!(other.unseal(b"a", sealed.clone(), by), Err(SealError::NoKey(key(1).id().to_owned())));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("digits");
            assert_eq!(keys.unseal(b"a", changed, by), Err(SealError::Refused), "digit {at}");
            assert_eq!(keys.unseal(b"a", sealed[..at].to_owned(), by), Err(SealError::Refused), "cut at {at}");
        }
    }

    #[test]
    fn another_row_or_text_has_another_nonce_and_the_same_has_the_same() {
        let seal =
            |number: u8, row: &str, secret: &str| key(number).seal(row.as_bytes(), secret).expect("it is sealed");
        let (one, again) = (seal(1, "a", "x"), seal(1, "a", "x"));
        assert_eq!(one, again);
        let begin = |sealed: &str| sealed[..2 * NONCE_LEN].to_owned();
        for other in [seal(1, "a", "y"), seal(1, "b", "x"), seal(1, "ax", ""), seal(2, "a", "x")] {
            assert_ne!(begin(&one), begin(&other));
        }
    }

    #[test]
    fn one_key_named_twice_and_too_many_keys_are_refused_and_without_one_secrets_stay_in_clear() {
        let twice = SecretKeys::new(vec![key(1), key(2), key(1)]).err();
        assert_eq!(twice, Some(SecretKeyError::Twice(key(1).id().to_owned())));
        let many = (0..=SECRET_KEYS_MAX as u8).map(key).collect();
        assert_eq!(SecretKeys::new(many).err(), Some(SecretKeyError::TooMany(SECRET_KEYS_MAX + 1)));
        let none = SecretKeys::default();
        assert_eq!(none.seal(b"a", "x".to_owned()), Ok(("x".to_owned(), None)));
        assert_eq!(none.unseal(b"a", "x".to_owned(), None).as_deref(), Ok("x"));
    }
}
