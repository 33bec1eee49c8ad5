//! A JSON line that carries its own checksum, chained to the line before it; it knows nothing of what the JSON says.

/// Hexadecimal digits of a checksum: 128 bits of blake3.
pub(crate) const CHECKSUM_DIGITS: usize = 32;
/// What the checksum of the first line of a chain is chained to.
pub(crate) const CHAIN_START: &str = "";

const HEAD: &str = "{\"checksum\":\"";
const MIDDLE: &str = "\",\"body\":";
const TAIL: &str = "}";

fn checksum(previous: &str, body: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous.as_bytes());
    hasher.update(body.as_bytes());
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(CHECKSUM_DIGITS);
    hex
}

/// Wraps `body` (JSON without line breaks) as `{"checksum":"…","body":…}`, without a line end.
///
/// The checksum covers `previous`, the checksum of the line before, so that a line that was removed or moved is noticed.
pub(crate) fn seal(previous: &str, body: &str) -> String {
    format!("{HEAD}{}{MIDDLE}{body}{TAIL}", checksum(previous, body))
}

/// The checksum and the body of a sealed line, or `None` where any byte of it is not as it was written.
///
/// The body is compared as bytes, never after parsing: reading a number and writing it again may change its digits.
pub(crate) fn unseal<'a>(previous: &str, line: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = line.strip_prefix(HEAD)?;
    let (found, rest) = rest.split_at_checked(CHECKSUM_DIGITS)?;
    let body = rest.strip_prefix(MIDDLE)?.strip_suffix(TAIL)?;
    (checksum(previous, body) == found).then_some((found, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_or_another_predecessor_is_noticed() {
        let line = seal("before", r#"{"a":0.1}"#);
        assert_eq!(unseal("before", &line).map(|(_, body)| body), Some(r#"{"a":0.1}"#));
        assert_eq!(unseal("other", &line), None);
        for position in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[position] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(unseal("before", &changed), None, "byte {position}");
        }
    }
}
