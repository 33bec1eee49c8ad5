//! A scheduler and two executors, each a process of its own, write the table that a replay of the log writes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_definitions::{FeatureSet, MARKETPLACE, VectorPlan};
use dhow_events::{DAY_MICROS, Event, FactKind, SystemClock, TenantId, Timestamp};
use dhow_offline::backfill::BackfillRequest;
use dhow_offline::{FolderStorage, LakeWriter, TableFormat, training_set};
use dhow_online::OnlineSettings;
use dhow_streams::{LocalLog, LocalLogSettings, Log, Offsets, Replay, Sink};

const SETTINGS: OnlineSettings =
    OnlineSettings { allowed_lateness_micros: 3 * DAY_MICROS, duplicate_horizon_micros: 3 * DAY_MICROS };

/// A process that ends with its owner.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str], work: &Path) -> Self {
        let errors = fs::File::create(work).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dhow-cluster"));
        Self(command.args(arguments).stdout(Stdio::piped()).stdin(Stdio::null()).stderr(errors).spawn().unwrap())
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

struct Executor {
    process: Process,
    work: PathBuf,
}

impl Executor {
    fn start(scheduler: &str, lake: &Path, folder: &Path, name: &str) -> Self {
        let work = folder.join(name);
        let [data, task] = [free_port(), free_port()];
        let arguments =
            ["executor", "--scheduler", scheduler, "--data-port", &data, "--task-port", &task, "--work-dir"];
        let (work_dir, lake) = (work.display().to_string(), lake.display().to_string());
        let arguments: Vec<&str> = arguments.into_iter().chain([&work_dir, "--lake", &lake]).collect();
        let mut process = Process::start(&arguments, &folder.join(format!("{name}.log")));
        // It listens there as soon as the scheduler knows it.
        while TcpStream::connect(format!("127.0.0.1:{data}")).is_err() {
            let ended = process.0.try_wait().unwrap();
            assert!(ended.is_none(), "{}", fs::read_to_string(folder.join(format!("{name}.log"))).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, work }
    }

    /// Files with shuffled rows or answers that it wrote.
    fn file_count(&self) -> usize {
        let mut folders = vec![self.work.clone()];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            // A folder can be gone again.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path().is_dir() {
                    true => folders.push(entry.path()),
                    false => count += 1,
                }
            }
        }
        count
    }
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// A scheduler with two executors.
struct Cluster {
    executors: [Executor; 2],
    address: String,
    _scheduler: Process,
}

impl Cluster {
    fn start(folder: &Path, lake: &Path) -> Self {
        let mut scheduler = Process::start(
            &["scheduler", "--bind", "127.0.0.1:0", "--lake", &lake.display().to_string()],
            &folder.join("scheduler.log"),
        );
        let mut address = String::new();
        BufReader::new(scheduler.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let executors = ["first", "second"].map(|name| Executor::start(&address, lake, folder, name));
        Self { executors, address, _scheduler: scheduler }
    }
}

/// A lake and what a replay of its log wrote.
struct Shop {
    folder: tempfile::TempDir,
    replayed: Vec<u8>,
    row_count: usize,
}

impl Shop {
    fn new(days: u32, buyers: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log =
            LocalLog::open(&folder.path().join("log"), LocalLogSettings::default(), Arc::new(SystemClock)).unwrap();
        let settings = SimulationSettings {
            days,
            buyers,
            products: 100,
            sellers: 5,
            late_share: 0.05,
            duplicate_share: 0.01,
            ..SimulationSettings::at_scale(Scale::Small, 5)
        };
        let arrivals: Vec<(Event, Timestamp)> =
            Simulation::new(&settings).unwrap().map(|arrival| (arrival.event, arrival.arrives_at)).collect();
        arrivals.chunks(5000).for_each(|batch| drop(log.append_known(batch).unwrap()));
        let mut lake =
            LakeWriter::open(Arc::new(FolderStorage::new(folder.path().join("lake"))), Arc::new(SystemClock)).unwrap();
        let (mut offsets, ends) = (Offsets::start(log.partition_count()), Offsets::ends(&log).unwrap());
        for (count, record) in (1..).zip(Replay::new(&log, &offsets.clone(), &ends).unwrap()) {
            let record = record.unwrap();
            lake.apply(&record).unwrap();
            offsets.advance(&record);
            // Checkpoints in between make several files of each table.
            if count % 20_000 == 0 || offsets == ends {
                lake.checkpoint(&offsets).unwrap();
            }
        }

        let features = Arc::new(FeatureSet::marketplace().unwrap());
        let plan = VectorPlan::new(&features, FactKind::CheckoutSubmitted).unwrap();
        let set = training_set(&log, features, SETTINGS, &plan, TenantId::default(), Timestamp::MAX).unwrap();
        let file = folder.path().join("replayed.parquet");
        set.write(&file, TableFormat::Parquet).unwrap();
        Self { replayed: fs::read(file).unwrap(), row_count: set.row_count(), folder }
    }

    fn submit(&self, scheduler: &str) -> Child {
        let request = BackfillRequest {
            tenant: TenantId::default(),
            definitions: MARKETPLACE.to_owned(),
            schema_hash: FeatureSet::marketplace().unwrap().schema_hash(),
            spine: FactKind::CheckoutSubmitted,
            until: None,
            allowed_lateness_micros: SETTINGS.allowed_lateness_micros,
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_dhow-cluster"))
            .args(["submit", "--partitions", "8", "--time-max-seconds", "120", "--scheduler", scheduler])
            .arg("--lake")
            .arg(self.lake())
            .arg("--out")
            .arg(self.out())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&serde_json::to_vec(&request).unwrap()).unwrap();
        child
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("backfilled.parquet")
    }

    fn check(&self, output: &Output, cluster: &Path) {
        let logs = || {
            let of = |name: &str| fs::read_to_string(cluster.join(format!("{name}.log"))).unwrap_or_default();
            ["scheduler", "first", "second"].map(of).join("\n")
        };
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), logs());
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["rows"], self.row_count);
        assert!(fs::read(self.out()).unwrap() == self.replayed, "the tables differ: {said}");
    }
}

#[test]
fn two_executors_write_the_table_of_a_replay_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::new(50, 4000);
    assert!(shop.row_count > 1000, "{} rows", shop.row_count);
    let cluster = Cluster::start(folder.path(), &shop.lake());
    for _ in 0..2 {
        let output = shop.submit(&cluster.address).wait_with_output().unwrap();
        shop.check(&output, folder.path());
        fs::remove_file(shop.out()).unwrap();
    }
    for executor in &cluster.executors {
        assert!(executor.file_count() > 0, "{} did nothing", executor.work.display());
    }
}

#[test]
fn a_backfill_whose_executor_is_killed_is_finished_by_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::new(74, 9000);
    let mut cluster = Cluster::start(folder.path(), &shop.lake());
    let mut client = shop.submit(&cluster.address);
    // As soon as it has written something, what it wrote is lost.
    while cluster.executors[1].file_count() == 0 {
        assert!(client.try_wait().unwrap().is_none(), "the client ended first");
        std::thread::sleep(Duration::from_millis(1));
    }
    cluster.executors[1].process.end();
    fs::remove_dir_all(&cluster.executors[1].work).unwrap();
    let output = client.wait_with_output().unwrap();
    shop.check(&output, folder.path());
}

#[test]
fn a_client_without_a_scheduler_says_where_it_looked_and_what_to_start() {
    let shop = Shop::new(2, 100);
    let address = format!("127.0.0.1:{}", free_port());
    let output = shop.submit(&address).wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&address) && said.contains("dhow-cluster scheduler"), "{said}");
    assert!(!shop.out().exists());
}
