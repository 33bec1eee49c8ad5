//! Logging in at a provider on this machine: who is believed, and what is refused with which words; sessions are tested with the API.

mod provider;

use dhow_commerce::RoleName;
use dhow_events::{SECOND_MICROS, TenantId, Timestamp};
use dhow_login::{Identity, KEYS_AGE_MAX_MICROS, KEYS_PAUSE_MICROS, Login, LoginAttempt, LoginError, LoginSettings};
use provider::{CLIENT, Provider, SECRET, Signer};
use serde_json::{Value, json};

const NOW: i64 = 1_772_366_400;

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * SECOND_MICROS)
}

fn settings(provider: &Provider) -> LoginSettings {
    LoginSettings {
        issuer: provider.issuer(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(SECRET.to_owned()),
        redirect_url: "https://shop.example/v1/login/callback".to_owned(),
        scopes: vec!["email".to_owned()],
        role_claim: "groups".to_owned(),
        name_claim: "email".to_owned(),
        roles: vec![("shop-admins".to_owned(), RoleName::Owner), ("shop-support".to_owned(), RoleName::Support)],
        tenant: TenantId::default(),
        session_hours: 12,
    }
}

async fn discovered(provider: &Provider) -> Login {
    Login::discover(settings(provider)).await.expect("the provider is right")
}

/// One login, from the address to the identity.
async fn log_in(login: &Login, provider: &Provider, at: Timestamp) -> Result<Identity, LoginError> {
    let attempt = LoginAttempt::from_random([7; 32]);
    let back = provider.log_in(&login.authorization_url(&attempt));
    let value = |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert!(attempt.is_state(&value("state").unwrap()));
    login.identify(&attempt, &value("code").unwrap(), value("iss").as_deref(), at).await
}

fn refusal(answer: Result<Identity, LoginError>) -> String {
    match answer {
        Err(LoginError::Refused(words)) => words,
        other => panic!("it was not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_person_whose_token_is_right_is_known_with_the_roles_of_their_claims() {
    let provider = Provider::start(NOW).await;
    let login = discovered(&provider).await;
    assert_eq!((login.origin().as_str(), login.is_secure()), ("https://shop.example", true));
    let support = Identity {
        subject: "person-7".to_owned(),
        name: "ada@shop.example".to_owned(),
        roles: vec![RoleName::Support],
    };
    assert_eq!(log_in(&login, &provider, now()).await, Ok(support.clone()));
    assert_eq!(log_in(&login, &provider, now()).await, Ok(support), "and once more");
    for (groups, roles) in [
        (json!("shop-admins"), vec![RoleName::Owner]),
        (json!(["shop-admins", "shop-support", "shop-support"]), vec![RoleName::Owner, RoleName::Support]),
        (json!(["strangers", 7]), vec![]),
        (json!([]), vec![]),
        (json!({ "shop-admins": true }), vec![]),
        (Value::Null, vec![]),
    ] {
        provider.doings().claims = Box::new(move |claims| claims["groups"] = groups.clone());
        assert_eq!(log_in(&login, &provider, now()).await.unwrap().roles, roles);
    }
    assert_eq!(provider.doings().keys_asked, 1, "keys are remembered");
}

#[tokio::test]
async fn claims_may_stand_inside_of_others_and_client_secrets_go_where_the_provider_takes_them() {
    let provider = Provider::start(NOW).await;
    provider.doings().signer = Signer::p256();
    provider.doings().metadata = Box::new(|metadata| {
        metadata["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    });
    provider.doings().claims = Box::new(|claims| {
        claims["realm_access"] = json!({ "roles": ["shop-admins"] });
        claims["https://shop.example/name"] = json!("Ada");
        claims["aud"] = json!([CLIENT, "others"]);
        claims["azp"] = json!(CLIENT);
        claims["exp"] = json!(NOW as f64 + 0.5);
    });
    let settings = LoginSettings {
        role_claim: "realm_access.roles".to_owned(),
        name_claim: "https://shop.example/name".to_owned(),
        ..settings(&provider)
    };
    let login = Login::discover(settings).await.expect("the provider is right");
    let known = log_in(&login, &provider, now()).await.expect("it is believed");
    assert_eq!((known.name.as_str(), known.roles), ("Ada", vec![RoleName::Owner]));
}

#[tokio::test]
async fn a_token_that_is_not_for_us_not_now_or_not_for_this_login_is_refused_with_the_reason() {
    let provider = Provider::start(NOW).await;
    let login = discovered(&provider).await;
    for (claim, value, why) in [
        ("nonce", json!("another"), "`nonce`"),
        ("nonce", Value::Null, "`nonce`"),
        ("aud", json!("another client"), "it is not for"),
        ("aud", json!([]), "it is not for"),
        ("aud", Value::Null, "it is not for"),
        ("aud", json!([CLIENT, "others"]), "`azp`"),
        ("azp", json!("another client"), "`azp`"),
        ("iss", json!("https://id.example"), "its issuer is"),
        ("iss", Value::Null, "its issuer is"),
        ("exp", json!(NOW - 60), "it has expired"),
        ("exp", json!(-1e300), "it has expired"),
        ("exp", json!("tomorrow"), "`exp`"),
        ("iat", json!(NOW + 61), "not in force yet"),
        ("iat", json!("now"), "`iat`"),
        ("nbf", json!(NOW + 61), "not in force yet"),
        ("sub", json!(""), "`sub`"),
        ("sub", json!(7), "`sub`"),
        ("sub", json!("x".repeat(256)), "`sub`"),
        ("email", json!("ada\nshop"), "`email`"),
        ("email", Value::Null, "`email`"),
    ] {
        let changed = value.clone();
        provider.doings().claims = Box::new(move |claims| claims[claim] = changed.clone());
        let said = refusal(log_in(&login, &provider, now()).await);
        assert!(said.contains(why), "{claim} = {value}: {said}");
    }
    for claim in ["exp", "iat", "sub", "nonce", "aud", "iss", "email"] {
        provider.doings().claims = Box::new(move |claims| drop(claims.as_object_mut().unwrap().remove(claim)));
        refusal(log_in(&login, &provider, now()).await);
    }
    // Clocks may differ by a minute.
    provider.doings().claims = Box::new(|claims| {
        claims["exp"] = json!(NOW - 59);
        claims["iat"] = json!(NOW + 60);
    });
    assert!(log_in(&login, &provider, now()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_no_key_of_the_provider_signed_is_refused() {
    let provider = Provider::start(NOW).await;
    let login = discovered(&provider).await;
    assert!(log_in(&login, &provider, now()).await.is_ok());
    provider.doings().signs_with = Some(Signer::p256());
    assert!(refusal(log_in(&login, &provider, now()).await).contains("its signature is wrong"));
    for (word, why) in [("none", "none"), ("HS256", "HS256"), ("RS512", "RS512"), ("RS256", "signature is wrong")] {
        provider.doings().header = Box::new(move |header| header["alg"] = json!(word));
        let said = refusal(log_in(&login, &provider, now()).await);
        assert!(said.contains(why), "{said}");
    }
    provider.doings().signs_with = None;
    provider.doings().header = Box::new(|header| header["crit"] = json!(["b64"]));
    assert!(refusal(log_in(&login, &provider, now()).await).contains("extensions"));
    provider.doings().header = Box::new(|_| {});
    for token in ["", "a.b", "a.b.c", "e30.e30.", "e30.e30.AAAA", &"x".repeat(40_000)] {
        provider.doings().refusal = Some((200, json!({ "id_token": token })));
        assert!(refusal(log_in(&login, &provider, now()).await).contains("is not believed"), "{token}");
    }
}

#[tokio::test]
async fn new_keys_are_read_when_a_token_names_one_or_the_old_ones_are_old_and_not_again_and_again() {
    let provider = Provider::start(NOW).await;
    let login = discovered(&provider).await;
    assert!(log_in(&login, &provider, now()).await.is_ok());
    provider.doings().signer = Signer::p256();
    provider.doings().key_id = "key 2".to_owned();
    let said = refusal(log_in(&login, &provider, now()).await);
    assert!(said.contains("none of the provider's keys"), "they were read a moment ago: {said}");
    assert_eq!(provider.doings().keys_asked, 1);
    let later = now() + KEYS_PAUSE_MICROS;
    assert!(log_in(&login, &provider, later).await.is_ok());
    assert_eq!(provider.doings().keys_asked, 2);
    // A token without a key's name is tried with all.
    provider.doings().header = Box::new(|header| drop(header.as_object_mut().unwrap().remove("kid")));
    assert!(log_in(&login, &provider, later).await.is_ok());
    // The provider takes the key back and goes on with another of the same name.
    provider.doings().header = Box::new(|_| {});
    provider.doings().signs_with = Some(Signer::p256());
    provider.doings().signer = Signer::p256();
    provider.doings().claims = Box::new(|claims| claims["exp"] = json!(NOW + 100_000));
    refusal(log_in(&login, &provider, later).await);
    provider.doings().signs_with = None;
    assert!(log_in(&login, &provider, later + KEYS_AGE_MAX_MICROS).await.is_ok());
}

#[tokio::test]
async fn a_code_is_good_once_for_the_browser_that_it_was_given_to() {
    let provider = Provider::start(NOW).await;
    let login = discovered(&provider).await;
    let (mine, theirs) = (LoginAttempt::from_random([1; 32]), LoginAttempt::from_random([2; 32]));
    let code = |attempt: &LoginAttempt| {
        let back = provider.log_in(&login.authorization_url(attempt));
        back.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned()
    };
    let stolen = code(&mine);
    let said = refusal(login.identify(&theirs, &stolen, None, now()).await);
    assert!(said.contains("refused the code"), "the verifier is not theirs: {said}");
    let own = code(&mine);
    assert!(login.identify(&mine, &own, None, now()).await.is_ok());
    assert!(refusal(login.identify(&mine, &own, None, now()).await).contains("refused the code"));
    let other = login.identify(&mine, &code(&mine), Some("https://id.example"), now()).await;
    assert!(refusal(other).contains("another identity provider"));
    assert!(refusal(login.identify(&mine, &"x".repeat(5_000), None, now()).await).contains("at most"));
}

#[tokio::test]
async fn a_provider_that_is_away_is_another_one_or_cannot_do_what_is_needed_is_an_error_that_names_it() {
    let provider = Provider::start(NOW).await;
    let issuer = provider.issuer();
    let refused = async |settings: LoginSettings| match Login::discover(settings).await {
        Err(error @ LoginError::Provider { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    };
    let away = LoginSettings { issuer: "http://127.0.0.1:1".to_owned(), ..settings(&provider) };
    assert!(refused(away).await.contains("http://127.0.0.1:1"));
    let slash = LoginSettings { issuer: format!("{issuer}/"), ..settings(&provider) };
    assert!(refused(slash).await.contains("letter by letter"));
    for (name, value, why) in [
        ("code_challenge_methods_supported", json!(["plain"]), "PKCE"),
        ("id_token_signing_alg_values_supported", json!(["PS512"]), "RS256, ES256"),
        ("token_endpoint", json!("http://id.example/token"), "token_endpoint"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "authorization_endpoint"),
        ("jwks_uri", Value::Null, "cannot be read"),
        ("padding", json!("x".repeat(300_000)), "more than"),
    ] {
        provider.doings().metadata = Box::new(move |metadata| metadata[name] = value.clone());
        let said = refused(settings(&provider)).await;
        assert!(said.contains(why) && said.contains(&issuer), "{said}");
    }
    provider.doings().metadata = Box::new(|_| {});
    let login = discovered(&provider).await;
    for (status, body) in [(500, json!({})), (400, json!({ "error": "invalid_client" })), (200, json!({ "a": 1 }))] {
        provider.doings().refusal = Some((status, body));
        let failed = log_in(&login, &provider, now()).await;
        assert!(matches!(failed, Err(LoginError::Provider { .. })), "{failed:?}");
    }
    let wrong = LoginSettings { client_secret: None, ..settings(&provider) };
    provider.doings().refusal = None;
    let login = Login::discover(wrong).await.expect("the provider is right");
    assert!(log_in(&login, &provider, now()).await.is_err(), "without its secret the client is nobody");
}
