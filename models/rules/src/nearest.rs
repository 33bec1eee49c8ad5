//! The declared name that a misspelt one probably means; it only suggests.

/// The fewest bytes that are taken as the beginning of a name.
const MIN_BEGINNING: usize = 3;

/// The candidate with the fewest edits from `name`, compared whole and without its group (`request.amount` as `amount`), where
/// the beginning of a name counts as one edit; the first of equals; none where even the best differs in more than a third of
/// its letters.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let own = short(name);
    let distance = |candidate: &str| match short(candidate).starts_with(own) && own.len() >= MIN_BEGINNING {
        true => edits(own, short(candidate)).min(1),
        false => edits(name, candidate).min(edits(own, short(candidate))),
    };
    let (distance, best) = candidates.map(|candidate| (distance(&candidate), candidate)).min_by_key(|(d, _)| *d)?;
    (distance <= 1 + own.chars().count() / 3).then_some(best)
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Levenshtein's distance: insertions, deletions and replacements of letters.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[to.len()]
}
