//! Finds what looks like a payment card's number in any text; what is done with such a text is the caller's.

/// The fewest and most digits of a card's number.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// The most separators between two groups of digits of one number, as in `4111 - 1111`.
const MAX_SEPARATORS: usize = 3;

/// Where the decimal digits of scripts in common use begin: ASCII, Arabic, Persian, Devanagari, Bengali, Thai, full width.
const ZEROS: [char; 7] = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];

/// Whether the text holds 13 to 19 digits that pass Luhn's check: alone, or in whole groups separated by spaces, points, hyphens
/// and the like, whatever letters stand around them. More than 19 digits on end are searched at every place. Some harmless
/// numbers (one in ten of that length) pass the check too.
pub fn contains_card_number(text: &str) -> bool {
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut separators = 0;
    for letter in text.chars() {
        match digit(letter) {
            Some(digit) => {
                match groups.last_mut() {
                    Some(group) if separators == 0 => group.push(digit),
                    _ => groups.push(vec![digit]),
                }
                separators = 0;
            }
            None if is_separator(letter) && separators < MAX_SEPARATORS => separators += 1,
            None => {
                if groups_hold_a_number(&groups) {
                    return true;
                }
                groups.clear();
                separators = 0;
            }
        }
    }
    groups_hold_a_number(&groups)
}

fn digit(letter: char) -> Option<u32> {
    ZEROS.iter().find_map(|zero| (letter as u32).checked_sub(*zero as u32).filter(|digit| *digit < 10))
}

fn is_separator(letter: char) -> bool {
    letter.is_whitespace() || "-–—‐‑.,/_·".contains(letter)
}

fn groups_hold_a_number(groups: &[Vec<u32>]) -> bool {
    (0..groups.len()).any(|start| {
        let mut digits = Vec::new();
        for group in &groups[start..] {
            digits.extend(group);
            if digits.len() > *LENGTHS.end() {
                break;
            }
            if LENGTHS.contains(&digits.len()) && passes_luhn(&digits) {
                return true;
            }
        }
        let group = &groups[start];
        group.len() > *LENGTHS.end() && LENGTHS.into_iter().any(|length| group.windows(length).any(passes_luhn))
    })
}

/// Luhn's check: every second digit from the right is doubled; the sum of all digits ends in 0.
fn passes_luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match digit * (1 + place as u32 % 2) {
            two_digits if two_digits > 9 => two_digits - 9,
            one_digit => one_digit,
        })
        .sum();
    sum.is_multiple_of(10)
}
