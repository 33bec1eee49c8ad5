//! Trains delivery times: from the order and from leaving the seller, judged on the latest parcels.

use std::collections::BTreeMap;

use dhow_delivery::{Delivery, DeliveryError, DeliveryModel, LEVELS, Parcel, Stage, StageQuality};
use dhow_events::{CarrierId, MINUTE_MICROS, Region, SellerId, Timestamp};
use dhow_offline::{SqlSession, floats, ids, integers, texts};
use dhow_registry::{ModelFormat, Task};

use crate::error::trainer;
use crate::evaluate::Judged;
use crate::promotion::{Candidate, Champion, incumbent, register};
use crate::{Evaluation, Figure, TaskReport, TrainingError, TrainingInput};

const TASK: &str = "delivery";
/// A region of delivery is reported from so many judged parcels on.
const REGION_DELIVERIES_MIN: usize = 500;

/// Trains, judges, registers and perhaps promotes the model of delivery times.
///
/// # Errors
/// Too few deliveries, which is a [`TrainingError::Data`], or a failing table or registry.
pub async fn train_delivery(input: &TrainingInput<'_>) -> Result<TaskReport, TrainingError> {
    let [ordered, dispatched] = deliveries(&input.sql()?, input.until).await?;
    let learned =
        DeliveryModel::learn(&ordered, &dispatched, input.until, input.seed).map_err(|error| match error {
            DeliveryError::TooFew { .. } => TrainingError::Data { task: TASK, reason: error.to_string() },
            other => trainer(TASK)(other),
        })?;
    let figures = figures(&learned.ordered, &learned.dispatched);
    let champion = judge_champion(input, &dispatched, &learned.dispatched, learned.judged_from)?;
    let first = dispatched.iter().map(|one| one.parcel.at).min().unwrap_or(input.until);
    register(
        input,
        Candidate {
            task: Task::Delivery,
            name: "delivery".to_owned(),
            format: ModelFormat::Postcard,
            artifact: learned.model.to_bytes().map_err(trainer(TASK))?,
            feature_schema_hash: None,
            data_fingerprint: fingerprint(&dispatched),
            training_span: Some((first, input.until)),
            settings: BTreeMap::new(),
            training_rows: dispatched.len() as u64,
            test_rows: learned.dispatched.deliveries as u64,
            figures,
            notes: regions(&learned.dispatched),
            champion,
        },
    )
}

/// Every parcel that arrived before `until`, counted from its order and from leaving the seller.
async fn deliveries(session: &SqlSession, until: Timestamp) -> Result<[Vec<Delivery>; 2], TrainingError> {
    let sql = format!(
        "SELECT d.seller AS seller, d.carrier AS carrier, d.origin AS origin, d.destination AS destination, d.latitude AS latitude,
                d.longitude AS longitude, d.weight_grams AS weight_grams, arrow_cast(o.event_time, 'Int64') AS ordered,
                arrow_cast(d.event_time, 'Int64') AS dispatched, arrow_cast(v.event_time, 'Int64') AS delivered
         FROM shipment_delivered v JOIN shipment_dispatched d ON v.shipment = d.shipment JOIN order_placed o ON d.\"order\" = o.\"order\"
         WHERE arrow_cast(v.event_time, 'Int64') < {}
         ORDER BY dispatched, d.shipment",
        until.micros()
    );
    let batches = session.query(&sql).await?;
    let (sellers, carriers) = (ids(&batches, "seller", SellerId::KIND)?, ids(&batches, "carrier", CarrierId::KIND)?);
    let (origins, destinations) = (texts(&batches, "origin")?, texts(&batches, "destination")?);
    let (latitudes, longitudes) = (floats(&batches, "latitude")?, floats(&batches, "longitude")?);
    let weights = integers(&batches, "weight_grams")?;
    let [ordered, dispatched, delivered] =
        [integers(&batches, "ordered")?, integers(&batches, "dispatched")?, integers(&batches, "delivered")?];
    let (mut from_order, mut from_dispatch) = (Vec::with_capacity(sellers.len()), Vec::with_capacity(sellers.len()));
    for (row, seller) in sellers.iter().enumerate() {
        let (Some(seller), Some(origin), Some(destination)) = (seller, &origins[row], &destinations[row]) else {
            continue;
        };
        let region = |text: &str| Region::new(text).map_err(trainer(TASK));
        let parcel = |at: i64| -> Result<Parcel, TrainingError> {
            Ok(Parcel {
                seller: SellerId::from_u128(*seller),
                carrier: carriers[row].map(CarrierId::from_u128),
                origin: region(origin)?,
                destination: region(destination)?,
                latitude: latitudes[row],
                longitude: longitudes[row],
                weight_grams: weights[row],
                at: Timestamp::from_micros(at),
            })
        };
        for (at, list) in [(ordered[row], &mut from_order), (dispatched[row], &mut from_dispatch)] {
            // A clock that runs backwards says nothing of how long a parcel takes.
            if delivered[row] > at {
                let minutes = (delivered[row] - at) as f64 / MINUTE_MICROS as f64;
                list.push(Delivery { parcel: parcel(at)?, minutes });
            }
        }
    }
    Ok([from_order, from_dispatch])
}

/// The measure that decides promotions comes first.
fn figures(ordered: &StageQuality, dispatched: &StageQuality) -> Vec<Figure> {
    let loss = |name: &str, quality: &StageQuality| {
        Figure::new(name, quality.pinball_minutes, false).beside("means", quality.pinball_minutes_of_means)
    };
    let covered =
        |name: &str, quality: &StageQuality| Figure::new(name, quality.coverage[2], true).beside("wanted", LEVELS[2]);
    vec![
        loss("pinball loss from dispatch, minutes", dispatched),
        loss("pinball loss from order, minutes", ordered),
        covered("arrived by the 90 % quantile from dispatch", dispatched),
        covered("arrived by the 90 % quantile from order", ordered),
    ]
}

/// The regions in which the upper quantile covered least and most.
fn regions(quality: &StageQuality) -> Vec<String> {
    let judged = quality.regions.iter().filter(|(_, region)| region.deliveries >= REGION_DELIVERIES_MIN);
    let mut by_coverage: Vec<_> = judged.collect();
    by_coverage.sort_by(|a, b| a.1.coverage[2].total_cmp(&b.1.coverage[2]));
    let told = |(region, quality): &(&Region, &dhow_delivery::RegionQuality)| {
        format!("{:.1} % in {} ({} parcels)", 100.0 * quality.coverage[2], region.as_str(), quality.deliveries)
    };
    match (by_coverage.first(), by_coverage.last()) {
        (Some(least), Some(most)) => {
            vec![format!("arrived by the 90 % quantile: from {} to {}", told(least), told(most))]
        }
        _ => Vec::new(),
    }
}

fn judge_champion(
    input: &TrainingInput<'_>,
    dispatched: &[Delivery],
    ours: &StageQuality,
    from: Timestamp,
) -> Result<Champion, TrainingError> {
    let bytes = match incumbent(input, Task::Delivery, from)? {
        Ok(bytes) => bytes,
        Err(champion) => return Ok(champion),
    };
    let champion = match DeliveryModel::from_bytes(&bytes) {
        Ok(champion) => champion,
        Err(unreadable) => return Ok(Champion::Incomparable(unreadable.to_string())),
    };
    // As many as ours was judged on, in the order of their moments, and those that were under way when they began.
    let (earlier, mut later): (Vec<Delivery>, Vec<Delivery>) = dispatched.iter().partition(|one| one.parcel.at < from);
    later.truncate(ours.deliveries);
    later.extend(earlier.iter().filter(|one| one.delivered_at() > from));
    let theirs = champion.judge(Stage::Dispatched, &later, from).map_err(trainer(TASK))?;
    Ok(Champion::Judged { theirs: theirs.pinball_minutes, ours: ours.pinball_minutes })
}

/// Judges a model of delivery times on the parcels that left since its training data ended and have arrived.
///
/// # Errors
/// No such parcel, an artifact that is no such model, or a failing table.
pub(crate) async fn evaluate_delivery(input: &TrainingInput<'_>, model: &Judged) -> Result<Evaluation, TrainingError> {
    let mut lists = deliveries(&input.sql()?, input.until).await?;
    let from = model.learned_until;
    let later = lists.each_ref().map(|list| list.iter().filter(|one| one.parcel.at >= from).count());
    // Those that were under way then are followed as they arrive, and not judged.
    lists.iter_mut().for_each(|list| list.retain(|one| one.delivered_at() > from));
    let stored = DeliveryModel::from_bytes(&model.artifact).map_err(trainer(TASK))?;
    let [ordered, dispatched] = lists;
    if later.contains(&0) {
        return Err(model.nothing_since());
    }
    let judged = |stage, list: &[Delivery]| stored.judge(stage, list, from).map_err(trainer(TASK));
    let figures = figures(&judged(Stage::Ordered, &ordered)?, &judged(Stage::Dispatched, &dispatched)?);
    Ok(model.evaluation(input, later[1], figures))
}

fn fingerprint(deliveries: &[Delivery]) -> String {
    let mut hasher = blake3::Hasher::new();
    for one in deliveries {
        hasher.update(&one.parcel.seller.as_u128().to_le_bytes());
        hasher.update(&one.parcel.at.micros().to_le_bytes());
        hasher.update(&one.minutes.to_bits().to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
