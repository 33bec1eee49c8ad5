//! The interactions protocol as one call: splits, tuning on a validation part, one test, baselines beside it; it reads no file.
//!
//! 1. The last fifth of every history is the test part. The last fifth of what is left is the validation part.
//! 2. Each model's settings, then the blend's weights, are the best on the validation part after a fit on what came before.
//! 3. All is fitted again on train and validation together and judged on the test part, once. With the same settings
//!    and weights it is fitted on all but the last item of each history, and judged on those.
//! 4. Cold items: a tenth of the items is taken out of all histories and ranked among itself, see [`ColdReport`].
//!
//! The baselines are popularity, a Markov chain (what directly followed the last item) and BM25 neighbours.

use crate::attribute_regression::{AttributeRegression, AttributeSettings};
use crate::blend::{Blend, Part, validation_of};
use crate::cold::{ColdReport, evaluate_cold_items};
use crate::error::{FactorsError, check_setting};
use crate::evaluation::{EvaluationReport, Split, evaluate, split_last_fifth, split_leave_last};
use crate::ials::FactorSettings;
use crate::interactions::Interactions;
use crate::intervals::{Estimate, MAX_RESAMPLES, lift_estimate, mean_estimate};
use crate::neighbours::{Bm25Settings, Neighbours, OrderedSettings};
use crate::score::{Popularity, Scorer, recency_weights};
use crate::top_k::MAX_TOP;
use crate::tuning::{Tunable, Tuning};
use serde::{Deserialize, Serialize};

/// Most trials of one model.
pub const MAX_TRIALS: usize = 1_000;
/// A recency exponent under which only the last item of a history counts.
const LAST_ONLY: f32 = 10.0;

/// Histories to be judged on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InteractionData {
    /// Each person's items in time order, numbered below `items`.
    pub histories: Vec<Vec<u32>>,
    /// How many items there are.
    pub items: usize,
    /// Each item's attributes, where they are known: the blend then has a part of them, and cold items are judged.
    pub attributes: Option<Vec<Vec<u32>>>,
}

/// How thoroughly to judge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProtocolSettings {
    /// Items recommended, 1 to [`MAX_TOP`].
    pub count: usize,
    /// Settings tried of each kind of neighbours, a first choice among them, 1 to [`MAX_TRIALS`]; a trial is quick.
    pub neighbour_trials: usize,
    /// The same of factors, whose trials take most of the time.
    pub factor_trials: usize,
    /// Share of the items that are cold in the last step, 0 (none) to 0.5.
    pub cold_share: f64,
    /// Resamples of the intervals, 1 to [`MAX_RESAMPLES`].
    pub resamples: usize,
}

impl Default for ProtocolSettings {
    fn default() -> Self {
        Self { count: 20, neighbour_trials: 20, factor_trials: 3, cold_share: 0.1, resamples: 1_000 }
    }
}

/// What [`evaluate_interactions`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InteractionsReport {
    /// Persons in the data.
    pub people: usize,
    /// Items in the data.
    pub items: usize,
    /// Different pairs of person and item.
    pub pairs: usize,
    /// The models of the blend and what was chosen for each on the validation part.
    pub parts: Vec<ChosenPart>,
    /// The blend, then the baselines, on the last fifth of every history.
    pub last_fifth: Vec<Method>,
    /// The same on the last item of every history.
    pub leave_last: Vec<Method>,
    /// Cold items, where attributes are known.
    pub cold: Option<ColdReport>,
}

/// One model of the blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChosenPart {
    /// Its name.
    pub name: String,
    /// Its share.
    pub weight: f32,
    /// How fast items of a history lose weight with age, see [`recency_weights`].
    pub recency_exponent: f32,
    /// Its settings, to read.
    pub settings: String,
}

/// One recommender's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Recall with its interval.
    pub recall: Estimate,
    /// NDCG with its interval.
    pub ndcg: Estimate,
    /// By how much the blend's recall is above this one's, 0.1 for ten per cent; none for the blend itself.
    pub recall_lift: Option<Estimate>,
    /// The same of NDCG.
    pub ndcg_lift: Option<Estimate>,
    /// Coverage, popularity and segments.
    pub report: EvaluationReport,
}

/// Judges the personal recommender on `data` by the steps above.
///
/// # Errors
/// A setting out of range, an item that is not below `data.items`, attributes of another number of items, or histories
/// that are all too short to predict anything from.
pub fn evaluate_interactions(
    data: &InteractionData,
    settings: &ProtocolSettings,
    seed: u64,
) -> Result<InteractionsReport, FactorsError> {
    settings.check()?;
    let all = Interactions::from_histories(&data.histories, data.items)?;
    // A repeated item counts once, at its latest place: nothing is both in train and in test.
    let histories = all.histories();
    let split = split_last_fifth(&histories);
    let plan = Plan::choose(data, &split.train, settings, seed)?;
    let cold = match &data.attributes {
        Some(attributes) if settings.cold_share > 0.0 => {
            Some(evaluate_cold_items(&histories, attributes, settings, seed)?)
        }
        _ => None,
    };
    Ok(InteractionsReport {
        people: all.people(),
        items: all.items(),
        pairs: all.pairs(),
        parts: plan.parts(),
        last_fifth: plan.judged(data, &split, settings, seed)?,
        leave_last: plan.judged(data, &split_leave_last(&histories), settings, seed)?,
        cold,
    })
}

impl ProtocolSettings {
    pub(crate) fn check(&self) -> Result<(), FactorsError> {
        check_setting("count", self.count as f64, 1.0..=MAX_TOP as f64, "1 to 1000")?;
        for (name, trials) in [("neighbour_trials", self.neighbour_trials), ("factor_trials", self.factor_trials)] {
            check_setting(name, trials as f64, 1.0..=MAX_TRIALS as f64, "1 to 1000")?;
        }
        check_setting("cold_share", self.cold_share, 0.0..=0.5, "0 to 0.5")?;
        check_setting("resamples", self.resamples as f64, 1.0..=MAX_RESAMPLES as f64, "1 to 100000")
    }
}

/// Settings chosen on the validation part.
struct Chosen {
    factors: FactorSettings,
    ordered: OrderedSettings,
    bm25: Bm25Settings,
    attributes: AttributeSettings,
}

/// What was chosen, and the blend that was learned with it.
struct Plan {
    chosen: Chosen,
    learned: Blend,
}

/// Models with their names.
type Named = Vec<(String, Box<dyn Scorer>)>;

impl Chosen {
    /// The blend's models, fitted on `seen`.
    fn models(&self, data: &InteractionData, seen: &Interactions) -> Result<Named, FactorsError> {
        let mut models: Named = vec![
            ("factors".into(), self.factors.fit(seen)?),
            ("ordered neighbours".into(), self.ordered.fit(seen)?),
            ("BM25 neighbours".into(), self.bm25.fit(seen)?),
            ("popularity".into(), Box::new(Popularity::fit(seen))),
        ];
        if let Some(attributes) = &data.attributes {
            let fitted = AttributeRegression::fit(attributes, seen, &self.attributes)?;
            models.push(("attributes".into(), Box::new(fitted)));
        }
        Ok(models)
    }

    /// The settings of a model by its name, to read.
    fn settings_of(&self, name: &str) -> String {
        match name {
            "factors" => format!("{:?}", self.factors),
            "ordered neighbours" => format!("{:?}", self.ordered),
            "BM25 neighbours" => format!("{:?}", self.bm25),
            "attributes" => format!("{:?}", self.attributes),
            _ => String::new(),
        }
    }
}

impl Plan {
    fn choose(
        data: &InteractionData,
        train: &[Vec<u32>],
        settings: &ProtocolSettings,
        seed: u64,
    ) -> Result<Self, FactorsError> {
        let (validation, seen) = validation_of(train, data.items)?;
        let tuning = Tuning { seen: &seen, validation: &validation, count: settings.count, seed };
        let chosen = Chosen {
            factors: tuning.best(settings.factor_trials)?,
            ordered: tuning.best(settings.neighbour_trials)?,
            bm25: tuning.best(settings.neighbour_trials)?,
            attributes: AttributeSettings::default(),
        };
        let learned = Blend::learn(chosen.models(data, &seen)?, &validation, settings.count)?;
        Ok(Self { chosen, learned })
    }

    fn parts(&self) -> Vec<ChosenPart> {
        let chosen = |part: &Part| ChosenPart {
            name: part.name.clone(),
            weight: part.weight,
            recency_exponent: part.recency_exponent,
            settings: self.chosen.settings_of(&part.name),
        };
        self.learned.parts().iter().map(chosen).collect()
    }

    /// Fits everything on `split.train` and judges it on `split.test`.
    fn judged(
        &self,
        data: &InteractionData,
        split: &Split,
        settings: &ProtocolSettings,
        seed: u64,
    ) -> Result<Vec<Method>, FactorsError> {
        let known = Interactions::from_histories(&split.train, data.items)?;
        let fitted = self.chosen.models(data, &known)?.into_iter().map(|model| model.1).collect();
        let blend = self.learned.with_models(fitted)?;
        let blended = evaluate(&known, split, settings.count, |history| blend.scores(history))?;
        drop(blend);
        let chain = OrderedSettings {
            backward_share: 0.0,
            window: 1,
            source_damping: 0.0,
            target_damping: 0.0,
            ..OrderedSettings::default()
        };
        let baselines: [(&str, Box<dyn Scorer>, f32); 3] = [
            ("popularity", Box::new(Popularity::fit(&known)), 0.0),
            ("Markov chain", Box::new(Neighbours::ordered(&known, &chain)?), LAST_ONLY),
            ("BM25 neighbours", self.chosen.bm25.fit(&known)?, 0.0),
        ];
        let mut methods = Vec::new();
        for (name, model, exponent) in baselines {
            let report = evaluate(&known, split, settings.count, |history| {
                let mut scores = vec![0.0; model.items()];
                model.add_scores(&recency_weights(history, exponent), &mut scores)?;
                Ok(scores)
            })?;
            methods.push(method(name, report, Some(&blended), settings.resamples, seed)?);
        }
        methods.insert(0, method("blend", blended, None, settings.resamples, seed)?);
        Ok(methods)
    }
}

fn method(
    name: &str,
    report: EvaluationReport,
    blend: Option<&EvaluationReport>,
    resamples: usize,
    seed: u64,
) -> Result<Method, FactorsError> {
    let lift = |ours: &[f32], theirs: &[f32]| lift_estimate(ours, theirs, resamples, seed);
    Ok(Method {
        name: name.into(),
        recall: mean_estimate(&report.recall_by_person, resamples, seed)?,
        ndcg: mean_estimate(&report.ndcg_by_person, resamples, seed)?,
        recall_lift: blend.map(|blend| lift(&blend.recall_by_person, &report.recall_by_person)).transpose()?,
        ndcg_lift: blend.map(|blend| lift(&blend.ndcg_by_person, &report.ndcg_by_person)).transpose()?,
        report,
    })
}
