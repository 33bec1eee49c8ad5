//! Public client libraries of other languages against a served world; it holds no test.

use std::path::{Path, PathBuf};
use std::process::Command;

use dhow_api::ApiSettings;

use crate::world::World;

/// The folder of the tools that `.ci/install` installs.
fn tools() -> PathBuf {
    let named = std::env::var_os("DHOW_TOOLS").map(PathBuf::from);
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    named.or_else(|| cache().or_else(home).map(|cache| cache.join("dhow-tools"))).unwrap_or_default()
}

fn installed(program: PathBuf) -> PathBuf {
    assert!(program.is_file(), "{} is missing; .ci/install installs it", program.display());
    program
}

/// The Python that has a tool's packages.
pub fn python_with(tool: &str) -> PathBuf {
    installed(tools().join(tool).join("bin/python"))
}

/// What runs a script of this folder: Node with the libraries that are locked beside it where it is written for Node, else the
/// Python that has a tool's packages.
pub fn program_for(tool: &str, script: &str) -> Command {
    let is_node = Path::new(script).extension().is_some_and(|extension| extension == "cjs");
    let mut command =
        Command::new(if is_node { installed(tools().join("nodejs/bin/node")) } else { python_with(tool) });
    command.env("NODE_PATH", tools().join("node_clients/node_modules"));
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/api").join(script));
    command
}

/// Serves the world while a script of this folder runs with a tool's packages; it gets the server's URL, with `path` behind it,
/// and the key, and must succeed.
pub async fn run_client(world: &World, tool: &str, script: &str, path: &str, key: &str) {
    run_client_at(world, ApiSettings::default(), (tool, script, path), &[key]).await;
}

/// The same under settings of one's own, with all that the script gets behind the URL; gives what it printed.
pub async fn run_client_at(
    world: &World,
    settings: ApiSettings,
    (tool, script, path): (&str, &str, &str),
    arguments: &[&str],
) -> String {
    run_beside(world, settings, |server| {
        let mut command = program_for(tool, script);
        command.arg(format!("{server}{path}")).args(arguments);
        command
    })
    .await
}

/// Serves the world while the command runs that is made for the server's URL, and must succeed; gives what it printed.
pub async fn run_beside(world: &World, settings: ApiSettings, command: impl FnOnce(&str) -> Command) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut command = command(&format!("http://{}", listener.local_addr().unwrap()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(dhow_api::serve(world.engine.clone(), settings, listener, shutdown));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (told, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{complained}");
    drop(stop);
    server.await.unwrap().unwrap();
    told.into_owned()
}
