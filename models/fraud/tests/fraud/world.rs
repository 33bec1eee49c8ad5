//! A small generated world of orders with a known law of fraud, and owned columns to hold it; real data stands in `credit_cards`.

use dhow_events::Timestamp;
use dhow_fraud::{TableError, TrainingTable};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Owned columns of a table.
#[derive(Clone, Default)]
pub struct Columns {
    pub names: Vec<String>,
    pub rows: Vec<f64>,
    pub labels: Vec<bool>,
    pub times: Vec<Timestamp>,
    pub amounts_usd_minor: Vec<i64>,
    /// The probability that each row had of being a fraud, where it is known.
    pub truth: Vec<f64>,
}

impl Columns {
    pub fn table(&self) -> Result<TrainingTable<'_>, TableError> {
        TrainingTable::new(&self.names, &self.rows, &self.labels, &self.times, &self.amounts_usd_minor)
    }
}

/// Orders one minute apart. Fraud grows with velocity and amount, with a missing or young age, and at both ends of the hour: a bend
/// that no straight line follows. `noise` and `constant` say nothing.
pub fn orders(count: usize, seed: u64) -> Columns {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let names = ["card_orders_1h", "amount_usd", "account_age_30d", "hour_offset", "noise", "constant"];
    let mut world = Columns { names: names.map(str::to_owned).to_vec(), ..Columns::default() };
    for i in 0..count {
        let velocity = f64::from(rng.random_range(0..4_u32) * rng.random_range(0..4_u32));
        let amount = (rng.random::<f64>() * 6.0).exp();
        let age = if rng.random_bool(0.2) { f64::NAN } else { rng.random::<f64>() };
        let hour: f64 = rng.random_range(-1.0..1.0);
        let log_odds = -6.0
            + 0.4 * velocity
            + 0.3 * amount.ln()
            + 4.0 * (hour * hour - 0.3)
            + if age.is_nan() { 1.0 } else { -age };
        let truth = 1.0 / (1.0 + (-log_odds).exp());
        world.rows.extend([velocity, amount, age, hour, rng.random::<f64>(), 7.0]);
        world.labels.push(rng.random_bool(truth));
        world.times.push(Timestamp::from_micros(i as i64 * 60_000_000));
        world.amounts_usd_minor.push((amount * 100.0) as i64);
        world.truth.push(truth);
    }
    world
}
