//! What a query and a product have in common below whole words: letters, codes such as model numbers, and numbers; it knows no index.

use std::collections::BTreeSet;

use crate::document::ProductDocument;
use crate::text::{WORD_CHARS_MAX, fold};

/// Letters that are looked at together.
const TOGETHER: usize = 3;
/// A code has so many characters at least.
const CODE_CHARS_MIN: usize = 4;
/// Codes of one text, in their order of the alphabet; further ones are passed over.
const CODES_MAX: usize = 64;
/// Codes of a query.
const QUERY_CODES_MAX: usize = 8;
/// Numbers of one text, in the order of the alphabet; further ones are passed over.
const NUMBERS_MAX: usize = 64;
/// How alike codes are that begin alike, beside one that holds the other.
const BEGINNING_SHARE: f64 = 0.6;

/// What is compared of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryTraces {
    letters: Vec<u32>,
    codes: Vec<String>,
    numbers: Vec<String>,
}

/// What is compared of a product.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProductTraces {
    /// Of its title.
    letters: Vec<u32>,
    /// Its title without what is neither letter nor digit.
    together: String,
    /// Of its title and its attributes.
    codes: Vec<String>,
    /// Of its description.
    described: Vec<String>,
    /// Of its title.
    numbers: Vec<String>,
}

/// What the two share, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shared {
    /// The share of the query's threes of letters that the title has.
    pub letters: f64,
    /// The share of the query's codes that the product has.
    pub codes: f64,
    /// How alike the most alike of their codes are: by length where one holds the other, by the beginning otherwise.
    pub code_likeness: f64,
    /// The numbers that both have among those that either has.
    pub numbers: f64,
}

impl QueryTraces {
    pub fn of(text: &str) -> Self {
        let folded = fold(text);
        Self { letters: letters(&folded), codes: codes(&folded, QUERY_CODES_MAX), numbers: numbers(&folded) }
    }

    /// What the query shares with a product.
    pub fn shared(&self, product: &ProductTraces) -> Shared {
        let both = common(&self.letters, &product.letters);
        let numbers = common(&self.numbers, &product.numbers);
        let either = self.numbers.len() + product.numbers.len() - numbers;
        let has = |code: &&String| {
            product.codes.binary_search(code).is_ok()
                || product.described.binary_search(code).is_ok()
                || product.together.contains(code.as_str())
        };
        let pairs = self.codes.iter().flat_map(|code| product.codes.iter().map(move |other| likeness(code, other)));
        Shared {
            letters: share(both, self.letters.len()),
            codes: share(self.codes.iter().filter(has).count(), self.codes.len()),
            code_likeness: pairs.fold(0.0, f64::max),
            numbers: share(numbers, either),
        }
    }
}

impl ProductTraces {
    pub fn of(product: &ProductDocument) -> Self {
        let title = fold(&product.title);
        let values: Vec<&str> = product.attributes.values().map(String::as_str).collect();
        Self {
            letters: letters(&title),
            together: title.chars().filter(|c| c.is_alphanumeric()).collect(),
            codes: codes(&format!("{title} {}", fold(&values.join(" "))), CODES_MAX),
            described: codes(&fold(&product.description), CODES_MAX),
            numbers: numbers(&title),
        }
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// How many of two ordered lists without doubles both have.
fn common<T: Ord>(left: &[T], right: &[T]) -> usize {
    let (mut at, mut count) = (0, 0);
    for one in left {
        at += right[at..].partition_point(|other| other < one);
        count += usize::from(right.get(at) == Some(one));
    }
    count
}

fn likeness(a: &str, b: &str) -> f64 {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.contains(short) {
        return share(short.len(), long.len());
    }
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    BEGINNING_SHARE * share(same, long.len())
}

/// Every three characters that stand beside each other, as numbers in rising order; what is neither letter nor digit is one
/// space, which also stands before and behind. Threes outside of ASCII may share a number, which makes texts a little
/// more alike than they are.
fn letters(folded: &str) -> Vec<u32> {
    let plain: String = folded.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let spaced = format!(" {} ", plain.split_whitespace().collect::<Vec<_>>().join(" "));
    let characters: Vec<char> = spaced.chars().collect();
    let number = |three: &[char]| three.iter().fold(0u32, |sum, c| sum.wrapping_mul(1 << 10 | 1) ^ u32::from(*c));
    let found: BTreeSet<u32> = characters.windows(TOGETHER).map(number).collect();
    found.into_iter().collect()
}

/// What stands without a space between and has a digit, without what is neither letter nor digit.
fn codes(folded: &str, limit: usize) -> Vec<String> {
    let plain = |chunk: &str| chunk.chars().filter(|c| c.is_alphanumeric()).take(WORD_CHARS_MAX).collect::<String>();
    let is_code = |code: &String| code.chars().count() >= CODE_CHARS_MIN && code.chars().any(|c| c.is_ascii_digit());
    let found: BTreeSet<String> = folded.split_whitespace().map(plain).filter(is_code).collect();
    found.into_iter().take(limit).collect()
}

/// Digits, with a point between them or none.
fn numbers(folded: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for run in folded.split(|c: char| !(c.is_ascii_digit() || c == '.')) {
        let parts: Vec<&str> = run.split('.').filter(|part| !part.is_empty()).collect();
        found.extend(parts.chunks(2).map(|pair| pair.join(".")));
    }
    found.into_iter().take(NUMBERS_MAX).collect()
}
