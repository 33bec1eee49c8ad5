//! Product search beside a naive one, through changes, pages and scripts; relevance on real catalogues is judged elsewhere.

mod naive;
mod questions;
mod text;
mod world;

use std::collections::BTreeMap;

use dhow_events::ProductId;
use dhow_search::{
    FacetCount, FacetsAsked, Mode, ProductWords, SavedQueries, SavedQuery, SearchAnswer, SearchIndex, SearchRequest,
    SearchSettings,
};
use proptest::prelude::*;

use world::{Plain, ask, batches, filters, query, vector};

fn index_after(batches: &[Vec<world::Drawn>], plain: &mut Plain, settings: SearchSettings) -> SearchIndex {
    let index = SearchIndex::new(settings).unwrap();
    for batch in batches {
        index.apply(plain.take(batch)).unwrap();
    }
    index
}

fn ids(answer: &SearchAnswer) -> Vec<ProductId> {
    answer.hits.iter().map(|hit| hit.product.product).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_rank_as_in_a_naive_search(
        batches in batches(), text in query(), filters in filters(), typed in any::<bool>(), share in 0..3u8,
    ) {
        let mut settings = SearchSettings::default();
        settings.keyword.required_share = f64::from(share) / 2.0;
        let mut plain = Plain::default();
        let index = index_after(&batches, &mut plain, settings);
        let request = SearchRequest { as_you_type: typed, filters: filters.clone(), ..ask(&text) };
        let found = index.search(&request).unwrap();
        let expected = naive::search(&plain.documents, &text, typed, &filters, &settings.keyword);
        prop_assert_eq!(found.total, expected.len());
        let scores: BTreeMap<ProductId, f64> = expected.iter().copied().collect();
        for hit in &found.hits {
            let expected = scores.get(&hit.product.product).copied();
            prop_assert!(expected.is_some_and(|score| (score - hit.score).abs() < 1e-9), "{:?} {expected:?}", hit);
        }
        prop_assert!(found.hits.windows(2).all(|pair| (pair[0].score, pair[1].product.product) >= (pair[1].score, pair[0].product.product)));
    }

    #[test]
    fn a_changed_index_answers_bit_for_bit_as_one_built_anew(
        batches in batches(), text in query(), filters in filters(), typed in any::<bool>(), towards in vector(),
    ) {
        let mut plain = Plain::default();
        let settings = SearchSettings::default();
        let changed = index_after(&batches, &mut plain, settings);
        let anew = SearchIndex::new(settings).unwrap();
        anew.apply(plain.anew()).unwrap();
        prop_assert_eq!(changed.len(), anew.len());
        prop_assert_eq!(changed.meanings(), plain.vectors.len());
        let facets = FacetsAsked { categories: true, sellers: true, prices: true, attributes: vec!["colour".to_owned()] };
        for mode in [Mode::Keyword, Mode::Meaning(&towards), Mode::Hybrid(&towards)] {
            let request =
                SearchRequest { mode, as_you_type: typed, filters: filters.clone(), facets: facets.clone(), ..ask(&text) };
            prop_assert_eq!(changed.search(&request).unwrap(), anew.search(&request).unwrap());
        }
    }

    #[test]
    fn saved_questions_are_answered_by_what_a_search_for_all_their_words_finds(
        batches in batches(), asked in prop::collection::vec((query(), filters()), 1..12),
    ) {
        let mut settings = SearchSettings::default();
        // All words must be there, and none is mended.
        settings.keyword.required_share = 1.0;
        let mut plain = Plain::default();
        let index = index_after(&batches, &mut plain, settings);
        let saved = asked.iter().map(|(text, filters)| SavedQuery::new(text, filters.clone()).unwrap());
        let queries: Vec<(usize, SavedQuery)> = saved.enumerate().collect();
        let many = SavedQueries::new(queries.clone());
        for (number, (text, filters)) in asked.iter().enumerate() {
            let found = index.search(&SearchRequest { filters: filters.clone(), ..ask(text) }).unwrap();
            for document in plain.documents.values() {
                let expected = naive::answers(document, text, filters);
                let words = ProductWords::of(document);
                prop_assert_eq!(queries[number].1.matches(&words), expected, "{} {:?}", text, document);
                prop_assert_eq!(many.matching(&words).contains(&&number), expected);
                prop_assert!(!expected || ids(&found).contains(&document.product), "a search finds it too");
            }
        }
    }

    #[test]
    fn neighbours_in_meaning_are_those_of_a_look_at_every_product(
        batches in batches(), filters in filters(), towards in vector(),
    ) {
        let mut plain = Plain::default();
        let mut settings = SearchSettings::default();
        settings.fusion.nearest = 3;
        let index = index_after(&batches, &mut plain, settings);
        let request = SearchRequest { mode: Mode::Meaning(&towards), filters: filters.clone(), ..ask("mug") };
        let mut expected: Vec<(f64, ProductId)> = plain
            .vectors
            .iter()
            .filter(|(id, _)| naive::passes(&plain.documents[*id], &filters))
            .map(|(id, vector)| (f64::from(vector[0] * towards[0] + vector[1] * towards[1]), *id))
            .filter(|(cosine, _)| *cosine >= settings.fusion.cosine_min)
            .collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        expected.truncate(3);
        let found = index.search(&request).unwrap();
        prop_assert_eq!(ids(&found), expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
    }

    #[test]
    fn pages_put_together_are_the_whole_answer_and_facets_count_it(batches in batches(), text in query(), towards in vector()) {
        let mut plain = Plain::default();
        let index = index_after(&batches, &mut plain, SearchSettings::default());
        for mode in [Mode::Keyword, Mode::Hybrid(&towards)] {
            let asked = FacetsAsked { sellers: true, ..FacetsAsked::default() };
            let whole = index.search(&SearchRequest { mode, facets: asked, ..ask(&text) }).unwrap();
            let (mut together, mut cursor) = (Vec::new(), None);
            loop {
                let request = SearchRequest { mode, limit: 2, cursor: cursor.as_deref(), ..ask(&text) };
                let page = index.search(&request).unwrap();
                prop_assert_eq!(page.total, whole.total);
                together.extend(ids(&page));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            prop_assert_eq!(&together, &ids(&whole));
            let counted: u64 = whole.facets.sellers.iter().map(|FacetCount { count, .. }| *count).sum();
            prop_assert_eq!(counted as usize, whole.total);
        }
    }
}
