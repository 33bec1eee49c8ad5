//! `dhow serve`: the HTTP API and the console on a data folder, until it is told to stop.

use std::sync::Arc;

use dhow_api::{ApiSettings, serve};
use dhow_events::SystemClock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::arguments::ServeArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::platform;

/// Runs the command.
///
/// # Errors
/// A part that cannot be opened, or an address that cannot be listened on.
pub async fn run(arguments: ServeArguments, configuration: Configuration) -> Result<(), Failure> {
    let address = arguments.bind.unwrap_or(configuration.bind);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::Input(format!("cannot listen on {address}: {error}; choose another address with --bind"))
    })?;
    let engine = platform::open(&configuration, Arc::new(SystemClock)).await?;
    let (stop, stopped) = watch::channel(false);
    let tasks = engine.spawn_tasks(stopped)?;
    eprintln!("serving on http://{}/ — Ctrl-C stops", listener.local_addr()?);
    let interrupted = async {
        // Without a signal handler the server runs until it is killed, which loses nothing.
        let _handled = tokio::signal::ctrl_c().await;
    };
    let served = serve(engine.clone(), api_settings(&configuration), listener, interrupted).await;
    stop.send_replace(true);
    tasks.await??;
    engine.stop()?;
    Ok(served?)
}

fn api_settings(configuration: &Configuration) -> ApiSettings {
    let usual = ApiSettings::default();
    match configuration.requests_per_second {
        None => usual,
        Some(rate) => ApiSettings { requests_per_second_max: rate, request_burst_max: rate, ..usual },
    }
}
