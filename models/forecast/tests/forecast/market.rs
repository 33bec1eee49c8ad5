//! Forecasts of a marketplace: they add up along products, categories, sellers and regions, and beat what each series does alone.

use super::noise;
use dhow_events::{Category, ProductId, Region, SellerId};
use dhow_forecast::*;
use std::collections::{BTreeMap, BTreeSet};

const DAYS: usize = 120;

/// Demand of twelve products of two sellers and three categories in two regions, with a common week and rising trend.
fn sales() -> (BTreeSet<(ProductId, Region)>, BTreeMap<ProductId, Member>, Vec<(ProductId, Region, i64, f64)>) {
    let mut random = noise(5);
    let regions = ["NG-LA", "KE-30"].map(|name| Region::new(name).unwrap());
    let categories = ["home/garden", "home/decor", "toys"].map(|name| Category::new(name).unwrap());
    let (mut pairs, mut members, mut rows) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    for at in 0..12_usize {
        let product = ProductId::from_u128(at as u128 + 1);
        let seller = SellerId::from_u128(at as u128 % 2 + 1);
        members.insert(product, Member { category: Some(categories[at % 3]), seller: Some(seller) });
        for region in regions {
            pairs.insert((product, region));
            for day in 0..DAYS {
                let week = if day % 7 >= 5 { 2.0 } else { 1.0 };
                let rate = 0.3 * (at + 1) as f64 * week * (1.0 + day as f64 / DAYS as f64);
                rows.push((product, region, 20_000 + day as i64, (rate * 2.0 * random()).round()));
            }
        }
    }
    (pairs, members, rows)
}

fn at(model: &DemandModel, subject: Subject, region: Option<Region>) -> Vec<f64> {
    let forecast = model.forecast(&SeriesKey { subject, region }, 28, &[]).unwrap();
    assert!(forecast.method.ends_with("reconciled"), "{}", forecast.method);
    forecast.days.iter().map(|day| day.point).collect()
}

#[test]
fn forecasts_of_a_market_add_up_at_every_node_and_name_how_they_were_made() {
    let (pairs, members, rows) = sales();
    let market = Market::new(&pairs, &members).unwrap();
    let series = market.series(rows, 20_000, DAYS).unwrap();
    assert_eq!(series.len(), market.keys().len());
    let model = DemandModel::fit_market(&series, &market, &FitSettings::default()).unwrap();
    let regions: BTreeSet<Region> = pairs.iter().map(|(_, region)| *region).collect();
    let total = at(&model, Subject::All, None);
    let of = |subjects: Vec<Subject>, region: Option<Region>| {
        let rows = subjects.into_iter().map(|subject| at(&model, subject, region));
        rows.reduce(|sum, row| sum.iter().zip(row).map(|(sum, value)| sum + value).collect()).unwrap()
    };
    let products = || members.keys().map(|product| Subject::Product(*product)).collect::<Vec<_>>();
    let categories = ["home", "toys"].map(|name| Subject::Category(Category::new(name).unwrap()));
    let sellers = [1, 2].map(|seller| Subject::Seller(SellerId::from_u128(seller)));
    let in_regions: Vec<Vec<f64>> = regions.iter().map(|region| at(&model, Subject::All, Some(*region))).collect();
    let by_region: Vec<f64> = (0..28).map(|day| in_regions.iter().map(|row| row[day]).sum()).collect();
    for (way, sums) in [
        ("products", of(products(), None)),
        ("categories", of(categories.to_vec(), None)),
        ("sellers", of(sellers.to_vec(), None)),
        ("regions", by_region),
    ] {
        for (sum, total) in sums.iter().zip(&total) {
            assert!((sum - total).abs() < 1e-6 * total, "{way}: {sum} against {total}");
        }
    }
    let one = *regions.first().unwrap();
    let garden = at(&model, Subject::Category(Category::new("home/garden").unwrap()), Some(one));
    let its_products: Vec<Subject> = products().into_iter().step_by(3).collect();
    assert!(garden.iter().zip(of(its_products, Some(one))).all(|(node, sum)| (node - sum).abs() < 1e-6 * sum));
    assert_eq!(DemandModel::from_bytes(&model.to_bytes().unwrap()).unwrap(), model);
}

#[test]
fn a_market_is_no_worse_than_its_series_alone_and_refuses_what_is_not_its_own() {
    let (pairs, members, rows) = sales();
    let market = Market::new(&pairs, &members).unwrap();
    let series = market.series(rows, 20_000, DAYS).unwrap();
    let settings = FitSettings::default();
    let together = backtest_market(&series, &market, &settings, 28, |_| true).unwrap();
    let alone = backtest(&series, &settings, 28).unwrap();
    let rmsse = |report: &BacktestReport| report.methods[0].rmsse.unwrap();
    assert!(rmsse(&together) < 1.02 * rmsse(&alone), "{} against {}", rmsse(&together), rmsse(&alone));
    let stranger = DailySeries { key: SeriesKey::product(ProductId::from_u128(99), None), ..series[0].clone() };
    let with_stranger: Vec<DailySeries> = series.iter().cloned().chain([stranger]).collect();
    assert!(matches!(DemandModel::fit_market(&with_stranger, &market, &settings), Err(DemandError::Unknown { .. })));
    let mut shorter = series.clone();
    shorter[3].quantities.pop();
    assert!(matches!(DemandModel::fit_market(&shorter, &market, &settings), Err(DemandError::Uneven { .. })));
    assert!(matches!(Market::new(&BTreeSet::new(), &members), Err(DemandError::Count { found: 0 })));
}
