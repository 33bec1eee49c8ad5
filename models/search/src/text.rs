//! Text to words, the same for products and queries: case and accents folded, words found in any script; it knows no language but plain English plurals.
//!
//! | Step | Example |
//! |---|---|
//! | compatibility forms, lower case, accents of European scripts off | `Café Ｆｕｌｌ` → `cafe full` |
//! | words as Unicode finds them (UAX 29) | `7.2 megapixel, black` → `7.2`, `megapixel`, `black` |
//! | what hyphens and the like hold together, also as one | `blu-ray` → `blu`, `ray`, `bluray` |
//! | a number with its unit, also as two | `16gb` → `16gb`, `16`, `gb` |
//! | scripts without spaces: pairs of characters, in products also single ones | `緑茶葉` → `緑茶`, `茶葉` |
//! | English plurals | `dishes` → `dish`, `batteries` → `battery` |

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// The longest word that is kept, in characters; what is longer is cut.
pub const WORD_CHARS_MAX: usize = 40;
/// A unit behind a number has at most so many letters.
const UNIT_LETTERS_MAX: usize = 3;
/// A compound of more parts is not kept as one word.
const COMPOUND_PARTS_MAX: usize = 4;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word {
    /// As it is looked up.
    pub stem: String,
    /// Folded but not stemmed.
    pub full: String,
    /// Whether it stands in the text; false for what was put together or taken apart from a word that does.
    pub stands: bool,
}

/// The words of a product's text, in order. Characters of scripts without spaces come single and in pairs.
pub fn indexed_words(text: &str) -> Vec<Word> {
    words(text, true)
}

/// The words of a query, in order. Characters of scripts without spaces come in pairs where there are two.
pub fn queried_words(text: &str) -> Vec<Word> {
    words(text, false)
}

fn words(text: &str, singles: bool) -> Vec<Word> {
    let folded = fold(text);
    let mut found = Vec::new();
    for chunk in folded.split_whitespace() {
        let mut rest = chunk;
        while let Some(first) = rest.chars().next() {
            let unspaced = is_unspaced(first);
            let end = rest.char_indices().find(|(_, c)| continues(*c, unspaced)).map_or(rest.len(), |(at, _)| at);
            let (run, after) = rest.split_at(end);
            if unspaced {
                unspaced_words(run, singles, &mut found)
            } else {
                spaced_words(run, &mut found)
            }
            rest = after;
        }
    }
    found
}

/// Whether a run of (un)spaced script ends before this character.
fn continues(c: char, unspaced: bool) -> bool {
    is_unspaced(c) != unspaced
}

fn push(found: &mut Vec<Word>, full: &str, stands: bool) {
    let full: String = full.chars().take(WORD_CHARS_MAX).collect();
    found.push(Word { stem: stem(&full).to_owned(), full, stands });
}

fn spaced_words(run: &str, found: &mut Vec<Word>) {
    let mut parts: Vec<String> = Vec::new();
    for word in run.unicode_words() {
        let whole = word.strip_suffix("'s").unwrap_or(word).replace('\'', "");
        // Underscores hold words together for Unicode, and not for people.
        parts.extend(whole.split('_').filter(|part| !part.is_empty()).map(str::to_owned));
    }
    for part in &parts {
        push(found, part, true);
        if let Some((number, unit)) = number_and_unit(part) {
            push(found, number, false);
            push(found, unit, false);
        }
    }
    let held_together = run.chars().any(|c| "-/_.".contains(c));
    if held_together && (2..=COMPOUND_PARTS_MAX).contains(&parts.len()) {
        let together: String = parts.concat();
        if together.chars().all(char::is_alphanumeric) {
            push(found, &together, false);
        }
    }
}

fn unspaced_words(run: &str, singles: bool, found: &mut Vec<Word>) {
    let characters: Vec<&str> =
        run.graphemes(true).filter(|character| character.chars().any(char::is_alphanumeric)).collect();
    if singles || characters.len() == 1 {
        characters.iter().for_each(|character| push(found, character, true));
    }
    for pair in characters.windows(2) {
        push(found, &pair.concat(), true);
    }
}

/// `16gb` as `16` and `gb`.
fn number_and_unit(word: &str) -> Option<(&str, &str)> {
    let at = word.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = word.split_at(at);
    let is_unit = unit.len() <= UNIT_LETTERS_MAX && unit.bytes().all(|byte| byte.is_ascii_lowercase());
    (!number.is_empty() && is_unit).then_some((number, unit))
}

/// The text in compatibility forms, lower case, without the accents of European scripts and the vowel marks of Arabic.
pub fn fold(text: &str) -> String {
    let lower = text.nfkc().flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(text.len());
    for c in lower.nfkd().filter(|c| !is_accent(*c)).nfc() {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            '’' | 'ʼ' => folded.push('\''),
            '‐' | '‑' | '–' => folded.push('-'),
            other => folded.push(other),
        }
    }
    folded
}

/// Diacritics of Latin, Greek and Cyrillic; short vowels and the filling line of Arabic. Vowel signs of Indic scripts and
/// marks of kana belong to their words.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{652}' | '\u{640}')
}

/// Scripts that are written without spaces between words, or whose words change at their ends by attached particles.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'      // Thai, Lao
        | '\u{1000}'..='\u{109f}'    // Myanmar
        | '\u{1780}'..='\u{17ff}'    // Khmer
        | '\u{3040}'..='\u{30ff}'    // kana
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}' // Han
        | '\u{ac00}'..='\u{d7af}'    // Hangul
    )
}

/// Takes an English plural's ending off. Harman, "How effective is suffixing?" (1991), with the plurals in -es.
fn stem(word: &str) -> &str {
    // The y of -ies needs another string; both forms are cut to the letters that they share instead.
    let cut = |count: usize| &word[..word.len() - count];
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word;
    }
    match word {
        _ if word.ends_with("ies") && word.len() > 4 => cut(3),
        _ if word.ends_with('y') && word.len() > 3 && !"aeiou".contains(&word[word.len() - 2..word.len() - 1]) => {
            cut(1)
        }
        _ if ["shes", "ches", "xes", "sses", "zzes"].iter().any(|ending| word.ends_with(ending)) => cut(2),
        _ if ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending)) => word,
        _ if word.ends_with('s') => cut(1),
        _ => word,
    }
}
