//! A Redis of one test's own on a free loopback port, and a relay in front of it that breaks off; both end with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dhow_redis::RedisSettings;

pub struct Server {
    process: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts a Redis that keeps nothing on disk and waits until it answers.
    pub fn start(arguments: &[&str]) -> Self {
        // Another test may take the port between the moment when it is found free and the server's start.
        let own = (0..20).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            Some(Self::start_on(port, arguments)).filter(Self::is_own)
        });
        own.expect("a server on a port of its own")
    }

    /// Whether it is our process that answers.
    fn is_own(&self) -> bool {
        let about: String = redis::cmd("INFO").arg("server").query(&mut self.raw()).unwrap();
        about.lines().any(|line| line.trim() == format!("process_id:{}", self.process.id()))
    }

    pub fn start_on(port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(arguments)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program `redis-server` is needed for these tests; `.ci/install` installs it");
        let server = Self { process, port, _folder: folder };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("redis-server does not answer on port {port}");
    }

    pub fn settings(&self, partitions: u32) -> RedisSettings {
        settings(self.port, partitions)
    }

    /// A raw connection, to look at what is there.
    pub fn raw(&self) -> redis::Connection {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap().get_connection().unwrap()
    }
}

pub fn settings(port: u16, partitions: u32) -> RedisSettings {
    RedisSettings { address: format!("redis://127.0.0.1:{port}"), partitions, connections: 4 }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Passes the first `limit` bytes of a client on and then closes both sides, as if the client had been killed there.
pub fn breaking_relay(server: u16, limit: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut upstream = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let (mut answers, mut back) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back).ok());
        let (mut left, mut buffer) = (limit, [0; 4096]);
        while left > 0 {
            let most = left.min(buffer.len());
            match client.read(&mut buffer[..most]) {
                Ok(read) if read > 0 && upstream.write_all(&buffer[..read]).is_ok() => left -= read,
                _ => break,
            }
        }
        upstream.shutdown(std::net::Shutdown::Both).ok();
        client.shutdown(std::net::Shutdown::Both).ok();
    });
    port
}
