//! Rings of the simulated marketplace as the index of links sees them form, and honest people that it flags; nothing is timed.
//!
//! Accounts of a ring are told by the simulator's truth and by the device that they registered with. A ring has formed once
//! five of its accounts are known; it is flagged in time where one of its next three checkouts is flagged as it is decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;

use clap::Parser;
use dhow_datasets::{CheckoutKind, Scale, Simulation, SimulationSettings};
use dhow_events::{BuyerId, CheckoutId, DeviceId, Fact};
use dhow_links::{LinkIndex, LinkQuery, LinkSettings};

/// The fewest accounts that make a ring, and how many of its checkouts may pass after it formed.
const RING_FORMS_AT: usize = 5;
const CHECKOUTS_ALLOWED: usize = 3;

/// Simulates marketplaces and asks for the ring of every checkout as it is decided.
#[derive(Parser)]
struct Arguments {
    /// small, medium or large.
    #[arg(long, default_value = "small")]
    scale: Scale,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seeds, from the first one on.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The share of checkouts that are fraud; that of the scale where it is absent.
    #[arg(long)]
    prevalence: Option<f64>,
}

/// A checkout as it was decided.
struct Asked {
    checkout: CheckoutId,
    buyer: BuyerId,
    flagged: bool,
    /// Accounts that had registered with the same device as the buyer.
    accounts_of_device: usize,
}

#[derive(Default)]
struct Counts {
    rings: u64,
    in_time: u64,
    honest_checkouts: u64,
    honest_flagged: u64,
    honest_accounts: u64,
    honest_accounts_flagged: u64,
    sharing_accounts: u64,
    sharing_accounts_flagged: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("rings: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut counts = Counts::default();
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let mut settings = SimulationSettings::at_scale(arguments.scale, seed);
        settings.fraud_prevalence = arguments.prevalence.unwrap_or(settings.fraud_prevalence);
        count(&settings, &mut counts)?;
    }
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let result = serde_json::json!({
        "rings": counts.rings, "flagged_in_time": share(counts.in_time, counts.rings),
        "honest_checkouts": counts.honest_checkouts,
        "honest_checkouts_flagged": share(counts.honest_flagged, counts.honest_checkouts),
        "honest_accounts": counts.honest_accounts,
        "honest_accounts_flagged": share(counts.honest_accounts_flagged, counts.honest_accounts),
        "sharing_accounts": counts.sharing_accounts,
        "sharing_accounts_flagged": share(counts.sharing_accounts_flagged, counts.sharing_accounts),
    });
    println!("RESULT {result}");
    Ok(())
}

/// Runs one marketplace through an index and counts what it flagged.
fn count(settings: &SimulationSettings, counts: &mut Counts) -> Result<(), Box<dyn std::error::Error>> {
    let mut simulation = Simulation::new(settings)?;
    let mut index = LinkIndex::new(LinkSettings::default());
    let mut devices: HashMap<BuyerId, DeviceId> = HashMap::new();
    let mut accounts_of_device: HashMap<DeviceId, BTreeSet<BuyerId>> = HashMap::new();
    let (mut asked, mut seen) = (Vec::new(), BTreeSet::new());
    for arrival in &mut simulation {
        let event = &arrival.event;
        match &event.fact {
            Fact::BuyerRegistered(registered) => {
                if let Some(device) = registered.device {
                    devices.insert(registered.buyer, device);
                    accounts_of_device.entry(device).or_default().insert(registered.buyer);
                }
            }
            Fact::CheckoutSubmitted(checkout) if seen.insert(checkout.checkout) => {
                // A late event tells of a decision that was made before it arrived; the later state sees no less.
                let ring = index.ring(&LinkQuery::checkout(event.tenant, checkout), arrival.arrives_at);
                let device = devices.get(&checkout.buyer);
                asked.push(Asked {
                    checkout: checkout.checkout,
                    buyer: checkout.buyer,
                    flagged: ring.is_flagged(),
                    accounts_of_device: device.map_or(0, |device| accounts_of_device[device].len()),
                });
            }
            _ => {}
        }
        index.apply(event, arrival.arrives_at);
    }
    let kinds: HashMap<CheckoutId, CheckoutKind> =
        simulation.truth().checkouts.iter().map(|checkout| (checkout.checkout, checkout.kind)).collect();
    count_rings(&asked, &kinds, &devices, counts);
    count_honest(&asked, &kinds, counts);
    Ok(())
}

fn count_rings(
    asked: &[Asked],
    kinds: &HashMap<CheckoutId, CheckoutKind>,
    devices: &HashMap<BuyerId, DeviceId>,
    counts: &mut Counts,
) {
    let mut rings: BTreeMap<DeviceId, Vec<&Asked>> = BTreeMap::new();
    for one in asked.iter().filter(|one| kinds.get(&one.checkout) == Some(&CheckoutKind::Ring)) {
        if let Some(device) = devices.get(&one.buyer) {
            rings.entry(*device).or_default().push(one);
        }
    }
    for checkouts in rings.values() {
        let after = checkouts.iter().filter(|one| one.accounts_of_device >= RING_FORMS_AT);
        let first: Vec<&&Asked> = after.take(CHECKOUTS_ALLOWED).collect();
        counts.rings += u64::from(!first.is_empty());
        counts.in_time += u64::from(first.iter().any(|one| one.flagged));
    }
}

fn count_honest(asked: &[Asked], kinds: &HashMap<CheckoutId, CheckoutKind>, counts: &mut Counts) {
    // Whether the account was ever flagged, and whether it ever shared the device that it registered with.
    let mut accounts: BTreeMap<BuyerId, (bool, bool)> = BTreeMap::new();
    for one in asked.iter().filter(|one| kinds.get(&one.checkout) == Some(&CheckoutKind::Honest)) {
        counts.honest_checkouts += 1;
        counts.honest_flagged += u64::from(one.flagged);
        let (flagged, shares) = accounts.entry(one.buyer).or_default();
        *flagged |= one.flagged;
        *shares |= one.accounts_of_device > 1;
    }
    for (flagged, shares) in accounts.values() {
        counts.honest_accounts += 1;
        counts.honest_accounts_flagged += u64::from(*flagged);
        counts.sharing_accounts += u64::from(*shares);
        counts.sharing_accounts_flagged += u64::from(*shares && *flagged);
    }
}
