//! Trains the recommender on interactions: settings by the next-item protocol on validation, figures on the last days.

use std::collections::BTreeMap;

use dhow_events::{DAY_MICROS, Timestamp};
use dhow_offline::tables::{CatalogueRow, InteractionRow, SlateRow, Touch, catalogue, interactions, served_slates};
use dhow_recommend::evaluation::{
    ChainPredictor, MarkovBaseline, Metrics, PopularityBaseline, Repeats, SessionPredictor, SettingsGrid, Visit,
    choose_settings, evaluate_sessions, split_by_time, visits_of,
};
use dhow_recommend::{
    CatalogueItem, Interaction, InteractionKind, Learned, RankingSettings, RecommendModel, Seen, ServedSlate, Settings,
    choose_ranking, learn_ranker, train,
};
use dhow_registry::{ModelFormat, Task};
use serde_json::{Value, json};

use crate::error::trainer;
use crate::evaluate::Judged;
use crate::promotion::{Candidate, Champion, incumbent, register};
use crate::{Evaluation, Figure, TaskReport, TrainingError, TrainingInput};

/// Slates of so many days before the test part teach what is opened when it is shown.
const SLATE_DAYS: i64 = 90;
const TASK: &str = "recommend";
/// The cut-off of the figures.
const CUT_OFF: usize = 20;
/// Validation and test are so many days each, or a tenth of the span where that is less.
const PART_DAYS: i64 = 7;

/// Trains, judges, registers and perhaps promotes the recommender.
///
/// # Errors
/// Too few interactions, or a failing table or registry.
pub async fn train_recommend(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let sql = input.sql()?;
    let rows: Vec<Interaction> = interactions(&sql, input.until).await?.iter().map(interaction).collect();
    let items: Vec<CatalogueItem> = catalogue(&sql, input.until).await?.iter().map(item).collect();
    let (Some(first), Some(last)) = (rows.first().map(|row| row.time), rows.last().map(|row| row.time)) else {
        return Err(TrainingError::Data { task: TASK, reason: "the lake holds no views, carts or orders".into() });
    };
    let part = (PART_DAYS * DAY_MICROS).min(last.micros_since(first) / 10);
    let split = split_by_time(&rows, last - 2 * part, last - part);
    let validation = visits(&split.validation);
    let test = visits(&split.test);

    let choice = choose_settings(&split.train, &items, &validation, &Settings::default(), &grid(), CUT_OFF)
        .map_err(trainer(TASK))?;
    let settings = choice.best.settings;
    let first_stage = train(&split.train, &items, &settings).map_err(trainer(TASK))?;
    let ranking = choose_ranking(&first_stage, &split.train, &split.validation).map_err(trainer(TASK))?;
    let slates = served_slates(&sql, last - part - SLATE_DAYS * DAY_MICROS, last - part).await?;
    let slates: Vec<ServedSlate> = slates.into_iter().map(served).collect();
    let learned = learn_ranker(&first_stage, &split.train, &split.validation, &slates, &ranking, input.seed)
        .map_err(trainer(TASK))?;
    // The second stage is learned from visits that the first has not seen; then both know all that comes before.
    let fitted = |rows: &[Interaction]| -> Result<RecommendModel, TrainingError> {
        let model = train(rows, &items, &settings).and_then(|model| model.with_kits(rows)).map_err(trainer(TASK))?;
        match &learned {
            Some(learned) => model.with_ranking(rows, &ranking, learned).map_err(trainer(TASK)),
            None => Ok(model),
        }
    };
    let before_test: Vec<Interaction> = split.train.iter().chain(&split.validation).copied().collect();
    let judged = fitted(&before_test)?;
    let figures = figures(&judged, &before_test, &test, items.len())?;
    let champion = judge_champion(input, &test, last - part, items.len(), figures[0].value)?;
    let model = fitted(&rows)?;

    let chosen = settings_of(&settings, &ranking, learned.as_ref())?;
    register(
        input,
        Candidate {
            task: Task::Recommend,
            name: if model.is_ranked() { "ranked" } else { "co-occurrence" }.to_owned(),
            format: ModelFormat::Postcard,
            artifact: model.to_bytes().map_err(trainer(TASK))?,
            feature_schema_hash: None,
            data_fingerprint: fingerprint(&rows),
            training_span: Some((first, last + 1)),
            settings: chosen,
            training_rows: rows.len() as u64,
            test_rows: split.test.len() as u64,
            figures,
            notes: Vec::new(),
            champion,
        },
    )
}

/// What the model was trained with, and how its ranker was learned, for the model's card.
fn settings_of(
    settings: &Settings,
    ranking: &RankingSettings,
    learned: Option<&Learned>,
) -> Result<BTreeMap<String, Value>, TrainingError> {
    let mut chosen = BTreeMap::from([("settings".to_owned(), serde_json::to_value(settings).map_err(trainer(TASK))?)]);
    let ranker = match learned {
        None => Value::from("none: too few next clicks to learn from"),
        Some(learned) => {
            chosen.insert("ranking".to_owned(), serde_json::to_value(ranking).map_err(trainer(TASK))?);
            let kind = learned.ranker.kind();
            let judged = serde_json::to_value(learned.judged).map_err(trainer(TASK))?;
            let (cases, with_candidate) = (learned.cases, learned.with_candidate);
            json!({ "kind": kind, "next_clicks": cases, "with_candidate": with_candidate, "validation": judged })
        }
    };
    chosen.insert("ranker".to_owned(), ranker);
    Ok(chosen)
}

/// Visits without the orders, which are no steps of a visit; where there is nothing else, orders stand for visits.
fn visits(rows: &[Interaction]) -> Vec<Visit> {
    let browsed: Vec<Interaction> = rows.iter().filter(|row| row.kind != InteractionKind::Purchase).copied().collect();
    visits_of(if browsed.is_empty() { rows } else { &browsed }, Repeats::Collapse)
}

/// A few decisive settings; each trial is a whole training, so the grid is short.
fn grid() -> SettingsGrid {
    use dhow_recommend::evaluation::Axis::{PopularityDiscount, RevisitWeight, SessionDecay, Shrinkage};
    SettingsGrid(vec![
        (RevisitWeight, vec![0.0, 0.05]),
        (Shrinkage, vec![2.0, 50.0]),
        (SessionDecay, vec![0.85]),
        (PopularityDiscount, vec![0.0, 0.5]),
    ])
}

fn figures(
    model: &RecommendModel,
    learned_from: &[Interaction],
    test: &[Visit],
    products: usize,
) -> Result<Vec<Figure>, TrainingError> {
    let known = visits(learned_from);
    let measure = |predictor: &dyn SessionPredictor| -> Result<Metrics, TrainingError> {
        evaluate_sessions(predictor, test, CUT_OFF, products).map_err(trainer(TASK))
    };
    let ours = measure(&ChainPredictor { recommender: model, seen: Seen::HideCurrent })?;
    let popular = measure(&PopularityBaseline::new(&known))?;
    let markov = measure(&MarkovBaseline::new(&known))?;
    let figure = |name: &str, of: fn(&Metrics) -> f64| {
        Figure::new(name, of(&ours), true).beside("popularity", of(&popular)).beside("last-item Markov", of(&markov))
    };
    Ok(vec![
        figure("MRR@20", |metrics| metrics.mrr),
        figure("HR@20", |metrics| metrics.hit_rate),
        figure("catalogue coverage@20", |metrics| metrics.coverage),
    ])
}

fn judge_champion(
    input: &TrainingInput<'_>,
    test: &[Visit],
    test_from: Timestamp,
    products: usize,
    ours: f64,
) -> Result<Champion, TrainingError> {
    let bytes = match incumbent(input, Task::Recommend, test_from)? {
        Ok(bytes) => bytes,
        Err(champion) => return Ok(champion),
    };
    match RecommendModel::from_bytes(&bytes) {
        Err(unreadable) => Ok(Champion::Incomparable(unreadable.to_string())),
        Ok(model) => {
            let predictor = ChainPredictor { recommender: &model, seen: Seen::HideCurrent };
            let metrics = evaluate_sessions(&predictor, test, CUT_OFF, products).map_err(trainer(TASK))?;
            Ok(Champion::Judged { theirs: metrics.mrr, ours })
        }
    }
}

/// Judges a recommender on what happened since its training data ended.
///
/// # Errors
/// Nothing happened since, an artifact that is no recommender, or a failing table.
pub(crate) async fn evaluate_recommend(input: &TrainingInput<'_>, model: &Judged) -> Result<Evaluation, TrainingError> {
    let sql = input.sql()?;
    let rows: Vec<Interaction> = interactions(&sql, input.until).await?.iter().map(interaction).collect();
    let products = catalogue(&sql, input.until).await?.len();
    let (before, after): (Vec<Interaction>, Vec<Interaction>) =
        rows.iter().partition(|row| row.time < model.learned_until);
    let test = visits(&after);
    if test.is_empty() {
        return Err(model.nothing_since());
    }
    let recommender = RecommendModel::from_bytes(&model.artifact).map_err(trainer(TASK))?;
    Ok(model.evaluation(input, after.len(), figures(&recommender, &before, &test, products)?))
}

fn served(row: SlateRow) -> ServedSlate {
    ServedSlate { person: row.buyer, session: row.session, time: row.time, products: row.products }
}

fn interaction(row: &InteractionRow) -> Interaction {
    let kind = match row.touch {
        Touch::View => InteractionKind::View,
        Touch::CartAdd => InteractionKind::CartAdd,
        Touch::Order => InteractionKind::Purchase,
    };
    Interaction {
        person: row.buyer,
        session: row.session,
        product: row.product,
        kind,
        region: row.region,
        time: row.time,
    }
}

fn item(row: &CatalogueRow) -> CatalogueItem {
    CatalogueItem {
        product: row.product,
        category: row.category,
        text: format!("{} {}", row.title, row.description),
        seller: row.seller,
        regions: Vec::new(),
        price_usd_minor: row.price_usd_minor,
    }
}

fn fingerprint(rows: &[Interaction]) -> String {
    let mut hasher = blake3::Hasher::new();
    for row in rows {
        hasher.update(&row.session.as_u128().to_le_bytes());
        hasher.update(&row.product.as_u128().to_le_bytes());
        hasher.update(&Timestamp::micros(row.time).to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
