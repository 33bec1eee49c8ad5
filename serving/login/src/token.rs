//! Identity tokens: read, believed or not, and what their claims say of a person; times and keys are passed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dhow_commerce::RoleName;
use dhow_events::{SECOND_MICROS, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::LoginSettings;
use crate::attempt::same;
use crate::keys::{Algorithm, ProviderKey};

/// By how much the provider's clock may differ from ours.
pub const CLOCK_SKEW_SECONDS: i64 = 60;
/// The longest identity token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 32 * 1024;
/// The longest subject and name of a person, in bytes.
const PERSON_BYTES_MAX: usize = 255;

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own id of the person, which it gives nobody else.
    pub subject: String,
    /// The person as the audit log names them.
    pub name: String,
    /// The roles that the person's claims give; none where they give none.
    pub roles: Vec<RoleName>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disbelief {
    /// None of the keys at hand has signed it; newer ones may have.
    UnknownKey,
    /// It is not for us, not now, or not what was asked for.
    Refused(String),
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// A token that was taken apart, and whose signature nobody has looked at.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    header: Header,
    algorithm: Algorithm,
    claims: Map<String, Value>,
    signed: &'t str,
    signature: Vec<u8>,
}

fn refused<T>(why: impl Into<String>) -> Result<T, Disbelief> {
    Err(Disbelief::Refused(why.into()))
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Disbelief> {
        if text.len() > TOKEN_BYTES_MAX {
            return refused(format!("it has {} bytes; at most {TOKEN_BYTES_MAX} are taken", text.len()));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { return refused("it does not have three parts") };
        let bytes = |part: &str| {
            let wrong = |_| Disbelief::Refused("a part of it is not in base64url".to_owned());
            URL_SAFE_NO_PAD.decode(part).map_err(wrong)
        };
        let wrong = |_| Disbelief::Refused("a part of it is not the JSON that it should be".to_owned());
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(wrong)?;
        let claims: Map<String, Value> = serde_json::from_slice(&bytes(claims)?).map_err(wrong)?;
        let Some(algorithm) = Algorithm::from_word(&header.alg) else {
            let known = Algorithm::WORDS.join(" and ");
            return refused(format!("it is signed by {:?}; what is believed are {known}", cut(&header.alg)));
        };
        if header.crit.is_some() {
            return refused("its header has extensions that must be understood, and none is");
        }
        let signed = &text[..text.len() - parts[2].len() - 1];
        Ok(Self { header, algorithm, claims, signed, signature: bytes(signature)? })
    }

    /// Believes the token, or says why not: a signature by one of `keys`, and claims for us, for now, and for this `nonce`.
    pub(crate) fn believe(
        &self,
        settings: &LoginSettings,
        keys: &[ProviderKey],
        nonce: &str,
        now: Timestamp,
    ) -> Result<Identity, Disbelief> {
        let candidates = keys.iter().filter(|key| key.may_be(self.header.kid.as_deref()));
        let mut known = candidates.peekable();
        if known.peek().is_none() {
            return Err(Disbelief::UnknownKey);
        }
        if !known.any(|key| key.signed(self.algorithm, self.signed.as_bytes(), &self.signature)) {
            // Without a name in its header, a key that is newer than those at hand may have signed it.
            return match self.header.kid {
                None => Err(Disbelief::UnknownKey),
                Some(_) => refused("its signature is wrong"),
            };
        }
        self.check_parties(settings)?;
        self.check_times(now.micros() / SECOND_MICROS)?;
        if !same(self.text("nonce").unwrap_or_default(), nonce) {
            return refused("its `nonce` is not the one of this login");
        }
        self.identity(settings)
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    fn check_parties(&self, settings: &LoginSettings) -> Result<(), Disbelief> {
        let (issuer, client) = (self.text("iss").unwrap_or_default(), settings.client_id.as_str());
        if issuer != settings.issuer {
            return refused(format!("its issuer is {:?}, and not {:?}", cut(issuer), settings.issuer));
        }
        let audiences = values(self.claims.get("aud"));
        if !audiences.contains(&client) {
            return refused(format!("it is not for {client:?}, which its `aud` does not name"));
        }
        match self.claims.get("azp") {
            None if audiences.len() > 1 => refused("it has several audiences, and no `azp` says which one it is for"),
            Some(party) if party.as_str() != Some(client) => refused("its `azp` names another client"),
            _ => Ok(()),
        }
    }

    /// A number of seconds since 1970, with a part of one or without.
    fn seconds(&self, claim: &str) -> Result<Option<i64>, Disbelief> {
        match self.claims.get(claim) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                // Whole seconds of a time that anybody lives in are exact.
                Some(seconds) => Ok(Some(seconds.floor() as i64)),
                None => refused(format!("its `{claim}` is no time")),
            },
        }
    }

    fn check_times(&self, now: i64) -> Result<(), Disbelief> {
        let Some(expires) = self.seconds("exp")? else { return refused("it has no `exp`") };
        if now >= expires.saturating_add(CLOCK_SKEW_SECONDS) {
            return refused("it has expired");
        }
        let Some(issued) = self.seconds("iat")? else { return refused("it has no `iat`") };
        let begins = self.seconds("nbf")?.unwrap_or(issued).max(issued);
        if begins > now.saturating_add(CLOCK_SKEW_SECONDS) {
            return refused("it is not in force yet: the clocks differ");
        }
        Ok(())
    }

    fn identity(&self, settings: &LoginSettings) -> Result<Identity, Disbelief> {
        let person = |claim: &str| {
            let text = at_path(&self.claims, claim).and_then(Value::as_str).unwrap_or_default();
            if text.trim().is_empty() || text.len() > PERSON_BYTES_MAX || text.chars().any(char::is_control) {
                return refused(format!("its `{claim}` must be a text of 1 to {PERSON_BYTES_MAX} bytes"));
            }
            Ok(text.to_owned())
        };
        let given = values(at_path(&self.claims, &settings.role_claim));
        let mut roles: Vec<RoleName> =
            settings.roles.iter().filter(|(value, _)| given.contains(&value.as_str())).map(|(_, role)| *role).collect();
        roles.sort_unstable();
        roles.dedup();
        Ok(Identity { subject: person("sub")?, name: person(&settings.name_claim)?, roles })
    }
}

/// The claim of this name, or, where its name has dots, the one inside of others.
fn at_path<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

/// The texts of a claim that is one or a list of them.
fn values(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The begin of a text that somebody else wrote.
fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}
