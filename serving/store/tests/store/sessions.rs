//! Logins under way and sessions of people: taken once, ended, bounded, and told by the audit log.

use std::collections::BTreeSet;

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::audited;
use futures::future::join_all;
use sqlx::{AnyConnection, Connection, Executor, Row};

use crate::feed::other_tenant;
use crate::world::*;

fn hash(number: u64) -> KeyHash {
    let mut bits = [0; 32];
    bits[..8].copy_from_slice(&number.to_le_bytes());
    KeyHash(bits)
}

fn session(tenant: TenantId, subject: &str, at: Timestamp) -> LoginSession {
    LoginSession {
        tenant,
        subject: subject.to_owned(),
        person: format!("{subject}@shop.example"),
        roles: vec![RoleName::Support, RoleName::Planner],
        created_at: at,
        expires_at: at + HOUR_MICROS,
    }
}

async fn count(world: &World, table: &str) -> i64 {
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let sql = format!("SELECT COUNT(*) AS rows_there FROM {table}");
    let row = connection.fetch_one(sqlx::AssertSqlSafe(sql)).await.expect("they are counted");
    row.get("rows_there")
}

pub async fn a_login_is_taken_once_in_time_whoever_takes_it_at_once(world: World) {
    let (store, now) = (world.shop.storage(), world.clock.now());
    let until = now + LOGIN_ATTEMPT_MICROS;
    store.begin_login(&hash(1), "/orders?state=held", now, until).await.expect("it begins");
    assert_eq!(store.take_login(&hash(2), now).await.expect("it is read"), None, "another one");
    let other = world.patient_process().await;
    let takers = (0..16).map(|number| if number % 2 == 0 { store } else { other.storage() });
    let taken = join_all(takers.map(|store| async move { store.take_login(&hash(1), now).await })).await;
    let taken: Vec<String> = taken.into_iter().filter_map(|one| one.expect("it is read")).collect();
    assert_eq!(taken, ["/orders?state=held"]);

    store.begin_login(&hash(3), "/", now, until).await.expect("it begins");
    assert_eq!(store.take_login(&hash(3), until).await.expect("it is read"), None, "too late");
    assert_eq!(store.take_login(&hash(3), now).await.expect("it is read"), None, "and it is gone");
    assert!(matches!(store.begin_login(&hash(4), "/", now, until).await, Ok(())));
    assert!(matches!(store.begin_login(&hash(4), "/", now, until).await, Err(StorageError::Exists(_))));
    store.begin_login(&hash(5), "/", until, until + LOGIN_ATTEMPT_MICROS).await.expect("it begins");
    assert_eq!(count(&world, "login_attempts").await, 1, "what has expired is removed");
}

pub async fn as_many_logins_as_may_be_are_under_way_and_one_more_ends_the_oldest(world: World) {
    let (store, now) = (world.shop.storage(), world.clock.now());
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let values = |numbers: std::ops::Range<i64>| -> String {
        let row = |number: i64| format!("('{}', '/', {})", hash(number as u64), (now + DAY_MICROS).micros() + number);
        numbers.map(row).collect::<Vec<_>>().join(", ")
    };
    for part in 0..LOGIN_ATTEMPTS_MAX / 1_000 {
        let rows = values(part * 1_000..(part + 1) * 1_000);
        let sql = format!("INSERT INTO login_attempts (hash, return_to, expires_at) VALUES {rows}");
        connection.execute(sqlx::AssertSqlSafe(sql)).await.expect("they are written");
    }
    connection.close().await.expect("it closes");
    store.begin_login(&hash(u64::MAX), "/", now, now + 2 * DAY_MICROS).await.expect("it begins");
    assert_eq!(count(&world, "login_attempts").await, LOGIN_ATTEMPTS_MAX);
    assert_eq!(store.take_login(&hash(0), now).await.expect("it is read"), None, "the oldest");
    for there in [1, LOGIN_ATTEMPTS_MAX as u64 - 1, u64::MAX] {
        assert!(store.take_login(&hash(there), now).await.expect("it is read").is_some(), "{there}");
    }
}

pub async fn a_session_is_found_by_the_hash_of_its_secret_until_it_is_ended_and_a_person_has_a_bounded_number(
    world: World,
) {
    let (store, now) = (world.shop.storage(), world.clock.now());
    let secret = SessionSecret::from_random([7; 32]);
    let ada = session(tenant(), "ada", now);
    store.create_session(&ada, &secret.hash()).await.expect("it is stored");
    assert!(matches!(store.create_session(&ada, &secret.hash()).await, Err(StorageError::Exists(_))));
    let presented = SessionSecret::presented(secret.reveal()).hash();
    assert_eq!(store.find_session(&presented).await.expect("it is read"), Some(ada.clone()));
    assert_eq!(store.find_session(&hash(1)).await.expect("it is read"), None);
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let stored = connection.fetch_one("SELECT hash FROM login_sessions").await.expect("it is read");
    assert_ne!(stored.get::<String, _>("hash"), secret.reveal(), "the secret is not stored");

    for number in 1..=SESSIONS_PER_PERSON_MAX as u64 {
        let at = now + number as i64;
        store.create_session(&session(tenant(), "ada", at), &hash(number)).await.expect("it is stored");
        store.create_session(&session(other_tenant(), "ada", at), &hash(100 + number)).await.expect("it is stored");
    }
    assert_eq!(store.find_session(&presented).await.expect("it is read"), None, "the oldest was ended");
    for number in 1..=SESSIONS_PER_PERSON_MAX as u64 {
        assert!(store.find_session(&hash(number)).await.expect("it is read").is_some());
        assert!(store.find_session(&hash(100 + number)).await.expect("it is read").is_some(), "of another tenant");
    }
    assert!(store.end_session(&hash(1)).await.expect("it is ended"));
    assert!(!store.end_session(&hash(1)).await.expect("it is read"), "it was ended before");
    assert_eq!(store.find_session(&hash(1)).await.expect("it is read"), None);
    let later = now + DAY_MICROS;
    store.create_session(&session(tenant(), "grace", later), &hash(200)).await.expect("it is stored");
    assert_eq!(count(&world, "login_sessions").await, 1, "what has expired is removed");
}

pub async fn the_audit_log_names_who_logged_in_and_out_and_finds_a_name_that_was_put_in_or_taken_out(world: World) {
    let (store, now) = (world.shop.storage(), world.clock.now());
    let request = |operation: &str, person: Option<&str>| AuditRequest {
        tenant: None,
        key: None,
        person: person.map(str::to_owned),
        operation: operation.to_owned(),
        path: operation.to_owned(),
        request_id: "r".to_owned(),
        at: now,
    };
    let keyed = AuditRequest { tenant: Some(tenant()), ..request("PUT /v1/products", None) };
    store.append_audit(&keyed, tenant(), AuditOutcome::Unchanged, 200).await.expect("it is written");
    let ada = session(tenant(), "ada", now);
    let (begun, changed) = audited(request("GET /v1/login/callback", None), store.create_session(&ada, &hash(1))).await;
    begun.expect("it is stored");
    assert!(changed);
    let by_ada = AuditRequest { tenant: Some(tenant()), ..request("POST /v1/refunds", Some(&ada.person)) };
    store.append_audit(&by_ada, tenant(), AuditOutcome::Refused, 409).await.expect("it is written");
    let (ended, changed) = audited(request("POST /v1/logout", None), store.end_session(&hash(1))).await;
    assert!(ended.expect("it is ended") && changed);
    let (again, changed) = audited(request("POST /v1/logout", None), store.end_session(&hash(1))).await;
    assert!(!again.expect("it is read") && !changed);
    assert_eq!(store.chain_audit().await.expect("they are chained"), 4);
    let rows = store.audit_entries(tenant(), None, 10).await.expect("they are read");
    let told: Vec<_> =
        rows.iter().rev().map(|entry| (entry.row.operation.as_str(), entry.row.person.as_deref())).collect();
    let ada = Some("ada@shop.example");
    let expected = [
        ("PUT /v1/products", None),
        ("GET /v1/login/callback", ada),
        ("POST /v1/refunds", ada),
        ("POST /v1/logout", ada),
    ];
    assert_eq!(told, expected);
    let verification = store.verify_audit(tenant(), 0).await.expect("it is verified");
    assert_eq!((verification.verified, verification.broken), (4, None));
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let mut breaks = BTreeSet::new();
    for (change, back) in [("'mallory'", "'ada@shop.example'"), ("NULL", "'ada@shop.example'")] {
        for person in [change, back] {
            let sql = format!("UPDATE audit_log SET person = {person} WHERE place = 3");
            connection.execute(sqlx::AssertSqlSafe(sql)).await.expect("it is changed");
            let found = store.verify_audit(tenant(), 0).await.expect("it is verified");
            breaks.insert((person, found.broken.map(|broken| broken.place)));
        }
    }
    let named = [("'mallory'", Some(3)), ("NULL", Some(3)), ("'ada@shop.example'", None)];
    assert_eq!(breaks, BTreeSet::from(named), "a person who was put in, or taken out, is found");
}
