//! A small identity provider on this machine that does as a test tells it: discovery, codes bound to their PKCE challenges, signed tokens, keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Json;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use url::Url;

/// Who the server under test is to the provider.
pub const CLIENT: &str = "dhow shop";
/// What proves it; it must be encoded on its way.
pub const SECRET: &str = "a secret: with/odd+letters%";

/// What signs tokens.
pub enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Signer {
    /// The one RSA key of tests.
    pub fn rsa() -> Self {
        let text: String = include_str!("rsa_key_of_tests.txt").split_whitespace().collect();
        Self::Rsa(RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap())
    }

    /// A fresh key.
    pub fn p256() -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    fn public(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(key) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": text(&n), "e": text(&e) })
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y })
            }
        }
    }

    /// A token with this header and these claims.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())))
    }
}

type Change = Box<dyn Fn(&mut Value) + Send>;

/// What the provider does.
pub struct Doings {
    pub signer: Signer,
    /// The name of its key.
    pub key_id: String,
    /// What tokens are signed with where not with the key that is told of.
    pub signs_with: Option<Signer>,
    /// Changes the claims of a token, and its header.
    pub claims: Change,
    pub header: Change,
    /// Changes what it says of itself.
    pub metadata: Change,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// What is answered in place of a token.
    pub refusal: Option<(u16, Value)>,
    /// How often the keys were asked for.
    pub keys_asked: u32,
    codes: HashMap<String, HashMap<String, String>>,
    issuer: String,
}

/// A provider that runs until the test ends.
#[derive(Clone)]
pub struct Provider(Arc<Mutex<Doings>>);

impl Provider {
    /// Starts one whose tokens are of `now`, in seconds since 1970.
    pub async fn start(now: i64) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self(Arc::new(Mutex::new(Doings {
            signer: Signer::rsa(),
            key_id: "key 1".to_owned(),
            signs_with: None,
            claims: Box::new(|_| {}),
            header: Box::new(|_| {}),
            metadata: Box::new(|_| {}),
            now,
            refusal: None,
            keys_asked: 0,
            codes: HashMap::new(),
            issuer: format!("http://{}/shop", listener.local_addr().unwrap()),
        })));
        let router = axum::Router::new()
            .route("/shop/.well-known/openid-configuration", get(configuration))
            .route("/shop/token", post(token))
            .route("/shop/keys", get(keys))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub fn doings(&self) -> MutexGuard<'_, Doings> {
        self.0.lock().unwrap()
    }

    pub fn issuer(&self) -> String {
        self.doings().issuer.clone()
    }

    /// A person logs in at the address that a browser was sent to; gives where the browser is sent back to.
    pub fn log_in(&self, address: &str) -> Url {
        let url = Url::parse(address).unwrap();
        assert!(address.starts_with(&format!("{}/authorize?", self.issuer())), "{address}");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", CLIENT));
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        let code = format!("code/{}", self.doings().codes.len());
        let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &asked["state"])
            .append_pair("iss", &self.issuer())
            .append_pair("session_state", "what only some providers send");
        self.doings().codes.insert(code, asked);
        back
    }
}

async fn configuration(State(provider): State<Provider>) -> Json<Value> {
    let doings = provider.doings();
    let issuer = &doings.issuer;
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    });
    (doings.metadata)(&mut metadata);
    Json(metadata)
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    let mut doings = provider.doings();
    doings.keys_asked += 1;
    Json(json!({ "keys": [doings.signer.public(&doings.key_id)] }))
}

fn is_client(headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
    if let Some(posted) = form.get("client_secret") {
        return posted == SECRET && form["client_id"] == CLIENT && headers.get("authorization").is_none();
    }
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET))));
    headers.get("authorization").is_some_and(|header| header.as_bytes() == basic.as_bytes())
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let mut doings = provider.doings();
    let refuse = |word: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": word })));
    if let Some((status, body)) = &doings.refusal {
        return (StatusCode::from_u16(*status).unwrap(), Json(body.clone()));
    }
    if !is_client(&headers, &form) {
        return refuse("invalid_client");
    }
    // A code is good once.
    let Some(asked) = doings.codes.remove(&form["code"]) else { return refuse("invalid_grant") };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    if form["grant_type"] != "authorization_code"
        || form["redirect_uri"] != asked["redirect_uri"]
        || challenge != asked["code_challenge"]
    {
        return refuse("invalid_grant");
    }
    let mut claims = json!({
        "iss": doings.issuer, "sub": "person-7", "aud": CLIENT, "nonce": asked["nonce"], "email": "ada@shop.example",
        "iat": doings.now, "exp": doings.now + 300, "groups": ["shop-support", "others"],
    });
    (doings.claims)(&mut claims);
    let signer = doings.signs_with.as_ref().unwrap_or(&doings.signer);
    let mut header = json!({ "alg": signer.algorithm(), "kid": doings.key_id, "typ": "JWT" });
    (doings.header)(&mut header);
    let token = signer.token(&header, &claims);
    (StatusCode::OK, Json(json!({ "access_token": "x", "token_type": "Bearer", "id_token": token })))
}
