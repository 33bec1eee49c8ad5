//! One attempt to log in: a secret that the browser keeps, and what follows from it; nothing of it is stored but a hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dhow_commerce::KeyHash;
use ring::digest::{SHA256, digest};

const SECRET_BYTES: usize = 32;

/// A secret of 256 random bits. State, nonce and PKCE verifier follow from it, each by a derivation of its own, so that who
/// sees the state in an address learns nothing of the others.
#[derive(Clone)]
pub struct LoginAttempt([u8; SECRET_BYTES]);

impl LoginAttempt {
    /// A new attempt from random bits that the caller draws from the operating system.
    pub const fn from_random(random: [u8; SECRET_BYTES]) -> Self {
        Self(random)
    }

    /// The attempt whose secret a browser presents; nothing where it presents none.
    pub fn presented(text: &str) -> Option<Self> {
        let mut secret = [0; SECRET_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut secret).ok()?;
        (length == SECRET_BYTES).then_some(Self(secret))
    }

    /// The secret as the browser keeps it.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the server stores of the attempt, to take it once.
    pub fn hash(&self) -> KeyHash {
        KeyHash(blake3::derive_key("dhow 2026 login attempt", &self.0))
    }

    /// Whether `state` is the one that the browser was sent away with.
    pub fn is_state(&self, state: &str) -> bool {
        same(&self.state(), state)
    }

    /// Goes to the provider and comes back with the browser.
    pub fn state(&self) -> String {
        self.derived("dhow 2026 login state")
    }

    /// Goes to the provider and comes back in the identity token.
    pub(crate) fn nonce(&self) -> String {
        self.derived("dhow 2026 login nonce")
    }

    /// Goes to the provider with the code.
    pub(crate) fn verifier(&self) -> String {
        self.derived("dhow 2026 login code verifier")
    }

    /// What goes to the provider of the verifier before there is a code.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier().as_bytes()))
    }

    fn derived(&self, context: &str) -> String {
        URL_SAFE_NO_PAD.encode(blake3::derive_key(context, &self.0))
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ: hashes compare in constant time.
pub(crate) fn same(one: &str, other: &str) -> bool {
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_follows_from_a_secret_is_its_own_and_differs_from_the_secret_and_from_each_other() {
        let attempt = LoginAttempt::from_random([7; 32]);
        let again = LoginAttempt::presented(&attempt.reveal()).expect("it is one");
        let of =
            |a: &LoginAttempt| [a.reveal(), a.state(), a.nonce(), a.verifier(), a.challenge(), a.hash().to_string()];
        assert_eq!(of(&attempt), of(&again));
        let other = LoginAttempt::from_random([8; 32]);
        let all: BTreeSet<String> = of(&attempt).into_iter().chain(of(&other)).collect();
        assert_eq!(all.len(), 12);
        assert!(attempt.is_state(&again.state()) && !attempt.is_state(&other.state()) && !attempt.is_state(""));
        for wrong in ["", "AAAA", &format!("{}A", attempt.reveal()), "ä", &"/".repeat(43)] {
            assert!(LoginAttempt::presented(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_verifier_has_the_length_and_the_letters_that_the_standard_asks_for() {
        let verifier = LoginAttempt::from_random([7; 32]).verifier();
        assert!((43..=128).contains(&verifier.len()));
        assert!(verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "{verifier}");
    }
}
