//! Windowed aggregates over a stream on one thread, each window's result read as it closes; the peer's script does the same.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use dhow_definitions::FeatureSet;
use dhow_events::facts::PaymentAuthorized;
use dhow_events::{BuyerId, CheckoutId, Event, EventId, Fact, MINUTE_MICROS, Money, PaymentId, TenantId, Timestamp};
use dhow_online::{OnlineSettings, OnlineStore};

/// Where the stream begins; a whole minute.
const BEGIN_MICROS: i64 = 1_700_000_040_000_000;

/// Folds generated payments into windows and prints the rate.
#[derive(Parser)]
struct Arguments {
    /// Which windows.
    #[arg(long)]
    windows: Windows,
    /// Payments.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Buyers.
    #[arg(long, default_value_t = 1_000)]
    keys: u64,
    /// Payments in a second of event time.
    #[arg(long, default_value_t = 1_000)]
    per_second: u64,
}

/// What is computed, for each buyer.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Windows {
    /// Count and sum of each minute.
    Tumbling,
    /// Count, sum and mean over four windows up to an hour, read every minute.
    Sliding,
}

impl Windows {
    fn features(self) -> &'static str {
        match self {
            Self::Tumbling => {
                "{ aggregates = ['count'], windows = ['60s'] }, \
                 { column = 'amount_usd_minor', aggregates = ['sum'], windows = ['60s'] }"
            }
            Self::Sliding => {
                "{ aggregates = ['count'], windows = ['1m', '10m', '30m', '1h'] }, \
                 { column = 'amount_usd_minor', aggregates = ['sum', 'mean'], windows = ['1m', '10m', '30m', '1h'] }"
            }
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("windows: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let definitions = format!(
        "name = 'bench'\nversion = 1\n[[view]]\nname = 'paid'\nsource = 'payment_authorized'\nentity = ['buyer']\nfeatures = [{}]\n",
        arguments.windows.features()
    );
    let set = Arc::new(FeatureSet::from_toml(&definitions)?);
    let settings = OnlineSettings { allowed_lateness_micros: MINUTE_MICROS, duplicate_horizon_micros: MINUTE_MICROS };
    let store = OnlineStore::new(set, settings);
    let events: Vec<Event> = (0..arguments.events).map(|number| payment(number, arguments)).collect();

    let begin = Instant::now();
    let mut closes = Timestamp::from_micros(BEGIN_MICROS + MINUTE_MICROS);
    let (mut results, mut checksum, mut values) = (0_u64, 0.0, Vec::new());
    let mut close = |closes: Timestamp| -> Result<(), Box<dyn std::error::Error>> {
        for key in 0..arguments.keys {
            values.clear();
            store.read(TenantId::default(), 0, u128::from(key), closes, &mut values)?;
            checksum += values[0];
            results += 1;
        }
        store.expire(closes);
        Ok(())
    };
    for (offset, event) in (0_u64..).zip(&events) {
        while event.event_time >= closes {
            close(closes)?;
            closes = closes + MINUTE_MICROS;
        }
        store.apply(event, event.event_time, (0, offset));
    }
    close(closes)?;
    let seconds = begin.elapsed().as_secs_f64();
    let result = serde_json::json!({
        "events": events.len(), "fold_s": seconds, "events_per_s": events.len() as f64 / seconds,
        "results": results, "counted_in_first_window": checksum,
    });
    println!("RESULT {result}");
    Ok(())
}

/// Payment number `number`; its buyer and amount follow from the number alone, as in the peer's script.
fn payment(number: u64, arguments: &Arguments) -> Event {
    let mixed = number.wrapping_mul(2_654_435_761) % 4_294_967_296;
    let at = BEGIN_MICROS + (number * 1_000_000 / arguments.per_second) as i64;
    let amount = (mixed % 10_000) as i64;
    let fact: Fact = PaymentAuthorized {
        checkout: CheckoutId::from_u128(u128::from(number)),
        payment: PaymentId::from_u128(u128::from(number)),
        buyer: BuyerId::from_u128(u128::from(mixed % arguments.keys)),
        card: None,
        device: None,
        amount: Money::usd(amount),
        amount_usd_minor: amount,
    }
    .into();
    Event {
        id: EventId::from_u128(u128::from(number)),
        tenant: TenantId::default(),
        event_time: Timestamp::from_micros(at),
        fact,
    }
}
