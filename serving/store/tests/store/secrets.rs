//! Signing secrets at rest: sealed and bound to their row, sealed anew when keys change, and refused where a key is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::{SecretKey, SecretKeys, Store, StoreError, StoreSettings, WritePoints};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use crate::feed::other_tenant;
use crate::webhooks::endpoint_input;
use crate::world::*;

fn keys(numbers: &[u8]) -> SecretKeys {
    let key = |number: &u8| SecretKey::from_random(&[*number; 32]).expect("a key");
    SecretKeys::new(numbers.iter().map(key).collect()).expect("keys")
}

fn key_id(number: u8) -> String {
    SecretKey::from_random(&[number; 32]).expect("a key").id().to_owned()
}

async fn connect(world: &World) -> Store {
    Store::connect(&world.url, StoreSettings::default()).await.expect("the database opens")
}

/// A store that was opened with keys, and how many secrets it sealed anew.
async fn opened(world: &World, numbers: &[u8]) -> (Store, u64) {
    connect(world).await.with_secret_keys(keys(numbers)).await.expect("its keys are there")
}

/// What an endpoint's row holds: its secrets as stored, and their key's id.
async fn rows(world: &World) -> Vec<(String, Option<String>)> {
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let sql = "SELECT secrets, sealed_by FROM webhook_endpoints ORDER BY tenant, id";
    let rows = connection.fetch_all(sql).await.expect("they are read");
    rows.iter().map(|row| (row.get("secrets"), row.get("sealed_by"))).collect()
}

async fn change(world: &World, sql: String) {
    let mut connection = AnyConnection::connect(&world.url).await.expect("the database answers");
    let changed = connection.execute(AssertSqlSafe(sql)).await.expect("it is changed");
    assert_eq!(changed.rows_affected(), 1);
}

fn secret(number: u8) -> WebhookSecret {
    WebhookSecret::from_random([number; 32])
}

async fn endpoint(world: &World, tenant: TenantId, number: u8) -> WebhookEndpointId {
    let made = world.shop.create_webhook_endpoint(tenant, &endpoint_input(&[]), &secret(number), None).await;
    made.expect("it is made").value.id
}

/// Writes an endpoint through `store`, as commerce does.
async fn put(store: &Store, endpoint: &StoredWebhookEndpoint) {
    let mut transaction = store.begin().await.expect("a transaction");
    transaction.put_webhook_endpoint(endpoint).await.expect("it is written");
    transaction.commit().await.expect("it is committed");
}

async fn found(store: &Store, tenant: TenantId, id: WebhookEndpointId) -> StoredWebhookEndpoint {
    store.webhook_endpoint(tenant, id).await.expect("it unseals").expect("it is there")
}

pub async fn where_a_key_is_configured_no_secret_is_readable_in_the_database_and_messages_are_signed_as_before(
    world: World,
) {
    let id = endpoint(&world, tenant(), 7).await;
    let rotated = world.shop.rotate_webhook_secret(tenant(), id, secret(8)).await;
    rotated.expect("it is rotated");
    let before = found(world.shop.storage(), tenant(), id).await;
    let (_, signatures) = before.secrets.signatures(world.clock.now(), "evt_1", b"{}").expect("they are secrets");
    assert!(rows(&world).await[0].0.contains(secret(8).reveal()), "without a key they stand in clear");

    let (store, sealed) = opened(&world, &[1]).await;
    assert_eq!((sealed, store.secrets_sealed_by()), (1, Some(key_id(1).as_str())));
    let after = found(&store, tenant(), id).await;
    assert_eq!(after, before);
    let signed = after.secrets.signatures(world.clock.now(), "evt_1", b"{}").expect("they are secrets");
    assert_eq!(signed.1, signatures);

    let mut new = before.clone();
    new.endpoint.id = WebhookEndpointId::from_u128(9);
    new.secrets = WebhookSecrets { current: secret(9), previous: None };
    put(&store, &new).await;
    put(&store, &StoredWebhookEndpoint { place: 5, ..after }).await;
    assert_eq!(found(&store, tenant(), new.endpoint.id).await, new);
    let stored = rows(&world).await;
    assert_eq!(stored.len(), 2);
    for (text, by) in stored {
        assert_eq!(by, Some(key_id(1)));
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
        for number in 7..10 {
            let revealed = secret(number);
            let random = vec![format!("{number:02x}"); 32].concat();
            assert!(!text.contains(&random), "the bits in digits");
            let digits: String = revealed.reveal().bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!text.contains(revealed.reveal()) && !text.contains(&digits), "the text");
        }
    }
    let listed = store.webhook_endpoints(tenant()).await.expect("they are listed");
    assert_eq!(listed.len(), 2, "a list unseals nothing");
    let (store, sealed) = opened(&world, &[1]).await;
    assert_eq!(sealed, 0, "another start finds nothing to do");
    assert_eq!(found(&store, tenant(), id).await.secrets, before.secrets);
}

pub async fn a_sealed_secret_in_another_endpoints_row_or_another_tenants_or_changed_is_refused(world: World) {
    let (one, two) = (endpoint(&world, tenant(), 1).await, endpoint(&world, tenant(), 2).await);
    let foreign = endpoint(&world, other_tenant(), 3).await;
    let (store, _) = opened(&world, &[1]).await;
    for (at, id) in [(tenant(), two), (other_tenant(), foreign)] {
        let from = format!("(SELECT secrets FROM webhook_endpoints WHERE id = '{one}')");
        let kept = found(&store, at, id).await;
        change(&world, format!("UPDATE webhook_endpoints SET secrets = {from} WHERE id = '{id}'")).await;
        let refused = store.webhook_endpoint(at, id).await;
        let Err(StorageError::Corrupt { detail, .. }) = refused else { panic!("it unsealed in another row") };
        assert!(detail.contains(&id.to_string()) && detail.contains("belongs to another row"), "{detail}");
        let restarted = connect(&world).await.with_secret_keys(keys(&[2, 1])).await;
        assert!(matches!(restarted, Err(StoreError::Secrets { .. })), "nor is it sealed anew");
        put(&store, &kept).await;
    }
    let row = format!("WHERE tenant = '{}' AND id = '{one}'", tenant());
    change(&world, format!("UPDATE webhook_endpoints SET id = '{}' {row}", WebhookEndpointId::from_u128(4))).await;
    assert!(store.webhook_endpoint(tenant(), WebhookEndpointId::from_u128(4)).await.is_err(), "nor under another id");
    let row = format!("WHERE tenant = '{}' AND id = '{two}'", tenant());
    change(&world, format!("UPDATE webhook_endpoints SET secrets = secrets || '00' {row}")).await;
    assert!(store.webhook_endpoint(tenant(), two).await.is_err(), "nor with more behind it");
    let of_world = world.shop.storage().webhook_endpoint(other_tenant(), foreign).await;
    let Err(StorageError::Corrupt { detail, .. }) = of_world else { panic!("it was read without its key") };
    assert!(detail.contains(&key_id(1)) && detail.contains("secrets.key_files"), "{detail}");
}

pub async fn a_new_key_takes_over_from_the_one_before_wherever_the_process_dies(world: World) {
    let first = endpoint(&world, tenant(), 7).await;
    let one = found(world.shop.storage(), tenant(), first).await;
    for number in 0..250_u32 {
        let mut more = one.clone();
        more.endpoint.tenant = TenantId::new(&format!("ten_shop_{}", number % 7)).expect("a valid tenant");
        more.endpoint.id = WebhookEndpointId::from_u128(u128::from(number));
        more.secrets.current = WebhookSecret::from_random([number as u8; 32]);
        put(world.shop.storage(), &more).await;
    }
    let sealed_by = async || -> BTreeSet<Option<String>> { rows(&world).await.into_iter().map(|row| row.1).collect() };
    assert_eq!(opened(&world, &[1]).await.1, 251);
    assert_eq!(sealed_by().await, BTreeSet::from([Some(key_id(1))]));

    // A process that ends before its second part is committed has done the first.
    let points: Arc<WritePoints> = Arc::default();
    points.end_at(2);
    let mortal = connect(&world).await.with_write_points(points.clone());
    tokio::select! {
        _ = mortal.with_secret_keys(keys(&[2, 1])) => panic!("it did not end"),
        () = points.ended() => {}
    }
    assert_eq!(sealed_by().await, BTreeSet::from([Some(key_id(1)), Some(key_id(2))]));
    let by_new = rows(&world).await.iter().filter(|(_, by)| *by == Some(key_id(2))).count();
    assert_eq!(by_new, 100, "a part has a bound");
    let (store, sealed) = opened(&world, &[2, 1]).await;
    assert_eq!(sealed, 151);
    assert_eq!(sealed_by().await, BTreeSet::from([Some(key_id(2))]));
    for number in 0..250_u32 {
        let at = TenantId::new(&format!("ten_shop_{}", number % 7)).expect("a valid tenant");
        let stored = found(&store, at, WebhookEndpointId::from_u128(u128::from(number))).await;
        assert_eq!(stored.secrets.current, WebhookSecret::from_random([number as u8; 32]));
    }
    // The old key is no longer needed, and a server that still seals with it is understood by one that knows both.
    assert_eq!(opened(&world, &[2]).await.1, 0);
    let (old, _) = opened(&world, &[1, 2]).await;
    assert_eq!(found(&old, tenant(), first).await.secrets, one.secrets);
    assert_eq!(found(&opened(&world, &[2, 1]).await.0, tenant(), first).await.secrets, one.secrets);
}

pub async fn a_start_without_the_key_of_a_stored_secret_is_refused_and_names_the_key(world: World) {
    assert_eq!(opened(&world, &[]).await.1, 0, "where nothing is sealed no key is needed");
    let id = endpoint(&world, tenant(), 7).await;
    let before = rows(&world).await;
    assert_eq!(opened(&world, &[]).await.1, 0);
    assert_eq!(rows(&world).await, before, "without a key secrets stay in clear");
    assert_eq!(opened(&world, &[1]).await.1, 1);
    let sealed = rows(&world).await;
    for without in [&[][..], &[2], &[2, 3]] {
        let Err(refused) = connect(&world).await.with_secret_keys(keys(without)).await else {
            panic!("a store without its keys opened");
        };
        let words = refused.to_string();
        assert!(matches!(refused, StoreError::SecretKeysMissing { .. }), "{words}");
        assert!(words.contains(&key_id(1)) && words.contains("secrets.key_files"), "{words}");
    }
    assert_eq!(rows(&world).await, sealed, "and nothing was changed");
    let (store, _) = opened(&world, &[2, 1]).await;
    assert_eq!(found(&store, tenant(), id).await.secrets.current, secret(7));
}
