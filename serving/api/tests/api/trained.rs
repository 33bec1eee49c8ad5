//! Small models that are trained on made-up rows, for the answers that need one.

use std::collections::BTreeMap;

use dhow_customers::{CustomersModel, Histories, Numbered, Purchase, SpendSettings};
use dhow_delivery::{Delivery, DeliveryModel, Parcel};
use dhow_effects::{Effects, Panel, PanelProduct, SoldOn};
use dhow_engine::Engine;
use dhow_events::*;
use dhow_forecast::{DailySeries, DemandModel, FitSettings, Market, Member, SeriesKey};
use dhow_fraud::{
    Boosting, BoostingSettings, Costs, KindScores, KindTable, RiskKind, Settings, Thresholds, TrainingTable,
};
use dhow_recommend::{CatalogueItem, Interaction, InteractionKind};
use dhow_registry::{Alias, ModelDraft, ModelFormat, Task};
use dhow_training::{FraudBundle, FraudVector, KindBands, KindBundle, Reference};

use crate::world::{World, seller};

/// A checkout of at least this many cents is declined by the model of [`fraud`].
pub const DEAR_USD_MINOR: i64 = 400_000;

pub fn promote(world: &World, task: Task, artifact: &[u8]) {
    promote_as(world, task, Alias::Champion, artifact);
}

fn promote_as(world: &World, task: Task, alias: Alias, artifact: &[u8]) {
    put_in_force(&world.engine, world.clock.now(), task, alias, artifact);
}

/// Registers and promotes a model on a platform.
pub fn put_in_force(engine: &Engine, now: Timestamp, task: Task, alias: Alias, artifact: &[u8]) {
    let (registry, tenant) = (engine.registry(), TenantId::default());
    let draft = ModelDraft::new(tenant, task, "small", ModelFormat::Postcard, now, "Apache-2.0");
    let card = registry.register(draft, artifact).unwrap();
    registry.promote(&tenant, task, alias, card.model_id, now, "a test needs it").unwrap();
    engine.reload_models(tenant).unwrap();
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

/// Puts the model of [`fraud`] in force with scores of kinds: card testing is told by checkouts of a card within an hour, return
/// abuse by dear orders; of takeovers too few are known.
pub fn fraud_with_kinds(world: &World) {
    let names = FraudVector::new(world.engine.features()).unwrap().names().to_vec();
    let place = |name: &str| names.iter().position(|known| known == name).unwrap();
    let (burst, total) = (place("card_checkouts_count_1h"), place("checkout_submitted_total_usd_minor"));
    let (rows, width) = (900_usize, names.len());
    let (mut values, mut kinds) = (vec![0.0; rows * width], vec![None; rows]);
    for row in 0..rows {
        let told = [Some(RiskKind::CardTesting), Some(RiskKind::ReturnAbuse), None][row % 3];
        values[row * width + burst] = if told == Some(RiskKind::CardTesting) { 8.0 } else { (row % 2) as f64 };
        values[row * width + total] =
            if told == Some(RiskKind::ReturnAbuse) { 500_000.0 } else { 1_000.0 } + (row % 7) as f64;
        // Some are found out late or never, so that no kind is separable.
        kinds[row] = if row % 40 == 2 { Some(RiskKind::CardTesting) } else { told.filter(|_| row % 16 != 3) };
    }
    let labels: Vec<bool> = kinds.iter().map(Option::is_some).collect();
    let times: Vec<Timestamp> = (0..rows as i64).map(Timestamp::from_millis).collect();
    let table = TrainingTable::new(&names, &values, &labels, &times, &[1_000; 900]).unwrap();
    let (train, validation) = table.split_last(0.4).unwrap();
    let (early, late) = kinds.split_at(train.len());
    let (train, validation) = (KindTable { rows: train, kinds: early }, KindTable { rows: validation, kinds: late });
    let boosting = Boosting { rounds: 60, learning_rate: 0.2, max_leaves: 4, ..Boosting::default() };
    let settings = BoostingSettings { candidates: vec![boosting], ..BoostingSettings::default() };
    let vector = FraudVector::new(world.engine.features()).unwrap();
    let (mut scores, mut bands) = (KindScores::default(), BTreeMap::new());
    let thresholds = Thresholds::at_break_even(Costs::default()).unwrap();
    for kind in [RiskKind::CardTesting, RiskKind::ReturnAbuse] {
        scores.learn(kind, &train, &validation, vector.hidden(kind), &settings).unwrap();
        bands.insert(kind, KindBands { thresholds, stake_usd_minor: 5_000 });
    }
    let unlearned = BTreeMap::from([(RiskKind::AccountTakeover, "3 labels are too few".to_owned())]);
    let kinds = KindBundle::new(&scores, bands, unlearned).unwrap();
    promote(world, Task::Fraud, &fraud_bundle(world, true).with_kinds(kinds).to_bytes().unwrap());
}

fn fraud_model(world: &World, fears_dear: bool) -> Vec<u8> {
    fraud_bundle(world, fears_dear).to_bytes().unwrap()
}

fn fraud_bundle(world: &World, fears_dear: bool) -> FraudBundle {
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
    FraudBundle::new(trained.model.to_bytes().unwrap(), thresholds, reference)
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
            key: SeriesKey::product(*product, None),
            first_day: 20_000,
            quantities: (0..100).map(|day| (level + f64::from(day * 7 % 5) - 2.0).max(0.0)).collect(),
        })
        .collect();
    let settings = FitSettings { season_days: 7, horizon_days: 90 };
    let model = DemandModel::fit(&series, &settings).unwrap();
    promote(world, Task::Forecast, &model.to_bytes().unwrap());
}

/// Puts a demand model in force that adds up: each of these products sold as many units every day, in two regions.
pub fn market(world: &World, products: &[(ProductId, Member, f64)]) {
    promote(world, Task::Forecast, &market_model(products, 20_000).to_bytes().unwrap());
}

/// The same, of which the first product's price moved, to whose power of -2 it sold; promotions of a fifth off doubled its sales.
/// Twelve others went on as ever.
pub fn market_with_effects(world: &World, products: &[(ProductId, Member, f64)]) {
    let days = 200;
    let others = (0..12).map(|at| (ProductId::from_u128(1_000 + at), products[0].1, 5.0));
    let all: Vec<(ProductId, Member, f64)> = products.iter().copied().chain(others).collect();
    let panel_product = |(at, (product, member, level)): (usize, &(ProductId, Member, f64))| {
        let price = |day: usize| if at == 0 && day / 20 % 2 == 1 { 900.0 } else { 1_000.0 };
        let discount = |day: usize| if at == 0 && day % 41 < 6 { 0.2 } else { 0.0 };
        let units = |day: usize| {
            let effect = (price(day) / 1_000.0_f64).powi(-2) * (5.0 * 2.0_f64.ln() * discount(day)).exp();
            (20.0 * level + ((day * 7 + at * 3) % 5) as f64) * effect
        };
        PanelProduct {
            product: *product,
            category: member.category,
            sold: (0..days).map(|day| SoldOn { region: day % 2, day, units: units(day) }).collect(),
            prices: (0..days).map(price).collect(),
            discounts: (0..days).map(discount).collect(),
        }
    };
    let panel = Panel { days, regions: 2, products: all.iter().enumerate().map(panel_product).collect() };
    let model = market_model(products, 20_000).with_effects(Effects::measure(&panel).unwrap());
    promote(world, Task::Forecast, &model.to_bytes().unwrap());
}

/// A demand model of a hundred days.
pub fn market_model(products: &[(ProductId, Member, f64)], first_day: i64) -> DemandModel {
    let regions = ["GB", "KE"].map(|name| Region::new(name).unwrap());
    let pairs = products.iter().flat_map(|(product, ..)| regions.map(|region| (*product, region))).collect();
    let members = products.iter().map(|(product, member, _)| (*product, *member)).collect();
    let market = Market::new(&pairs, &members).unwrap();
    let sold = products.iter().flat_map(|(product, _, level)| {
        let day =
            move |day: i64| regions.map(|region| (*product, region, first_day + day, level + (day * 7 % 5) as f64));
        (0..100).flat_map(day)
    });
    let series = market.series(sold, first_day, 100).unwrap();
    let settings = FitSettings { season_days: 7, horizon_days: 90 };
    DemandModel::fit_market(&series, &market, &settings).unwrap().0
}

/// Puts a model of delivery times in force: from seller 1 parcels take a day to Germany and two to Kenya, three by carrier 2.
pub fn delivery(world: &World) {
    promote(world, Task::Delivery, &delivery_model());
}

/// The model of [`delivery`].
pub fn delivery_model() -> Vec<u8> {
    let begin = Timestamp::from_micros(20_000 * DAY_MICROS);
    let one = |at: i64| {
        let (destination, latitude, longitude) = if at % 2 == 0 { ("DE", 52.5, 13.4) } else { ("KE", -1.3, 36.8) };
        let carrier = 1 + (at / 2 % 2) as u128;
        let days = if at % 2 == 0 { 1.0 } else { 1.0 + carrier as f64 };
        let parcel = Parcel {
            seller: SellerId::from_u128(1),
            carrier: Some(CarrierId::from_u128(carrier)),
            origin: Region::new("GB").unwrap(),
            destination: Region::new(destination).unwrap(),
            latitude,
            longitude,
            weight_grams: 500,
            at: begin + at * HOUR_MICROS,
        };
        Delivery { parcel, minutes: days * 1_440.0 * (0.9 + (at * 37 % 21) as f64 / 100.0) }
    };
    let deliveries: Vec<Delivery> = (0..1_200).map(one).collect();
    let until = begin + 1_400 * HOUR_MICROS;
    DeliveryModel::learn(&deliveries, &deliveries, until, 1).unwrap().model.to_bytes().unwrap()
}

/// Puts a model of customers in force, as of day 20,200: buyers 1 to 600, of whom the even ones still buy every few days and the
/// odd ones have stopped; too few suppliers to group.
pub fn customers(world: &World) {
    let of = |number: u32| {
        let (every, last) = (5 + number % 11, if number.is_multiple_of(2) { 200 } else { 40 + number % 60 });
        (0..last).filter(move |day| (day + number).is_multiple_of(every)).map(move |day| Purchase {
            customer: number,
            day: 20_000 + day as i32,
            amount: f64::from(10 + number % 40 + day % 7),
        })
    };
    let buyers = Histories::new(&(0..600).flat_map(of).collect::<Vec<_>>()).unwrap();
    let suppliers = Histories::new(&(0..9).flat_map(of).collect::<Vec<_>>()).unwrap();
    let ids: Vec<u128> = (1..=600).collect();
    let settings = SpendSettings { days: 30, rounds: 60, ..SpendSettings::default() };
    let numbered = |histories, ids| Numbered { histories, ids };
    let learned =
        CustomersModel::learn(numbered(&buyers, &ids), numbered(&suppliers, &ids[..9]), 20_200, &settings, 7).unwrap();
    promote(world, Task::Customers, &learned.model.to_bytes().unwrap());
}
