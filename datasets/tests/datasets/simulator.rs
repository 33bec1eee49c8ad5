//! What users rely on in a simulated stream: repeatability, order, consistency, declared shares, and a truth that does not leak.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dhow_datasets::ceiling::CeilingCollector;
use dhow_datasets::simulator::{LATEST_ARRIVAL_MICROS, may_be_late, position_share};
use dhow_datasets::{Arrival, CheckoutKind, Scale, Simulation, SimulationError, SimulationSettings, Truth};
use dhow_events::{Event, Fact, FactKind, MINUTE_MICROS, codec};

/// A world of some weeks, with more fraud than usual so that each kind is seen.
fn settings(seed: u64) -> SimulationSettings {
    let mut settings = SimulationSettings::at_scale(Scale::Small, seed);
    (settings.buyers, settings.products, settings.sellers, settings.fraud_prevalence) = (5_000, 400, 12, 0.03);
    settings
}

fn run(settings: &SimulationSettings) -> (Vec<Arrival>, Truth) {
    let mut simulation = Simulation::new(settings).unwrap();
    let arrivals = simulation.by_ref().collect();
    (arrivals, simulation.into_truth())
}

/// Every event once, in the order in which it happened.
fn history(arrivals: Vec<Arrival>) -> Vec<Event> {
    let mut seen = HashSet::new();
    let mut events: Vec<Event> =
        arrivals.into_iter().map(|arrival| arrival.event).filter(|event| seen.insert(event.id)).collect();
    events.sort_by_key(|event| event.event_time);
    events
}

fn digest(settings: &SimulationSettings) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for arrival in Simulation::new(settings).unwrap() {
        hasher.update(&codec::encode(&arrival.event, Vec::new()).unwrap());
        hasher.update(&arrival.arrives_at.micros().to_le_bytes());
    }
    hasher.finalize()
}

#[test]
fn one_seed_gives_one_stream_and_another_seed_another() {
    assert_eq!(digest(&settings(1)), digest(&settings(1)));
    assert_ne!(digest(&settings(1)), digest(&settings(2)));
}

#[test]
fn arrivals_come_in_order_with_the_declared_shares_of_late_and_repeated_events() {
    let settings = settings(3);
    let (arrivals, _) = run(&settings);
    assert!(arrivals.is_sorted_by_key(|arrival| arrival.arrives_at));
    assert!(arrivals.iter().all(|arrival| arrival.arrives_at >= arrival.event.event_time));
    assert!(arrivals.iter().all(|arrival| arrival.arrives_at < settings.end()));
    assert!(arrivals.iter().all(|arrival| arrival.event.event_time >= settings.start));
    assert!(arrivals.windows(2).any(|pair| pair[0].event.event_time > pair[1].event.event_time), "out of order");
    let mut seen = HashSet::new();
    let first: Vec<&Arrival> = arrivals.iter().filter(|arrival| seen.insert(arrival.event.id)).collect();
    let repeated = (arrivals.len() - first.len()) as f64 / first.len() as f64;
    assert!((repeated / settings.duplicate_share - 1.0).abs() < 0.15, "{repeated} repeated");
    let delay = |arrival: &Arrival| arrival.arrives_at.micros_since(arrival.event.event_time);
    let (can, cannot): (Vec<&Arrival>, Vec<&Arrival>) =
        first.into_iter().partition(|arrival| may_be_late(arrival.event.fact.kind()));
    let late = can.iter().filter(|arrival| delay(arrival) > MINUTE_MICROS).count() as f64 / can.len() as f64;
    assert!((late / settings.late_share - 1.0).abs() < 0.15, "{late} late");
    assert!(can.iter().all(|arrival| delay(arrival) <= LATEST_ARRIVAL_MICROS));
    assert!(cannot.iter().all(|arrival| delay(arrival) <= MINUTE_MICROS));
}

#[test]
fn every_event_is_valid_and_every_kind_of_the_storefront_and_trade_occurs() {
    let (arrivals, _) = run(&settings(4));
    let (mut kinds, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    for arrival in &arrivals {
        arrival.event.check_values().unwrap();
        kinds.insert(arrival.event.fact.kind());
        if let Fact::CheckoutRefused(fact) = &arrival.event.fact {
            reasons.insert(fact.reason.clone());
        }
    }
    let absent: Vec<FactKind> = FactKind::ALL.iter().copied().filter(|kind| !kinds.contains(kind)).collect();
    // What a model decides, and what follows a person's decision, is told by the servers.
    let of_servers = [
        FactKind::FraudScored,
        FactKind::ForecastServed,
        FactKind::RoutesPlanned,
        FactKind::TextsRanked,
        FactKind::PaymentVoided,
        FactKind::RiskScored,
        FactKind::ShipmentPlanned,
        FactKind::TransferSettled,
        FactKind::DeliveryTimeServed,
        FactKind::AuctionOpened,
        FactKind::AuctionBidPlaced,
        FactKind::AuctionMoved,
        FactKind::ReturnMoved,
        FactKind::DisputeMoved,
        FactKind::AgreementMoved,
        FactKind::SavedSearchMatched,
        FactKind::PriceAlertTriggered,
        FactKind::ShipmentMoved,
        FactKind::OrderFulfilled,
        FactKind::DeclarationMoved,
    ];
    assert_eq!(absent, of_servers);
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["payment_declined", "stock"]);
}

#[test]
fn orders_add_up_and_refer_to_what_was_listed_and_paid() {
    let (arrivals, _) = run(&settings(5));
    let (mut listed, mut buyers) = (HashSet::new(), HashSet::new());
    let (mut checkouts, mut orders, mut authorized, mut captured) =
        (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
    let (mut order_sums, mut line_sums, mut refunds) = (HashMap::new(), HashMap::new(), HashMap::new());
    for event in history(arrivals) {
        match event.fact {
            Fact::ProductListed(fact) => assert!(listed.insert(fact.product)),
            Fact::BuyerRegistered(fact) => assert!(buyers.insert(fact.buyer)),
            Fact::CheckoutSubmitted(fact) => {
                assert!(buyers.contains(&fact.buyer));
                checkouts.insert(fact.checkout, (fact.total, fact.total_usd_minor, fact.line_count, fact.quantity));
            }
            Fact::PaymentAuthorized(fact) => {
                assert_eq!(checkouts[&fact.checkout].0, fact.amount);
                authorized.insert(fact.payment, fact.amount);
            }
            Fact::PaymentCaptured(fact) => {
                assert!(fact.amount.amount_minor <= authorized[&fact.payment].amount_minor);
                captured.insert(fact.payment, fact.amount);
            }
            Fact::PaymentRefunded(fact) => {
                let sum = refunds.entry(fact.payment).or_insert(0);
                *sum += fact.amount.amount_minor;
                assert!(*sum <= captured[&fact.payment].amount_minor);
            }
            Fact::OrderPlaced(fact) => {
                let sum = order_sums.entry(fact.checkout).or_insert((0, 0, 0, 0));
                *sum = (
                    sum.0 + fact.total.amount_minor,
                    sum.1 + fact.total_usd_minor,
                    sum.2 + fact.line_count,
                    sum.3 + fact.quantity,
                );
                orders.insert(fact.order, (fact.total.amount_minor, fact.total_usd_minor, fact.line_count));
            }
            Fact::ItemOrdered(fact) => {
                assert!(listed.contains(&fact.product));
                let sum = line_sums.entry(fact.order).or_insert((0, 0, 0));
                *sum = (sum.0 + fact.quantity * fact.unit_price.amount_minor, sum.1 + fact.amount_usd_minor, sum.2 + 1);
            }
            Fact::ProductViewed(fact) => assert!(listed.contains(&fact.product)),
            Fact::OrderReturned(fact) => assert!(orders.contains_key(&fact.order)),
            Fact::ShipmentDelivered(fact) => assert!(orders.contains_key(&fact.order)),
            _ => {}
        }
    }
    assert!(orders.len() > 1000 && !refunds.is_empty());
    // What was under way at the end may lack events that would have arrived after it.
    let whole = orders.iter().filter(|(order, sums)| line_sums.get(order) == Some(sums)).count();
    assert!(orders.len() - whole <= 3, "{whole} of {} orders are the sum of their lines", orders.len());
    let unequal = order_sums.iter().filter(|(checkout, sum)| {
        let (total, usd, lines, quantity) = checkouts[checkout];
        **sum != (total.amount_minor, usd, lines, quantity)
    });
    assert!(unequal.count() <= 3);
}

#[test]
fn stock_is_never_negative_and_its_changes_add_up() {
    let (arrivals, _) = run(&settings(6));
    let (mut on_hand, mut told): (HashMap<_, i64>, HashMap<_, i64>) = (HashMap::new(), HashMap::new());
    let mut counts = 0;
    let late_end = settings(6).end() - LATEST_ARRIVAL_MICROS;
    for event in history(arrivals).into_iter().filter(|event| event.event_time < late_end) {
        match event.fact {
            Fact::StockChanged(fact) => {
                let sum = told.entry(fact.product).or_default();
                *sum += fact.quantity_change;
                assert_eq!(*sum, fact.on_hand);
                on_hand.insert(fact.product, fact.on_hand);
                counts += 1;
            }
            Fact::ItemOrdered(fact) => {
                let left = on_hand.get_mut(&fact.product).unwrap();
                *left -= fact.quantity;
                assert!(*left >= 0);
            }
            _ => {}
        }
    }
    assert!(counts > 800);
}

#[test]
fn fraud_has_the_declared_prevalence_and_is_known_later_and_not_always() {
    let settings = settings(7);
    let (arrivals, truth) = run(&settings);
    let mut kinds: BTreeMap<CheckoutKind, usize> = BTreeMap::new();
    truth.checkouts.iter().for_each(|checkout| *kinds.entry(checkout.kind).or_default() += 1);
    let fraud: usize = kinds.iter().filter(|(kind, _)| kind.is_fraud()).map(|(_, count)| count).sum();
    let prevalence = fraud as f64 / truth.checkouts.len() as f64;
    assert!((prevalence / settings.fraud_prevalence - 1.0).abs() < 0.15, "{prevalence}: {kinds:?}");
    for (kind, share) in CheckoutKind::FRAUD_SHARES {
        let real = kinds[&kind] as f64 / fraud as f64;
        assert!((real - share).abs() < 0.12, "{kind:?} is {real} of the fraud");
    }
    let by_id: HashMap<_, _> = truth.checkouts.iter().map(|checkout| (checkout.checkout, checkout)).collect();
    let mut labelled = 0;
    for event in history(arrivals) {
        let Fact::FraudLabelled(fact) = event.fact else { continue };
        let checkout = by_id[&fact.checkout];
        assert_eq!(fact.fraud, checkout.kind.is_fraud());
        assert_eq!(fact.kind.as_deref(), fact.fraud.then(|| checkout.kind.word()));
        assert_eq!(fact.occurred_at, checkout.at);
        let days = event.event_time.micros_since(checkout.at) as f64 / dhow_events::DAY_MICROS as f64;
        assert!((0.2..=30.0).contains(&days) && (fact.source == "review" || days >= 3.0));
        labelled += usize::from(fact.fraud);
    }
    assert!(labelled > fraud / 3 && labelled < fraud, "{labelled} of {fraud} labelled");
    // The oracle's probabilities are calibrated: they add up to about as much fraud as there is.
    let expected: f64 = truth.checkouts.iter().map(|checkout| f64::from(checkout.probability)).sum();
    assert!((expected / fraud as f64 - 1.0).abs() < 0.3, "{expected} expected, {fraud} real");
}

#[test]
fn no_single_value_of_an_event_tells_fraud_from_honest() {
    let (arrivals, truth) = run(&settings(8));
    let fraud: HashSet<_> =
        truth.checkouts.iter().filter(|c| c.kind.is_fraud()).map(|c| c.checkout.as_u128()).collect();
    let mut words: [HashMap<(&str, String), usize>; 2] = Default::default();
    let mut ones: [Vec<u32>; 2] = [vec![0; 128], vec![0; 128]];
    let mut counts = [0u32; 2];
    for event in history(arrivals) {
        let kind = event.fact.kind();
        let Some(index) = kind.column_index("checkout") else { continue };
        if kind == FactKind::FraudLabelled {
            continue;
        }
        let id = event.fact.value(index);
        let dhow_events::Value::Id(checkout) = id else { continue };
        let class = usize::from(fraud.contains(&checkout));
        for (index, column) in kind.columns().iter().enumerate() {
            match event.fact.value(index) {
                dhow_events::Value::Text(text) => *words[class].entry((column.name, text.to_owned())).or_default() += 1,
                dhow_events::Value::Id(bits) if kind == FactKind::CheckoutSubmitted && column.name == "checkout" => {
                    counts[class] += 1;
                    (0..128).for_each(|bit| ones[class][bit] += (bits >> bit & 1) as u32);
                }
                _ => {}
            }
        }
    }
    for (word, count) in &words[1] {
        assert!(*count < 20 || words[0].contains_key(word), "{word:?} occurs with fraud only");
    }
    // The 62 random bits of an id are as often set with fraud as without, up to chance.
    for (bit, (honest, fraud)) in ones[0].iter().zip(&ones[1]).take(62).enumerate() {
        let share = |ones: u32, class: usize| f64::from(ones) / f64::from(counts[class]);
        let deviation = 0.5 / f64::from(counts[1]).sqrt();
        let apart = (share(*fraud, 1) - share(*honest, 0)).abs();
        assert!(apart < 5.0 * deviation, "bit {bit} of the checkout's id");
    }
}

#[test]
fn slates_are_clicked_as_often_as_the_truth_says() {
    let mut settings = settings(9);
    settings.visits_per_checkout = 5.0;
    let (arrivals, truth) = run(&settings);
    let buyers: HashMap<_, _> = truth.buyers.iter().zip(0..).map(|(buyer, number)| (buyer.buyer, number)).collect();
    let products: HashMap<_, _> =
        truth.products.iter().zip(0..).map(|(product, number)| (product.product.to_string(), number)).collect();
    let (mut expected, mut clicked, mut shown) = (0.0, 0.0, 0.0);
    for event in history(arrivals) {
        match event.fact {
            Fact::SlateServed(fact) => {
                for (place, product) in fact.products.split(',').enumerate() {
                    let click = truth.click_probability(buyers[&fact.buyer.unwrap()], products[product]);
                    expected += click * position_share(place);
                    shown += 1.0;
                }
            }
            Fact::ProductViewed(fact) if fact.decision.is_some() => clicked += 1.0,
            _ => {}
        }
    }
    assert!(shown > 50_000.0);
    println!("{clicked} clicks, {expected} expected, of {shown} shown");
    assert!((clicked / expected - 1.0f64).abs() < 0.06, "{clicked} clicks of {expected} expected");
}

#[test]
fn expected_demand_is_unbiased_and_oracles_beat_trivial_methods() {
    let settings = SimulationSettings::at_scale(Scale::Small, 10);
    let (mut ceiling, mut units) = (CeilingCollector::new(), HashMap::new());
    let mut simulation = Simulation::new(&settings).unwrap();
    let mut seen = HashSet::new();
    for arrival in simulation.by_ref() {
        ceiling.observe(&arrival.event);
        if let Fact::ItemOrdered(fact) = &arrival.event.fact
            && seen.insert(arrival.event.id)
        {
            *units.entry(fact.product).or_insert(0.0) += fact.quantity as f64;
        }
    }
    let truth = simulation.truth();
    let mut pairs: Vec<(f64, f64)> = (0..truth.products.len())
        .map(|product| {
            let days = (0..truth.days as usize).flat_map(|day| (0..truth.regions.len()).map(move |r| (day, r)));
            let expected = days.map(|(day, region)| truth.expected_units(product, region, day)).sum();
            (expected, units.get(&truth.products[product].product).copied().unwrap_or(0.0))
        })
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    for part in pairs.chunks(pairs.len() / 4) {
        let (expected, real) = part.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        assert!((real / expected - 1.0f64).abs() < 0.25, "{real} ordered of {expected} expected");
    }
    let gaps = ceiling.finish(truth);
    assert_eq!(gaps.len(), 4);
    for gap in &gaps {
        println!("{gap:?}");
        let higher_is_better = gap.measure.contains("recall") || gap.measure.contains("clicks");
        assert_eq!(gap.ceiling > gap.floor, higher_is_better, "{gap:?}");
        assert_eq!(gap.share_closed(gap.ceiling), Some(1.0));
    }
}

#[test]
fn the_truth_can_be_written_and_read_back() {
    let (_, truth) = run(&settings(12));
    let text = serde_json::to_string(&truth).unwrap();
    let read: Truth = serde_json::from_str(&text).unwrap();
    assert_eq!(read.checkouts, truth.checkouts);
    assert_eq!(read.deliveries, truth.deliveries);
    assert_eq!(read.expected_units(3, 0, 20), truth.expected_units(3, 0, 20));
    assert_eq!(read.click_probability(5, 3), truth.click_probability(5, 3));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for (change, name) in [
        ((|s: &mut SimulationSettings| s.days = 0) as fn(&mut SimulationSettings), "days"),
        (|s| s.buyers = 5, "buyers"),
        (|s| s.sellers = 1000, "sellers"),
        (|s| s.fraud_prevalence = 0.5, "fraud_prevalence"),
        (|s| s.late_share = f64::NAN, "late_share"),
        (|s| s.start = s.start + 1, "start"),
    ] {
        let mut settings = settings(1);
        change(&mut settings);
        let error = Simulation::new(&settings).err().unwrap();
        assert!(matches!(error, SimulationError::Setting { name: found, .. } if found == name), "{error}");
    }
    assert!("huge".parse::<Scale>().unwrap_err().to_string().contains("small, medium or large"));
    assert_eq!("medium".parse::<Scale>().unwrap().to_string(), "medium");
}
