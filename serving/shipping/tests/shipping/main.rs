//! Shipments against naive references: trackers in any order, units one by one, labels whose answers are lost; no database and no route.

mod sea;

use std::sync::Arc;

use dhow_events::{Clock, Currency, DAY_MICROS, ManualClock, Money, ProductId, Timestamp};
use dhow_shipping::{
    Appended, Carrier, CarrierError, CarrierQuote, ContainerCategory, ContainerError, ContainerNumber, FulfilmentState,
    GRAMS_MAX, LABEL_ASKED_FOR_MICROS, LABEL_RETRY_MICROS, Label, LabelAnswer, LabelRequest, LabelState, ModelPromise,
    OrderUnits, Parcel, ParcelError, PromiseBy, QuoteRequest, Shipment, ShipmentError, ShipmentUnits, SimulatedCarrier,
    TRACKER_EVENTS_MAX, Tracker, TrackerError, TrackerEvent, TrackerStatus, VolumetricRule, check_parcels,
    check_shipment, fulfilment, shop, trigger,
};
use futures::FutureExt;
use proptest::prelude::*;

const BOX: Parcel = Parcel { weight_grams: 1_200, length_mm: 300, width_mm: 200, height_mm: 100 };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

fn event(reference: u32, status: TrackerStatus, seconds: i64) -> TrackerEvent {
    TrackerEvent { reference: format!("e{reference}"), status, occurred_at: at(seconds), place: String::new() }
}

fn request(weight_grams: u32, to: &str) -> QuoteRequest {
    let parcels = vec![Parcel { weight_grams, ..BOX }];
    QuoteRequest { from: "DE".to_owned(), to: to.to_owned(), parcels, currency: Currency::EUR }
}

#[test]
fn the_larger_of_weight_and_size_is_charged_and_rounded_up_to_the_step() {
    let rule = |cm3_per_kg, step_grams| VolumetricRule { cm3_per_kg, step_grams };
    // 6,000 cm³.
    assert_eq!(BOX.volumetric_grams(rule(5_000, 1)), 1_200);
    assert_eq!(BOX.volumetric_grams(rule(6_000, 1)), 1_000);
    assert_eq!(BOX.volumetric_grams(rule(7_000, 1)), 858);
    assert_eq!(BOX.chargeable_grams(rule(6_000, 500)), 1_500);
    assert_eq!(Parcel { weight_grams: 1_000, ..BOX }.chargeable_grams(rule(6_000, 500)), 1_000);
    assert_eq!(Parcel { weight_grams: 1_001, ..BOX }.chargeable_grams(rule(6_000, 500)), 1_500);
    assert_eq!(Parcel { weight_grams: 1, ..BOX }.chargeable_grams(rule(5_000, 1)), 1_200);
    assert_eq!(check_parcels(&[]), Err(ParcelError::Number(0)));
    assert!(check_parcels(&[BOX; 101]).is_err() && check_parcels(&[BOX; 100]).is_ok());
    for wrong in [Parcel { height_mm: 0, ..BOX }, Parcel { weight_grams: GRAMS_MAX + 1, ..BOX }] {
        assert!(matches!(check_parcels(&[BOX, wrong]), Err(ParcelError::Measure { parcel: 1, .. })));
    }
}

#[test]
fn numbers_of_containers_are_taken_with_the_right_check_digit_alone() {
    // The standard's own example, two more, and one whose remainder of 10 is written as 0.
    for text in ["CSQU3054383", "MSKU6011672", "TEXU3070079", "DHWU0000080"] {
        let number: ContainerNumber = text.parse().unwrap();
        assert_eq!((number.text(), number.category()), (text, ContainerCategory::Container));
        for digit in 0..10_u32 {
            let other = format!("{}{digit}", &text[..10]);
            assert_eq!(other.parse::<ContainerNumber>().is_ok(), other == text);
        }
    }
    let wrong = "CSQU3054384".parse::<ContainerNumber>();
    assert!(matches!(wrong, Err(ContainerError::CheckDigit { found: 4, expected: 3, .. })));
    for text in ["", "CSQU305438", "CSQX3054383", "csqu3054383", "CSQU30543830", "C5QU3054383", "CSQU305438É"] {
        assert!(matches!(text.parse::<ContainerNumber>(), Err(ContainerError::Form(_))), "{text}");
    }
}

#[test]
fn the_first_end_stands_and_what_contradicts_it_is_kept_and_told() {
    use TrackerStatus::{Delivered, InTransit, OutForDelivery, Returned};
    let mut tracker = Tracker::default();
    assert_eq!(tracker.append(event(1, OutForDelivery, 50)), Ok(Appended::Moved(None, OutForDelivery)));
    assert_eq!(tracker.append(event(2, InTransit, 20)), Ok(Appended::Kept));
    assert_eq!(tracker.append(event(2, InTransit, 20)), Ok(Appended::Known));
    assert_eq!(tracker.append(event(2, InTransit, 21)), Err(TrackerError::Differs("e2".to_owned())));
    assert_eq!(tracker.append(event(3, Delivered, 60)), Ok(Appended::Moved(Some(OutForDelivery), Delivered)));
    assert_eq!(tracker.append(event(4, Returned, 55)), Ok(Appended::Contradicts(Delivered)));
    assert_eq!(tracker.append(event(5, Delivered, 61)), Ok(Appended::Kept));
    assert_eq!(tracker.append(event(6, InTransit, 70)), Ok(Appended::Kept));
    assert_eq!((tracker.status(), tracker.ended_at(), tracker.events().len()), (Some(Delivered), Some(at(60)), 6));
    let json = serde_json::to_string(&tracker).unwrap();
    assert_eq!(serde_json::from_str::<Tracker>(&json).unwrap(), tracker);
}

#[test]
fn a_full_tracker_refuses_news_but_takes_an_end() {
    let mut tracker = Tracker::default();
    for number in 0..TRACKER_EVENTS_MAX {
        let number = u32::try_from(number).unwrap();
        tracker.append(event(number, TrackerStatus::InTransit, i64::from(number))).unwrap();
    }
    assert_eq!(tracker.append(event(9_999, TrackerStatus::InTransit, 1)), Err(TrackerError::Full));
    assert!(matches!(tracker.append(event(9_998, TrackerStatus::Delivered, 1)), Ok(Appended::Moved(..))));
    assert_eq!(tracker.append(event(9_997, TrackerStatus::Returned, 1)), Err(TrackerError::Full));
}

#[test]
fn offers_of_carriers_come_cheapest_first_with_who_promises_and_who_has_none() {
    let clock = Arc::new(ManualClock::new(at(0)));
    let (post, express) = (SimulatedCarrier::post(clock.clone()), SimulatedCarrier::express(clock.clone()));
    let asked = request(1_200, "NG");
    let mut answers = vec![
        (express.name().to_owned(), express.quote(&asked).now_or_never().unwrap()),
        (post.name().to_owned(), post.quote(&asked).now_or_never().unwrap()),
        ("lost".to_owned(), Err(CarrierError::NoAnswer("timeout".to_owned()))),
    ];
    let odd = |price, p10_micros| {
        Ok(CarrierQuote { service: "odd".to_owned(), price, chargeable_grams: 1, p10_micros, p90_micros: 5 })
    };
    answers.push(("dollars".to_owned(), odd(Money::usd(1), 1)));
    answers.push(("backwards".to_owned(), odd(Money::new(1, Currency::EUR), 6)));
    answers.push(("negative".to_owned(), odd(Money::new(-1, Currency::EUR), 1)));
    let learned = ModelPromise { p10_micros: DAY_MICROS, p90_micros: 3 * DAY_MICROS };
    let shopped = shop(&asked, answers, |carrier, _| (carrier == "simulated_express").then_some(learned), at(0));
    let offers: Vec<_> = shopped
        .offers
        .iter()
        .map(|offer| (offer.carrier.as_str(), offer.price.amount_minor, offer.chargeable_grams, offer.promise.by))
        .collect();
    // Post: 2 kg, 4 × (390 + 120); express: 1.5 kg, 3 × (1150 + 315).
    let expected =
        [("simulated_post", 2_040, 2_000, PromiseBy::Carrier), ("simulated_express", 4_395, 1_500, PromiseBy::Model)];
    assert_eq!(offers, expected);
    assert_eq!(shopped.offers[1].promise.p90, at(0) + 3 * DAY_MICROS);
    assert_eq!(shopped.offers[0].promise.p90, at(0) + 15 * DAY_MICROS);
    let failed: Vec<_> = shopped.failures.iter().map(|failure| failure.carrier.as_str()).collect();
    assert_eq!(failed, ["backwards", "dollars", "lost", "negative"]);
}

/// Asks a simulated carrier until the label has an end; gives the label, how often it was asked, and all answers.
fn ask(weight_grams: u32) -> (Label, usize, Vec<Result<LabelAnswer, CarrierError>>) {
    let clock = Arc::new(ManualClock::new(at(0)));
    let carrier = SimulatedCarrier::post(clock.clone());
    let mut label = Label::asked("key-1".to_owned(), clock.now());
    let mut answers = Vec::new();
    while let LabelState::Asked { next_at } = label.state {
        assert!(!label.is_due(next_at - 1) && label.is_due(next_at));
        clock.set(next_at);
        let asked = LabelRequest {
            idempotency_key: label.idempotency_key.clone(),
            shipment: request(weight_grams, "DE"),
            service: "standard".to_owned(),
            requested_at: label.requested_at,
        };
        let answer = carrier.label(&asked).now_or_never().unwrap();
        answers.push(answer.clone());
        label.take(answer, clock.now());
    }
    (label, answers.len(), answers)
}

#[test]
fn a_label_is_asked_for_by_its_key_until_it_is_made_refused_or_its_time_is_over() {
    let made = LabelState::Made { tracking_number: "simulated_post_key-1".to_owned() };
    let refused = |reason: &str| LabelState::Refused { reason: reason.to_owned() };
    let until_over = usize::try_from(LABEL_ASKED_FOR_MICROS / LABEL_RETRY_MICROS).unwrap() + 1;
    let cases = [
        (1_200, made.clone(), 1),
        (trigger::LOST_ANSWER_GRAMS, made.clone(), 3),
        (trigger::DELAYED_GRAMS, made, 5),
        (trigger::REFUSED_GRAMS, refused("address_unknown"), 1),
        (trigger::NOT_SERVED_GRAMS, refused("not_served"), 1),
        (trigger::SILENT_GRAMS, LabelState::Unknown, until_over),
    ];
    for (grams, state, times) in cases {
        let (label, asked, answers) = ask(grams);
        assert_eq!((label.state, asked), (state, times), "{grams} {answers:?}");
    }
    // What is unknown may turn out to be made; what is made stays so.
    let (mut label, ..) = ask(trigger::SILENT_GRAMS);
    assert!(!label.take(Ok(LabelAnswer::Pending), at(9_999)));
    assert!(label.take(Ok(LabelAnswer::Made { tracking_number: "t".to_owned() }), at(9_999)));
    assert!(!label.take(Ok(LabelAnswer::Refused { reason: "r".to_owned() }), at(9_999)));
    assert_eq!(label.state, LabelState::Made { tracking_number: "t".to_owned() });
    let json = serde_json::to_string(&label).unwrap();
    assert_eq!(serde_json::from_str::<Label>(&json).unwrap(), label);
}

fn product(number: usize) -> ProductId {
    ProductId::from_u128(number as u128 + 1)
}

/// A unit by itself: which shipment it is on.
type Unit = Option<usize>;

/// Where an order stands, counted unit by unit; `states` are those of the shipments.
fn counted(units: &[Vec<Unit>], states: &[Option<TrackerStatus>]) -> FulfilmentState {
    let all: Vec<Unit> = units.concat();
    let delivered = |unit: &&Unit| unit.is_some_and(|shipment| states[shipment] == Some(TrackerStatus::Delivered));
    match (all.len(), all.iter().filter(delivered).count(), all.iter().flatten().count()) {
        (0, ..) => FulfilmentState::NothingDue,
        (all, delivered, _) if delivered == all => FulfilmentState::Fulfilled,
        (all, _, shipped) if shipped == all => FulfilmentState::Shipped,
        (_, _, 0) => FulfilmentState::Unfulfilled,
        _ => FulfilmentState::Partly,
    }
}

#[derive(Debug, Clone)]
enum Action {
    Ship(Vec<(usize, i64)>),
    Track(usize, usize, i64),
    CallOff(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let ship = prop::collection::vec((0..4_usize, 0..4_i64), 0..4).prop_map(Action::Ship);
    let track =
        (0..8_usize, 0..7_usize, 0..100_i64).prop_map(|(shipment, status, when)| Action::Track(shipment, status, when));
    let call_off = (0..8_usize).prop_map(Action::CallOff);
    prop::collection::vec(prop_oneof![3 => ship, 4 => track, 1 => call_off], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn an_order_stands_as_its_units_counted_one_by_one_say(
        order in prop::collection::vec((0..5_i64, 0..3_i64), 1..4),
        actions in actions(),
    ) {
        let order: Vec<OrderUnits> = order
            .into_iter()
            .enumerate()
            .map(|(number, (due, cancelled))| OrderUnits { product: product(number), bought: due + cancelled, cancelled })
            .collect();
        let mut units: Vec<Vec<Unit>> = order.iter().map(|line| vec![None; usize::try_from(line.due()).unwrap()]).collect();
        let mut shipments: Vec<Shipment> = Vec::new();
        for (number, action) in actions.into_iter().enumerate() {
            match action {
                Action::Ship(asked) => {
                    let lines: Vec<ShipmentUnits> = asked
                        .iter()
                        .map(|&(line, quantity)| ShipmentUnits { product: product(line), quantity })
                        .collect();
                    let free = |line: usize| units.get(line).map_or(0, |units| units.iter().filter(|unit| unit.is_none()).count());
                    let twice = asked.iter().enumerate().any(|(at, (line, _))| asked[..at].iter().any(|(other, _)| other == line));
                    let fits = asked.iter().all(|&(line, quantity)| quantity > 0 && free(line) as i64 >= quantity);
                    let answer = check_shipment(&order, &shipments, (&lines, &[BOX]));
                    prop_assert_eq!(answer.is_ok(), !asked.is_empty() && !twice && fits, "{:?}", answer);
                    if answer.is_ok() {
                        for &(line, quantity) in &asked {
                            let free = units[line].iter_mut().filter(|unit| unit.is_none());
                            free.take(quantity as usize).for_each(|unit| *unit = Some(shipments.len()));
                        }
                        shipments.push(Shipment { units: lines, parcels: vec![BOX], tracker: Tracker::default(), called_off: false });
                    }
                }
                Action::Track(shipment, status, when) if shipment < shipments.len() && !shipments[shipment].called_off => {
                    let news = event(u32::try_from(number).unwrap(), TrackerStatus::ALL[status], when);
                    shipments[shipment].tracker.append(news).unwrap();
                }
                Action::CallOff(shipment) if shipment < shipments.len() && shipments[shipment].can_be_called_off() => {
                    shipments[shipment].called_off = true;
                }
                Action::Track(..) | Action::CallOff(_) => {}
            }
            for unit in units.iter_mut().flatten() {
                let back = unit.is_some_and(|on| {
                    shipments[on].called_off || shipments[on].tracker.status() == Some(TrackerStatus::Returned)
                });
                *unit = unit.filter(|_| !back);
            }
            let states: Vec<_> = shipments.iter().map(|shipment| shipment.tracker.status()).collect();
            let stands = fulfilment(&order, &shipments);
            prop_assert_eq!(stands.state, counted(&units, &states));
            prop_assert!(stands.lines.iter().all(|line| 0 <= line.delivered && line.delivered <= line.shipped && line.shipped <= line.due));
        }
    }

    #[test]
    fn a_tracker_stands_the_same_in_whatever_order_and_however_often_its_events_come(
        events in prop::collection::vec((0..5_usize, 0..20_i64), 0..25),
        end in prop::option::of(5..7_usize),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        seeds in prop::collection::vec(any::<u32>(), 50),
    ) {
        let mut events: Vec<TrackerEvent> = events
            .iter()
            .chain(end.map(|end| (end, 10)).iter())
            .zip(0..)
            .map(|(&(status, when), number)| event(number, TrackerStatus::ALL[status], when))
            .collect();
        let told = |events: &[TrackerEvent]| {
            let mut tracker = Tracker::default();
            for event in events {
                tracker.append(event.clone()).unwrap();
            }
            tracker
        };
        let first = told(&events);
        // The naive reference: an end is an end; else the last in time, but for what steps back to before the journey.
        let mut in_time = events.clone();
        in_time.sort_by_key(|event| (event.occurred_at, event.status, event.reference.clone()));
        let last_of = |statuses: &[TrackerStatus]| in_time.iter().map(|event| event.status).rfind(|status| statuses.contains(status));
        use TrackerStatus::{Delivered, Exception, HandedOver, InTransit, LabelMade, OutForDelivery, Returned};
        let expected = last_of(&[Delivered, Returned])
            .or_else(|| last_of(&[InTransit, Exception, OutForDelivery]))
            .or_else(|| last_of(&[HandedOver]))
            .or_else(|| last_of(&[LabelMade]));
        prop_assert_eq!(first.status(), expected);
        let count = events.len();
        if count > 0 {
            let repeated: Vec<TrackerEvent> = again.iter().map(|index| events[index.index(count)].clone()).collect();
            events.extend(repeated);
        }
        let mut shuffled: Vec<(u32, TrackerEvent)> = seeds.into_iter().zip(events).collect();
        shuffled.sort_by_key(|(seed, _)| *seed);
        let shuffled: Vec<TrackerEvent> = shuffled.into_iter().map(|(_, event)| event).collect();
        let second = told(&shuffled);
        prop_assert_eq!(second.status(), first.status());
        prop_assert_eq!(second.events().len(), first.events().len());
    }
}

#[test]
fn units_that_are_not_left_are_refused_with_how_many_are() {
    let order = [OrderUnits { product: product(0), bought: 5, cancelled: 2 }];
    let units = |number, quantity| [ShipmentUnits { product: product(number), quantity }];
    let refused = |product, quantity, left| Err(ShipmentError::NotLeft { product, quantity, left });
    assert_eq!(check_shipment(&order, &[], (&units(0, 3), &[BOX])), Ok(()));
    assert_eq!(check_shipment(&order, &[], (&units(0, 4), &[BOX])), refused(product(0), 4, 3));
    assert_eq!(check_shipment(&order, &[], (&units(0, 0), &[BOX])), refused(product(0), 0, 3));
    assert_eq!(check_shipment(&order, &[], (&units(1, 1), &[BOX])), refused(product(1), 1, 0));
    assert_eq!(check_shipment(&order, &[], (&units(0, 1), &[])), Err(ParcelError::Number(0).into()));
}
