//! Forecasts of a marketplace: they add up along products, categories, sellers and regions, and are no worse for products than what each does alone.

use super::noise;
use dhow_events::{Category, ProductId, Region, SellerId};
use dhow_forecast::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const DAYS: usize = 120;

/// Where which product sold; what it belongs to; and product, region, day and units of each day.
type Sales = (BTreeSet<(ProductId, Region)>, BTreeMap<ProductId, Member>, Vec<(ProductId, Region, i64, f64)>);

/// Demand of twelve products of two sellers and three categories in two regions, with a common week and rising trend.
fn sales() -> Sales {
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
    let is_group = !subject.is_product();
    let told = ["sum of", "reconciled"].iter().any(|word| forecast.method.contains(word));
    assert!(told || !is_group, "{}", forecast.method);
    forecast.days.iter().map(|day| day.point).collect()
}

#[test]
fn forecasts_of_a_market_add_up_at_every_node_and_name_how_they_were_made() {
    let (pairs, members, rows) = sales();
    let market = Market::new(&pairs, &members).unwrap();
    let series = market.series(rows, 20_000, DAYS).unwrap();
    assert_eq!(series.len(), market.keys().len());
    let (model, _) = DemandModel::fit_market(&series, &market, &FitSettings::default()).unwrap();
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
    let all = SeriesKey { subject: Subject::All, region: None };
    let accuracy = model.accuracy(&all).unwrap();
    assert!(accuracy.days == 28 && accuracy.demand > 0.0 && accuracy.error.abs() <= accuracy.absolute_error);
    // The naive plan repeats the noise.
    let last = SeriesKey::product(*members.keys().next_back().unwrap(), None);
    assert!(model.accuracy(&last).unwrap().value_added().unwrap() > 0.0);
    let in_regions: BTreeSet<Region> = model.regions(Subject::All).filter_map(|key| key.region).collect();
    assert_eq!(in_regions, regions);
}

#[test]
fn the_products_of_a_market_are_no_worse_than_alone_and_what_is_not_its_own_is_refused() {
    let (pairs, members, rows) = sales();
    let market = Market::new(&pairs, &members).unwrap();
    let series = market.series(rows, 20_000, DAYS).unwrap();
    let settings = FitSettings::default();
    let is_product = |key: &SeriesKey| key.subject.is_product();
    let together = backtest_market(&series, &market, &settings, 28, is_product).unwrap();
    let alone = backtest_of(&series, &settings, 28, is_product).unwrap();
    let (_, told) = DemandModel::fit_market(&series, &market, &settings).unwrap();
    let [before, after] = told.of_products;
    assert!(told.days == 28 && before > 0.0 && after < 1.01 * before, "{told:?}");
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

#[test]
fn intervals_follow_sales_that_the_model_did_not_foresee_at_every_node_that_holds_them() {
    let (pairs, members, rows) = sales();
    let market = Market::new(&pairs, &members).unwrap();
    let series = market.series(rows, 20_000, DAYS).unwrap();
    let (model, _) =
        DemandModel::fit_market(&series, &market, &FitSettings { season_days: 7, horizon_days: 90 }).unwrap();
    let sales = Arc::new(RecentSales::default());
    let live = LiveDemand::new(Arc::new(model), sales.clone());
    let (first, levels) = (20_000 + DAYS as i64, [0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95]);
    let (product, region) = *pairs.iter().next_back().unwrap();
    let member = members[&product];
    let sale = |day: i64, quantity: f64| Sale {
        product,
        seller: member.seller.unwrap(),
        category: member.category.unwrap(),
        region,
        day,
        known_day: day,
        quantity,
    };
    let at = |subject: Subject, region| {
        let forecast = live.forecast(&SeriesKey { subject, region }, 90, &levels).unwrap();
        assert!(forecast.days.iter().all(|day| day.quantiles.is_sorted()));
        forecast.days[80].quantiles[5]
    };
    let subjects = [
        Subject::Product(product),
        Subject::Seller(sale(0, 0.0).seller),
        Subject::Category(Category::new("toys").unwrap()),
        Subject::All,
    ];
    let before = subjects.map(|subject| at(subject, Some(region)));
    assert_eq!(
        before[0],
        live.model().forecast(&SeriesKey::product(product, Some(region)), 90, &levels).unwrap().days[80].quantiles[5]
    );
    let elsewhere = pairs.iter().map(|(_, region)| *region).find(|other| *other != region);
    let before_elsewhere = at(Subject::Product(product), elsewhere);
    // Sales of the history and refused ones change nothing.
    sales.take(&sale(first - 3, 1e6)).unwrap();
    assert!(matches!(sales.take(&sale(first, f64::NAN)), Err(SaleError::Quantity { .. })));
    let early = Sale { known_day: first, ..sale(first + 40, 1.0) };
    assert!(matches!(sales.take(&early), Err(SaleError::Ahead { .. })));
    for day in 0..60 {
        sales.take(&sale(first + day, 250.0)).unwrap();
        sales.take(&sale(first + day, 250.0)).unwrap();
    }
    let after = subjects.map(|subject| at(subject, Some(region)));
    assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?} {after:?}");
    // The last day is not over.
    let told = live.accuracy(&SeriesKey::product(product, Some(region))).unwrap();
    assert_eq!((told.days, told.demand), (59, 59.0 * 500.0));
    assert!(live.accuracy(&SeriesKey::product(ProductId::from_u128(99), None)).is_err());
    // Nothing sold there for sixty days.
    assert!(at(Subject::Product(product), elsewhere) < before_elsewhere);
    let unknown = Sale { product: ProductId::from_u128(99), ..sale(first + 60, 1.0) };
    sales.take(&unknown).unwrap();
}

#[test]
fn what_sold_since_is_the_same_in_any_order_and_when_it_is_read_again_by_day() {
    let (pairs, members, rows) = sales();
    let market = Market::new(&pairs, &members).unwrap();
    let series = market.series(rows, 20_000, DAYS).unwrap();
    let settings = FitSettings { season_days: 7, horizon_days: 90 };
    let model = Arc::new(DemandModel::fit_market(&series, &market, &settings).unwrap().0);
    let (first, mut noise) = (20_000 + DAYS as i64, noise(5));
    let mut draw = |below: usize| (noise() * below as f64) as usize;
    let pairs: Vec<_> = pairs.iter().copied().collect();
    let one = |(product, region): (ProductId, Region), day: i64, quantity: f64| Sale {
        product,
        seller: members[&product].seller.unwrap(),
        category: members[&product].category.unwrap(),
        region,
        day,
        known_day: day,
        quantity,
    };
    let mut told: Vec<Sale> =
        (0..4_000).map(|at| one(pairs[draw(pairs.len())], first + at / 60, draw(5) as f64)).collect();
    told.push(one(pairs[0], first - 9, 3.0));
    let in_order = Arc::new(RecentSales::default());
    told.iter().for_each(|sale| in_order.take(sale).unwrap());
    // Read again: sums of days, in another order, of the days that are kept; the log begins earlier.
    let mut by_day = std::collections::BTreeMap::new();
    for sale in told.iter().filter(|sale| sale.day >= first) {
        *by_day.entry((std::cmp::Reverse(sale.day), sale.product, sale.region)).or_insert(0.0) += sale.quantity;
    }
    let again = Arc::new(RecentSales::default());
    for ((day, product, region), quantity) in by_day {
        again.take(&one((product, region), day.0, quantity)).unwrap();
    }
    again.begin(first - 9);
    let (before, after) = (LiveDemand::new(model.clone(), in_order), LiveDemand::new(model.clone(), again));
    for key in model.keys() {
        assert_eq!(before.forecast(key, 90, &[0.1, 0.5, 0.9]), after.forecast(key, 90, &[0.1, 0.5, 0.9]));
        assert_eq!(before.accuracy(key), after.accuracy(key));
    }
    assert_eq!(before.accuracy(&SeriesKey { subject: Subject::All, region: None }).unwrap().days, 66);
}
