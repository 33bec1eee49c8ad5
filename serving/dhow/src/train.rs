//! `dhow train`: trains the named tasks on a data folder and prints what was found.

use std::sync::Arc;

use dhow_customs::{HS_LEVELS, labelled_goods};
use dhow_definitions::FeatureSet;
use dhow_engine::Engine;
use dhow_events::{Clock, SystemClock, TenantId, Timestamp};
use dhow_offline::LakeStorage;
use dhow_registry::Registry;
use dhow_streams::{Log, Offsets, Replay};
use dhow_training::{
    Figure, FraudMethod, LabelledTexts, TaskReport, TrainingError, TrainingInput, train_codes, train_customers,
    train_delivery, train_demand, train_fraud, train_recommend,
};

use crate::arguments::{FraudMethodArgument, TrainArguments, TrainTask};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::model_keys::open_registry;
use crate::output::{json, progress, table, thousands};
use crate::platform::{lake, link_settings, online_settings, open_log, require_data_dir};
use crate::reproduce;

/// What every marketplace has data for, in the order in which it is trained.
const ALWAYS: [TrainTask; 3] = [TrainTask::Recommend, TrainTask::Forecast, TrainTask::Fraud];
/// What is left out, saying so, where a marketplace has too little data for it and it was not named.
const WHERE_POSSIBLE: [TrainTask; 2] = [TrainTask::Delivery, TrainTask::Customers];

/// Runs the command.
///
/// # Errors
/// No data folder, nothing to learn from, or a failing trainer.
pub async fn run(arguments: &TrainArguments, configuration: &Configuration) -> Result<(), Failure> {
    if let Some(model) = arguments.from_card {
        return reproduce::run(model, arguments, configuration).await;
    }
    if arguments.tasks.contains(&TrainTask::Codes) || !arguments.examples.is_empty() {
        return match arguments.tasks.as_slice() {
            [TrainTask::Codes] if !arguments.examples.is_empty() => learn_codes(arguments, configuration),
            _ => Err(Failure::Input("`codes` is learned alone, from --examples FILE".to_owned())),
        };
    }
    let parts = TrainingParts::open(configuration)?;
    let method = match arguments.fraud_method {
        FraudMethodArgument::Best => FraudMethod::Best,
        FraudMethodArgument::Logistic => FraudMethod::Logistic,
        FraudMethodArgument::BoostedTrees => FraudMethod::BoostedTrees,
    };
    let input = parts.input(configuration, arguments.until, arguments.seed)?;
    let input = TrainingInput { fraud_method: method, ..input };
    let reports = match &arguments.tasks[..] {
        [] => train_possible(&input).await?,
        tasks => train_tasks(&input, tasks).await?,
    };
    if arguments.json {
        return json(&reports);
    }
    print(&reports);
    Ok(())
}

/// Learns codes of goods from files.
fn learn_codes(arguments: &TrainArguments, configuration: &Configuration) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for file in &arguments.examples {
        let refused = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", file.display()));
        let table = std::fs::read_to_string(file).map_err(|error| refused(&error))?;
        let rows = labelled_goods(&table).map_err(|error| refused(&error))?;
        texts.extend(rows.into_iter().map(|(code, text)| (code.subheading().to_owned(), text)));
    }
    let parts = TrainingParts::open(configuration)?;
    let until = arguments.until.unwrap_or_else(|| SystemClock.now());
    let input = parts.input(configuration, Some(until), arguments.seed)?;
    let bar = progress("learn codes", 0);
    let report = train_codes(&input, &LabelledTexts { levels: HS_LEVELS.to_vec(), texts })?;
    bar.finish_and_clear();
    if arguments.json {
        return json(&[report]);
    }
    print(&[report]);
    Ok(())
}

/// The parts of a data folder that trainings and evaluations read.
pub struct TrainingParts {
    lake: Arc<dyn LakeStorage>,
    log: Arc<dyn Log>,
    registry: Registry,
    features: Arc<FeatureSet>,
}

impl TrainingParts {
    /// Opens them.
    ///
    /// # Errors
    /// No data folder, or a part of it that cannot be opened.
    pub fn open(configuration: &Configuration) -> Result<Self, Failure> {
        require_data_dir(configuration)?;
        let log = open_log(configuration, Arc::new(SystemClock))?;
        let registry = open_registry(configuration)?;
        Ok(Self { lake: lake(configuration)?, log, registry, features: Arc::new(configuration.feature_set()?) })
    }

    /// The models.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is read of them: everything before `until`, or all there is.
    ///
    /// # Errors
    /// The log is empty, or cannot be read.
    pub fn input(
        &self,
        configuration: &Configuration,
        until: Option<Timestamp>,
        seed: u64,
    ) -> Result<TrainingInput<'_>, Failure> {
        let until = match until {
            Some(until) => until,
            None => newest(&*self.log)? + 1,
        };
        Ok(TrainingInput {
            tenant: configuration.tenant,
            lake: &self.lake,
            log: &*self.log,
            features: self.features.clone(),
            online: online_settings(),
            links: link_settings(),
            registry: &self.registry,
            until,
            fraud_method: FraudMethod::Best,
            seed,
            code_version: env!("CARGO_PKG_VERSION"),
        })
    }
}

/// Trains all tasks on a running platform.
///
/// # Errors
/// A failing trainer.
pub async fn train_all(
    engine: &Engine,
    tenant: TenantId,
    until: Timestamp,
    seed: u64,
) -> Result<Vec<TaskReport>, Failure> {
    let features: Arc<FeatureSet> = engine.features().clone();
    let input = TrainingInput {
        tenant,
        lake: engine.lake(),
        log: engine.log(),
        features,
        online: *engine.online_settings(),
        links: engine.link_settings(),
        registry: engine.registry(),
        until,
        fraud_method: FraudMethod::Best,
        seed,
        code_version: env!("CARGO_PKG_VERSION"),
    };
    train_possible(&input).await
}

async fn train_possible(input: &TrainingInput<'_>) -> Result<Vec<TaskReport>, Failure> {
    let mut reports = train_tasks(input, &ALWAYS).await?;
    for task in WHERE_POSSIBLE {
        match train_task(input, task).await {
            Ok(report) => reports.push(report),
            Err(TrainingError::Data { task, reason }) => tracing::warn!(task, reason, "not trained"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reports)
}

async fn train_tasks(input: &TrainingInput<'_>, tasks: &[TrainTask]) -> Result<Vec<TaskReport>, Failure> {
    let bar = progress("train", tasks.len() as u64);
    let mut reports = Vec::with_capacity(tasks.len());
    for task in tasks {
        reports.push(train_task(input, *task).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(reports)
}

/// Trains one task.
///
/// # Errors
/// A failing trainer.
pub async fn train_task(input: &TrainingInput<'_>, task: TrainTask) -> Result<TaskReport, TrainingError> {
    let begin = SystemClock.now();
    let report = match task {
        TrainTask::Recommend => train_recommend(input).await?,
        TrainTask::Fraud => train_fraud(input).await?,
        TrainTask::Forecast => train_demand(input).await?,
        TrainTask::Delivery => train_delivery(input).await?,
        TrainTask::Customers => train_customers(input).await?,
        TrainTask::Codes => {
            let reason = "it is learned from files, by --examples".to_owned();
            return Err(TrainingError::Data { task: "codes", reason });
        }
    };
    tracing::info!(task = report.task, seconds = SystemClock.now().micros_since(begin) as f64 / 1e6, "trained");
    Ok(report)
}

/// The newest known time in the log.
fn newest(log: &dyn Log) -> Result<Timestamp, Failure> {
    let mut newest = None;
    for record in Replay::new(log, &Offsets::start(log.partition_count()), &Offsets::ends(log)?)? {
        let known = record?.known_time;
        newest = newest.max(Some(known));
    }
    newest.ok_or_else(|| Failure::Input("the log is empty; fill it with `dhow ingest` or `dhow demo`".to_owned()))
}

/// Prints the figures and verdicts of trainings.
pub fn print(reports: &[TaskReport]) {
    let figures: Vec<(&str, &[Figure])> =
        reports.iter().map(|report| (report.task.as_str(), report.figures.as_slice())).collect();
    print_figures(&figures);
    for report in reports {
        let verdict = if report.promoted { "promoted" } else { "not promoted" };
        println!(
            "{} {}: {verdict}, {} ({} rows)",
            report.task,
            report.model,
            report.verdict,
            thousands(report.training_rows)
        );
        report.notes.iter().for_each(|note| println!("  {note}"));
    }
}

/// Prints each task's figures, one line a measure.
pub fn print_figures(tasks: &[(&str, &[Figure])]) {
    let mut rows = Vec::new();
    for (task, figures) in tasks {
        for figure in *figures {
            let interval = figure.interval.map_or(String::new(), |(low, high)| format!("{low:.4} – {high:.4}"));
            let beside: Vec<String> =
                figure.baselines.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
            let value = format!("{:.4}", figure.value);
            rows.push(vec![(*task).to_owned(), figure.name.clone(), value, interval, beside.join(" · ")]);
        }
    }
    println!("{}", table(&["task", "measure", "model", "95 % interval", "trivial methods"], &rows, false));
}
