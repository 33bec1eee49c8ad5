//! Judges methods on files of series with held-out values: judge FILE … [--every N] [--period PERIOD] [--methods A,B];
//! it prints a line a method and period, and a line RESULT {json} a file. The files are written by `benches/peers/forecast.py lines`.

use dhow_univariate::accuracy::{pinball, pinball_scale, rmsse};
use dhow_univariate::judge::{Figures, Score, Tally};
use dhow_univariate::{Calibration, METHODS, Method, Series, method_named};
use std::collections::BTreeMap;

type Failure = Box<dyn std::error::Error>;

struct Case {
    group: String,
    seasons: Vec<usize>,
    train: Vec<f64>,
    test: Vec<f64>,
}

fn main() -> Result<(), Failure> {
    let (mut files, mut every, mut period, mut methods) = (Vec::new(), 1, None, METHODS.to_vec());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--every" => every = value()?.parse()?,
            "--period" => period = Some(value()?),
            "--methods" => {
                let named = |name: &str| method_named(name).ok_or(format!("there is no method {name}"));
                methods = value()?.split(',').map(named).collect::<Result<_, _>>()?;
            }
            _ => files.push(argument),
        }
    }
    for file in files {
        let mut cases = read(&file, period.as_deref())?;
        cases = cases.into_iter().step_by(every).collect();
        judge(&file, &cases, &methods)?;
    }
    Ok(())
}

fn judge(file: &str, cases: &[Case], methods: &[&dyn Method]) -> Result<(), Failure> {
    let naive2 = method_named("naive2").ok_or("naive2 is missing")?;
    let (base, _, _) = run(naive2, cases)?;
    let all = "all".to_owned();
    let mut results = Vec::new();
    for method in methods {
        let (tallies, cpu_ms, fallbacks) = run(*method, cases)?;
        for (group, tally) in &tallies {
            let Some(Figures { series, smape, mase, owa, msis, coverage }) = tally.figures(&base[group]) else {
                continue;
            };
            let some = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
            let time = if *group == all { format!("{:.3} ms", cpu_ms / cases.len() as f64) } else { String::new() };
            let rare = rare(cases, *method)?;
            if *group == all {
                let number = |value: Option<f64>| value.map_or("null".to_owned(), |value| format!("{value:.4}"));
                results.push(format!(
                    "\"{}\": {{\"smape\": {smape:.3}, \"mase\": {}, \"owa\": {}, \"cpu_ms\": {:.4}, \"fallbacks\": {fallbacks}, {rare}}}",
                    method.name(),
                    number(mase),
                    number(owa),
                    cpu_ms / cases.len() as f64,
                ));
            }
            println!(
                "{file} {group:10} {series:5} {:28} smape {smape:7.3} mase {} owa {} msis {} cover {coverage:.3?} {rare} {time} {fallbacks}",
                method.name(),
                some(mase),
                some(owa),
                some(msis),
            );
        }
    }
    println!("RESULT {{\"series\": {}, \"methods\": {{{}}}}}", cases.len(), results.join(", "));
    Ok(())
}

/// Figures by period, CPU milliseconds, and how many series fell to a simpler method.
fn run(method: &dyn Method, cases: &[Case]) -> Result<(BTreeMap<String, Tally>, f64, usize), Failure> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut fallbacks = 0;
    let begin = cpu_ms()?;
    let forecasts: Vec<_> = cases
        .iter()
        .map(|case| method.forecast(&Series::with_seasons(&case.train, &case.seasons)?, case.test.len()))
        .collect();
    let taken = cpu_ms()? - begin;
    let calibrations = calibrations(method, cases)?;
    for (case, forecast) in cases.iter().zip(forecasts) {
        let series = Series::with_seasons(&case.train, &case.seasons)?;
        let Ok(forecast) = forecast else {
            fallbacks += 1;
            continue;
        };
        let intervals = calibrations[&case.group].intervals(&series, &forecast);
        let score = Score::of(&series, &case.test, &forecast, &intervals)?;
        for group in [case.group.clone(), "all".to_owned()] {
            tallies.entry(group).or_default().add(&score, case.test.len());
        }
    }
    Ok((tallies, taken, fallbacks))
}

/// How wide the method's intervals must be, by period, as its errors on the histories say.
fn calibrations(method: &dyn Method, cases: &[Case]) -> Result<BTreeMap<String, Calibration>, Failure> {
    let mut series: BTreeMap<String, (usize, Vec<Series>)> = BTreeMap::new();
    for case in cases {
        let group = series.entry(case.group.clone()).or_default();
        group.0 = group.0.max(case.test.len());
        group.1.push(Series::with_seasons(&case.train, &case.seasons)?);
    }
    let learn = |(group, (horizon, series)): (String, (usize, Vec<Series>))| {
        Ok((group, Calibration::learn(method, &series, horizon)?))
    };
    series.into_iter().map(learn).collect()
}

/// Mean RMSSE and scaled pinball loss at 0.1, 0.5 and 0.9, as rare demand is judged by.
fn rare(cases: &[Case], method: &dyn Method) -> Result<String, Failure> {
    let (mut squared, mut scaled, mut count) = (0.0, 0.0, 0.0);
    for case in cases {
        let forecast = method.forecast(&Series::with_seasons(&case.train, &case.seasons)?, case.test.len())?;
        let (Ok(one), Ok(scale)) = (rmsse(&case.train, &case.test, &forecast.values), pinball_scale(&case.train))
        else {
            continue;
        };
        let mut loss = 0.0;
        for (level, z) in [(0.1, -1.281_551_57), (0.5, 0.0), (0.9, 1.281_551_57)] {
            let quantile: Vec<f64> = forecast.at(z).into_iter().map(|value| value.max(0.0)).collect();
            loss += pinball(&case.test, &quantile, level)? / 3.0;
        }
        squared += one;
        scaled += loss / scale;
        count += 1.0;
    }
    Ok(format!("\"rmsse\": {:.4}, \"scaled_pinball\": {:.4}", squared / count, scaled / count))
}

/// CPU time of this thread.
fn cpu_ms() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no time")?.parse::<f64>()? / 1e6)
}

/// One series a line: name, period, seasons, history and test, fields apart by tabs and values by blanks.
fn read(file: &str, period: Option<&str>) -> Result<Vec<Case>, Failure> {
    let text = std::fs::read_to_string(file)?;
    let case = |line: &str| -> Result<Case, Failure> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, group, seasons, train, test] = fields[..] else {
            return Err(format!("{file}: a line has {} fields instead of 5", fields.len()).into());
        };
        let numbers = |field: &str| field.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>();
        let seasons = seasons.split(',').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Case { group: group.to_owned(), seasons, train: numbers(train)?, test: numbers(test)? })
    };
    let cases: Vec<Case> = text.lines().map(case).collect::<Result<_, _>>()?;
    Ok(cases.into_iter().filter(|case| period.is_none_or(|period| period == case.group)).collect())
}
