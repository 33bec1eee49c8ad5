//! The promises about customs declarations, one function each; `main` runs each on both databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhow_commerce::*;
use dhow_customs::{
    Borders, ComplianceRules, DeclarationState, Document, Goods, HsTable, TariffHead, TariffTable, TariffTables,
};
use dhow_events::*;
use dhow_store::WritePoints;
use futures::future::join_all;
use jiff::civil::{Date, date};

use crate::world::*;

const TODAY: Date = date(2025, 3, 1);

/// A few provisions of the tariff of the United States in the spring of 2025, and rules about papers.
fn borders() -> Borders {
    let head = TariffHead {
        version: "US-2025-spring".to_owned(),
        destination: "US".parse().expect("a country"),
        currency: Currency::USD,
        from: date(2025, 1, 1),
        until: date(2025, 5, 13),
    };
    let table = TariffTable::from_csv(head, include_str!("../../../customs/tests/customs/us_2025.csv"));
    let mut tariffs = TariffTables::default();
    tariffs.add(table.expect("a table")).expect("the only one");
    let rules = ComplianceRules::from_csv(include_str!("../../../customs/tests/customs/rules.csv")).expect("rules");
    Borders { tariffs, rules, codes: HsTable::default() }
}

fn shirts(order: Option<OrderId>) -> DeclarationInput {
    let (hs, origin) = ("6109.10.00".parse().expect("a code"), "CN".parse().expect("a country"));
    let goods = vec![Goods { hs, origin, value_minor: 1_000_000, weight_grams: 0, items: 0 }];
    DeclarationInput { order, destination: "US".parse().expect("a country"), goods, documents: Vec::new() }
}

fn invoice() -> DeclarationChange {
    let document = Document { kind: "commercial_invoice".to_owned(), reference: "17".to_owned() };
    DeclarationChange::Attach { documents: vec![document] }
}

async fn moved(
    shop: &Shop,
    id: DeclarationId,
    expected: ExpectedVersion,
    change: &DeclarationChange,
) -> Result<CustomsDeclaration, CommerceError> {
    shop.move_declaration(tenant(), id, expected, (change, "ann"), (&borders(), TODAY)).await
}

const fn answer(to: DeclarationState) -> DeclarationChange {
    DeclarationChange::Answer { to }
}

pub async fn a_declaration_is_submitted_with_its_papers_held_and_cleared(world: World) {
    let shop = world.patient_process().await;
    let key = Idempotency::new("draft-1", "POST /v1/customs/declarations", b"{}").expect("a valid key");
    let tries = (0..32).map(|_| {
        let (shop, key) = (shop.clone(), key.clone());
        tokio::spawn(async move { shop.draft_declaration(tenant(), shirts(None), Some(&key)).await })
    });
    let drafted: Vec<_> =
        join_all(tries).await.into_iter().map(|one| one.expect("no panic").expect("drafted")).collect();
    let ids: BTreeSet<DeclarationId> = drafted.iter().map(|one| one.value.id).collect();
    assert_eq!((ids.len(), drafted.iter().filter(|one| !one.replayed).count()), (1, 1), "one key drafts once");
    let id = drafted[0].value.id;
    let exactly = ExpectedVersion::Exactly;
    let bare = moved(&world.shop, id, exactly(1), &DeclarationChange::Submit).await;
    assert!(matches!(bare, Err(CommerceError::DeclarationRefused(_))), "a paper lacks: {bare:?}");
    assert_eq!(moved(&world.shop, id, exactly(1), &invoice()).await.expect("attached").version(), 2);
    let stale = moved(&world.shop, id, exactly(1), &DeclarationChange::Submit).await;
    assert!(matches!(stale, Err(CommerceError::StaleVersion { .. })), "{stale:?}");
    let submitted = moved(&world.shop, id, exactly(2), &DeclarationChange::Submit).await.expect("it is submitted");
    let total = submitted.declaration.quote.as_ref().map(|quote| quote.total_minor);
    assert_eq!((total, submitted.submitted_on.as_deref()), (Some(340_000), Some("2025-03-01")));
    let again = moved(&world.shop, id, exactly(1), &DeclarationChange::Submit).await.expect("it stays");
    assert_eq!(again, submitted, "what was done already changes nothing, whatever version is named");
    for (to, version) in [(DeclarationState::Held, 4), (DeclarationState::Cleared, 5)] {
        assert_eq!(
            moved(&world.shop, id, exactly(version - 1), &answer(to)).await.expect("it moves").version(),
            version
        );
    }
    let after = moved(&world.shop, id, ExpectedVersion::Any, &answer(DeclarationState::Refused)).await;
    assert!(matches!(after, Err(CommerceError::DeclarationRefused(_))), "an end stays: {after:?}");
    let other = TenantId::new("ten_other").expect("a valid tenant");
    let foreign = world.shop.find_declaration(other, id).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))), "{foreign:?}");
    let no_order = world.shop.draft_declaration(tenant(), shirts(Some(OrderId::from_u128(1))), None).await;
    assert!(matches!(no_order, Err(CommerceError::Invalid(_))), "{no_order:?}");
    let filter = DeclarationFilter { state: Some(DeclarationState::Cleared), order: None };
    let page = PageRequest::new(10, None, "dcl").expect("a valid page");
    let list = world.shop.storage().declarations(tenant(), &filter, &page).await.expect("a page");
    assert_eq!(list.items.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    let told: Vec<String> = states(&world, id).await;
    assert_eq!(told, ["draft", "draft", "submitted", "held", "cleared"]);
}

/// The states that were told of a declaration, in order.
async fn states(world: &World, id: DeclarationId) -> Vec<String> {
    let records = world.outbox().await.into_iter().filter(|record| record.aggregate == id.to_string());
    let mut told = Vec::new();
    for (number, record) in (1..).zip(records) {
        assert_eq!(record.sequence, number);
        let Fact::DeclarationMoved(fact) = record.event.fact else { panic!("another fact") };
        told.push(fact.state);
    }
    told
}

/// One step of a declaration's life; steps are repeated until they are answered.
async fn life(shop: &Shop, number: usize, order: OrderId, run: i64) -> Result<CustomsDeclaration, CommerceError> {
    let key = Idempotency::new(&format!("draft-{run}"), "draft", b"").expect("a valid key");
    let drafted = shop.draft_declaration(tenant(), shirts(Some(order)), Some(&key)).await?.value;
    let change = match number {
        0 => return Ok(drafted),
        1 => invoice(),
        2 => DeclarationChange::Submit,
        _ => answer(DeclarationState::Cleared),
    };
    moved(shop, drafted.id, ExpectedVersion::Any, &change).await
}

pub async fn wherever_a_process_dies_a_declaration_moves_and_is_told_of_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    let checkout = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered").value;
    for run in 1.. {
        assert!(run < 100, "there are fewer write points");
        points.end_at(run);
        let mut last = None;
        for number in 0..4 {
            let lived = tokio::select! {
                done = life(&mortal, number, checkout.orders[0].id, run) => Some(done.expect("it is done")),
                () = points.ended() => None,
            };
            last = match lived {
                Some(done) => Some(done),
                None => {
                    points.disarm();
                    let again = life(&world.shop, number, checkout.orders[0].id, run).await;
                    Some(again.expect("a successor does it"))
                }
            };
        }
        let left = points.disarm();
        let kept = last.expect("it was led");
        assert_eq!((kept.declaration.state, kept.version()), (DeclarationState::Cleared, 4), "run {run}");
        assert_eq!(states(&world, kept.id).await, ["draft", "draft", "submitted", "cleared"], "run {run}");
        if left > 0 {
            assert!(run > 12, "a life has more write points than {run}");
            return;
        }
    }
}
