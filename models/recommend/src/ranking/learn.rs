//! Learns the ranker from what shoppers turned to next, in visits later than all that the sources know.

use dhow_events::{BuyerId, ProductId, Region, Timestamp};
use dhow_ranking::{
    FactorisationRanker, FactorisationSettings, LinearRanker, RankingGroups, RankingReport, TrainingReport,
    TrainingSettings, TreeRanker, TreeSettings, judge,
};
use dhow_sessions::{cases_of, choose_settings};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::attraction::{Attraction, MIN_SLATES, Showing, traits};
use super::candidates::{Admission, Shopper, gather};
use super::features::{COLUMN_NAMES, Column, WIDTH, is_evidence};
use super::histories::last_distinct;
use super::sources::{Sources, no_views, sessions, visits};
use super::{RankingSettings, TrainedRanker};
use crate::chain::Chain;
use crate::model::TrainError;
use crate::sequences::actions;
use crate::{Interaction, InteractionKind, MAX_RECENT_PRODUCTS, RecommendModel, ServedSlate, SlateRequest};

/// At most so many next clicks are learned from, spread evenly over the later visits.
pub const MAX_RANKED_CASES: usize = 6_000;
/// Fewer next clicks than this teach nothing reliable: the model then stays without a ranker.
const MIN_RANKED_CASES: usize = 200;
/// The first half-life that is tried for past visits, in spans of the training data.
const HALF_LIFE_SPANS: f64 = 1.5;
/// Settings of past visits are chosen on at most so many next clicks, in so many rounds.
const MAX_CHOOSING_CASES: usize = 3_000;
const CHOOSING_ROUNDS: usize = 1;
/// The last so large a part of the cases, by time, chooses the ranker and its settings.
const VALIDATION_SHARE: f64 = 0.3;
/// The regularisations that are tried, and the length of a factorisation machine's vectors.
const L2_TRIALS: [f64; 2] = [1e-4, 1e-2];
const DIMENSIONS: usize = 8;
/// The numbers of leaves that are tried; a request waits for every tree, so they are few and small.
const TREE_LEAVES: [usize; 2] = [7, 15];
/// Attraction is learned from at most so many slates, spread evenly.
const MAX_SLATES: usize = 20_000;
/// The places that orders are compared by.
const CUTOFF: usize = 20;

/// A ranker and how it was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// The ranker.
    pub ranker: TrainedRanker,
    /// How likely what is shown is opened; none where too few slates were served.
    pub attraction: Option<Attraction>,
    /// Its order on the validation cases beside that of past visits alone.
    pub judged: RankingReport,
    /// The settings that were tried.
    pub trials: Vec<TrainingReport>,
    /// Next clicks in the later visits that were looked at.
    pub cases: usize,
    /// Of these, those whose product was among the candidates, which the ranker learned from.
    pub with_candidate: usize,
}

/// A shopper in the middle of a visit, and what came next.
struct Case {
    time: Timestamp,
    person: Option<BuyerId>,
    region: Option<Region>,
    session: Vec<u32>,
    /// What the person did in later visits that had ended before.
    since: Vec<u32>,
    next: u32,
}

/// Chooses the settings of past visits by how well they tell the next items of `later` visits from `earlier` ones.
///
/// # Errors
/// What the index and its evaluation refuse.
pub fn choose_ranking(
    model: &RecommendModel,
    earlier: &[Interaction],
    later: &[Interaction],
) -> Result<RankingSettings, TrainError> {
    let (earlier, later) = (actions(earlier, &model.items), actions(later, &model.items));
    let from_baskets = no_views(&earlier);
    let (known, asked) = (visits(&earlier, from_baskets), visits(&later, from_baskets));
    let known = sessions(&known);
    let span = earlier.iter().map(|a| a.time.micros()).max().zip(earlier.iter().map(|a| a.time.micros()).min());
    let span_micros = span.map_or(1, |(last, first)| last - first).max(1);
    let start = dhow_sessions::Settings {
        half_life: HALF_LIFE_SPANS * span_micros as f64,
        ..dhow_sessions::Settings::default()
    };
    let cases = cases_of(&sessions(&asked));
    let step = cases.len().div_ceil(MAX_CHOOSING_CASES).max(1);
    let cases: Vec<_> = cases.into_iter().step_by(step).collect();
    let visits = match cases.is_empty() {
        true => start,
        false => choose_settings(&known, &cases, &start, CHOOSING_ROUNDS)?.best.settings,
    };
    Ok(RankingSettings { visits, ..RankingSettings::default() })
}

/// Learns from `later` visits how to order candidates of a model trained on `earlier`. None when the later visits hold too
/// few next clicks.
///
/// # Errors
/// Settings out of their ranges, or sources that cannot be fitted.
pub fn learn_ranker(
    model: &RecommendModel,
    earlier: &[Interaction],
    later: &[Interaction],
    slates: &[ServedSlate],
    settings: &RankingSettings,
    seed: u64,
) -> Result<Option<Learned>, TrainError> {
    let sources = Sources::fit(model, earlier, settings)?;
    let cases = spread(cases(model, later));
    let group = |case: &Case| -> Result<Option<Group>, TrainError> {
        let request = SlateRequest { person: case.person, region: case.region, count: 1, ..SlateRequest::default() };
        let shopper = Shopper {
            session: case.session.clone(),
            history: sources.history_of(case.person, &case.since),
            region: case.region,
        };
        let chain = Chain::new(model, None, &request, &shopper);
        let current = case.session.last().copied();
        let admission = Admission { admits: &|item| Some(item) != current, narrow: None };
        // Every source is asked, so that the ranker learns from all of them.
        let pool = gather(&chain, &sources, &shopper, &admission, usize::MAX)?;
        let next = pool.find(case.next);
        Ok(next.map(|next| Group { time: case.time, rows: pool.rows().to_vec(), next }))
    };
    let found: Vec<Option<Group>> = cases.par_iter().map(group).collect::<Result<_, _>>()?;
    let mut found: Vec<Group> = found.into_iter().flatten().collect();
    found.sort_by_key(|group| group.time);
    let mut groups = RankingGroups::new(COLUMN_NAMES.map(str::to_owned).to_vec())?;
    for Group { time, rows, next } in &found {
        let mut gains = vec![0.0; rows.len() / WIDTH];
        gains[*next] = 1.0;
        groups.push(time.micros(), 1.0, rows, &gains)?;
    }
    if groups.len() < MIN_RANKED_CASES {
        return Ok(None);
    }
    let (ranker, judged, trials) = fit(&groups, seed)?;
    let attraction = learn_attraction(model, &sources, [earlier, later], slates);
    Ok(Some(Learned { ranker, attraction, judged, trials, cases: cases.len(), with_candidate: groups.len() }))
}

/// Candidates with what was turned to among them.
struct Group {
    time: Timestamp,
    rows: Vec<f64>,
    next: usize,
}

/// Trains each kind of ranker and keeps the one whose order of the newest groups is better.
fn fit(groups: &RankingGroups, seed: u64) -> Result<(TrainedRanker, RankingReport, Vec<TrainingReport>), TrainError> {
    let (train, validation) = groups.split_newest(VALIDATION_SHARE)?;
    let settings = |l2: f64| TrainingSettings { l2, seed, ..TrainingSettings::default() };
    let (linear, of_linear) = LinearRanker::fit(&train, &validation, &L2_TRIALS.map(settings), CUTOFF)?;
    let machines = L2_TRIALS.map(|l2| FactorisationSettings { training: settings(l2), dimensions: DIMENSIONS });
    let (machine, of_machine) = FactorisationRanker::fit(&train, &validation, &machines, CUTOFF)?;
    let first_source = Column::Visits as usize;
    let by_linear = judge(&linear, &validation, first_source, CUTOFF)?;
    let by_machine = judge(&machine, &validation, first_source, CUTOFF)?;
    let tree_trials = TREE_LEAVES.map(|max_leaves| TreeSettings { max_leaves, seed, ..TreeSettings::default() });
    let trees = TreeRanker::fit(&train, &validation, &is_evidence(), &tree_trials, CUTOFF)?;
    let by_trees = judge(&trees, &validation, first_source, CUTOFF)?;
    let mut found = vec![
        (TrainedRanker::Linear(linear), by_linear),
        (TrainedRanker::Factorisation(machine), by_machine),
        (TrainedRanker::Trees(Box::new(trees)), by_trees),
    ];
    // Of equally good ones the simplest, which stands first, is kept.
    found.sort_by(|a, b| b.1.ranker.mrr.total_cmp(&a.1.ranker.mrr));
    let (ranker, judged) = found.swap_remove(0);
    Ok((ranker, judged, vec![of_linear, of_machine]))
}

/// Learns from served slates, each as of the moment when it was served: what the shopper did later is not known then.
fn learn_attraction(
    model: &RecommendModel,
    sources: &Sources,
    parts: [&[Interaction]; 2],
    slates: &[ServedSlate],
) -> Option<Attraction> {
    if slates.len() < MIN_SLATES {
        return None;
    }
    let step = slates.len().div_ceil(MAX_SLATES).max(1);
    let timelines = Timelines::of(model, parts);
    let showings = |slate: &&ServedSlate| -> Vec<Showing> {
        let history = timelines.before(slate);
        let shopper = Shopper { session: Vec::new(), history, region: None };
        let taste = sources.content_taste(&shopper);
        let showing = |(position, (product, opened)): (usize, &(ProductId, bool))| {
            let traits = traits(sources, taste.as_ref(), &shopper.history, model.items.find(*product)?);
            Some(Showing { traits, position, opened: *opened })
        };
        slate.products.iter().enumerate().filter_map(showing).collect()
    };
    let sample: Vec<&ServedSlate> = slates.iter().step_by(step).collect();
    let found: Vec<Vec<Showing>> = sample.par_iter().map(showings).collect();
    let found: Vec<Showing> = found.into_iter().flatten().collect();
    Attraction::fit(&found)
}

/// What each person did, by time.
struct Timelines(FxHashMap<BuyerId, Vec<(Timestamp, u32)>>);

impl Timelines {
    fn of(model: &RecommendModel, parts: [&[Interaction]; 2]) -> Self {
        let mut timelines: FxHashMap<BuyerId, Vec<(Timestamp, u32)>> = FxHashMap::default();
        for action in parts.into_iter().flat_map(|part| actions(part, &model.items)) {
            if let Some(person) = action.person {
                timelines.entry(person).or_default().push((action.time, action.item));
            }
        }
        timelines.values_mut().for_each(|known| known.sort_unstable());
        Self(timelines)
    }

    /// The last distinct items before the slate was served.
    fn before(&self, slate: &ServedSlate) -> Vec<u32> {
        let known = slate.person.and_then(|person| self.0.get(&person)).map_or(&[][..], Vec::as_slice);
        let before = known.partition_point(|(time, _)| *time < slate.time);
        last_distinct(known[..before].iter().map(|(_, item)| *item))
    }
}

/// Every next item of every visit, in the order in which the visits began.
fn cases(model: &RecommendModel, later: &[Interaction]) -> Vec<Case> {
    let actions = actions(later, &model.items);
    let from_baskets = no_views(&actions);
    let mut visits: Vec<_> = actions.chunk_by(|a, b| a.session == b.session).collect();
    visits.sort_by_key(|visit| (visit[0].time, visit[0].session));
    let mut since: FxHashMap<BuyerId, Vec<u32>> = FxHashMap::default();
    let mut cases = Vec::new();
    for visit in visits {
        let person = visit.iter().find_map(|action| action.person);
        let region = visit.iter().find_map(|action| action.region);
        let all: Vec<u32> = visit.iter().map(|action| action.item).collect();
        // The lines of an order came at once: what they tell is about the person, not about what follows what.
        let seen = visit.iter().filter(|action| from_baskets || action.kind != InteractionKind::Purchase);
        let mut items: Vec<u32> = seen.map(|action| action.item).collect();
        items.dedup();
        let known = person.and_then(|person| since.get(&person)).cloned().unwrap_or_default();
        let time = visit[visit.len() - 1].time;
        cases.extend((1..items.len()).map(|next| Case {
            time,
            person,
            region,
            session: items[..next].to_vec(),
            since: known.clone(),
            next: items[next],
        }));
        if let Some(person) = person {
            remember(since.entry(person).or_default(), &all);
        }
    }
    cases
}

/// Puts the items to the end of what is known, each once.
fn remember(known: &mut Vec<u32>, items: &[u32]) {
    for item in items {
        known.retain(|other| other != item);
        known.push(*item);
    }
    known.drain(..known.len().saturating_sub(MAX_RECENT_PRODUCTS));
}

/// At most [`MAX_RANKED_CASES`] of the cases, evenly spaced.
fn spread(cases: Vec<Case>) -> Vec<Case> {
    let step = cases.len().div_ceil(MAX_RANKED_CASES).max(1);
    cases.into_iter().step_by(step).collect()
}
