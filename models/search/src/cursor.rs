//! The place after a hit as opaque text, good for the same question only.

use dhow_events::ProductId;

/// A place in the order of an answer: by score, then by id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cursor {
    /// Of the question.
    pub question: u64,
    /// The score of the last hit.
    pub score: f64,
    /// Its product.
    pub product: ProductId,
}

const HEX_LENGTH: usize = 64;

impl Cursor {
    pub fn encode(&self) -> String {
        format!("{:016x}{:016x}{:032x}", self.question, self.score.to_bits(), self.product.as_u128())
    }

    /// Reads what [`Cursor::encode`] wrote for the same question.
    pub fn decode(text: &str, question: u64) -> Option<Self> {
        if text.len() != HEX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let read = u64::from_str_radix(&text[..16], 16).ok()?;
        let score = f64::from_bits(u64::from_str_radix(&text[16..32], 16).ok()?);
        let product = ProductId::from_u128(u128::from_str_radix(&text[32..], 16).ok()?);
        (read == question && !score.is_nan()).then_some(Self { question, score, product })
    }

    /// Whether a hit stands behind this place.
    pub fn is_before(&self, score: f64, product: ProductId) -> bool {
        score < self.score || (score == self.score && product > self.product)
    }
}
