//! Products by words, by meaning, or by a weighted sum of both and of what texts share below words; it makes no page.

use crate::SearchError;
use crate::bits::Bits;
use crate::index::View;
use crate::query::Mode;
use crate::settings::SearchSettings;
use crate::text::Word;
use crate::traces::QueryTraces;
use crate::words::{Scored, score};

/// A product that answers a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub slot: u32,
    pub score: f64,
    pub keyword: f64,
    pub cosine: Option<f64>,
}

/// Every product that answers, in no order, and what the words came to.
pub(crate) fn candidates(
    view: &View<'_>,
    words: &[Word],
    text: &str,
    typed: bool,
    mode: Mode<'_>,
    allowed: &Bits,
    settings: &SearchSettings,
) -> Result<(Vec<Candidate>, Option<Scored>), SearchError> {
    let fusion = &settings.fusion;
    let nearest = |vector| {
        let before = |a, b| view.state.id(a) < view.state.id(b);
        view.state.meanings.nearest(vector, allowed, fusion.cosine_min, fusion.nearest, before)
    };
    match mode {
        Mode::Meaning(vector) => {
            let of = |(cosine, slot)| Candidate { slot, score: cosine, keyword: 0.0, cosine: Some(cosine) };
            Ok((nearest(vector).into_iter().map(of).collect(), None))
        }
        Mode::Keyword => {
            let scored = score(view, words, typed, allowed, &settings.keyword)?;
            let of = |slot: &u32| {
                let keyword = scored.scores[*slot as usize];
                Candidate { slot: *slot, score: keyword, keyword, cosine: None }
            };
            Ok((scored.slots.iter().map(of).collect(), Some(scored)))
        }
        Mode::Hybrid(vector) => {
            let scored = score(view, words, typed, allowed, &settings.keyword)?;
            let mut either = Bits::none(view.state.products.len());
            scored.slots.iter().for_each(|slot| either.insert(*slot));
            nearest(vector).iter().for_each(|(_, slot)| either.insert(*slot));
            let traces = QueryTraces::of(text);
            let of = |slot: u32| {
                let keyword = scored.scores[slot as usize];
                let cosine = view.state.meanings.cosine(slot, vector);
                let words = if scored.attainable > 0.0 { keyword / scored.attainable } else { 0.0 };
                let shared = view.state.product(slot).map(|held| traces.shared(&held.traces)).unwrap_or_default();
                Candidate { slot, score: fusion.score(words, cosine, &shared), keyword, cosine }
            };
            Ok((either.iter().map(of).collect(), Some(scored)))
        }
    }
}
