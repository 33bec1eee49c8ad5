//! Seeded rings are flagged as they form, and those who share for honest reasons are not.

use std::collections::BTreeMap;

use dhow_events::{Event, Fact};
use dhow_links::{LinkIndex, LinkSettings};

use crate::world::{Kind, World, query};

/// The fewest accounts that make a ring, and how many of its checkouts may pass after it formed.
const RING_FORMS_AT: usize = 5;
const CHECKOUTS_ALLOWED: usize = 3;

/// The checkouts of one ring, in order.
#[derive(Default)]
struct Watched {
    /// The account of each checkout, what it used that strangers do not, and whether it was flagged when it was decided.
    checkouts: Vec<(u128, Vec<u128>, bool)>,
}

impl Watched {
    /// The number of the checkout with which five accounts were connected by anything that they share and strangers do
    /// not: a public parcel locker makes no ring.
    fn formed(&self) -> Option<usize> {
        (1..=self.checkouts.len()).find(|count| largest_component(&self.checkouts[..*count]) >= RING_FORMS_AT)
    }

    fn flagged_in_time(&self) -> Option<bool> {
        let formed = self.formed()? - 1;
        Some(self.checkouts.iter().take(formed + 1 + CHECKOUTS_ALLOWED).any(|(_, _, flagged)| *flagged))
    }
}

/// By repeated merging: slow and plain.
fn largest_component(checkouts: &[(u128, Vec<u128>, bool)]) -> usize {
    let mut groups: Vec<(Vec<u128>, Vec<u128>)> = Vec::new();
    for (account, things, _) in checkouts {
        let touches = |group: &(Vec<u128>, Vec<u128>)| {
            group.0.contains(account) || group.1.iter().any(|thing| things.contains(thing))
        };
        let (joined, mut others): (Vec<_>, Vec<_>) = groups.into_iter().partition(touches);
        let mut merged = (vec![*account], things.clone());
        for (accounts, things) in joined {
            merged.0.extend(accounts);
            merged.1.extend(things);
        }
        merged.0.sort_unstable();
        merged.0.dedup();
        others.push(merged);
        groups = others;
    }
    groups.iter().map(|(accounts, _)| accounts.len()).max().unwrap_or(0)
}

fn things_of(event: &Event) -> Vec<u128> {
    let Fact::CheckoutSubmitted(fact) = &event.fact else { return Vec::new() };
    let card = fact.card.map(|id| id.as_u128());
    let device = fact.device.map(|id| id.as_u128());
    let address = fact.address.map(|id| id.as_u128());
    [card, device, address].into_iter().flatten().collect()
}

#[test]
fn rings_are_flagged_within_three_checkouts_of_forming_and_offices_lockers_kiosks_and_booths_are_not() {
    let (mut in_time, mut formed) = (0, 0);
    // Accounts of a kind, and those of them that were ever flagged.
    let mut accounts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    // The score was set by hand on the seeds 0 to 2.
    for seed in 10..13 {
        let world = World::new(seed, 3000, 15, 100);
        let mut index = LinkIndex::new(LinkSettings::default());
        let mut rings: Vec<Watched> = (0..world.ring_count).map(|_| Watched::default()).collect();
        let mut flagged = vec![false; world.kinds.len()];
        for event in &world.events {
            if let Fact::CheckoutSubmitted(fact) = &event.fact {
                let ring = index.ring(&query(event), event.event_time);
                let account = fact.buyer.as_u128() as usize - 1;
                flagged[account] |= ring.is_flagged();
                if let Kind::Ring(number) = world.kinds[account] {
                    let things = things_of(event).into_iter().filter(|thing| !world.lockers.contains(thing)).collect();
                    rings[number].checkouts.push((fact.buyer.as_u128(), things, ring.is_flagged()));
                }
            }
            index.apply(event, event.event_time);
        }
        for watched in &rings {
            if let Some(flagged) = watched.flagged_in_time() {
                formed += 1;
                in_time += usize::from(flagged);
            }
        }
        for (kind, flagged) in world.kinds.iter().zip(flagged) {
            let name = match kind {
                Kind::Ring(_) => "Ring".to_owned(),
                other => format!("{other:?}"),
            };
            let entry = accounts.entry(name).or_default();
            *entry = (entry.0 + 1, entry.1 + usize::from(flagged));
        }
    }
    println!(
        "{in_time} of {formed} rings flagged within {CHECKOUTS_ALLOWED} checkouts of forming; flagged accounts: {accounts:?}"
    );
    assert!(formed >= 280, "only {formed} rings formed");
    assert!(in_time as f64 >= 0.95 * formed as f64);
    let share = |name: &str| accounts[name].1 as f64 / accounts[name].0 as f64;
    for honest in ["Office", "Kiosk", "Booth", "Household"] {
        assert!(share(honest) <= 0.002, "{honest}: {:?}", accounts[honest]);
    }
    assert!(share("Ring") >= 0.8);
}
