//! A question and its answer: bounds, filters, candidates, order, page; how words and meanings score stands elsewhere.

use std::cmp::Ordering;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::cursor::Cursor;
use crate::document::ProductDocument;
use crate::error::{SearchError, SearchProblem};
use crate::facets::{Facets, FacetsAsked};
use crate::filter::Filters;
use crate::fusion::candidates;
use crate::index::{SearchIndex, View};
use crate::meaning::check_vector;
use crate::text::{Word, queried_words};

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 512;
/// Different words of a query, those included that are made of compounds.
pub const QUERY_WORDS_MAX: usize = 64;
/// Hits of one page.
pub const LIMIT_MAX: usize = 100;

/// What is searched by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode<'a> {
    /// Words.
    Keyword,
    /// The meaning of the query, as a vector of unit length; its words are not looked at.
    Meaning(&'a [f32]),
    /// Both.
    Hybrid(&'a [f32]),
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest<'a> {
    /// What somebody typed.
    pub text: &'a str,
    /// What is searched by.
    pub mode: Mode<'a>,
    /// Whether the last word may be the beginning of one.
    pub as_you_type: bool,
    /// What is asked of products besides.
    pub filters: Filters,
    /// What is counted.
    pub facets: FacetsAsked,
    /// Hits of a page, 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// `next` of the previous page; nothing for the first.
    pub cursor: Option<&'a str>,
}

/// A product that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The product as it is held.
    pub product: Arc<ProductDocument>,
    /// What it is ordered by; comparable within an answer.
    pub score: f64,
    /// What its words give.
    pub keyword: f64,
    /// How like the query it is in meaning, −1 to 1; nothing where that was not asked or it has no vector.
    pub cosine: Option<f64>,
}

/// A word that no product has, and what was looked for in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// As it was typed, folded.
    pub word: String,
    /// Words of products, without plural endings.
    pub used: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchAnswer {
    /// The page, best first; of equal scores the lower id first.
    pub hits: Vec<Hit>,
    /// How many products answer, on all pages.
    pub total: usize,
    /// What was counted of them.
    pub facets: Facets,
    /// Where the next page begins; nothing behind the last.
    pub next: Option<String>,
    /// Words that were replaced.
    pub corrections: Vec<Correction>,
}

impl SearchIndex {
    /// Answers a question.
    ///
    /// # Errors
    /// Every part of the request that is out of its bounds, or a failing index.
    pub fn search(&self, request: &SearchRequest<'_>) -> Result<SearchAnswer, SearchError> {
        let (words, after) = request.check()?;
        self.read(|view| {
            if let Mode::Meaning(vector) | Mode::Hybrid(vector) = request.mode {
                check_vector(vector, view.state.meanings.dimension())?;
            }
            let allowed = request.filters.allowed(view)?;
            let (found, scored) =
                candidates(view, &words, request.text, request.as_you_type, request.mode, &allowed, self.settings())?;
            let (total, facets) = (found.len(), request.facets.count(view, &found));
            let (hits, next) = page(view, found, after, request);
            let corrections = scored.map(|scored| scored.corrections).unwrap_or_default();
            Ok(SearchAnswer { hits, total, facets, next, corrections })
        })
    }
}

impl SearchRequest<'_> {
    fn check(&self) -> Result<(Vec<Word>, Option<Cursor>), SearchError> {
        let mut problems = Vec::new();
        let mut problem = |part, detail| problems.push(SearchProblem { part, detail });
        let mut words = Vec::new();
        if self.text.len() > QUERY_BYTES_MAX {
            problem("q", format!("has {} bytes; at most {QUERY_BYTES_MAX} are taken", self.text.len()));
        } else {
            let mut seen = FxHashSet::default();
            words = queried_words(self.text);
            words.retain(|word| seen.insert(word.stem.clone()));
            if words.is_empty() {
                problem("q", "has no word to look for".to_owned());
            } else if words.len() > QUERY_WORDS_MAX {
                problem("q", format!("has {} words; at most {QUERY_WORDS_MAX} are taken", words.len()));
            }
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            problem("limit", format!("is {}; it must be from 1 to {LIMIT_MAX}", self.limit));
        }
        let after = self.cursor.map(|text| Cursor::decode(text, self.question()));
        if matches!(after, Some(None)) {
            problem("cursor", "is not one of this question; give back `next` unchanged".to_owned());
        }
        self.filters.check(&mut problems);
        self.facets.check(&mut problems);
        if problems.is_empty() { Ok((words, after.flatten())) } else { Err(SearchError::Invalid(problems)) }
    }

    /// What a cursor belongs to: all but limit, facets and cursor.
    fn question(&self) -> u64 {
        let mode = match self.mode {
            Mode::Keyword => "keyword",
            Mode::Meaning(_) => "meaning",
            Mode::Hybrid(_) => "hybrid",
        };
        let plain = format!("{:?}", (self.text, mode, self.as_you_type, &self.filters));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&blake3::hash(plain.as_bytes()).as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }
}

/// The hits behind a place, and the place behind them where there are more.
fn page(
    view: &View<'_>,
    found: Vec<crate::fusion::Candidate>,
    after: Option<Cursor>,
    request: &SearchRequest<'_>,
) -> (Vec<Hit>, Option<String>) {
    let mut hits: Vec<Hit> = found
        .into_iter()
        .filter_map(|candidate| {
            let held = view.state.product(candidate.slot)?;
            let behind = after.is_none_or(|after| after.is_before(candidate.score, held.document.product));
            behind.then(|| Hit {
                product: held.document.clone(),
                score: candidate.score,
                keyword: candidate.keyword,
                cosine: candidate.cosine,
            })
        })
        .collect();
    let more = hits.len() > request.limit;
    if more {
        hits.select_nth_unstable_by(request.limit, order);
        hits.truncate(request.limit);
    }
    hits.sort_unstable_by(order);
    let last = hits.last().filter(|_| more);
    let next = last.map(|hit| {
        let cursor = Cursor { question: request.question(), score: hit.score, product: hit.product.product };
        cursor.encode()
    });
    (hits, next)
}

fn order(a: &Hit, b: &Hit) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.product.product.cmp(&b.product.product))
}
