//! A Kafka broker and a Redis of one test's own, on free loopback ports; both end with the test.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dhow_redis::RedisSettings;

use crate::expected::REKEYED_PARTITIONS;

/// How often, and how long apart, a server is asked whether it is there.
const TRIES: usize = 400;
const PAUSE: Duration = Duration::from_millis(50);

/// A server process that ends when this is dropped.
pub struct Server {
    process: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(program: &Path, arguments: impl Fn(u16) -> Vec<String>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .args(arguments(port))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("the program `{}` is needed for these tests ({error}); `.ci/install` installs it", program.display())
        });
        let server = Self { process, port, _folder: folder };
        for _ in 0..TRIES {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("`{}` does not answer on port {port}", program.display());
    }

    /// `tansu`, which speaks Kafka's protocol and keeps its records in a file.
    pub fn kafka() -> Self {
        let arguments = |port| {
            let url = format!("tcp://127.0.0.1:{port}");
            let options = ["--listener-url", &url, "--advertised-listener-url", &url];
            let storage = ["--storage-engine", "sqlite://broker.db"];
            ["broker"].iter().chain(&options).chain(&storage).map(|text| (*text).to_owned()).collect()
        };
        Self::start(&tansu(), arguments)
    }

    pub fn redis() -> Self {
        let arguments = |port: u16| {
            let options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()];
            options.iter().map(|text| (*text).to_owned()).collect()
        };
        Self::start(Path::new("redis-server"), arguments)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

pub fn redis_settings(port: u16) -> RedisSettings {
    RedisSettings { address: format!("redis://127.0.0.1:{port}"), partitions: REKEYED_PARTITIONS, connections: 4 }
}

/// Among the tools that `.ci/install` put into its folder, otherwise wherever programs are looked for.
fn tansu() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let tools = std::env::var_os("DHOW_TOOLS").map(PathBuf::from).or(cache.map(|cache| cache.join("dhow-tools")));
    let installed = tools.map(|tools| tools.join("bin/tansu")).filter(|program| program.exists());
    installed.unwrap_or_else(|| OsString::from("tansu").into())
}
