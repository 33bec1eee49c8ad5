//! A provider's public keys (RFC 7517) and the signatures that they verify: RS256 and ES256; it fetches nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// What a point of P-256 begins with where both its coordinates follow.
const UNCOMPRESSED: u8 = 4;
/// The bytes of a coordinate of P-256.
const COORDINATE_BYTES: usize = 32;

/// How a token may be signed. What is no word here (`none`, keys that both sides share) is believed of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    pub(crate) const WORDS: [&'static str; 2] = ["RS256", "ES256"];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Listed {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug, Deserialize)]
struct List {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256 { point: Vec<u8> },
}

/// A public key of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderKey {
    id: Option<String>,
    material: Material,
}

impl ProviderKey {
    fn of(listed: Listed) -> Option<Self> {
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let (algorithm, material) = match listed.kty.as_str() {
            "RSA" => ("RS256", Material::Rsa { modulus: bytes(&listed.n)?, exponent: bytes(&listed.e)? }),
            "EC" if listed.crv.as_deref() == Some("P-256") => {
                let (x, y) = (bytes(&listed.x)?, bytes(&listed.y)?);
                let whole = x.len() == COORDINATE_BYTES && y.len() == COORDINATE_BYTES;
                ("ES256", Material::P256 { point: whole.then(|| [&[UNCOMPRESSED][..], &x, &y].concat())? })
            }
            _ => return None,
        };
        let signs = listed.used_for.as_deref().is_none_or(|used_for| used_for == "sig");
        let fits = listed.alg.as_deref().is_none_or(|word| word == algorithm);
        (signs && fits).then_some(Self { id: listed.kid, material })
    }

    /// Whether it may have signed a token whose header names `id`.
    pub(crate) fn may_be(&self, id: Option<&str>) -> bool {
        id.is_none() || self.id.as_deref() == id
    }

    /// Whether `signature` is this key's, of `message`.
    pub(crate) fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (algorithm, &self.material) {
            (Algorithm::Rs256, Material::Rsa { modulus, exponent }) => {
                let key = RsaPublicKeyComponents { n: without_zeros(modulus), e: without_zeros(exponent) };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            (Algorithm::Es256, Material::P256 { point }) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// Some providers write numbers with zeros before them, which the standard forbids and the check of signatures refuses.
fn without_zeros(number: &[u8]) -> &[u8] {
    let begin = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[begin..]
}

/// Reads a key set. Keys for other uses and of other kinds are passed over.
///
/// # Errors
/// It is no key set, or has more than `most` keys.
pub(crate) fn read_keys(text: &[u8], most: usize) -> Result<Vec<ProviderKey>, String> {
    let list: List = serde_json::from_slice(text).map_err(|error| format!("it is no set of keys: {error}"))?;
    if list.keys.len() > most {
        return Err(format!("it has {} keys; at most {most} are taken", list.keys.len()));
    }
    let listed = list.keys.into_iter().filter_map(|key| serde_json::from_value::<Listed>(key).ok());
    Ok(listed.filter_map(ProviderKey::of).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_for_signatures_of_known_kinds_are_taken_and_others_are_passed_over() {
        let (x, y) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([2; 32]));
        let good = json!({ "kty": "EC", "crv": "P-256", "kid": "a", "x": x, "y": y, "alg": "ES256", "use": "sig" });
        let with = |name: &str, value: serde_json::Value| {
            let mut changed = good.clone();
            changed[name] = value;
            changed
        };
        let list = json!({ "keys": [
            good.clone(),
            with("use", json!("enc")),
            with("alg", json!("ES384")),
            with("crv", json!("P-384")),
            with("x", json!("AAAA")),
            with("y", json!("!")),
            with("kty", json!("oct")),
            with("kty", json!(7)),
            { "kty": "RSA", "n": "AQAB", "e": "AQAB" },
        ] });
        let keys = read_keys(list.to_string().as_bytes(), 9).expect("it is a set");
        assert_eq!(keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("a"), None]);
        assert!(keys[0].may_be(Some("a")) && keys[0].may_be(None) && !keys[0].may_be(Some("b")));
        assert!(!keys[1].may_be(Some("a")), "a key without a name is not taken for a named one");
        assert!(read_keys(list.to_string().as_bytes(), 8).is_err());
        assert!(read_keys(b"{}", 8).is_err() && read_keys(b"[", 8).is_err());
    }

    #[test]
    fn a_key_verifies_signatures_of_its_own_algorithm_alone() {
        let key = ProviderKey { id: None, material: Material::P256 { point: vec![4; 65] } };
        assert!(!key.signed(Algorithm::Rs256, b"x", &[0; 256]) && !key.signed(Algorithm::Es256, b"x", &[0; 64]));
        assert_eq!(Algorithm::WORDS.map(|word| Algorithm::from_word(word).is_some()), [true, true]);
        for word in ["none", "HS256", "rs256", "PS256", ""] {
            assert_eq!(Algorithm::from_word(word), None, "{word}");
        }
    }
}
