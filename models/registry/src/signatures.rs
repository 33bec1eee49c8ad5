//! Who vouches for a model: keys, and signatures over cards; it keeps no key and reads no file.
//!
//! A signature covers the card as its bytes stand in the registry. The card names the artifact's hash, so that neither
//! can be changed under it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// The most keys that can be trusted at once.
pub const MAX_TRUSTED_KEYS: usize = 100;

const KEY_BYTES: usize = 32;
/// What every signed message begins with, so that a signature made for something else is none of a card.
const CONTEXT: &[u8] = b"dhow model card 1\n";
/// What the text of a signing key begins with.
const SECRET_HEAD: &str = "dhow-signing-key-1 ";

/// A key, or a set of keys, that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no public key.
    #[error("`{0}` is no public key; one is 64 hexadecimal digits, as `dhow models keys show FILE` prints it")]
    NotPublic(String),
    /// The text is no signing key. What it says is not repeated.
    #[error("this is no signing key; `dhow models keys new FILE` makes one")]
    NotSecret,
    /// More trusted keys than [`MAX_TRUSTED_KEYS`].
    #[error("{0} keys are trusted; at most {MAX_TRUSTED_KEYS} can be")]
    TooMany(usize),
    /// What is registered here could not be loaded here.
    #[error("the signing key {0} is not among the trusted keys: what it signs would not be loaded; add it to them")]
    Untrusted(PublicKey),
}

/// A key that signatures are checked with: 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Whether `signature` is this key's, of exactly this card.
    pub(crate) fn signed(&self, card: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(&message(card), signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        from_hex(text).map(Self).ok_or_else(|| KeyError::NotPublic(text.chars().take(2 * KEY_BYTES).collect()))
    }
}

/// A key that cards are signed with. Its text is a secret; its `Debug` shows the public half alone.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key that follows from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::NotSecret`] where no key follows from them.
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| KeyError::NotSecret)
    }

    /// The text that [`from_text`](Self::from_text) reads, with a line end. Whoever has it can sign.
    pub fn seed_text(seed: &[u8; KEY_BYTES]) -> String {
        format!("{SECRET_HEAD}{}\n", hex::encode(seed))
    }

    /// Reads what [`seed_text`](Self::seed_text) wrote.
    ///
    /// # Errors
    /// [`KeyError::NotSecret`].
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim_end().strip_prefix(SECRET_HEAD).ok_or(KeyError::NotSecret)?;
        Self::from_seed(&from_hex(digits).ok_or(KeyError::NotSecret)?)
    }

    /// The key that others check its signatures with.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, card: &str) -> Vec<u8> {
        self.0.sign(&message(card)).as_ref().to_vec()
    }
}

/// What a registry signs with and whom it believes. The default signs nothing and believes every card.
#[derive(Debug, Clone, Default)]
pub struct ModelKeys {
    signing: Option<Arc<SigningKey>>,
    trusted: Vec<PublicKey>,
}

impl ModelKeys {
    /// With a signing key, every registered model is signed; with trusted keys, none is loaded that no one of them signed.
    ///
    /// # Errors
    /// [`KeyError::TooMany`]; [`KeyError::Untrusted`] where keys are trusted and the signing key is none of them.
    pub fn new(signing: Option<SigningKey>, trusted: Vec<PublicKey>) -> Result<Self, KeyError> {
        if trusted.len() > MAX_TRUSTED_KEYS {
            return Err(KeyError::TooMany(trusted.len()));
        }
        let own = signing.as_ref().map(SigningKey::public_key);
        if let Some(own) = own.filter(|own| !trusted.is_empty() && !trusted.contains(own)) {
            return Err(KeyError::Untrusted(own));
        }
        Ok(Self { signing: signing.map(Arc::new), trusted })
    }

    pub(crate) fn signing(&self) -> Option<&SigningKey> {
        self.signing.as_deref()
    }

    pub(crate) fn trusted(&self) -> &[PublicKey] {
        &self.trusted
    }
}

fn message(card: &str) -> Vec<u8> {
    [CONTEXT, card.as_bytes()].concat()
}

fn from_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_and_signatures_are_those_of_rfc_8032() {
        // Test 1 of section 7.1: the secret key, and the public key that follows from it.
        let text = format!("{SECRET_HEAD}9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n");
        let key = SigningKey::from_text(&text).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(key.public_key().to_string(), public);
        assert_eq!(public.to_uppercase().parse(), Ok(key.public_key()));
        assert!(key.public_key().signed("{}", &key.sign("{}")));
        assert!(!key.public_key().signed("{} ", &key.sign("{}")));
    }

    #[test]
    fn no_other_text_is_a_key_and_a_refusal_does_not_repeat_a_secret() {
        let seed = SigningKey::seed_text(&[7; KEY_BYTES]);
        for wrong in ["", "é", seed.trim_end(), &"0".repeat(63), &"g".repeat(64), &"+1".repeat(32)] {
            assert!(matches!(wrong.parse::<PublicKey>(), Err(KeyError::NotPublic(_))), "{wrong}");
        }
        let cut = &seed[..seed.len() - 2];
        let refused = SigningKey::from_text(cut).unwrap_err().to_string();
        assert!(!refused.contains("0707"), "{refused}");
        assert!(!format!("{:?}", SigningKey::from_text(&seed).unwrap()).contains("0707"));
    }
}
