//! What can be typed: subcommands, flags and their help; what they mean together is the configuration's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dhow_datasets::Scale;
use dhow_events::{Region, TenantId, Timestamp};
use dhow_offline::TableFormat;

use crate::collect::CollectArguments;
use crate::secret_keys::SecretsArguments;

/// The data and ML platform of a marketplace: events in, decisions out.
#[derive(Parser)]
#[command(name = "dhow", version, about, after_help = "Example:\n  dhow demo --scale small")]
pub struct Arguments {
    /// The configuration file; `dhow.toml` in this folder is read where it exists.
    #[arg(long, global = true, env = "DHOW_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder of the log, the lake, the models and the embedded database.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The database: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Whose data.
    #[arg(long, global = true, value_name = "TENANT")]
    pub tenant: Option<TenantId>,
    /// Logs as JSON lines.
    #[arg(long, global = true)]
    pub log_json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// Shows the whole platform on a simulated marketplace, then keeps serving.
    #[command(after_help = "Example:\n  dhow demo --scale small --exit --json > report.json")]
    Demo(DemoArguments),
    /// Serves the HTTP API and the console on a data folder.
    #[command(after_help = "Example:\n  dhow serve --data-dir shop --bind 127.0.0.1:8080")]
    Serve(ServeArguments),
    /// Writes a simulated marketplace's events, and the truth behind them.
    #[command(after_help = "Example:\n  dhow simulate --scale small --seed 7 --out events.ndjson --truth truth.json")]
    Simulate(SimulateArguments),
    /// Puts events into the log: CloudEvents as NDJSON, or a public data set.
    #[command(
        after_help = "Examples:\n  dhow ingest events.ndjson\n  dhow ingest --dataset online-retail online_retail.parquet"
    )]
    Ingest(IngestArguments),
    /// Applies the log to the online features and the lake.
    #[command(after_help = "Examples:\n  dhow stream --until-caught-up\n  dhow stream --group features")]
    Stream(StreamArguments),
    /// Lists and shows feature definitions.
    #[command(after_help = "Example:\n  dhow features list")]
    Features(FeaturesArguments),
    /// Writes a point-in-time training set as Parquet or Arrow.
    #[command(
        after_help = "Example:\n  dhow backfill --spine checkout_submitted --out checkouts.parquet\n  dhow backfill --spine checkout_submitted --out checkouts.parquet --engine ballista://127.0.0.1:50050"
    )]
    Backfill(BackfillArguments),
    /// Answers a SELECT over the lake's tables, one for each kind of fact.
    #[command(after_help = "Example:\n  dhow sql \"SELECT region, count(*) FROM item_ordered GROUP BY region\"")]
    Sql(SqlArguments),
    /// Judges the models in force on what happened after everything that they learned from.
    #[command(
        after_help = "Examples:\n  dhow evaluate recommend fraud --data-dir shop\n  dhow evaluate recommend --protocol sessions --train train.txt --test test.txt\n  dhow evaluate forecast --data m3.parquet --method ets --method learned\n  dhow evaluate search --data catalog_match --embedder minilm_int8\n  dhow evaluate customers --data online_retail.parquet --cut 2011-09-09 --days 90"
    )]
    Evaluate(Box<EvaluateArguments>),
    /// Trains models on what the data folder holds, and promotes the good ones.
    #[command(
        after_help = "Examples:\n  dhow train fraud recommend\n  dhow train --from-card mdl_01890a5d-ac96-774b-bcce-b302099a8057"
    )]
    Train(TrainArguments),
    /// Lists, imports, signs, promotes and collects models.
    #[command(
        after_help = "Example:\n  dhow models import model.onnx --tokenizer tokenizer.json --task embedding --licence Apache-2.0"
    )]
    Models(ModelsArguments),
    /// Forecasts a product's demand with the champion, or the series of a file.
    #[command(
        after_help = "Examples:\n  dhow forecast prd_01890a5d-ac96-774b-bcce-b302099a8057 --horizon 28 --chart fan.svg\n  dhow forecast sales.csv --season 7 --horizon 28 --chart fan.svg"
    )]
    Forecast(ForecastArguments),
    /// Plans routes, checks solutions, and explains what is left out.
    #[command(after_help = "Example:\n  dhow route solve problem.json --map plan.svg")]
    Route(RouteArguments),
    /// Writes what goes with the server's metrics: a dashboard for Grafana, alert rules for Prometheus.
    #[command(after_help = "Example:\n  dhow operations export monitoring")]
    Operations(OperationsArguments),
    /// Makes and shows the keys that secrets are sealed with in the database.
    #[command(after_help = "Example:\n  dhow secrets keys new secrets.key")]
    Secrets(SecretsArguments),
    /// Prints the API's OpenAPI 3.1 document.
    Openapi,
}

/// Arguments of `demo`.
#[derive(Args)]
pub struct DemoArguments {
    /// small (about 300,000 events), medium (2 million) or large (10 million).
    #[arg(long, default_value = "small")]
    pub scale: Scale,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// The port to serve on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Visits of the A/B test on simulated shoppers.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub visits: u64,
    /// Stop after the report.
    #[arg(long)]
    pub exit: bool,
    /// The report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Stop when the history is in the log, the features and the lake.
    #[arg(long, hide = true)]
    pub only_stream: bool,
}

/// Arguments of `serve`.
#[derive(Args)]
pub struct ServeArguments {
    /// The address to serve on.
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<SocketAddr>,
    /// The address to serve the Open Inference Protocol over gRPC on; not served where neither this nor the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    pub grpc_bind: Option<SocketAddr>,
    /// A model to load at the start, by its name or as `<task>.<alias>`; may be given several times.
    #[arg(long, value_name = "MODEL")]
    pub load: Vec<String>,
}

/// Arguments of `simulate`.
#[derive(Args)]
pub struct SimulateArguments {
    /// small, medium or large.
    #[arg(long, default_value = "small")]
    pub scale: Scale,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Products that are ever listed, instead of the scale's number; a seller for every hundred at least.
    #[arg(long, value_name = "COUNT")]
    pub products: Option<u32>,
    /// Where to write the events; `-` is standard output. Without it they are only counted.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to write them.
    #[arg(long, default_value = "ndjson")]
    pub format: EventFormat,
    /// Where to write the truth, which no trainer may read.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Compare the shape with Online Retail in this Parquet file.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Print what an oracle and trivial methods reach on the truth.
    #[arg(long)]
    pub ceilings: bool,
    /// The summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How events are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// CloudEvents, one on each line.
    Ndjson,
    /// The log's compact records, each behind its length.
    Binary,
}

/// Arguments of `ingest`.
#[derive(Args)]
pub struct IngestArguments {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the file is, if not CloudEvents as NDJSON.
    #[arg(long)]
    pub dataset: Option<Dataset>,
    /// The file is a shop's history: its events become known when they happened, in the file's order, and not now. So
    /// the features of the past are those that the shop would have seen, and models can learn from them.
    #[arg(long)]
    pub history: bool,
    /// Where lines that cannot be used go; beside the data folder otherwise.
    #[arg(long, value_name = "FILE")]
    pub put_aside: Option<PathBuf>,
    /// The summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Public data sets that can be ingested.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dataset {
    /// UCI Online Retail, as Parquet.
    OnlineRetail,
}

/// Arguments of `stream`.
#[derive(Args)]
pub struct StreamArguments {
    /// Work as one of a fleet of this name: share the partitions of the Kafka topic, keep features in Redis.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Stop when everything in the log is applied.
    #[arg(long)]
    pub until_caught_up: bool,
    /// Merge the lake's small files before the command ends; while it runs, many small files of a table are merged anyway.
    #[arg(long)]
    pub compact: bool,
    /// The summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `features`.
#[derive(Args)]
pub struct FeaturesArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: FeaturesAction,
    /// As JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `features` can do.
#[derive(Subcommand)]
pub enum FeaturesAction {
    /// Every view with its features.
    List,
    /// One view: its source, entity, filter and windows.
    Show {
        /// The view's name.
        view: String,
    },
    /// Checks a definitions file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Computes point-in-time features of a table of your own.
    #[command(
        after_help = "Example:\n  dhow features compute --events payments.parquet --time paid_at --definitions features.toml --at-events --out features.parquet"
    )]
    Compute(ComputeArguments),
    /// Where a feature comes from and what reads it.
    Lineage {
        /// The feature's name.
        feature: String,
    },
    /// Computes the vectors of recorded fraud decisions again from the log and compares them bit for bit.
    #[command(after_help = "Example:\n  dhow features parity --last 1000 --data-dir shop")]
    Parity(ParityArguments),
    /// Compares each column of numbers with a reference, by PSI and Kolmogorov-Smirnov; exit status 1 where one has drifted.
    #[command(after_help = "Example:\n  dhow features drift --reference march.parquet --current april.parquet")]
    Drift(DriftArguments),
    /// Checks a Parquet file against expectations in TOML; exit status 1 where one is broken.
    #[command(after_help = "Example:\n  dhow features expect features.parquet --expectations expectations.toml")]
    Expect(ExpectArguments),
}

/// Arguments of `features drift`.
#[derive(Args)]
pub struct DriftArguments {
    /// The Parquet file to compare with.
    #[arg(long, value_name = "FILE")]
    pub reference: PathBuf,
    /// The Parquet file that may have drifted.
    #[arg(long, value_name = "FILE")]
    pub current: PathBuf,
    /// How often a quiet column may be called drifted by one of the two measures.
    #[arg(long, default_value_t = 0.002)]
    pub false_alarm_rate: f64,
}

/// Arguments of `features expect`.
#[derive(Args)]
pub struct ExpectArguments {
    /// The Parquet file.
    pub file: PathBuf,
    /// What its columns must be: `[columns.NAME]` with min, max, missing_share_max, distinct_min, distinct_max, age_hours_max.
    #[arg(long, value_name = "FILE")]
    pub expectations: PathBuf,
}

/// Arguments of `features parity`.
#[derive(Args)]
pub struct ParityArguments {
    /// How many of the latest decisions.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub last: u32,
}

/// Arguments of `features compute`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("points").required(true).args(["spine", "at_events"])))]
pub struct ComputeArguments {
    /// The events, as Parquet.
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// The column that says when an event happened; in the spine, the instant asked about.
    #[arg(long, value_name = "COLUMN")]
    pub time: String,
    /// The column that says when an event became known; at once where it is absent.
    #[arg(long, value_name = "COLUMN")]
    pub known_time: Option<String>,
    /// The column whose values tell events apart, so that duplicates count once; every row is one where it is absent.
    #[arg(long, value_name = "COLUMN")]
    pub id: Option<String>,
    /// The definitions, with a `[[table]]` that declares the events' columns.
    #[arg(long, value_name = "FILE")]
    pub definitions: PathBuf,
    /// Which declared table the events are, where there are several.
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// The rows that features are wanted for, as Parquet with the entities' columns and the time.
    #[arg(long, value_name = "FILE")]
    pub spine: Option<PathBuf>,
    /// Features for the events themselves, each before it counts.
    #[arg(long)]
    pub at_events: bool,
    /// The Parquet file to write: the rows with a column for each feature.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `backfill`.
#[derive(Args)]
pub struct BackfillArguments {
    /// The kind of fact whose times the rows have, for example `checkout_submitted`.
    #[arg(long, value_name = "FACT")]
    pub spine: String,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// parquet or arrow; by the file's ending where absent (`.arrow`, `.feather` and `.ipc` are Arrow).
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<TableFormat>,
    /// Rows before this time only.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// What computes it: `replay` of the log, or, from the lake as the stream worker last left it, `local` (in this process)
    /// or `ballista://HOST:PORT` (on the cluster of that scheduler). All give the same table.
    #[arg(long, value_name = "ENGINE", default_value = "replay")]
    pub engine: BackfillEngine,
    /// The summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What computes a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackfillEngine {
    /// The log, replayed through the online store.
    Replay,
    /// The lake, swept in this process.
    Local,
    /// The lake, swept by the cluster of the scheduler at this host and port.
    Ballista(String),
}

impl FromStr for BackfillEngine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let has_port = |address: &&str| {
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        match (text, text.strip_prefix("ballista://").filter(has_port)) {
            ("replay", _) => Ok(Self::Replay),
            ("local", _) => Ok(Self::Local),
            (_, Some(address)) => Ok(Self::Ballista(address.to_owned())),
            _ => Err("it is `replay`, `local` or `ballista://HOST:PORT`".to_owned()),
        }
    }
}

/// Arguments of `sql`.
#[derive(Args)]
pub struct SqlArguments {
    /// One SELECT.
    pub query: String,
    /// A Parquet file to ask as a table beside those of the lake, for example a feature table; may be repeated.
    #[arg(long, value_name = "NAME=FILE")]
    pub table: Vec<NamedTable>,
    /// Rows as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A file under the name that a query knows it by.
#[derive(Clone)]
pub struct NamedTable {
    /// The name.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

impl FromStr for NamedTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: file.into() })
            }
            _ => Err(format!("`{text}` is not NAME=FILE, for example checkouts=checkouts.parquet")),
        }
    }
}

/// Arguments of `train`.
#[derive(Args)]
pub struct TrainArguments {
    /// The tasks; all where none is named.
    pub tasks: Vec<TrainTask>,
    /// Learn from what was known before this time; the newest event's time otherwise.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// What the fraud model is.
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = FraudMethodArgument::Best)]
    pub fraud_method: FraudMethodArgument,
    /// Labelled texts for `codes`: CSV with the columns hscode, hts8 or code, and description, brief_description or text.
    #[arg(long, value_name = "FILE")]
    pub examples: Vec<PathBuf>,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Learn this model anew from what its card says, and tell whether it comes out the same, byte for byte; nothing is
    /// registered.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["until", "fraud_method", "seed"])]
    pub from_card: Option<dhow_events::ModelId>,
    /// The reports as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a fraud model is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FraudMethodArgument {
    /// The better of the others on validation; logistic regression where that holds fewer than 50 frauds.
    Best,
    /// Logistic regression.
    Logistic,
    /// Boosted trees.
    BoostedTrees,
}

/// Arguments of `evaluate`.
#[derive(Args)]
pub struct EvaluateArguments {
    /// The tasks; all where none is named.
    pub tasks: Vec<EvaluateTask>,
    /// Judge the method on files of public or own data instead of the model in force.
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<EvaluateProtocol>,
    /// Sessions to learn from: lines of session, item and time, or Parquet with lists of items. With --dataset the days
    /// to learn from: FROM..TO, the end not included.
    #[arg(long, value_name = "FILE|FROM..TO")]
    pub train: Option<PathBuf>,
    /// Sessions to predict, or Parquet with prefixes and next items. With --dataset the days to judge: FROM..TO.
    #[arg(long, value_name = "FILE|FROM..TO")]
    pub test: Option<PathBuf>,
    /// Sessions to choose settings on; the latest of the training sessions otherwise.
    #[arg(long, value_name = "FILE", requires = "protocol")]
    pub valid: Option<PathBuf>,
    /// A line for each person with the items in time order, for the protocol `interactions`; the transactions as Parquet
    /// for --dataset; for `forecast`, Parquet with a row for each series: period, train[] and test[], or values[];
    /// for `customers`, Online Retail as Parquet, a simulated marketplace where it is absent; for `search`, a folder with a folder of train.txt, valid.txt and test.txt for each catalogue.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Judge forecasting methods on rows of id, time and value, as Parquet or CSV; the last --horizon values are held out.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "protocol", "dataset", "table", "model"])]
    pub long: Option<PathBuf>,
    /// A forecasting method, such as ets, learned or mstl; may be given several times. A selection where none is given.
    #[arg(long, value_name = "NAME")]
    pub method: Vec<String>,
    /// Steps of a season of the series to forecast; may be given several times, the shortest first. By the period otherwise.
    #[arg(long, value_name = "STEPS")]
    pub season: Vec<usize>,
    /// Values held out of each series of --long, or of a file of values[]; 12 otherwise.
    #[arg(long, value_name = "STEPS")]
    pub horizon: Option<usize>,
    /// Forecast only every so many-th series of the file.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub every: std::num::NonZeroUsize,
    /// Judge fraud models by the protocol of a public data set.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["protocol", "model", "table"])]
    pub dataset: Option<FraudDataset>,
    /// Days until a label is known, with --dataset.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub delay_days: u32,
    /// Other feature definitions than those that are built in, with --dataset.
    #[arg(long, value_name = "FILE", requires = "dataset")]
    pub definitions: Option<PathBuf>,
    /// Judge fraud models on a table of numbers, as Parquet.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["protocol", "model"])]
    pub table: Option<PathBuf>,
    /// The table's column that is 1 for fraud and 0 otherwise.
    #[arg(long, value_name = "COLUMN", requires = "table")]
    pub label: Option<String>,
    /// The table's column of instants, or of seconds since its beginning.
    #[arg(long, value_name = "COLUMN", requires = "table")]
    pub time: Option<String>,
    /// The table's column of amounts in dollars, for what decisions cost.
    #[arg(long, value_name = "COLUMN", requires = "table")]
    pub amount: Option<String>,
    /// The last so large part of the table, by time, is judged.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub test_fraction: f64,
    /// For `search`: the folder with the text embedding, model_int8.onnx and tokenizer.json; words alone otherwise.
    #[arg(long, value_name = "FOLDER")]
    pub embedder: Option<PathBuf>,
    /// For `search`: choose settings anew on the queries of valid.txt, and judge those in place of the ones that serve.
    #[arg(long)]
    pub choose: bool,
    /// For `customers`: the first day that is forecast; nothing from that day on is learned from.
    #[arg(long, value_name = "DATE")]
    pub cut: Option<jiff::civil::Date>,
    /// For `customers`: how many days are forecast; 90 otherwise.
    #[arg(long, value_name = "DAYS")]
    pub days: Option<u16>,
    /// The items' attributes as a JSON object of lists.
    #[arg(long, value_name = "FILE", requires = "data")]
    pub attributes: Option<PathBuf>,
    /// Another model than the champion, `mdl_…`; its task must be named.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<dhow_events::ModelId>,
    /// Judge by what was known before this time; the newest event's time otherwise.
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// Resampling for intervals follows from this number.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// The evaluations as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A public data set of fraud.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FraudDataset {
    /// The Fraud Detection Handbook's simulated card transactions.
    Handbook,
}

/// What can be judged.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvaluateTask {
    /// The recommender.
    Recommend,
    /// The fraud model.
    Fraud,
    /// The demand forecasts.
    Forecast,
    /// The delivery times.
    Delivery,
    /// Product search, on --data with a folder of catalogues.
    Search,
    /// What customers spend and whether they come back, on --data with Online Retail's file or a simulated marketplace.
    Customers,
}

/// How a method is judged on files.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvaluateProtocol {
    /// The next item of each session, for `recommend`.
    Sessions,
    /// The last items of each person's history, for `recommend`.
    Interactions,
}

/// What can be trained.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrainTask {
    /// The recommender.
    Recommend,
    /// The fraud model.
    Fraud,
    /// The demand forecasts.
    Forecast,
    /// The delivery times.
    Delivery,
    /// What customers spend, whether they come back, and their groups.
    Customers,
    /// The codes of the Harmonized System that texts fall under, from --examples.
    Codes,
}

/// Arguments of `models`.
#[derive(Args)]
pub struct ModelsArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: ModelsAction,
    /// As JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `models` can do.
#[derive(Subcommand)]
pub enum ModelsAction {
    /// Every registered model with its aliases.
    List,
    /// Registers a model from an ONNX file, or trees in LightGBM's text, and gives it a role.
    Import {
        /// The file: `.onnx`, or `.txt` for trees.
        file: PathBuf,
        /// The tokenizer of a text model.
        #[arg(long, value_name = "FILE")]
        tokenizer: Option<PathBuf>,
        /// The task: embedding or custom.
        #[arg(long, default_value = "embedding")]
        task: String,
        /// Its licence.
        #[arg(long)]
        licence: String,
        /// Its name; the file's name otherwise.
        #[arg(long)]
        name: Option<String>,
        /// champion, challenger, shadow, or none.
        #[arg(long, default_value = "champion")]
        alias: String,
    },
    /// Makes and shows the keys that models are signed with.
    Keys {
        /// What to do.
        #[command(subcommand)]
        action: KeysAction,
    },
    /// Signs a registered model with the configured key.
    Sign {
        /// The model's id, `mdl_…`.
        model: dhow_events::ModelId,
    },
    /// Gives a model an alias.
    Promote {
        /// The model's id, `mdl_…`.
        model: dhow_events::ModelId,
        /// champion, challenger or shadow.
        #[arg(long, default_value = "champion")]
        alias: String,
        /// Why, for the ledger.
        #[arg(long)]
        why: String,
    },
    /// Removes models that nothing needs any more, and says what it kept and why.
    Collect(CollectArguments),
}

/// What `models keys` can do.
#[derive(Subcommand)]
pub enum KeysAction {
    /// Makes a signing key in a new file that its owner alone can read, and prints its public key, for `trusted_keys`.
    New {
        /// The file.
        file: PathBuf,
    },
    /// Prints the public key of a signing key.
    Show {
        /// The file.
        file: PathBuf,
    },
}

/// Arguments of `operations`.
#[derive(Args)]
pub struct OperationsArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: OperationsAction,
}

/// What `operations` can do.
#[derive(Subcommand)]
pub enum OperationsAction {
    /// Writes `grafana-dashboard.json` and `prometheus-alerts.yaml`.
    Export {
        /// The folder to write them to; it is made where there is none.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// What is forecast.
#[derive(Clone)]
pub enum ForecastSubject {
    /// A product's demand, by the champion.
    Product(dhow_events::ProductId),
    /// The series of a file.
    File(PathBuf),
}

impl FromStr for ForecastSubject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with("prd_") && !text.contains(['.', '/']) {
            true => text.parse().map(Self::Product).map_err(|error| format!("{error}")),
            false => Ok(Self::File(text.into())),
        }
    }
}

/// Arguments of `forecast`.
#[derive(Args)]
pub struct ForecastArguments {
    /// The product's id, `prd_…`, or a file of one's own series: rows of id, time and value, as Parquet or CSV.
    #[arg(value_name = "PRODUCT|FILE")]
    pub subject: ForecastSubject,
    /// One region of the product; all together otherwise.
    #[arg(long)]
    pub region: Option<Region>,
    /// How a file's series are forecast, such as learned, median, ets or mstl.
    #[arg(long, value_name = "NAME", default_value = "learned")]
    pub method: String,
    /// Steps of a season of a file's series; may be given several times, the shortest first. None otherwise.
    #[arg(long, value_name = "STEPS")]
    pub season: Vec<usize>,
    /// One series of a file; all otherwise, with the chart of the first.
    #[arg(long, value_name = "ID")]
    pub series: Option<String>,
    /// Days ahead, or steps of a file's series.
    #[arg(long, default_value_t = 28)]
    pub horizon: usize,
    /// Write a fan chart as SVG.
    #[arg(long, value_name = "FILE")]
    pub chart: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `route`.
#[derive(Args)]
pub struct RouteArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: RouteCommand,
}

/// What `route` does.
#[derive(Subcommand)]
pub enum RouteCommand {
    /// Plans routes.
    #[command(
        after_help = "Example:\n  dhow route solve X-n101-k25.vrp --cpu-seconds 10 --out plan.sol --map plan.svg"
    )]
    Solve(RouteSolveArguments),
    /// Checks a solution: its cost, and every rule that it breaks.
    #[command(after_help = "Example:\n  dhow route check X-n101-k25.vrp plan.sol")]
    Check(RouteCheckArguments),
    /// Says for every stop left out what is missing and which change would get it served.
    #[command(after_help = "Example:\n  dhow route explain problem.json answer.json")]
    Explain(RouteExplainArguments),
}

/// How a routing problem is written down.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RouteFormat {
    /// What the file looks like.
    Auto,
    /// VROOM's JSON.
    Vroom,
    /// VRPLIB and CVRPLIB.
    Vrplib,
    /// Solomon's and Gehring and Homberger's tables.
    Solomon,
    /// Li and Lim's tables.
    LiLim,
}

/// How lengths in a plane become integers.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RouteRounding {
    /// Not rounded, counted in thousandths.
    None,
    /// The nearest integer.
    Nearest,
    /// The integer part.
    Trunc,
    /// One decimal, the rest cut off, counted in tenths.
    Trunc10,
}

/// The problem that a `route` command reads.
#[derive(Args)]
pub struct RouteProblemArguments {
    /// The problem; `-` is standard input.
    #[arg(value_name = "PROBLEM")]
    pub file: PathBuf,
    /// How it is written down.
    #[arg(long, default_value = "auto")]
    pub format: RouteFormat,
    /// How lengths become integers, if not by the family's own rule.
    #[arg(long)]
    pub round: Option<RouteRounding>,
    /// Fewer vehicles are better than any shorter distance (not for VROOM's JSON, which states its costs).
    #[arg(long)]
    pub vehicles_first: bool,
    /// The speed between coordinates that VROOM's JSON gives no matrix for, km/h.
    #[arg(long, default_value_t = 40.0)]
    pub speed_kmh: f64,
}

/// Arguments of `route solve`.
#[derive(Args)]
pub struct RouteSolveArguments {
    /// What to plan.
    #[command(flatten)]
    pub problem: RouteProblemArguments,
    /// Stop after so many seconds with the best plan found; 10 where no limit is given.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Stop after so many seconds of each thread's processor time.
    #[arg(long)]
    pub cpu_seconds: Option<f64>,
    /// Stop after so many iterations.
    #[arg(long)]
    pub iterations: Option<u64>,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Plan on so many threads, at most 256: on parts of one plan where each gets 250 stops and their coordinates are known, else
    /// each with its own seed, and take the best plan.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Write the plan: CVRPLIB's solution file, or VROOM's answer for VROOM's JSON.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the plan as an SVG map.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Write the plan as GeoJSON.
    #[arg(long, value_name = "FILE")]
    pub geojson: Option<PathBuf>,
    /// A solution to compare with.
    #[arg(long, value_name = "FILE")]
    pub previous: Option<PathBuf>,
    /// JSON instead of a table: VROOM's answer, or a file's figures.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `route check`.
#[derive(Args)]
pub struct RouteCheckArguments {
    /// What is to be served.
    #[command(flatten)]
    pub problem: RouteProblemArguments,
    /// CVRPLIB's solution file, or VROOM's answer for VROOM's JSON.
    #[arg(value_name = "SOLUTION")]
    pub solution: PathBuf,
    /// JSON instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `route explain`.
#[derive(Args)]
pub struct RouteExplainArguments {
    /// What is to be served.
    #[command(flatten)]
    pub problem: RouteProblemArguments,
    /// The solution to explain; without it a plan is made first.
    #[arg(value_name = "SOLUTION")]
    pub solution: Option<PathBuf>,
    /// Seconds of planning without a solution; 5 where nothing is given.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Everything random follows from this number.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// JSON instead of lines.
    #[arg(long)]
    pub json: bool,
}
