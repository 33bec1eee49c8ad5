//! The promises about suppliers, one function each; `main` runs each on both databases.

use dhow_commerce::*;
use dhow_events::*;
use futures::future::join_all;

use crate::world::*;

const SELLER: SellerId = SellerId::from_u128(1);

fn profile(legal_name: &str) -> SupplierProfile {
    SupplierProfile {
        legal_name: legal_name.to_owned(),
        country: "GB".parse().expect("a country"),
        registration_number: "01234567".to_owned(),
        tax_number: String::new(),
        display_name: String::new(),
        website: "https://adler.example".to_owned(),
    }
}

fn paper(kind: DocumentKind, expires_on: Option<&str>) -> SupplierChange {
    let expires_on = expires_on.map(|day| day.parse().expect("a day"));
    let document = SupplierDocumentInput { kind, reference: format!("papers/{kind}.pdf"), expires_on };
    SupplierChange::Attach { document }
}

async fn take(shop: &Shop, change: SupplierChange) -> Result<Supplier, CommerceError> {
    shop.move_supplier(tenant(), SELLER, ExpectedVersion::Any, &change, ("ann", "seen")).await
}

fn decide(document: u32, to: DocumentState) -> SupplierChange {
    SupplierChange::Decide { document, to }
}

const fn move_to(to: SupplierState) -> SupplierChange {
    SupplierChange::Move { to }
}

pub async fn a_supplier_shows_what_its_papers_show_until_they_run_out(world: World) {
    let shop = &world.shop;
    let created = shop.put_supplier(tenant(), SELLER, &profile("Adler Ltd"), ExpectedVersion::Absent).await;
    assert_eq!(created.expect("it is written").version, 1);
    let again = shop.put_supplier(tenant(), SELLER, &profile("Adler Ltd"), ExpectedVersion::Absent).await;
    assert!(matches!(again, Err(CommerceError::StaleVersion { .. })), "{again:?}");
    take(shop, move_to(SupplierState::Submitted)).await.expect("it is submitted");
    let bare = take(shop, move_to(SupplierState::Verified)).await;
    assert!(matches!(bare, Err(CommerceError::SupplierRefused(_))), "no paper shows it: {bare:?}");
    take(shop, paper(DocumentKind::BusinessRegistration, None)).await.expect("it is handed in");
    take(shop, decide(1, DocumentState::Accepted)).await.expect("it is accepted");
    let verified = take(shop, move_to(SupplierState::Verified)).await.expect("it is verified");
    let now = world.clock.now();
    assert_eq!(verified.level(now), SupplierLevel::Basic);
    // The clock stands at the first of March 2026: these run out on the tenth.
    let kinds =
        [DocumentKind::TaxRegistration, DocumentKind::Identity, DocumentKind::Address, DocumentKind::BankAccount];
    for (number, kind) in (2..).zip(kinds) {
        let until = (kind == DocumentKind::Identity).then_some("2026-03-10");
        take(shop, paper(kind, until)).await.expect("it is handed in");
        take(shop, decide(number, DocumentState::Accepted)).await.expect("it is accepted");
    }
    let kept = shop.find_supplier(tenant(), SELLER).await.expect("it is there");
    assert_eq!((kept.level(now), kept.documents.len()), (SupplierLevel::Premium, 5));
    assert_eq!(kept.level(now + 8 * DAY_MICROS), SupplierLevel::Premium);
    assert_eq!(kept.level(now + 9 * DAY_MICROS), SupplierLevel::Basic, "without who acts for it nothing above counts");
    let same = take(shop, decide(5, DocumentState::Accepted)).await.expect("it stays");
    assert_eq!(same.version, kept.version, "what was decided already changes nothing");
    let suspended = take(shop, move_to(SupplierState::Suspended)).await.expect("it is suspended");
    assert_eq!(suspended.level(now), SupplierLevel::None);
    take(shop, move_to(SupplierState::Verified)).await.expect("it is verified again");
    let named = SupplierProfile { display_name: "Adler".to_owned(), ..profile("Adler Ltd") };
    let shown = shop.put_supplier(tenant(), SELLER, &named, ExpectedVersion::Any).await.expect("it is written");
    assert_eq!(shown.level(now), SupplierLevel::Premium, "another name on the door changes nothing");
    let other = shop.put_supplier(tenant(), SELLER, &profile("Geier Ltd"), ExpectedVersion::Any).await;
    let other = other.expect("it is written");
    assert_eq!((other.state, other.level(now)), (SupplierState::Unverified, SupplierLevel::None));
    assert!(other.documents.iter().all(|document| document.state == DocumentState::Submitted));
    let states: Vec<SupplierState> = other.history.iter().map(|line| line.state).collect();
    use SupplierState::{Submitted, Suspended, Unverified, Verified};
    assert_eq!(states, [Submitted, Verified, Suspended, Verified, Unverified]);
    let page = PageRequest::new(10, None, "sel").expect("a valid page");
    let listed = shop.storage().suppliers(tenant(), Some(Unverified), &page).await.expect("a page");
    assert_eq!(listed.items, [other]);
    let foreign = shop.find_supplier(TenantId::new("ten_other").expect("a valid tenant"), SELLER).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))), "{foreign:?}");
}

pub async fn papers_that_are_handed_in_at_once_are_all_kept_and_never_more_than_there_may_be(world: World) {
    let shop = world.patient_process().await;
    shop.put_supplier(tenant(), SELLER, &profile("Adler Ltd"), ExpectedVersion::Absent).await.expect("it is written");
    let handing = (0..SUPPLIER_DOCUMENTS_MAX + 5).map(|_| {
        let shop = shop.clone();
        tokio::spawn(async move { take(&shop, paper(DocumentKind::Certificate, None)).await })
    });
    let handed = join_all(handing).await.into_iter().map(|answer| answer.expect("no panic"));
    let (kept, refused): (Vec<_>, Vec<_>) = handed.partition(Result::is_ok);
    assert_eq!((kept.len(), refused.len()), (SUPPLIER_DOCUMENTS_MAX, 5), "{refused:?}");
    let supplier = shop.find_supplier(tenant(), SELLER).await.expect("it is there");
    let numbers: Vec<u32> = supplier.documents.iter().map(|document| document.number).collect();
    assert_eq!(numbers, (1..=SUPPLIER_DOCUMENTS_MAX as u32).collect::<Vec<_>>());
    for (change, pointer) in [
        (paper(DocumentKind::Licence, Some("2026-03-01")), "/document/expires_on"),
        (decide(99, DocumentState::Accepted), "/document"),
        (decide(1, DocumentState::Submitted), "/to"),
        (move_to(SupplierState::Unverified), "/to"),
    ] {
        let refused = take(&shop, change).await;
        let Err(CommerceError::Invalid(problems)) = refused else { panic!("{refused:?}") };
        assert_eq!(problems.iter().map(|problem| problem.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
    }
    let card = SupplierProfile { tax_number: "4111 1111 1111 1111".to_owned(), ..profile("Adler Ltd") };
    let refused = shop.put_supplier(tenant(), SELLER, &card, ExpectedVersion::Any).await;
    assert!(matches!(refused, Err(CommerceError::Invalid(_))), "{refused:?}");
}
