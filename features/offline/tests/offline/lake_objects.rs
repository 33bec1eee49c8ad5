//! A lake in an object store is the lake of a folder, and of two writers the store lets one win.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use dhow_events::*;
use dhow_offline::*;
use dhow_streams::{Offsets, Sink};

use crate::world::*;

/// An S3-compatible server on a port of its own, which ends with this value.
struct S3Server {
    process: Child,
    endpoint: String,
}

impl S3Server {
    /// Starts the server of `moto` with the bucket `shop`.
    fn start() -> Self {
        let tools = std::env::var_os("DHOW_TOOLS").map(PathBuf::from);
        let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let tools = tools.or_else(|| cache().or_else(home).map(|cache| cache.join("dhow-tools"))).unwrap_or_default();
        let installed = tools.join("moto/bin/moto_server");
        let program = if installed.is_file() { installed } else { PathBuf::from("moto_server") };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; .ci/install installs moto_server", program.display()));
        let server = Self { process, endpoint: format!("http://127.0.0.1:{port}") };
        server.create_bucket(port);
        server
    }

    fn create_bucket(&self, port: u16) {
        for _ in 0..600 {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                let request = format!(
                    "PUT /shop HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let mut answer = String::new();
                stream.write_all(request.as_bytes()).unwrap();
                stream.read_to_string(&mut answer).unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the S3 server does not listen after a minute");
    }

    fn storage(&self, url: &str) -> Arc<dyn LakeStorage> {
        lake_storage(url, &settings(&self.endpoint)).unwrap()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn settings(endpoint: &str) -> S3Settings {
    let text = |text: &str| Some(text.to_owned());
    S3Settings {
        endpoint: text(endpoint),
        region: text("us-east-1"),
        access_key_id: text("id"),
        secret_access_key: text("secret"),
    }
}

fn open(storage: &Arc<dyn LakeStorage>) -> LakeWriter {
    LakeWriter::open(storage.clone(), Arc::new(SystemClock)).unwrap()
}

/// What every place of a lake promises: the rows of a folder's lake, whatever is merged, and one writer.
fn keeps_its_promises(storage: &Arc<dyn LakeStorage>) {
    let records = sales(60, 0);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &records);
    let expected = rows(&Lake::open(stored(folder.path())).unwrap(), "item_ordered");

    assert_eq!(Lake::open(storage.clone()).unwrap().row_count_total(), 0);
    let mut first = open(storage);
    stream(&mut first, &records[..20], 5).unwrap();
    for record in &records[20..25] {
        first.apply(record).unwrap();
    }
    // A second writer opens the lake while the first has rows that no checkpoint has yet.
    let mut second = open(storage);
    assert_eq!(second.restored_offsets(), Offsets(vec![20]));
    let lost = first.checkpoint(&Offsets(vec![25])).unwrap_err().to_string();
    assert!(lost.contains(storage.location()) && lost.contains("another writer"), "{lost}");
    drop(first);

    stream(&mut second, &records[20..], 5).unwrap();
    let before = Lake::open(storage.clone()).unwrap();
    assert_eq!(rows(&before, "item_ordered"), expected);
    let merged = second.compact().unwrap();
    assert!(merged.files_merged >= 2, "{merged:?}");
    let after = Lake::open(storage.clone()).unwrap();
    assert_eq!(after.files(&TenantId::default(), FactKind::ItemOrdered).count(), 1);
    assert_eq!(rows(&after, "item_ordered"), expected);
    assert_eq!(rows(&before, "item_ordered"), expected);
    drop(second);

    // The next writer keeps what readers may still read.
    let mut third = open(storage);
    assert_eq!(third.restored_offsets(), Offsets(vec![60]));
    assert_eq!(rows(&before, "item_ordered"), expected);
    let again = &records[50];
    third.apply(&dhow_streams::Record { offset: 60, ..again.clone() }).unwrap();
    third.checkpoint(&Offsets(vec![61])).unwrap();
    let last = Lake::open(storage.clone()).unwrap();
    assert_eq!((last.row_count_total(), last.duplicate_count()), (60, 1));
    // Of two writers that have read the same manifest, the later one is told.
    let (content, tag) = storage.read_manifest().unwrap().unwrap();
    assert_ne!(storage.replace_manifest(&[&content[..], b" "].concat(), Some(&tag)).unwrap(), tag);
    for expected in [Some(&tag), None] {
        let later = storage.replace_manifest(&[&content[..], b"  "].concat(), expected);
        assert!(matches!(later, Err(OfflineError::OtherWriter { .. })), "{later:?}");
    }
}

#[test]
fn of_many_writers_at_once_one_wins() {
    let storage: Arc<dyn LakeStorage> = Arc::new(ObjectStorage::memory().unwrap());
    drop(open(&storage));
    for round in 0..20 {
        let (content, tag) = storage.read_manifest().unwrap().unwrap();
        let barrier = Arc::new(Barrier::new(4));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (storage, barrier, tag) = (storage.clone(), barrier.clone(), tag.clone());
                // Spaces keep the manifest what it is and make every writer's another one.
                let content = [&content[..], &b" ".repeat(1 + round * 4 + writer)].concat();
                std::thread::spawn(move || {
                    barrier.wait();
                    storage.replace_manifest(&content, Some(&tag))
                })
            })
            .collect();
        let results: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let is_told = |error: &OfflineError| matches!(error, OfflineError::OtherWriter { .. });
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(is_told), "{results:?}");
    }
}

#[test]
fn a_lake_in_memory_keeps_every_promise_of_a_lake() {
    keeps_its_promises(&(Arc::new(ObjectStorage::memory().unwrap()) as Arc<dyn LakeStorage>));
}

#[test]
fn a_lake_on_an_s3_server_keeps_every_promise_of_a_lake() {
    let server = S3Server::start();
    let storage = server.storage("s3://shop/lakes/main");
    keeps_its_promises(&storage);
    // Another prefix is another lake.
    assert_eq!(Lake::open(server.storage("s3://shop/lakes/other")).unwrap().row_count_total(), 0);
    assert_eq!(Lake::open(server.storage("s3://shop/lakes/main/")).unwrap().row_count_total(), 60);
    // A query that was given up leaves the store usable for the next.
    let lake = Lake::open(storage.clone()).unwrap();
    let short = QueryBounds { time_max: Duration::from_millis(1), ..QueryBounds::default() };
    let session = SqlSession::open(&lake, &TenantId::default(), short).unwrap();
    let given_up = run(session.query("SELECT count(quantity) FROM item_ordered"));
    assert!(given_up.is_err());
    assert_eq!(rows(&lake, "item_ordered").num_rows(), 60);
    let missing = Lake::open(server.storage("s3://nowhere/lake"))
        .and_then(|_| LakeWriter::open(server.storage("s3://nowhere/lake"), Arc::new(SystemClock)).map(|_| ()));
    let said = missing.unwrap_err().to_string();
    assert!(said.contains("s3://nowhere/lake") && said.contains("NoSuchBucket"), "{said}");
}

#[test]
fn a_place_that_is_no_lake_or_is_not_there_is_an_error_that_names_it() {
    for url in ["ftp://host/lake", "s3://", "s3:///lake"] {
        let said = lake_storage(url, &S3Settings::default()).err().unwrap().to_string();
        assert!(said.contains(url), "{said}");
    }
    // A port where nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let storage = lake_storage("s3://shop/lake", &settings(&format!("http://127.0.0.1:{port}"))).unwrap();
    let said = Lake::open(storage).unwrap_err().to_string();
    assert!(said.contains("s3://shop/lake/manifest.dhow"), "{said}");
}
