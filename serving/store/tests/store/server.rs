//! A PostgreSQL server for the tests of this process: an existing one by URL, or one of our own; it holds no test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use sqlx::{AnyConnection, Connection, Executor};

/// An existing server's URL, with a user that may create databases; its path is replaced.
const SERVER_VARIABLE: &str = "DHOW_TEST_POSTGRES_URL";

/// Starts a server, says `ready`, waits until its standard input ends with the test process, stops the server and
/// removes the folder: whatever ends the tests, nothing stays behind.
const KEEPER: &str = include_str!("postgres_server.sh");

struct Server {
    url: Box<dyn Fn(&str) -> String + Send + Sync>,
    // The keeper ends when this end of its pipe closes, at the latest with the process.
    _keeper: Option<(Child, ChildStdin)>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The URL of a new, empty database called `name`.
pub async fn new_database(name: &str) -> String {
    let server = SERVER.get_or_init(|| match std::env::var(SERVER_VARIABLE) {
        Ok(url) => existing(&url),
        Err(_) => start(),
    });
    sqlx::any::install_default_drivers();
    let mut admin = AnyConnection::connect(&(server.url)("postgres")).await.expect("the test server answers");
    for statement in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        admin.execute(sqlx::AssertSqlSafe(statement)).await.expect("a test database is made");
    }
    admin.close().await.expect("the connection closes");
    (server.url)(name)
}

fn existing(url: &str) -> Server {
    let (address, options) = url.split_once('?').unwrap_or((url, ""));
    let scheme_end = address.find("://").map_or(0, |at| at + 3);
    let host_end = address[scheme_end..].find('/').map_or(address.len(), |at| scheme_end + at);
    let (host, options) = (address[..host_end].to_owned(), options.to_owned());
    Server { url: Box::new(move |name| format!("{host}/{name}?{options}")), _keeper: None }
}

fn start() -> Server {
    let folder = tempfile::Builder::new().prefix("dhow-postgres-").tempdir().expect("a temporary folder").keep();
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(&folder)
        // A group of its own: what interrupts the tests does not interrupt their clearing away.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    let (stdin, stdout) = (keeper.stdin.take(), keeper.stdout.take());
    let mut line = String::new();
    BufReader::new(stdout.expect("the keeper speaks")).read_line(&mut line).expect("the keeper can be heard");
    assert_eq!(line.trim(), "ready", "PostgreSQL did not start; set {SERVER_VARIABLE} to use a server that runs");
    let socket = folder.display().to_string();
    Server {
        url: Box::new(move |name| format!("postgres://postgres@localhost/{name}?host={socket}")),
        _keeper: stdin.map(|stdin| (keeper, stdin)),
    }
}
