//! Signatures of messages by the conventions of Standard Webhooks: an HMAC over id, time and body; it sends nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_events::{SECOND_MICROS, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use sha2::Sha256;

use crate::{NOTICE_AGE_MAX_S, NoticeError, SignedNotice};

/// What every signature of this version begins with.
const VERSION: &str = "v1,";
/// What a secret's text begins with.
pub(crate) const SECRET_PREFIX: &str = "whsec_";
/// The fewest bytes of a secret.
const SECRET_BYTES_MIN: usize = 16;

/// The secret whose text is `whsec_` and its bytes in base64; nothing where it is another text, or too short to be secret.
pub fn signing_secret(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
    (bytes.len() >= SECRET_BYTES_MIN).then_some(bytes)
}

fn of(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

/// The signature of a message, as its header carries it.
pub fn sign(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let code = of(secret, id, timestamp, body).map(|mac| STANDARD.encode(mac.finalize().into_bytes()));
    // An HMAC takes keys of any length.
    format!("{VERSION}{}", code.unwrap_or_default())
}

/// Whether one of a message's signatures is by `secret`; compared in constant time.
fn is_signed(secret: &[u8], notice: &SignedNotice<'_>) -> bool {
    let by_secret = |signature: &str| {
        let code = signature.strip_prefix(VERSION).and_then(|text| STANDARD.decode(text).ok());
        let mac = of(secret, notice.id, notice.timestamp, notice.body);
        mac.zip(code).is_some_and(|(mac, code)| mac.verify_slice(&code).is_ok())
    };
    notice.signature.split(' ').any(by_secret)
}

/// Reads a message that is signed with `secret` and not too old.
///
/// # Errors
/// Another signature, a time too far from `now`, or no notice.
pub fn read_signed<T: DeserializeOwned>(
    secret: &[u8],
    now: Timestamp,
    signed: &SignedNotice<'_>,
) -> Result<T, NoticeError> {
    if !is_signed(secret, signed) {
        return Err(NoticeError::Signature);
    }
    let sent_s: i64 = signed.timestamp.parse().map_err(|_| NoticeError::Age)?;
    if (now.micros() / SECOND_MICROS).abs_diff(sent_s) > NOTICE_AGE_MAX_S.unsigned_abs() {
        return Err(NoticeError::Age);
    }
    serde_json::from_slice(signed.body).map_err(|error| NoticeError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_convention_and_holds_for_its_message_alone() {
        // The example of the convention's own documentation.
        let secret = signing_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("it is a secret");
        assert!(signing_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none() && signing_secret("whsec_AAAA").is_none());
        let body = br#"{"test": 2432232314}"#;
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let signature = sign(&secret, id, timestamp, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = format!("v1,AAAA {signature}");
        let notice = SignedNotice { id, timestamp, signature: &both, body };
        assert!(is_signed(&secret, &notice));
        assert!(!is_signed(b"another secret", &notice));
        assert!(!is_signed(&secret, &SignedNotice { timestamp: "1614265331", ..notice }));
        assert!(!is_signed(&secret, &SignedNotice { body: b"{}", ..notice }));
        assert!(!is_signed(&secret, &SignedNotice { signature: "", ..notice }));
    }
}
