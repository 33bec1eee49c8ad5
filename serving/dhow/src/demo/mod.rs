//! The demo: a simulated marketplace goes through the whole platform, and a held-out day of it comes back over HTTP.
//!
//! history → features and lake → training → server → replay of the last day → report. A demo that was interrupted while
//! its history streamed goes on where it stopped when it is started again on the same folder.

mod client;
mod deliveries;
mod history;
mod replay;
mod report;
mod shoppers;
mod trust;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dhow_datasets::SimulationSettings;
use dhow_engine::Engine;
use dhow_events::{Clock, DAY_MICROS, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::arguments::DemoArguments;
use crate::clock::ReplayClock;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output;
use crate::signals::asked_to_stop;
use crate::train::train_all;
use report::{Report, Stage};
use world::World;

/// Runs the demo.
///
/// # Errors
/// Whatever part of the platform fails, by its name.
pub async fn run(arguments: DemoArguments, mut configuration: Configuration) -> Result<(), Failure> {
    let simulation = SimulationSettings {
        tenant: configuration.tenant,
        ..SimulationSettings::at_scale(arguments.scale, arguments.seed)
    };
    let cut = simulation.end() - DAY_MICROS;
    if !configuration.data_dir_named {
        configuration.data_dir = format!("dhow-data/demo-{}-{}", arguments.scale, arguments.seed).into();
    }
    let mut report = Report::new(&arguments, &simulation, &configuration);
    let listener = listen(arguments.port).await?;

    let clock = Arc::new(ReplayClock::new(cut));
    let world = World::claim(&configuration, &simulation)?;
    let engine = crate::platform::open(&configuration, clock.clone()).await?;
    let history = Arc::new(history::stream(&engine, &simulation, cut, &mut report)?);
    if arguments.only_stream {
        return stop(&engine);
    }
    world.write_truth(&history.truth)?;
    history.import_catalogue(&engine, configuration.tenant).await?;

    let begin = SystemClock.now();
    report.tasks = train_all(&engine, configuration.tenant, cut, arguments.seed).await?;
    engine.reload_models(configuration.tenant)?;
    report.stage(Stage::new("train, judge and promote the models", report.training_rows(), begin));

    let address = listener.local_addr()?;
    let (stop_sender, stop_receiver) = watch::channel(false);
    let server = tokio::spawn(dhow_api::serve(
        engine.clone(),
        dhow_api::ApiSettings::default(),
        listener,
        stopped(stop_receiver.clone()),
    ));
    let tasks = engine.spawn_tasks(stop_receiver)?;

    replay::run(&engine, &clock, address, &history, cut, &mut report).await?;
    shoppers::run(&engine, &clock, &history, configuration.tenant, arguments.visits, arguments.seed, &mut report)
        .await?;
    engine.set_storefront(configuration.storefront.clone())?;
    report.routes = deliveries::plan(&history, address, &configuration.data_dir).await?;
    report.trust = trust::ask(&engine, configuration.tenant, &history.truth).await?;
    report.ceilings = history.ceilings.clone();
    report.status = Some(engine.status(configuration.tenant)?);
    clock.run();
    if arguments.json {
        output::json(&report)?;
    } else {
        report.print(address);
    }
    if !arguments.exit {
        report::invite(address, &history);
        asked_to_stop().await?;
    }
    stop_sender.send_replace(true);
    tasks.await??;
    server.await??;
    stop(&engine)
}

async fn listen(port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Input(format!(
            "cannot listen on {address}: {error}; choose another port with --port, or --port 0 for a free one"
        ))
    })
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _gone = stop.wait_for(|stopped| *stopped).await;
}

fn stop(engine: &Arc<Engine>) -> Result<(), Failure> {
    Ok(engine.stop()?)
}
