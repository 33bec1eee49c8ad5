//! Public client libraries of other languages against a served world; it holds no test.

use std::path::PathBuf;
use std::process::Command;

use dhow_api::ApiSettings;

use crate::world::World;

/// The Python that has a tool's packages.
pub fn python_with(tool: &str) -> PathBuf {
    let named = std::env::var_os("DHOW_TOOLS").map(PathBuf::from);
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let tools = named.or_else(|| cache().or_else(home).map(|cache| cache.join("dhow-tools"))).unwrap_or_default();
    let python = tools.join(tool).join("bin/python");
    assert!(python.is_file(), "{} is missing; .ci/install installs it", python.display());
    python
}

/// Serves the world while a script of this folder runs with a tool's packages; it gets the server's URL, with `path` behind it,
/// and the key, and must succeed.
pub async fn run_python(world: &World, tool: &str, script: &str, path: &str, key: &str) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}{path}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(dhow_api::serve(world.engine.clone(), ApiSettings::default(), listener, shutdown));
    let mut command = Command::new(python_with(tool));
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/api").join(script)).args([&base, key]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (told, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{complained}");
    drop(stop);
    server.await.unwrap().unwrap();
}
