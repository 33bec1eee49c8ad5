//! Where candidates come from beside co-occurrence: past visits, tastes, histories; fitted once, asked by every request.

use std::cell::RefCell;

use dhow_events::BuyerId;
use dhow_factors::{FactorsError, ItemIndex, Matrix};
use dhow_sessions::{Exclude, Scratch, Session, SessionIndex};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::RankingSettings;
use super::candidates::{Admission, FROM_VISITS, Shopper, best_of};
use super::content::{ContentTastes, DIRECTIONS, Direction};
use super::histories::{Histories, MAX_HISTORY};
use super::tastes::Tastes;
use crate::chain::Chain;
use crate::lists::Lists;
use crate::model::TrainError;
use crate::sequences::{Action, actions};
use crate::{Interaction, InteractionKind, RecommendError, RecommendModel, Seen};

/// So many of what came right after an item are kept.
const MAX_FOLLOWERS: usize = 100;
/// Added to an item's count, so that what came once after a rare item is no certainty.
const FOLLOWER_SHRINKAGE: f32 = 3.0;

thread_local! {
    /// A request's memory, kept between the requests of a thread.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The fitted sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sources {
    #[serde(with = "index_bytes")]
    visits: SessionIndex,
    /// Whether, for lack of any views, orders stand for visits.
    pub(crate) from_baskets: bool,
    /// Of each item what came right after it, with the probability: a first-order Markov chain.
    followers: Lists<(u32, f32)>,
    histories: Histories,
    /// None where nobody was signed in.
    tastes: Option<Tastes>,
    /// None where products have no words in common, or nobody picked enough.
    content: Option<ContentTastes>,
    /// ln(1 + popularity) of each item.
    popularity: Vec<f64>,
    /// ln(1 + views) and ln(1 + orders) of each item, which do not fade.
    demand: Vec<(f64, f64)>,
    /// Finds what a taste for words and categories meets best; derived from the above.
    #[serde(skip)]
    by_content: ContentIndex,
}

/// Items by their directions, with popularity as one more of which every taste has 1.
#[derive(Debug, Clone, Default)]
struct ContentIndex(Option<ItemIndex>);

impl PartialEq for ContentIndex {
    /// It follows from what is compared beside it.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Sources {
    pub(crate) fn fit(
        model: &RecommendModel,
        interactions: &[Interaction],
        settings: &RankingSettings,
    ) -> Result<Self, TrainError> {
        let actions = actions(interactions, &model.items);
        let from_baskets = no_views(&actions);
        let visits = visits(&actions, from_baskets);
        let histories = Histories::new(&actions);
        let of_persons: Vec<Vec<u32>> = histories.all().map(<[u32]>::to_vec).collect();
        let tastes = match of_persons.is_empty() {
            true => None,
            false => Some(Tastes::fit(&of_persons, model.items.len(), &settings.tastes)?),
        };
        let picked: Vec<&[u32]> = histories.all().collect();
        let content = ContentTastes::fit(model, &picked);
        let mut popularity = vec![0.0; model.items.len()];
        for popular in &model.popularity.overall {
            popularity[popular.item as usize] = f64::from(popular.score).ln_1p();
        }
        let followers = followers(&visits, model.items.len());
        let mut sources = Self {
            visits: SessionIndex::build(&sessions(&visits), &settings.visits)?,
            from_baskets,
            followers,
            histories,
            tastes,
            content,
            popularity,
            demand: demand(&actions, model.items.len()),
            by_content: ContentIndex::default(),
        };
        sources.index_content()?;
        Ok(sources)
    }

    /// Derives what is not written to a file: to be called once after reading.
    pub(crate) fn index_content(&mut self) -> Result<(), FactorsError> {
        let Some(content) = &self.content else { return Ok(()) };
        let rows = content.items().iter().zip(&self.popularity);
        let values: Vec<f32> = rows.flat_map(|(item, popularity)| with_popularity(item, *popularity as f32)).collect();
        self.by_content = ContentIndex(Some(ItemIndex::new(&Matrix::from_rows(DIRECTIONS + 1, &values)?)));
        Ok(())
    }

    pub(crate) fn visits(&self) -> &SessionIndex {
        &self.visits
    }

    /// Refuses content that would make an answer fail later.
    pub(crate) fn is_sound(&self, items: usize) -> bool {
        self.popularity.len() == items
            && self.demand.len() == items
            && self.demand.iter().all(|(views, orders)| views.is_finite() && orders.is_finite())
            && self.popularity.iter().all(|value| value.is_finite())
            && self.visits.item_count() <= items
            && self.followers.is_sound(items, |(item, share)| (*item as usize) < items && share.is_finite())
            && self.histories.is_sound(items)
            && self.content.as_ref().is_none_or(|content| content.is_sound(items))
            && self.tastes.as_ref().is_none_or(|tastes| tastes.items() == items)
    }

    /// What the person did before training ended, then `since`, oldest first, each item where it stands last.
    pub(crate) fn history_of(&self, person: Option<BuyerId>, since: &[u32]) -> Vec<u32> {
        let trained = person.map(|person| self.histories.of(person)).unwrap_or_default();
        let mut history: Vec<u32> = trained.iter().filter(|item| !since.contains(item)).copied().collect();
        history.extend(since);
        history.drain(..history.len().saturating_sub(MAX_HISTORY));
        history
    }

    /// The shopper's factors, of the history and the visit together; none of a person who is not known.
    pub(crate) fn taste(&self, shopper: &Shopper) -> Result<Option<Vec<f32>>, RecommendError> {
        let Some(tastes) = self.tastes.as_ref().filter(|_| shopper.is_known()) else { return Ok(None) };
        let both: Vec<u32> = shopper.history.iter().chain(&shopper.session).copied().collect();
        Ok(Some(tastes.of(&both)?))
    }

    /// The inner products of the shopper's and the items' factors, and their cosines.
    pub(crate) fn taste_of(&self, taste: &[f32], items: &[u32]) -> Result<Vec<(f64, f64)>, RecommendError> {
        match &self.tastes {
            Some(tastes) => Ok(tastes.scores(taste, items)?),
            None => Ok(vec![(0.0, 0.0); items.len()]),
        }
    }

    /// The shopper's taste for words and categories; none of a shopper about whom nothing is known.
    pub(crate) fn content_taste(&self, shopper: &Shopper) -> Option<Direction> {
        let content = self.content.as_ref().filter(|_| shopper.is_known())?;
        let fresh = shopper.session.iter().filter(|item| !shopper.history.contains(item));
        let picked: Vec<u32> = shopper.history.iter().chain(fresh).copied().collect();
        Some(content.of(&picked))
    }

    /// How such a taste meets an item, in log odds; 0 where nothing was learned.
    pub(crate) fn content_score(&self, taste: &Direction, item: u32) -> f64 {
        self.content.as_ref().map_or(0.0, |content| content.score(taste, item))
    }

    /// The admitted items that the taste for words and categories meets best, popularity counted.
    pub(crate) fn liked_content(
        &self,
        taste: &Direction,
        count: usize,
        admission: &Admission<'_>,
    ) -> Result<Vec<(u32, f32)>, RecommendError> {
        if let Some(narrow) = admission.narrow {
            let score = |item: &u32| (*item, (self.content_score(taste, *item) + self.popularity_of(*item)) as f32);
            return Ok(best_of(narrow.iter().map(score).collect(), count));
        }
        let Some(index) = &self.by_content.0 else { return Ok(Vec::new()) };
        let query: Vec<f32> = with_popularity(taste, 1.0).collect();
        let top = index.top_where(&query, count, admission.admits)?;
        Ok(top.into_iter().map(|scored| (scored.item, scored.score)).collect())
    }

    /// The admitted items that the shopper's factors meet best.
    pub(crate) fn liked(
        &self,
        taste: &[f32],
        count: usize,
        admission: &Admission<'_>,
    ) -> Result<Vec<(u32, f32)>, RecommendError> {
        match (&self.tastes, admission.narrow) {
            (Some(tastes), None) => Ok(tastes.liked(taste, count, admission.admits)?),
            (Some(tastes), Some(narrow)) => Ok(best_of(tastes.products(taste, narrow)?, count)),
            (None, _) => Ok(Vec::new()),
        }
    }

    pub(crate) fn popularity_of(&self, item: u32) -> f64 {
        self.popularity[item as usize]
    }

    /// ln(1 + views) and ln(1 + orders), all that were known.
    pub(crate) fn demand_of(&self, item: u32) -> (f64, f64) {
        self.demand[item as usize]
    }

    /// What came right after `item`, likeliest first, with the probability.
    pub(crate) fn followers(&self, item: u32) -> &[(u32, f32)] {
        self.followers.row(item as usize)
    }

    /// How alike two items are, 0 to 1; 0 where nothing was learned about tastes.
    pub(crate) fn similarity(&self, a: u32, b: u32) -> f64 {
        self.tastes.as_ref().map_or(0.0, |tastes| tastes.similarity(a, b))
    }

    /// What past visits, and those since where the chain has a live state, say about the next item.
    pub(crate) fn next_in_visit(
        &self,
        chain: &Chain<'_>,
        shopper: &Shopper,
        admits: &dyn Fn(u32) -> bool,
    ) -> Result<Vec<(u32, f32)>, RecommendError> {
        let exclude = match chain.request.seen {
            Seen::HideCurrent => Exclude::Current,
            Seen::HideSession => Exclude::Session,
            Seen::Show => Exclude::Nothing,
        };
        let request = dhow_sessions::Request { session: &shopper.session, exclude, count: FROM_VISITS };
        let mut out = Vec::with_capacity(FROM_VISITS);
        let live = chain.live.and_then(|live| live.visits());
        SCRATCH.with_borrow_mut(|scratch| match live {
            Some(live) => {
                let own = chain.request.session.map(|session| session.as_u128());
                live.index.predict(scratch, own, &request, admits, &mut out)
            }
            None => self.visits.predict(scratch, &request, admits, &mut out),
        })?;
        Ok(out)
    }
}

fn with_popularity(direction: &Direction, popularity: f32) -> impl Iterator<Item = f32> {
    direction.iter().copied().chain([popularity])
}

/// The shares of what came right after each item, the likeliest [`MAX_FOLLOWERS`] of it. The shares of rare items are shrunk.
fn followers(visits: &[(Vec<u32>, i64)], items: usize) -> Lists<(u32, f32)> {
    let mut pairs: Vec<(u32, u32)> =
        visits.iter().flat_map(|(visit, _)| visit.windows(2).map(|pair| (pair[0], pair[1]))).collect();
    pairs.par_sort_unstable();
    let mut lists = Lists::default();
    let mut rest = &pairs[..];
    for item in 0..items as u32 {
        let (of_item, after) = rest.split_at(rest.partition_point(|pair| pair.0 == item));
        rest = after;
        let total = of_item.len() as f32 + FOLLOWER_SHRINKAGE;
        let mut row: Vec<(u32, f32)> =
            of_item.chunk_by(|a, b| a.1 == b.1).map(|same| (same[0].1, same.len() as f32 / total)).collect();
        row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        row.truncate(MAX_FOLLOWERS);
        lists.push(row);
    }
    lists
}

fn demand(actions: &[Action], items: usize) -> Vec<(f64, f64)> {
    let mut counts = vec![(0.0_f64, 0.0_f64); items];
    for action in actions {
        let (views, orders) = &mut counts[action.item as usize];
        match action.kind {
            InteractionKind::View => *views += 1.0,
            InteractionKind::Purchase => *orders += 1.0,
            InteractionKind::CartAdd => {}
        }
    }
    counts.into_iter().map(|(views, orders)| (views.ln_1p(), orders.ln_1p())).collect()
}

/// Whether nothing but orders is there.
pub(super) fn no_views(actions: &[Action]) -> bool {
    actions.iter().all(|action| action.kind == InteractionKind::Purchase)
}

pub(super) fn sessions(visits: &[(Vec<u32>, i64)]) -> Vec<Session<'_>> {
    visits.iter().map(|(items, time)| Session { items, time: *time }).collect()
}

/// The visits of sorted actions: items without immediate repetition, and the last moment. The lines of an order came at
/// once and say nothing about what follows what, so they count only where there is nothing else.
pub(super) fn visits(actions: &[Action], from_baskets: bool) -> Vec<(Vec<u32>, i64)> {
    let visit = |session: &[Action]| {
        let seen = || session.iter().filter(|action| from_baskets || action.kind != InteractionKind::Purchase);
        let mut items: Vec<u32> = seen().map(|action| action.item).collect();
        items.dedup();
        Some((items, seen().next_back()?.time.micros()))
    };
    actions.chunk_by(|a, b| a.session == b.session).filter_map(visit).collect()
}

/// A session index has a form in bytes of its own.
mod index_bytes {
    use dhow_sessions::SessionIndex;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(index: &SessionIndex, serializer: S) -> Result<S::Ok, S::Error> {
        index.to_bytes().map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SessionIndex, D::Error> {
        SessionIndex::from_bytes(&Vec::<u8>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
