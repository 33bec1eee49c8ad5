//! What people write into records is checked in one place: its length, and that it holds no card number.

use std::ops::RangeInclusive;

use dhow_rules::contains_card_number;

use crate::CommerceError;

/// Checks a text that is to be stored; `bytes` says how long it may be, and blanks alone count as none.
pub(crate) fn check_text(pointer: &str, text: &str, bytes: RangeInclusive<usize>) -> Result<(), CommerceError> {
    let filled = text.trim().len();
    if filled < *bytes.start() || text.len() > *bytes.end() {
        let message = format!("has {filled} bytes; it must have from {} to {}", bytes.start(), bytes.end());
        return Err(CommerceError::invalid(pointer, message));
    }
    if contains_card_number(text) {
        let message = "holds what looks like a card number; card numbers are never stored, use the card's token";
        return Err(CommerceError::invalid(pointer, message));
    }
    Ok(())
}
