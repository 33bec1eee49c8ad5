//! The `dhow` command: reads arguments and configuration, runs one subcommand, and turns its end into an exit status.

mod arguments;
mod clock;
mod collect;
mod configuration;
mod customs_files;
mod demo;
mod evaluate;
mod evaluate_customers;
mod evaluate_forecast;
mod evaluate_fraud;
mod evaluate_interactions;
mod evaluate_search;
mod evaluate_sessions;
mod experiments;
mod failure;
mod features;
mod fleet;
mod forecast;
mod forecast_file;
mod ingest;
mod key_files;
mod logging;
mod login_settings;
mod model_keys;
mod models;
mod operations;
mod output;
mod parity;
mod platform;
mod quality;
mod reproduce;
mod route;
mod sea_files;
mod secret_keys;
mod series_file;
mod serve;
mod shipping_settings;
mod signals;
mod simulate;
mod sql;
mod stream;
mod train;
mod training_set;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::configuration::Configuration;
use crate::failure::Failure;

/// Requests, rows and statements are many small allocations from many threads, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("dhow: {failure}");
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let configuration = Configuration::load(&arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let traces = {
        let _entered = runtime.enter();
        logging::start(arguments.log_json, configuration.telemetry.as_ref())?
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Demo(demo) => demo::run(demo, configuration).await,
            Command::Serve(serve) => serve::run(serve, configuration).await,
            Command::Simulate(simulate) => simulate::run(&simulate),
            Command::Ingest(ingest) => ingest::run(&ingest, &configuration).await,
            Command::Stream(stream) => stream::run(&stream, &configuration).await,
            Command::Features(features) => features::run(&features, &configuration).await,
            Command::Backfill(backfill) => training_set::run(&backfill, &configuration).await,
            Command::Sql(sql) => sql::run(&sql, &configuration).await,
            Command::Train(train) => train::run(&train, &configuration).await,
            Command::Evaluate(evaluate) => evaluate::run(&evaluate, &configuration).await,
            Command::Models(models) => models::run(&models, &configuration).await,
            Command::Forecast(forecast) => forecast::run(&forecast, &configuration),
            Command::Route(route) => route::run(&route),
            Command::Operations(operations) => operations::run(&operations),
            Command::Secrets(secrets) => secret_keys::run(&secrets),
            Command::Openapi => {
                println!("{}", dhow_api::openapi());
                Ok(())
            }
        }
    });
    traces.end();
    ended
}
