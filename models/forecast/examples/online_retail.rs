//! Judges forecasts of Online Retail's demand by WRMSSE over total, countries, products and pairs; peers forecast elsewhere.
//!
//! `online_retail export FOLDER BACK` writes what peers need, `online_retail judge FOLDER BACK` forecasts 28 days from BACK days
//! before the end and scores Dhow's ways and every file of a peer, `FOLDER/peer-NAME-BACK`. FOLDER holds `sales.csv`: product,
//! country, day, quantity, revenue.

use dhow_forecast::{
    FEATURES, GlobalModel, GlobalSettings, Method, Panel, PanelSeries, Series, accuracy::rmsse, forecast_rows,
    training_rows,
};
use dhow_hierarchy::{Dimension, Grouping, Hierarchy, Reconciler, Weights};
use dhow_univariate::Ets;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Days that are forecast.
const HORIZON: usize = 28;
/// A pair is in when it was sold in so many last days of the history.
const ACTIVE_DAYS: usize = 180;
/// Days of the revenue that weights are shares of.
const REVENUE_DAYS: usize = 28;
const WEEK: usize = 7;
/// Added to a node's expected demand over the horizon, so that none is without variance.
const LEAST_EXPECTED: f64 = 0.01;
/// Variance of total and countries relative to that of as much demand below.
const TOP_VARIANCE: f64 = 0.1;
/// 2010-12-01, the first day of the data, in days since 1970-01-01.
const FIRST_DAY: i64 = 14_944;
const LEVELS: [&str; 4] = ["total", "country", "product", "pair"];

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One line of `sales.csv`.
struct Sale {
    product: String,
    country: String,
    day: usize,
    quantity: f64,
    revenue: f64,
}

/// What is known as of an origin, and what came.
struct Task {
    hierarchy: Hierarchy,
    /// Demand of every node and day, the judged days included.
    demand: Vec<Vec<f64>>,
    /// Price of every node and day of the history; NaN without a sale.
    price: Vec<Vec<f64>>,
    /// Revenue of every node in the last days of the history.
    revenue: Vec<f64>,
    /// Number of each node's level.
    level: Vec<usize>,
    /// Days of the history.
    days: usize,
}

fn read_sales(folder: &Path) -> Outcome<Vec<Sale>> {
    let text = fs::read_to_string(folder.join("sales.csv"))?;
    let line = |line: &str| -> Outcome<Sale> {
        let fields: Vec<&str> = line.split(';').collect();
        let [product, country, day, quantity, revenue] = fields[..] else {
            return Err(format!("odd line: {line}").into());
        };
        let (product, country) = (product.to_owned(), country.to_owned());
        Ok(Sale { product, country, day: day.parse()?, quantity: quantity.parse()?, revenue: revenue.parse()? })
    };
    text.lines().map(line).collect()
}

impl Task {
    fn new(sales: &[Sale], back: usize) -> Outcome<Task> {
        let days = sales.iter().map(|sale| sale.day + 1).max().unwrap_or(0).saturating_sub(back);
        let active = |sale: &&Sale| sale.day < days && sale.day + ACTIVE_DAYS >= days;
        let pairs: BTreeSet<[&str; 2]> =
            sales.iter().filter(active).map(|sale| [&sale.product[..], &sale.country[..]]).collect();
        let pairs: Vec<[&str; 2]> = pairs.into_iter().collect();
        let all = |place: usize, name: &str| -> Outcome<Dimension> {
            let links = pairs.iter().map(|pair| (pair[place], "all"));
            Ok(Dimension::new(name, vec![Grouping::new(name, links)?]))
        };
        let hierarchy = Hierarchy::new(&[all(0, "product")?, all(1, "country")?], &pairs)?;
        let place: BTreeMap<[&str; 2], usize> = pairs.iter().enumerate().map(|(at, pair)| (*pair, at)).collect();
        let mut quantity = vec![vec![0.0; pairs.len()]; days + HORIZON];
        let mut revenue = quantity.clone();
        for sale in sales.iter().filter(|sale| sale.day < days + HORIZON) {
            if let Some(at) = place.get(&[&sale.product[..], &sale.country[..]]) {
                quantity[sale.day][*at] += sale.quantity;
                revenue[sale.day][*at] += sale.revenue;
            }
        }
        let sums = |rows: &[Vec<f64>]| rows.iter().map(|row| hierarchy.sum(row)).collect::<Result<Vec<_>, _>>();
        let (demand, money) = (transposed(&sums(&quantity)?), transposed(&sums(&revenue[..days])?));
        let price =
            money.iter().zip(&demand).map(|(money, demand)| money.iter().zip(demand).map(|(m, d)| m / d).collect());
        let label = |node: usize| {
            hierarchy.labels(node).map(|labels| labels.iter().map(|label| label == "all").collect::<Vec<_>>())
        };
        let level = |node: usize| match label(node).as_deref() {
            Some([true, true]) => 0,
            Some([true, false]) => 1,
            Some([false, true]) => 2,
            _ => 3,
        };
        Ok(Task {
            price: price.collect(),
            revenue: money.iter().map(|money| money[days - REVENUE_DAYS..].iter().sum()).collect(),
            level: (0..hierarchy.nodes()).map(level).collect(),
            hierarchy,
            demand,
            days,
        })
    }

    /// The history from the first sale on.
    fn history(&self, node: usize) -> &[f64] {
        let history = &self.demand[node][..self.days];
        &history[history.iter().position(|value| *value > 0.0).unwrap_or(0)..]
    }

    /// WRMSSE of each level, and their mean.
    fn judge(&self, forecast: &[Vec<f64>]) -> [f64; 5] {
        let (mut sums, mut weights) = ([0.0; 4], [0.0; 4]);
        for (node, forecast) in forecast.iter().enumerate() {
            if let Ok(error) = rmsse(self.history(node), &self.demand[node][self.days..], forecast) {
                sums[self.level[node]] += error * self.revenue[node];
                weights[self.level[node]] += self.revenue[node];
            }
        }
        let of = |level: usize| sums[level] / weights[level];
        [of(0), of(1), of(2), of(3), (0..4).map(of).sum::<f64>() / 4.0]
    }

    fn panel(&self) -> Panel {
        let code = |place: usize| {
            let labels: BTreeSet<&str> =
                (0..self.hierarchy.nodes()).filter_map(|node| Some(&self.hierarchy.labels(node)?[place][..])).collect();
            let numbers: BTreeMap<String, u32> =
                labels.into_iter().zip(0..).map(|(label, number)| (label.to_owned(), number)).collect();
            numbers
        };
        let countries = code(1);
        let total: f64 = self.revenue.iter().sum::<f64>() / LEVELS.len() as f64;
        let peers: Vec<f64> =
            (0..LEVELS.len()).map(|level| self.level.iter().filter(|of| **of == level).count() as f64).collect();
        let one = |node: usize| PanelSeries {
            level: self.level[node] as u32,
            // The data has no categories.
            category: 0,
            region: self.hierarchy.labels(node).map_or(0, |labels| countries[&labels[1]]),
            // Half of a level's weight goes by revenue, half to all alike: what sells little must not be forecast too high.
            importance: self.revenue[node] / total + 1.0 / peers[self.level[node]],
            demand: self.demand[node][..self.days].to_vec(),
            price: self.price[node].iter().copied().chain(std::iter::repeat_n(f64::NAN, HORIZON)).collect(),
            promotion: Vec::new(),
        };
        let series = (0..self.hierarchy.nodes()).filter(|node| self.is_learned(*node)).map(one).collect();
        Panel { first_day: FIRST_DAY, days: self.days, series, events: Vec::new() }
    }

    /// Products and pairs are many enough to learn from; total and countries are too few.
    fn is_learned(&self, node: usize) -> bool {
        self.level[node] >= 2
    }

    /// The learned forecasts of products and pairs, beside those of `tops` for the other nodes.
    fn with_tops(&self, tops: &[Vec<f64>], learned: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut learned = learned.iter();
        let one = |(node, top): (usize, &Vec<f64>)| match self.is_learned(node) {
            true => learned.next().unwrap_or(top).clone(),
            false => top.clone(),
        };
        tops.iter().enumerate().map(one).collect()
    }

    /// Sums bottom rows' forecasts up.
    fn bottom_up(&self, bottom: &[Vec<f64>]) -> Outcome<Vec<Vec<f64>>> {
        let steps = transposed(bottom);
        Ok(transposed(&steps.iter().map(|step| self.hierarchy.sum(step)).collect::<Result<Vec<_>, _>>()?))
    }

    /// The nearest forecasts that add up, none negative. A node's variance goes by its forecast, as of counts; total and
    /// countries, whose few series have long and steady histories, are trusted ten times as far.
    fn reconciled(&self, base: &[Vec<f64>]) -> Outcome<Vec<Vec<f64>>> {
        let variance = |(node, forecast): (usize, &Vec<f64>)| {
            let expected: f64 = forecast.iter().map(|value| value.max(0.0)).sum();
            (expected + LEAST_EXPECTED) * if self.is_learned(node) { 1.0 } else { TOP_VARIANCE }
        };
        let variances: Vec<f64> = base.iter().enumerate().map(variance).collect();
        let reconciler = Reconciler::new(&self.hierarchy, &Weights::Variances(&variances))?;
        Ok(transposed(&reconciler.reconcile_steps(&transposed(base), true)?))
    }

    fn ets(&self, folder: &Path) -> Outcome<Vec<Vec<f64>>> {
        let file = folder.join(format!("ets-{}", self.days));
        if let Ok(found) = read(&file, HORIZON) {
            return Ok(found);
        }
        let one = |node: usize| {
            let history = self.history(node);
            let values = Series::new(history, WEEK).and_then(|series| Ets::default().forecast(&series, HORIZON));
            let mean = history.iter().sum::<f64>() / history.len() as f64;
            values.map_or_else(|_| vec![mean; HORIZON], |forecast| forecast.values)
        };
        let found: Vec<Vec<f64>> = (0..self.hierarchy.nodes()).into_par_iter().map(one).collect();
        write(&file, &found)?;
        Ok(found)
    }
}

fn transposed(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..rows.first().map_or(0, Vec::len)).map(|column| rows.iter().map(|row| row[column]).collect()).collect()
}

fn write(path: &Path, rows: &[Vec<f64>]) -> std::io::Result<()> {
    fs::write(path, rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

fn read(path: &Path, columns: usize) -> Outcome<Vec<Vec<f64>>> {
    let bytes = fs::read(path)?;
    let values: Result<Vec<f64>, _> =
        bytes.chunks_exact(8).map(|chunk| chunk.try_into().map(f64::from_le_bytes)).collect();
    Ok(values?.chunks(columns).map(<[f64]>::to_vec).collect())
}

fn judge(folder: &Path, back: usize) -> Outcome<()> {
    let task = Task::new(&read_sales(folder)?, back)?;
    let uppers = task.hierarchy.uppers();
    let show = |name: &str, forecast: &[Vec<f64>]| {
        let figures = task.judge(forecast);
        let levels = LEVELS.iter().zip(figures).map(|(level, value)| format!("\"{level}\":{value:.4}"));
        let levels: Vec<String> = levels.collect();
        println!("RESULT {{\"back\":{back},\"method\":\"{name}\",{},\"wrmsse\":{:.4}}}", levels.join(","), figures[4]);
    };
    let ets = task.ets(folder)?;
    show("ets bottom-up", &task.bottom_up(&ets[uppers..])?);
    show("ets", &ets);
    show("ets reconciled", &task.reconciled(&ets)?);
    let panel = task.panel();
    let learned = GlobalModel::fit(&panel, &settings())?.forecast(&panel)?;
    show("global bottom-up", &task.bottom_up(&learned[learned.len() - task.hierarchy.bottoms()..])?);
    let global = task.with_tops(&ets, &learned);
    show("global below ets", &global);
    show("global below ets, reconciled", &task.reconciled(&global)?);
    for (name, path) in peers(folder, back)? {
        let peer = read(&path, HORIZON)?;
        match peer.len() == task.hierarchy.nodes() {
            true => {
                show(&format!("{name} bottom-up"), &task.bottom_up(&peer[uppers..])?);
                show(&format!("{name} reconciled"), &task.reconciled(&peer)?);
            }
            false => show(&format!("{name} bottom-up"), &task.bottom_up(&peer)?),
        }
    }
    Ok(())
}

/// The settings and the weights of reconciliation were chosen on an origin whose days end before the judged ones begin.
fn settings() -> GlobalSettings {
    GlobalSettings::new(HORIZON)
}

fn peers(folder: &Path, back: usize) -> Outcome<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(peer) = name.strip_prefix("peer-").and_then(|name| name.strip_suffix(&format!("-{back}"))) {
            found.push((peer.to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Writes every node's history, and rows and features of the global model, so that peers see the same.
fn export(folder: &Path, back: usize) -> Outcome<()> {
    let task = Task::new(&read_sales(folder)?, back)?;
    let name = |kind: &str| folder.join(format!("{kind}-{back}"));
    let history: Vec<Vec<f64>> = task.demand.iter().map(|demand| demand[..task.days].to_vec()).collect();
    write(&name("history"), &history)?;
    fs::write(name("shape"), format!("{} {} {}", task.hierarchy.nodes(), task.hierarchy.uppers(), task.days))?;
    let learned: Vec<u8> = (0..task.hierarchy.nodes()).map(|node| u8::from(task.is_learned(node))).collect();
    fs::write(name("learned"), learned)?;
    let panel = task.panel();
    for rows in training_rows(&panel, &settings())? {
        let mut columns = rows.columns;
        columns.push(rows.ratios);
        columns.push(rows.weights);
        write(&name(&format!("rows{}", rows.days_ahead.1)), &transposed(&columns))?;
    }
    let missing = [f64::NAN; FEATURES.len()];
    let row = |row: dhow_forecast::ForecastRow| {
        let features = row.features.as_deref().unwrap_or(&missing);
        features
            .iter()
            .copied()
            .chain([row.expected, f64::from(u8::from(row.features.is_some()))])
            .collect::<Vec<f64>>()
    };
    let rows: Vec<Vec<f64>> = forecast_rows(&panel, HORIZON)?.into_iter().flatten().map(row).collect();
    write(&name("asked"), &rows)?;
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["export", folder, back] => export(Path::new(folder), back.parse()?),
        ["judge", folder, back] => judge(Path::new(folder), back.parse()?),
        _ => Err("usage: online_retail export|judge FOLDER BACK".into()),
    }
}
