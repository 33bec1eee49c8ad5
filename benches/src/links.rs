//! The links of ten million uses of cards, devices and addresses, in process: each update timed; no log, no disk.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dhow_benches::quantile;
use dhow_events::{
    AddressId, BuyerId, CardId, CheckoutId, Currency, DAY_MICROS, DeviceId, Event, EventId, Fact, Money, Region,
    TenantId, Timestamp, facts,
};
use dhow_links::{LinkIndex, LinkQuery, LinkSettings};

/// When the first checkout is.
const BEGIN: Timestamp = Timestamp::from_micros(1_700_000_040_000_000);
/// The fill takes so long in event time, within the retention.
const FILL_DAYS: i64 = 80;
/// Of a hundred checkouts while filling and afterwards, those of new accounts.
const NEW_IN_A_HUNDRED: [u64; 2] = [60, 20];
/// Of a hundred new accounts, those that belong to the household of the one before.
const HOUSEHOLD_IN_A_HUNDRED: u64 = 15;
/// Of a hundred checkouts, those that a parcel locker receives; there is one for so many accounts.
const LOCKER_IN_A_HUNDRED: u64 = 5;
const ACCOUNTS_OF_A_LOCKER: u64 = 40;

/// Fills an index with links, then times updates, reads and a snapshot.
#[derive(Parser)]
struct Arguments {
    /// Links to fill in.
    #[arg(long, default_value_t = 10_000_000)]
    links: usize,
    /// Checkouts that are applied to the filled index.
    #[arg(long, default_value_t = 1_000_000)]
    updates: u64,
    /// Reads of the filled index.
    #[arg(long, default_value_t = 200_000)]
    reads: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("links: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut index = LinkIndex::new(LinkSettings::default());
    let fill_checkouts = arguments.links as u64 / 2;
    let step_micros = FILL_DAYS * DAY_MICROS / fill_checkouts.max(1) as i64;
    let mut shoppers = Shoppers::new(step_micros)?;
    let resident_before = resident_bytes()?;
    let mut fill = Vec::with_capacity(arguments.links);
    while index.stats().links < arguments.links {
        fill.push(timed(&mut index, &shoppers.next(NEW_IN_A_HUNDRED[0])));
    }
    let resident = resident_bytes()? - resident_before - 8 * fill.len() as u64;
    let filled = index.stats();
    let mut updates = Vec::with_capacity(arguments.updates as usize);
    for _ in 0..arguments.updates {
        updates.push(timed(&mut index, &shoppers.next(NEW_IN_A_HUNDRED[1])));
    }
    let reads = (0..arguments.reads).map(|_| timed_read(&index, &shoppers.next(NEW_IN_A_HUNDRED[1])));
    let reads: Vec<u64> = reads.collect();
    let (begin, bytes) = (Instant::now(), index.snapshot()?);
    let snapshot_s = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let restored = LinkIndex::restore(&bytes)?;
    let restore_s = begin.elapsed().as_secs_f64();
    if restored.stats() != index.stats() {
        return Err("the restored index counts other links than the one that was saved".into());
    }
    let result = serde_json::json!({
        "links": filled.links, "accounts": filled.accounts, "things": filled.things, "checkouts": fill.len(),
        "resident_bytes": resident, "bytes_per_link": resident / filled.links.max(1) as u64,
        "fill_ns": spread(fill), "update_ns": spread(updates), "read_ns": spread(reads),
        "snapshot_bytes": bytes.len(), "snapshot_s": snapshot_s, "restore_s": restore_s,
    });
    println!("RESULT {result}");
    Ok(())
}

fn timed(index: &mut LinkIndex, event: &Event) -> u64 {
    let begin = Instant::now();
    black_box(index.apply(event, event.event_time));
    begin.elapsed().as_nanos() as u64
}

fn timed_read(index: &LinkIndex, event: &Event) -> u64 {
    let Fact::CheckoutSubmitted(checkout) = &event.fact else { return 0 };
    let query = LinkQuery::checkout(event.tenant, checkout);
    let begin = Instant::now();
    black_box(index.features(&query, event.event_time));
    begin.elapsed().as_nanos() as u64
}

fn spread(mut times_ns: Vec<u64>) -> serde_json::Value {
    times_ns.sort_unstable();
    let at = |q| quantile(&times_ns, q);
    serde_json::json!({ "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "p9999": at(0.9999), "max": times_ns.last() })
}

/// The memory of this process that lies in the machine's, from the kernel's account.
fn resident_bytes() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the kernel tells no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// Checkouts of accounts that mostly use what is theirs.
struct Shoppers {
    tenant: TenantId,
    region: Region,
    currency: Currency,
    step_micros: i64,
    checkouts: u64,
    accounts: u64,
}

impl Shoppers {
    fn new(step_micros: i64) -> Result<Self, Box<dyn std::error::Error>> {
        let tenant = TenantId::new("ten_bench")?;
        let (region, currency) = (Region::new("NG-LA")?, Currency::new("NGN")?);
        Ok(Self { tenant, region, currency, step_micros, checkouts: 0, accounts: 0 })
    }

    /// The next checkout: of a new account so many times in a hundred, otherwise of any that came before, one time in
    /// ten of those with a new card.
    fn next(&mut self, new_in_a_hundred: u64) -> Event {
        let number = self.checkouts;
        self.checkouts += 1;
        let account = if self.accounts == 0 || drawn(number, 1) % 100 < new_in_a_hundred {
            self.accounts += 1;
            self.accounts - 1
        } else {
            drawn(number, 2) % self.accounts
        };
        let home = if drawn(account, 3) % 100 < HOUSEHOLD_IN_A_HUNDRED { account.saturating_sub(1) } else { account };
        let card = if drawn(number, 4).is_multiple_of(10) { id(number, 5) } else { id(home, 6) };
        let to_locker = drawn(number, 7) % 100 < LOCKER_IN_A_HUNDRED;
        let lockers = self.accounts / ACCOUNTS_OF_A_LOCKER + 1;
        let address = if to_locker { id(drawn(number, 8) % lockers, 9) } else { id(home, 10) };
        let event_time = BEGIN + number as i64 * self.step_micros;
        let checkout = facts::CheckoutSubmitted {
            buyer: BuyerId::from_u128(id(account, 11)),
            checkout: CheckoutId::from_u128(id(number, 12)),
            session: None,
            device: Some(DeviceId::from_u128(id(home, 13))),
            card: Some(CardId::from_u128(card)),
            address: Some(AddressId::from_u128(address)),
            region: self.region,
            delivery_region: self.region,
            payment_method: "card".to_owned(),
            line_count: 1,
            quantity: 1,
            total: Money::new(1000, self.currency),
            total_usd_minor: 100,
        };
        Event { id: EventId::from_u128(id(number, 14)), tenant: self.tenant, event_time, fact: checkout.into() }
    }
}

/// An id without a pattern, the same on every machine.
fn id(number: u64, purpose: u64) -> u128 {
    u128::from(drawn(number, purpose)) << 64 | u128::from(drawn(number, purpose + 100))
}

/// The finalizer of SplitMix64 over a number and what it is drawn for.
fn drawn(number: u64, purpose: u64) -> u64 {
    let word = number.wrapping_add(purpose.wrapping_mul(0xd1b5_4a32_d192_ed03)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
