//! The audit log: a row in the transaction of each change, a chain without gaps, and whoever tampers with it is found out.

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::{Store, WritePoints, audited};
use futures::future::join_all;
use sqlx::{AnyConnection, Connection, Executor};

use crate::feed::other_tenant;
use crate::world::*;

fn request(tenant: TenantId, number: usize) -> AuditRequest {
    AuditRequest {
        person: None,
        tenant: Some(tenant),
        key: Some(KeyId::from_u128(7)),
        operation: "PUT /v1/products/{id}/stock".to_owned(),
        path: format!("/v1/products/{CUP}/stock"),
        request_id: format!("request-{number}"),
        at: Timestamp::from_micros(number as i64),
    }
}

/// Sets the stock for a request; gives whether a change was committed.
async fn set_stock(shop: &Shop, number: usize, on_hand: i64) -> bool {
    let (answer, changed) = audited(request(tenant(), number), shop.set_stock(tenant(), CUP, on_hand, None)).await;
    assert_eq!(answer.is_ok(), changed, "{answer:?}");
    changed
}

async fn chain_all(store: &Store) {
    while store.chain_audit().await.expect("it is chained") > 0 {}
}

async fn entries(store: &Store) -> Vec<AuditEntry> {
    let mut entries = store.audit_entries(tenant(), None, 1_000).await.expect("they are read");
    entries.reverse();
    entries
}

async fn verified(store: &Store) -> AuditVerification {
    store.verify_audit(tenant(), 0).await.expect("it is recomputed")
}

pub async fn each_change_has_its_row_and_what_was_undone_or_refused_has_none_with_it(world: World) {
    let store = world.shop.storage();
    assert!(set_stock(&world.shop, 1, 20).await);
    assert!(!set_stock(&world.shop, 2, -1).await, "it is refused");
    store.append_audit(&request(tenant(), 2), tenant(), AuditOutcome::Refused, 422).await.expect("it is written");
    // A change that no request asked for.
    world.shop.set_stock(tenant(), CUP, 21, None).await.expect("it is set");
    let points: std::sync::Arc<WritePoints> = std::sync::Arc::default();
    let mortal = world.mortal_process(4, &points).await;
    for point in 1..40 {
        points.end_at(point);
        let number = 100 + point as usize;
        tokio::select! {
            _ = audited(request(tenant(), number), mortal.set_stock(tenant(), CUP, 30 + point, None)) => {}
            () = points.ended() => {}
        }
        let lived = points.disarm() > 0;
        chain_all(store).await;
        let on_hand = world.stock(CUP).await.0;
        let is_logged = entries(store).await.iter().any(|entry| entry.row.request_id == format!("request-{number}"));
        assert_eq!(is_logged, on_hand == 30 + point, "the change and its row, or neither");
        if lived {
            break;
        }
    }
    let rows = entries(store).await;
    assert_eq!(rows[0].row.subjects, [CUP.to_string()]);
    assert_eq!((rows[0].row.outcome, rows[1].row.outcome), (AuditOutcome::Changed, AuditOutcome::Refused));
    assert_eq!((rows[0].row.status, rows[1].row.status), (None, Some(422)));
    assert_eq!(verified(store).await.broken, None);
    let (checkout, changed) =
        audited(request(tenant(), 9), world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None)).await;
    assert!(changed);
    chain_all(store).await;
    let rows = entries(store).await;
    let of_checkout: Vec<_> = rows.iter().filter(|entry| entry.row.request_id == "request-9").collect();
    let id = checkout.expect("it is answered").value.id.to_string();
    assert_eq!(of_checkout.len(), 2, "decided and settled, each with its transaction");
    assert!(of_checkout.iter().all(|entry| entry.row.subjects.contains(&id)));
}

pub async fn rows_of_many_writers_make_one_chain_for_each_tenant(world: World) {
    let others = [world.another_process(8).await, world.another_process(9).await];
    let chainers = others.map(|shop| {
        tokio::spawn(async move {
            for _ in 0..60 {
                shop.storage().chain_audit().await.expect("it is chained");
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        })
    });
    let writers = (0..40).map(|number| {
        let shop = world.shop.clone();
        tokio::spawn(async move {
            set_stock(&shop, number, 50 + number as i64).await;
            let foreign = request(other_tenant(), number);
            shop.storage().append_audit(&foreign, other_tenant(), AuditOutcome::Refused, 404).await.expect("written");
        })
    });
    join_all(writers).await.into_iter().for_each(|ended| ended.expect("no panic"));
    join_all(chainers).await.into_iter().for_each(|ended| ended.expect("no panic"));
    let store = world.shop.storage();
    chain_all(store).await;
    for tenant in [tenant(), other_tenant()] {
        let found = store.verify_audit(tenant, 0).await.expect("it is recomputed");
        assert_eq!((found.verified, found.head.last_place, found.broken), (40, 40, None), "{tenant}");
        let half = store.verify_audit(tenant, 30).await.expect("it is recomputed");
        assert_eq!((half.verified, half.verified_to, half.broken), (10, 40, None));
    }
}

pub async fn a_row_that_is_changed_removed_or_put_in_between_is_named(world: World) {
    for number in 1..=6 {
        set_stock(&world.shop, number, 20 + number as i64).await;
    }
    let store = world.shop.storage();
    chain_all(store).await;
    let intact = verified(store).await;
    assert_eq!((intact.verified, &intact.broken), (6, &None));
    let mut intruder = AnyConnection::connect(&world.url).await.expect("the database opens");
    let saved = "CREATE TABLE saved AS SELECT * FROM audit_log";
    intruder.execute(saved).await.expect("it is copied");
    let heads = "CREATE TABLE saved_heads AS SELECT * FROM audit_heads";
    intruder.execute(heads).await.expect("it is copied");
    for (tampering, place) in [
        ("UPDATE audit_log SET path = '/v1/products/none' WHERE place = 3", 3),
        ("UPDATE audit_log SET key_id = NULL WHERE place = 1", 1),
        ("UPDATE audit_log SET key_id = 'nobody' WHERE place = 2", 2),
        ("UPDATE audit_log SET at = at + 1 WHERE place = 6", 6),
        ("UPDATE audit_log SET outcome = 'refused', status = 409 WHERE place = 4", 4),
        ("UPDATE audit_log SET subjects = '[]' WHERE place = 5", 5),
        ("UPDATE audit_log SET hash = NULL WHERE place = 2", 2),
        ("DELETE FROM audit_log WHERE place = 2", 2),
        ("DELETE FROM audit_log WHERE place = 6", 6),
        ("DELETE FROM audit_log WHERE place > 0", 1),
        ("UPDATE audit_heads SET last_place = 5", 6),
        ("UPDATE audit_log SET place = place + 1 WHERE place = 6", 6),
    ] {
        intruder.execute(tampering).await.expect("somebody has the rights");
        let found = verified(store).await;
        assert_eq!(found.broken.as_ref().map(|broken| broken.place), Some(place), "{tampering}: {found:?}");
        assert_eq!(found.verified, place - 1 + i64::from(tampering.contains("audit_heads")), "{tampering}");
        let columns = "tenant, at, key_id, operation, path, subjects, request_id, outcome, status, place, hash";
        for undo in [
            "DELETE FROM audit_log".to_owned(),
            format!("INSERT INTO audit_log ({columns}) SELECT {columns} FROM saved"),
            "UPDATE audit_heads SET last_place = (SELECT last_place FROM saved_heads)".to_owned(),
        ] {
            intruder.execute(sqlx::AssertSqlSafe(undo)).await.expect("it is undone");
        }
        assert_eq!(verified(store).await, intact);
    }
    intruder.close().await.expect("the connection closes");
}
