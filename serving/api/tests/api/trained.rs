//! Small models that are trained on made-up rows, for the answers that need one.

use dhow_events::*;
use dhow_forecast::{DailySeries, DemandModel, FitSettings, SeriesKey};
use dhow_fraud::{Costs, Settings, Thresholds, TrainingTable};
use dhow_recommend::{CatalogueItem, Interaction, InteractionKind};
use dhow_registry::{Alias, ModelDraft, ModelFormat, Task};
use dhow_training::{FraudBundle, FraudVector, Reference};

use crate::world::{World, seller};

/// A checkout of at least this many cents is declined by the model of [`fraud`].
pub const DEAR_USD_MINOR: i64 = 400_000;

fn promote(world: &World, task: Task, artifact: &[u8]) {
    promote_as(world, task, Alias::Champion, artifact);
}

fn promote_as(world: &World, task: Task, alias: Alias, artifact: &[u8]) {
    let (registry, tenant, now) = (world.engine.registry(), TenantId::default(), world.clock.now());
    let draft = ModelDraft::new(tenant, task, "small", ModelFormat::Postcard, now, "Apache-2.0");
    let card = registry.register(draft, artifact).unwrap();
    registry.promote(&tenant, task, alias, card.model_id, now, "a test needs it").unwrap();
    world.engine.reload_models(tenant).unwrap();
}

/// Puts a fraud model in force that fears dear checkouts.
pub fn fraud(world: &World) {
    promote(world, Task::Fraud, &fraud_model(world, true));
}

/// Lets a fraud model look on that fears cheap checkouts.
pub fn fraud_challenger(world: &World) {
    promote_as(world, Task::Fraud, Alias::Challenger, &fraud_model(world, false));
}

/// Lets something look on that is no fraud model.
pub fn no_fraud_model(world: &World) {
    promote_as(world, Task::Fraud, Alias::Shadow, b"something else");
}

fn fraud_model(world: &World, fears_dear: bool) -> Vec<u8> {
    let names = FraudVector::new(world.engine.features()).unwrap().names().to_vec();
    let total = names.iter().position(|name| name == "checkout_submitted_total_usd_minor").unwrap();
    let (rows, width) = (600_usize, names.len());
    let mut values = vec![0.0; rows * width];
    let dear = |row: usize| row.is_multiple_of(5);
    for row in 0..rows {
        values[row * width + total] = if dear(row) { 500_000.0 + row as f64 } else { 1_000.0 + row as f64 };
    }
    // One in twenty is mislabelled, so that the classes are not separable.
    let labels: Vec<bool> = (0..rows).map(|row| (dear(row) == fears_dear) != (row % 20 == 7)).collect();
    let times: Vec<Timestamp> = (0..rows as i64).map(Timestamp::from_millis).collect();
    let amounts: Vec<i64> = (0..rows).map(|row| values[row * width + total] as i64).collect();
    let table = TrainingTable::new(&names, &values, &labels, &times, &amounts).unwrap();
    let (train, validation) = table.split_last(0.3).unwrap();
    let reference = Reference::of(&train);
    let trained = dhow_fraud::train(&train, &validation, &Settings::default()).unwrap();
    let thresholds = Thresholds::at_break_even(Costs::default()).unwrap();
    let bundle = FraudBundle::new(trained.model.to_bytes().unwrap(), thresholds, reference);
    bundle.to_bytes().unwrap()
}

/// Puts a recommender in force that learnt from shoppers who view the products in their order.
pub fn recommender(world: &World, products: &[ProductId]) {
    let item = |product: &ProductId| CatalogueItem {
        product: *product,
        category: Category::new("home/kitchen").unwrap(),
        text: String::new(),
        seller: seller(),
        regions: Vec::new(),
        price_usd_minor: 500,
    };
    let catalogue: Vec<CatalogueItem> = products.iter().map(item).collect();
    let mut interactions = Vec::new();
    for session in 0..20 {
        for (place, product) in products.iter().enumerate() {
            interactions.push(Interaction {
                person: None,
                session: SessionId::from_u128(1_000 + session),
                product: *product,
                kind: InteractionKind::View,
                region: None,
                time: Timestamp::from_millis(session as i64 * 100_000 + place as i64 * 1_000),
            });
        }
    }
    let model = dhow_recommend::train(&interactions, &catalogue, &dhow_recommend::Settings::default()).unwrap();
    promote(world, Task::Recommend, &model.to_bytes().unwrap());
}

/// Puts a recommender in force with starter kits: the first three products are bought together, each other one alone.
pub fn kits(world: &World, products: &[ProductId]) {
    let item = |(at, product): (usize, &ProductId)| CatalogueItem {
        product: *product,
        category: Category::new(["home/kitchen", "home/garden", "toys"][at % 3]).unwrap(),
        text: String::new(),
        seller: seller(),
        regions: Vec::new(),
        price_usd_minor: 500,
    };
    let catalogue: Vec<CatalogueItem> = products.iter().enumerate().map(item).collect();
    let mut interactions = Vec::new();
    for session in 0..200 {
        let bought = if session % 2 == 0 { &products[..3] } else { &products[3..] };
        interactions.extend(bought.iter().map(|product| Interaction {
            person: None,
            session: SessionId::from_u128(1_000 + session),
            product: *product,
            kind: InteractionKind::Purchase,
            region: Some(Region::new("GB").unwrap()),
            time: Timestamp::from_millis(session as i64 * 100_000),
        }));
    }
    let model = dhow_recommend::train(&interactions, &catalogue, &dhow_recommend::Settings::default()).unwrap();
    promote(world, Task::Recommend, &model.with_kits(&interactions).unwrap().to_bytes().unwrap());
}

/// Puts a demand model in force that saw these products sell about so many units a day for a hundred days.
pub fn demand(world: &World, products: &[(ProductId, f64)]) {
    let series: Vec<DailySeries> = products
        .iter()
        .map(|(product, level)| DailySeries {
            key: SeriesKey { product: *product, region: None },
            first_day: 20_000,
            quantities: (0..100).map(|day| (level + f64::from(day * 7 % 5) - 2.0).max(0.0)).collect(),
        })
        .collect();
    let settings = FitSettings { season_days: 7, horizon_days: 90 };
    let model = DemandModel::fit(&series, &settings).unwrap();
    promote(world, Task::Forecast, &model.to_bytes().unwrap());
}
