//! Trains what is known of customers: spend, churn and groups of buyers, groups of suppliers, judged on the latest days.

use std::collections::BTreeMap;

use dhow_customers::{
    CustomersError, CustomersModel, Histories, LearnedCustomers, Numbered, Purchase, SpendReport, SpendSettings,
};
use dhow_events::{BuyerId, IdKind, SellerId, Timestamp};
use dhow_offline::{SqlSession, floats, ids, integers};
use dhow_registry::{ModelFormat, Task};

use crate::error::trainer;
use crate::promotion::{Candidate, Champion, champion_of, register};
use crate::{Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "customers";
/// How far ahead is forecast: the most of these days that the history is long enough for.
const DAYS: [i32; 4] = [90, 30, 14, 7];
/// Days of history that a forecast needs besides twice the days that it is for.
const HISTORY_DAYS_MIN: i32 = 60;

/// Trains, judges, registers and perhaps promotes the model of customers.
///
/// # Errors
/// Too few orders, which is a [`TrainingError::Data`], or a failing table or registry.
pub async fn train_customers(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let session = input.sql()?;
    let (purchases, buyer_ids) = orders(&session, input.until, "buyer", BuyerId::KIND).await?;
    let (sales, seller_ids) = orders(&session, input.until, "seller", SellerId::KIND).await?;
    let histories = |purchases: &[Purchase]| Histories::new(purchases).map_err(trainer(TASK));
    let (buyers, sellers) = (histories(&purchases)?, histories(&sales)?);
    // A day that has not ended is not known.
    let day = input.until.day() as i32;
    let known = buyers.first_day().map_or(0, |first| day - first);
    let days = DAYS.into_iter().find(|days| known >= HISTORY_DAYS_MIN + 2 * days).ok_or_else(|| {
        let reason =
            format!("{known} days of orders are too few; at least {} are needed", HISTORY_DAYS_MIN + 2 * DAYS[3]);
        TrainingError::Data { task: TASK, reason }
    })?;
    let settings = SpendSettings { days, step_days: (days / 6).max(1), ..SpendSettings::default() };
    let learned = CustomersModel::learn(
        Numbered { histories: &buyers, ids: &buyer_ids },
        Numbered { histories: &sellers, ids: &seller_ids },
        day,
        &settings,
        input.seed,
    )
    .map_err(|error| match error {
        CustomersError::TooFew { .. } => TrainingError::Data { task: TASK, reason: error.to_string() },
        other => trainer(TASK)(other),
    })?;
    let champion = match champion_of(input, Task::Customers)? {
        None => Champion::Absent,
        Some(_) => Champion::Incomparable("its forecasts are as of the day of its own training".to_owned()),
    };
    let first = buyers.first_day().unwrap_or(day);
    register(
        input,
        Candidate {
            task: Task::Customers,
            name: "customers".to_owned(),
            format: ModelFormat::Postcard,
            artifact: learned.model.to_bytes().map_err(trainer(TASK))?,
            feature_schema_hash: None,
            data_fingerprint: fingerprint(&purchases, &sales),
            training_span: Some((midnight(first), midnight(day))),
            settings: BTreeMap::from([
                ("days".to_owned(), days.into()),
                ("step_days".to_owned(), settings.step_days.into()),
                ("coverage".to_owned(), settings.coverage.into()),
            ]),
            training_rows: purchases.len() as u64,
            test_rows: learned.report.customers as u64,
            figures: figures(&learned.report, days),
            notes: notes(&learned),
            champion,
        },
    )
}

fn midnight(day: i32) -> Timestamp {
    Timestamp::from_micros(i64::from(day) * dhow_events::DAY_MICROS)
}

/// What each buyer, or seller, ordered or sold on each day before the one of `until`, in dollars.
async fn orders(
    session: &SqlSession,
    until: Timestamp,
    who: &str,
    kind: IdKind,
) -> Result<(Vec<Purchase>, Vec<u128>), TrainingError> {
    let day_micros = dhow_events::DAY_MICROS;
    let sql = format!(
        "SELECT {who} AS who, arrow_cast(event_time, 'Int64') / {day_micros} AS day,
                CAST(SUM(total_usd_minor) AS DOUBLE) / 100.0 AS amount
         FROM order_placed WHERE arrow_cast(event_time, 'Int64') < {}
         GROUP BY 1, 2 ORDER BY 1, 2",
        until.day() * day_micros
    );
    let batches = session.query(&sql).await?;
    let (who, days, amounts) = (ids(&batches, "who", kind)?, integers(&batches, "day")?, floats(&batches, "amount")?);
    let mut numbers: BTreeMap<u128, u32> = BTreeMap::new();
    let mut purchases = Vec::with_capacity(who.len());
    for ((id, day), amount) in who.into_iter().zip(days).zip(amounts) {
        let Some(id) = id else { continue };
        let next = numbers.len() as u32;
        let customer = *numbers.entry(id).or_insert(next);
        purchases.push(Purchase { customer, day: day as i32, amount });
    }
    let mut ids = vec![0; numbers.len()];
    numbers.into_iter().for_each(|(id, number)| ids[number as usize] = id);
    Ok((purchases, ids))
}

/// The measure that decides promotions comes first.
fn figures(report: &SpendReport, days: i32) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let [trees, others @ ..] = report.methods.as_slice() {
        let error = Figure::new(
            &format!("spend in {days} days, mean absolute error"),
            trees.judgement.mean_absolute_error,
            false,
        );
        let ranks = Figure::new("spend, rank correlation", trees.judgement.rank_correlation, true);
        let beside = |figure: Figure, value: fn(&dhow_customers::Judgement) -> f64| {
            others.iter().fold(figure, |figure, other| figure.beside(other.method, value(&other.judgement)))
        };
        figures.push(beside(error, |judgement| judgement.mean_absolute_error));
        figures.push(beside(ranks, |judgement| judgement.rank_correlation));
    }
    let [held, low, high] = report.coverage;
    figures.push(
        Figure::new("share of buyers within the interval", held, true)
            .within(low, high)
            .beside("wanted", report.coverage_wanted),
    );
    if let [trees, others @ ..] = report.churn.as_slice() {
        let brier = Figure::new("nothing bought, Brier score", trees.quality.brier, false);
        let area = Figure::new("nothing bought, ROC AUC", trees.quality.roc_auc, true);
        figures.push(others.iter().fold(brier, |figure, other| figure.beside(other.method, other.quality.brier)));
        figures.push(others.iter().fold(area, |figure, other| figure.beside(other.method, other.quality.roc_auc)));
        figures.push(Figure::new("nothing bought, calibration error", trees.quality.calibration_error, false));
    }
    figures
}

fn notes(learned: &LearnedCustomers) -> Vec<String> {
    let told = |whose: &str, quality: &dhow_customers::SegmentQuality| {
        format!(
            "{} groups of {whose}, silhouette {:.3}: they explain {:.1} % of the variance of what came next (logarithm), as many by money alone {:.1} %",
            quality.segments,
            quality.silhouette,
            100.0 * quality.explained,
            100.0 * quality.explained_by_money
        )
    };
    let suppliers = learned
        .suppliers
        .as_ref()
        .map_or_else(|| "too few suppliers to group them".to_owned(), |quality| told("suppliers", quality));
    vec![told("buyers", &learned.report.segments), suppliers]
}

fn fingerprint(purchases: &[Purchase], sales: &[Purchase]) -> String {
    let mut hasher = blake3::Hasher::new();
    for one in purchases.iter().chain(sales) {
        hasher.update(&one.customer.to_le_bytes());
        hasher.update(&one.day.to_le_bytes());
        hasher.update(&one.amount.to_bits().to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
