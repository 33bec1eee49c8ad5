//! The public Serenade example sessions: settings chosen on the validation part, figures reported on the test part.

use std::path::{Path, PathBuf};

use dhow_events::{BuyerId, ProductId, SECOND_MICROS, SellerId, SessionId, Timestamp};
use dhow_recommend::evaluation::{
    ChainPredictor, MarkovBaseline, Metrics, PopularityBaseline, Repeats, SessionPredictor, SettingsGrid,
    choose_settings, evaluate_sessions, visits_of,
};
use dhow_recommend::{CatalogueItem, Interaction, InteractionKind, Seen, Settings, train};

use crate::world::category;

fn data_folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("DHOW_DATA_DIR").map_or_else(default, PathBuf::from)
}

/// Reads `SessionId ItemId Time`, one click a line after a heading; times are seconds.
fn clicks(path: &Path) -> Vec<Interaction> {
    let text = std::fs::read_to_string(path).unwrap();
    let click = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Interaction {
            person: None::<BuyerId>,
            session: SessionId::from_u128(fields[0].parse().unwrap()),
            product: ProductId::from_u128(fields[1].parse().unwrap()),
            kind: InteractionKind::View,
            region: None,
            time: Timestamp::from_micros((fields[2].parse::<f64>().unwrap() * SECOND_MICROS as f64) as i64),
        }
    };
    text.lines().skip(1).map(click).collect()
}

fn catalogue_of(clicks: &[Interaction]) -> Vec<CatalogueItem> {
    let products: std::collections::BTreeSet<ProductId> = clicks.iter().map(|click| click.product).collect();
    let item = |product| CatalogueItem {
        text: String::new(),
        product,
        category: category("all"),
        seller: SellerId::from_u128(0),
        regions: vec![],
        price_usd_minor: 0,
    };
    products.into_iter().map(item).collect()
}

#[test]
fn on_the_serenade_example_the_chain_beats_popularity_and_the_last_item_markov_chain() {
    let folder = data_folder().join("sessions/serenade_example");
    if !folder.is_dir() {
        println!(
            "SKIPPED: on_the_serenade_example_the_chain_beats_popularity_and_the_last_item_markov_chain: data folder absent"
        );
        return;
    }
    let (training, validation, test) =
        (clicks(&folder.join("train.txt")), clicks(&folder.join("valid.txt")), clicks(&folder.join("test.txt")));
    let (catalogue, validation) = (catalogue_of(&training), visits_of(&validation, Repeats::Keep));
    let grid = SettingsGrid::default();
    let choice = choose_settings(&training, &catalogue, &validation, &Settings::default(), &grid, 20).unwrap();
    println!("chosen on {} validation predictions: {:?}", choice.best.metrics.predictions, choice.best.settings);

    let model = train(&training, &catalogue, &choice.best.settings).unwrap();
    let (known, test) = (visits_of(&training, Repeats::Keep), visits_of(&test, Repeats::Keep));
    let figures = |name: &str, predictor: &dyn SessionPredictor| -> Metrics {
        let metrics = evaluate_sessions(predictor, &test, 20, catalogue.len()).unwrap();
        println!("{name}: {metrics:?}");
        metrics
    };
    let chain =
        figures("chain, never the current product", &ChainPredictor { recommender: &model, seen: Seen::HideCurrent });
    figures("chain, current product allowed", &ChainPredictor { recommender: &model, seen: Seen::Show });
    let popularity = figures("popularity", &PopularityBaseline::new(&known));
    let markov = figures("last-item Markov", &MarkovBaseline::new(&known));
    assert!(chain.hit_rate > 0.65 && chain.mrr > 0.36, "{chain:?}");
    assert!(chain.mrr > 5.0 * popularity.mrr && chain.mrr > markov.mrr && chain.hit_rate > markov.hit_rate);
}
