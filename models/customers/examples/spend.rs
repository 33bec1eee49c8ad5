//! `spend FILE CUT DAYS [STEP] [LEAVES] [POWER]`: forecasts of a CSV of customer, day and amount beside the classic models; the command `dhow evaluate customers` reads Parquet.

use dhow_customers::{Histories, Purchase, SpendSettings, compare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&arguments[1])?;
    let mut purchases = Vec::new();
    for line in text.lines().skip(1) {
        let parts: Vec<&str> = line.split(',').collect();
        purchases.push(Purchase { customer: parts[0].parse()?, day: parts[1].parse()?, amount: parts[2].parse()? });
    }
    let of = |at: usize, other: &str| arguments.get(at).cloned().unwrap_or_else(|| other.to_owned());
    let settings = SpendSettings {
        days: of(3, "90").parse()?,
        step_days: of(4, "15").parse()?,
        leaves: of(5, "4").parse()?,
        tweedie_power: of(6, "1.5").parse()?,
        ..SpendSettings::default()
    };
    let report = compare(&Histories::new(&purchases)?, arguments[2].parse()?, &settings)?;
    println!("{report:#?}");
    Ok(())
}
