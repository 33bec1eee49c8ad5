//! Forecasts of a market that add up and leave its products no worse: shared out, summed, and moved towards the nearest coherent ones.
//!
//! Three kinds of series are fitted: products in all regions and where they sell often, by methods chosen on their last days;
//! categories, sellers and all in all regions, and all in each region, likewise; the many others plainly (see `fitting`).
//! Two ways make their forecasts add up:
//! - *shared out*: a product's forecast stands, its regions are scaled to it, and groups are sums of products;
//! - *reconciled*: the sums over `BLOCK_ENDS` of the horizon are reconciled by weighted least squares, none negative (Wickramasuriya,
//!   Athanasopoulos and Hyndman 2019; see `dhow_hierarchy`), and each bottom series keeps the pattern of its days in a block. One
//!   solve for a block costs a small part of one for each day.
//!
//! Any mix of two that add up adds up. Of the mixes that leave the products' mean scaled error on the validated days no larger
//! than without adding up, or else than shared out, the one with the least error of groups is taken.

use crate::choice::Blocks;
use crate::demand::{DailySeries, DemandError, FitSettings, SeriesKey};
use crate::fitting::{Coherence, Fitted, Validation, fit_all, fit_plainly};
use crate::market::{Market, Subject};
use dhow_hierarchy::{Reconciler, Weights};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The last day of each block that is reconciled as a sum.
const BLOCK_ENDS: [usize; 3] = [7, 28, usize::MAX];
/// How far the mixes go from shared out to reconciled, percent.
const PERCENTS: [u8; 5] = [0, 25, 50, 75, 100];
/// A product's sales in one region get a method of their own from so many days with a sale.
const REGION_SALE_DAYS_MIN: usize = 20;
/// Added to variances in squared units, so that none is zero.
const LEAST_VARIANCE: f64 = 1e-3;

/// How forecasts were made to add up, and what that changed on the validated days: means over series of the root mean squared
/// error in units of the one-day differences before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// How far the forecasts went from shared out (0) to reconciled (100).
    pub percent: u8,
    /// Days validated at the end of the histories; 0 where these are too short, and the errors are then 0.
    pub days: usize,
    /// The error of products, without adding up and with.
    pub of_products: [f64; 2],
    /// The error of groups, likewise.
    pub of_groups: [f64; 2],
}

/// Fits every series of a market; the results have the order of the series. A node without a series counts as without demand.
pub(crate) fn fit_market(
    series: &[&DailySeries],
    market: &Market,
    settings: &FitSettings,
) -> Result<(Vec<Fitted>, Reconciliation), DemandError> {
    let nodes = Nodes::new(series, market)?;
    let longest = series.iter().map(|one| one.quantities.len()).max().unwrap_or(0);
    let block = Blocks::of(longest, settings.horizon_days).days;
    let days = if longest >= block + 2 * settings.season_days { block } else { 0 };
    let kinds = nodes.kinds(series);
    let of = |kind: Kind| pick(series, &kinds, kind);
    let (products, groups, others) = (of(Kind::Product), of(Kind::Group), of(Kind::Other));
    let by_product = fit_all(&products, settings, days)?;
    let by_group = fit_all(&groups, settings, days)?;
    let (plain, plain_validations) = fit_plainly(&others, settings, days, &by_product)?;
    let mut fitted = merge(&kinds, [by_product.fitted, by_group.fitted, plain]);
    let mut reconciliation = Reconciliation { percent: 0, days, of_products: [0.0; 2], of_groups: [0.0; 2] };
    if days > 0 {
        let validations = merge(&kinds, [by_product.validations, by_group.validations, plain_validations]);
        let mixed = choose(&mut reconciliation, &nodes, &kinds, &validations, settings)?;
        for (at, points) in nodes.series.iter().zip(&mixed) {
            if let Some(at) = *at {
                fitted[at].accuracy = Some(validations[at].accuracy(points, settings.season_days));
            }
        }
    }
    let histories = |at: usize| &series[at].quantities[..];
    let points = |at: usize| &fitted[at].points[..];
    let ways = Ways::new(&nodes, histories, points, settings)?;
    let mixed = ways.mixed(reconciliation.percent)?;
    for (node, points) in mixed.into_iter().enumerate() {
        if let Some(at) = nodes.series[node] {
            let is_bottom = node >= market.hierarchy.uppers();
            let coherence = match (reconciliation.percent, fitted[at].key.subject.is_product()) {
                (0, true) if is_bottom => Coherence::SharedOut,
                (0, true) => Coherence::Alone,
                (0, false) => Coherence::Sum,
                (percent, _) => Coherence::Reconciled { percent },
            };
            fitted[at].adjust(points, coherence);
        }
    }
    Ok((fitted, reconciliation))
}

/// How a series is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Product,
    Group,
    Other,
}

const KINDS: [Kind; 3] = [Kind::Product, Kind::Group, Kind::Other];

fn pick<'a>(series: &[&'a DailySeries], kinds: &[Kind], kind: Kind) -> Vec<&'a DailySeries> {
    series.iter().zip(kinds).filter(|(_, one)| **one == kind).map(|(series, _)| *series).collect()
}

/// The parts of the kinds in the order of the series.
fn merge<T>(kinds: &[Kind], parts: [Vec<T>; 3]) -> Vec<T> {
    let mut parts = parts.map(Vec::into_iter);
    let next = |kind: &Kind| parts[KINDS.iter().position(|one| one == kind)?].next();
    kinds.iter().filter_map(next).collect()
}

/// The market's nodes and which series is whose.
struct Nodes<'a> {
    market: &'a Market,
    /// Per node.
    series: Vec<Option<usize>>,
    /// Per bottom row, the node of its product in all regions.
    products: Vec<usize>,
}

impl<'a> Nodes<'a> {
    fn new(series: &[&DailySeries], market: &'a Market) -> Result<Nodes<'a>, DemandError> {
        let end = |one: &DailySeries| one.first_day.saturating_add(one.quantities.len() as i64);
        let last_day = series.iter().map(|one| end(one)).max().unwrap_or(0);
        if let Some(other) = series.iter().find(|one| end(one) != last_day) {
            return Err(DemandError::Uneven { key: Box::new(other.key), ends: end(other), last_day });
        }
        let numbers: FxHashMap<SeriesKey, usize> =
            market.keys.iter().enumerate().map(|(node, key)| (*key, node)).collect();
        let mut places = vec![None; market.keys.len()];
        for (at, one) in series.iter().enumerate() {
            match numbers.get(&one.key) {
                Some(node) => places[*node] = Some(at),
                None => return Err(DemandError::Unknown { key: Box::new(one.key) }),
            }
        }
        let of_product = |key: &SeriesKey| numbers.get(&SeriesKey { region: None, ..*key }).copied();
        let bottoms = &market.keys[market.hierarchy.uppers()..];
        Ok(Nodes { market, series: places, products: bottoms.iter().filter_map(of_product).collect() })
    }

    fn kinds(&self, series: &[&DailySeries]) -> Vec<Kind> {
        let sells_often = |one: &DailySeries| {
            one.quantities.iter().filter(|quantity| **quantity > 0.0).count() >= REGION_SALE_DAYS_MIN
        };
        let kind = |one: &&DailySeries| match (one.key.subject, one.key.region) {
            (Subject::Product(_), None) => Kind::Product,
            (Subject::Product(_), Some(_)) if sells_often(one) => Kind::Product,
            (Subject::Product(_), Some(_)) => Kind::Other,
            (_, None) | (Subject::All, _) => Kind::Group,
            _ => Kind::Other,
        };
        series.iter().map(kind).collect()
    }
}

/// Both ways to add up, by bottom row and step.
struct Ways<'a> {
    nodes: &'a Nodes<'a>,
    shared: Vec<Vec<f64>>,
    reconciled: Vec<Vec<f64>>,
    steps: usize,
}

impl<'a> Ways<'a> {
    /// Of the forecasts by series, with weights from the histories by series.
    fn new<'b>(
        nodes: &'a Nodes<'a>,
        histories: impl Fn(usize) -> &'b [f64],
        points: impl Fn(usize) -> &'b [f64],
        settings: &FitSettings,
    ) -> Result<Ways<'a>, DemandError> {
        let hierarchy = &nodes.market.hierarchy;
        let points: Vec<&[f64]> = nodes.series.iter().map(|at| at.map_or(&[][..], &points)).collect();
        let steps = points.iter().map(|points| points.len()).max().unwrap_or(0);
        let shared = shared_out(nodes, &points, steps);
        let variance = |at: &Option<usize>| at.map_or(0.0, |at| variance(histories(at), settings.season_days));
        let variances: Vec<f64> = nodes.series.iter().map(|at| variance(at) + LEAST_VARIANCE).collect();
        let reconciler = Reconciler::new(hierarchy, &Weights::Variances(&variances))?;
        let (mut reconciled, mut begin) = (shared.clone(), 0);
        for end in BLOCK_ENDS.map(|end| end.min(steps)) {
            if begin == end {
                continue;
            }
            let sum = |points: &&[f64]| if points.is_empty() { 0.0 } else { points[begin..end].iter().sum::<f64>() };
            let sums: Vec<f64> = points.iter().map(sum).collect();
            let coherent = reconciler.reconcile_not_negative(&sums)?;
            for (row, total) in reconciled.iter_mut().zip(&coherent[hierarchy.uppers()..]) {
                spread(&mut row[begin..end], *total);
            }
            begin = end;
        }
        Ok(Ways { nodes, shared, reconciled, steps })
    }

    /// Per node and step, so many percent of the way from shared out to reconciled.
    fn mixed(&self, percent: u8) -> Result<Vec<Vec<f64>>, DemandError> {
        let weight = f64::from(percent) / 100.0;
        let hierarchy = &self.nodes.market.hierarchy;
        let mut by_node = vec![Vec::with_capacity(self.steps); hierarchy.nodes()];
        for step in 0..self.steps {
            let mix = |(shared, other): (&Vec<f64>, &Vec<f64>)| shared[step] + weight * (other[step] - shared[step]);
            let bottoms: Vec<f64> = self.shared.iter().zip(&self.reconciled).map(mix).collect();
            by_node.iter_mut().zip(hierarchy.sum(&bottoms)?).for_each(|(row, value)| row.push(value));
        }
        Ok(by_node)
    }
}

/// Every bottom row's share in its product's forecast, in proportion to the rows' own; evenly where these are all zero.
fn shared_out(nodes: &Nodes, points: &[&[f64]], steps: usize) -> Vec<Vec<f64>> {
    let uppers = nodes.market.hierarchy.uppers();
    let own = |row: usize, step: usize| points[uppers + row].get(step).copied().unwrap_or(0.0);
    let mut sums: FxHashMap<usize, (Vec<f64>, f64)> = FxHashMap::default();
    for (row, product) in nodes.products.iter().enumerate() {
        let (sum, rows) = sums.entry(*product).or_insert_with(|| (vec![0.0; steps], 0.0));
        sum.iter_mut().enumerate().for_each(|(step, sum)| *sum += own(row, step));
        *rows += 1.0;
    }
    let share = |row: usize, product: usize, step: usize| {
        let (sum, rows) = &sums[&product];
        let whole = points[product].get(step).copied().unwrap_or(0.0);
        if sum[step] > 0.0 { whole * own(row, step) / sum[step] } else { whole / rows }
    };
    let rows = nodes.products.iter().enumerate();
    rows.map(|(row, product)| (0..steps).map(|step| share(row, *product, step)).collect()).collect()
}

/// Scales the days to a total; evenly where they are all zero.
fn spread(days: &mut [f64], total: f64) {
    let sum: f64 = days.iter().sum();
    let even = total / days.len() as f64;
    days.iter_mut().for_each(|day| *day = if sum > 0.0 { *day * total / sum } else { even });
}

/// Half the mean squared difference of consecutive seasons' totals, and at least what single sales would scatter by.
fn variance(history: &[f64], season_days: usize) -> f64 {
    let totals: Vec<f64> = history.rchunks_exact(season_days.max(1)).map(|season| season.iter().sum()).collect();
    let changes: f64 = totals.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let least = history.iter().sum::<f64>() / history.len().max(1) as f64 * season_days as f64;
    if totals.len() < 2 { least } else { least.max(0.5 * changes / (totals.len() - 1) as f64) }
}

/// Finds the mix on the validated days, and what it says of them by node.
fn choose(
    reconciliation: &mut Reconciliation,
    nodes: &Nodes,
    kinds: &[Kind],
    validations: &[Validation],
    settings: &FitSettings,
) -> Result<Vec<Vec<f64>>, DemandError> {
    let histories = |at: usize| validations[at].before;
    let ways = Ways::new(nodes, histories, |at: usize| &validations[at].points[..], settings)?;
    let alone = |_: usize, at: usize| &validations[at].points[..];
    let [products_alone, groups_alone] = errors(nodes, kinds, validations, alone);
    let mut best: Option<[f64; 2]> = None;
    let mut bound = products_alone;
    for percent in PERCENTS {
        let mixed = ways.mixed(percent)?;
        let [products, groups] = errors(nodes, kinds, validations, |node: usize, _: usize| &mixed[node][..]);
        // Shared out comes first and is always allowed.
        bound = if best.is_none() { products.max(bound) } else { bound };
        if best.is_none_or(|[_, least]| products <= bound && groups < least) {
            (best, reconciliation.percent) = (Some([products, groups]), percent);
        }
    }
    let [products, groups] = best.unwrap_or([products_alone, groups_alone]);
    reconciliation.of_products = [products_alone, products];
    reconciliation.of_groups = [groups_alone, groups];
    ways.mixed(reconciliation.percent)
}

/// The mean scaled errors of products that have methods of their own, and of groups.
fn errors<'a>(
    nodes: &Nodes,
    kinds: &[Kind],
    validations: &[Validation],
    points: impl Fn(usize, usize) -> &'a [f64],
) -> [f64; 2] {
    let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
    for (node, at) in nodes.series.iter().enumerate() {
        let Some(at) = *at else { continue };
        let is_group = !nodes.market.keys[node].subject.is_product();
        if !is_group && kinds[at] != Kind::Product {
            continue;
        }
        if let Some(error) = validations[at].scaled_error(points(node, at)) {
            sums[usize::from(is_group)] += error;
            counts[usize::from(is_group)] += 1.0;
        }
    }
    [0, 1].map(|at| sums[at] / f64::max(counts[at], 1.0))
}
