//! A PostgreSQL server of a test's own; it holds no test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A server that ends with the test.
pub struct Postgres {
    keeper: Child,
    socket: tempfile::TempDir,
}

impl Postgres {
    /// Starts one.
    pub fn start() -> Self {
        let socket = tempfile::tempdir().unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", include_str!("../../../store/tests/store/postgres_server.sh"), "keeper"])
            .arg(socket.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "PostgreSQL did not start");
        Self { keeper, socket }
    }

    /// The URL of its empty database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.socket.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
    }
}
