//! `dhow serve`: the HTTP API and the console on a data folder, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use dhow_api::{ApiSettings, Entrances, serve_all};
use dhow_events::SystemClock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::arguments::ServeArguments;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::platform;
use crate::signals::asked_to_stop;

/// Runs the command.
///
/// # Errors
/// A part that cannot be opened, or an address that cannot be listened on.
pub async fn run(arguments: ServeArguments, configuration: Configuration) -> Result<(), Failure> {
    let address = arguments.bind.unwrap_or(configuration.bind);
    let listener = listen(address, "--bind").await?;
    let grpc = match arguments.grpc_bind.or(configuration.grpc_bind) {
        Some(address) => Some(listen(address, "--grpc-bind").await?),
        None => None,
    };
    let login = match &configuration.login {
        Some(section) => Some(section.discover(configuration.tenant).await?),
        None => None,
    };
    let engine = platform::open(&configuration, Arc::new(SystemClock)).await?;
    for model in configuration.load.iter().chain(&arguments.load) {
        engine
            .inference()
            .load(configuration.tenant, model, None)
            .await
            .map_err(|error| Failure::Input(format!("model `{model}` cannot be loaded: {error}")))?;
    }
    let (stop, stopped) = watch::channel(false);
    let tasks = engine.spawn_tasks(stopped)?;
    eprintln!("serving on http://{}/ — Ctrl-C stops", listener.local_addr()?);
    if let Some(grpc) = &grpc {
        eprintln!("serving gRPC on {}", grpc.local_addr()?);
    }
    if let Some(login) = &login {
        eprintln!("people log in at {}", login.settings().issuer);
    }
    let interrupted = async {
        // Without a signal handler the server runs until it is killed, which loses nothing.
        if let Err(error) = asked_to_stop().await {
            tracing::warn!(%error, "signals are not handled; the server runs until it is killed");
            std::future::pending::<()>().await;
        }
    };
    let entrances = Entrances { listener, grpc, login };
    let served = serve_all(engine.clone(), api_settings(&configuration), entrances, interrupted).await;
    stop.send_replace(true);
    tasks.await??;
    engine.stop()?;
    Ok(served?)
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Input(format!("cannot listen on {address}: {error}; choose another address with {flag}"))
    })
}

fn api_settings(configuration: &Configuration) -> ApiSettings {
    let usual = ApiSettings::default();
    match configuration.requests_per_second {
        None => usual,
        Some(rate) => ApiSettings { requests_per_second_max: rate, request_burst_max: rate, ..usual },
    }
}
