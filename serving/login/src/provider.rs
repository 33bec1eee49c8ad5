//! The provider: what it says of itself, its keys, and the exchange of a code; bounded in time, size and repetition.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use dhow_events::Timestamp;
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::attempt::LoginAttempt;
use crate::keys::{Algorithm, ProviderKey, read_keys};
use crate::settings::{LoginSettings, checked_url, is_loopback};
use crate::token::{Disbelief, Identity, Token};

/// How long one request to the provider may take.
pub const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long of it the connection may take.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// The largest answer of the provider, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// The most keys of a provider.
pub const PROVIDER_KEYS_MAX: usize = 64;
/// How long after its keys were read they are not read again, whatever tokens name.
pub const KEYS_PAUSE_MICROS: i64 = 10_000_000;
/// How long keys are believed until they are read again: a provider that takes one back is heard within it.
pub const KEYS_AGE_MAX_MICROS: i64 = 3_600_000_000;
/// The longest code that a browser may bring, in bytes.
const CODE_BYTES_MAX: usize = 4_096;

/// Why nobody logs in, or this person does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The configuration is wrong.
    #[error("{0}")]
    Settings(String),
    /// The provider cannot be asked, or says what no provider may.
    #[error("the identity provider {issuer}: {why}")]
    Provider {
        /// Which.
        issuer: String,
        /// What went wrong.
        why: String,
    },
    /// The provider refuses the login, or its token is not believed.
    #[error("{0}")]
    Refused(String),
}

/// What a provider says of itself, as far as it is used.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TokenRefusal {
    error: String,
}

/// The provider's keys as they were read last.
#[derive(Clone, Default)]
struct Keys {
    list: Arc<[ProviderKey]>,
    read_at: Option<Timestamp>,
}

/// A provider that people log in at.
pub struct Login {
    settings: LoginSettings,
    client: Client,
    authorization: Url,
    token: Url,
    keys_at: Url,
    redirect: Url,
    secret_in_body: bool,
    keys: Mutex<Keys>,
    /// Held by the one who reads the keys; others use what is there.
    reading: tokio::sync::Mutex<()>,
}

impl Login {
    /// Reads what the provider says of itself.
    ///
    /// # Errors
    /// Wrong settings; a provider that does not answer, is another one, or cannot do what is needed.
    pub async fn discover(settings: LoginSettings) -> Result<Self, LoginError> {
        let redirect = settings.check().map_err(LoginError::Settings)?;
        let issuer = checked_url("login.issuer", &settings.issuer).map_err(LoginError::Settings)?;
        let provider = |why: String| LoginError::Provider { issuer: settings.issuer.clone(), why };
        let client = Client::builder()
            .user_agent(concat!("dhow-login/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .https_only(!is_loopback(&issuer))
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(EXCHANGE_TIME_MAX)
            .build()
            .map_err(|error| provider(chain(&error)))?;
        let place = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
        let (status, body) = ask(client.get(place)).await.map_err(provider)?;
        if status != 200 {
            return Err(provider(format!("its configuration was answered with {status}")));
        }
        let read = serde_json::from_slice::<Metadata>(&body);
        let metadata = read.map_err(|error| provider(format!("its configuration cannot be read: {error}")))?;
        check(&metadata, &settings).map_err(provider)?;
        let endpoint = |name: &str, text: &str| checked_url(name, text).map_err(provider);
        let methods = metadata.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|known| known == method);
        Ok(Self {
            authorization: endpoint("its authorization_endpoint", &metadata.authorization_endpoint)?,
            token: endpoint("its token_endpoint", &metadata.token_endpoint)?,
            keys_at: endpoint("its jwks_uri", &metadata.jwks_uri)?,
            secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
            keys: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            client,
            redirect,
            settings,
        })
    }

    /// What it was configured with.
    pub const fn settings(&self) -> &LoginSettings {
        &self.settings
    }

    /// Where browsers come from that are on pages of this server: what their `Origin` must say.
    pub fn origin(&self) -> String {
        self.redirect.origin().ascii_serialization()
    }

    /// Whether browsers reach this server by TLS; it may be without on its own machine alone.
    pub fn is_secure(&self) -> bool {
        self.redirect.scheme() == "https"
    }

    /// Where a browser is sent to log in.
    pub fn authorization_url(&self, attempt: &LoginAttempt) -> String {
        let mut url = self.authorization.clone();
        let others = self.settings.scopes.iter().filter(|scope| *scope != "openid");
        let scopes = others.fold("openid".to_owned(), |scopes, scope| format!("{scopes} {scope}"));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect_url)
            .append_pair("scope", &scopes)
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// Who came back from the provider with `code`; `issuer` is the one that the provider named beside it, if it did.
    ///
    /// # Errors
    /// The provider refuses the code or cannot be asked; its token is not believed.
    pub async fn identify(
        &self,
        attempt: &LoginAttempt,
        code: &str,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Identity, LoginError> {
        if issuer.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err(LoginError::Refused("the answer comes from another identity provider".to_owned()));
        }
        if code.len() > CODE_BYTES_MAX {
            return Err(LoginError::Refused(format!("a code has at most {CODE_BYTES_MAX} bytes")));
        }
        let text = self.exchange(attempt, code).await?;
        let told = |why: String| LoginError::Refused(format!("the identity token is not believed: {why}"));
        let token = Token::parse(&text).map_err(|disbelief| told(words(disbelief)))?;
        let believe = |keys: &Keys| token.believe(&self.settings, &keys.list, &attempt.nonce(), now);
        let mut known = self.keys.lock().clone();
        let fresh = |at: Timestamp| (0..KEYS_AGE_MAX_MICROS).contains(&now.micros_since(at));
        if !known.read_at.is_some_and(fresh) {
            known = self.newer_keys(&known, now).await?;
        }
        let believed = match believe(&known) {
            Err(Disbelief::UnknownKey) => believe(&self.newer_keys(&known, now).await?),
            other => other,
        };
        believed.map_err(|disbelief| told(words(disbelief)))
    }

    /// The form that goes with a code, and the header that proves who we are, where it does not stand in the form.
    fn form(&self, attempt: &LoginAttempt, code: &str) -> (String, Option<String>) {
        let LoginSettings { client_id, client_secret, redirect_url, .. } = &self.settings;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect_url)
            .append_pair("code_verifier", &attempt.verifier());
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let header = match client_secret {
            Some(secret) if !self.secret_in_body => {
                let pair = format!("{}:{}", encoded(client_id), encoded(secret));
                Some(format!("Basic {}", BASE64.encode(pair)))
            }
            secret => {
                form.append_pair("client_id", client_id);
                form.extend_pairs(secret.iter().map(|secret| ("client_secret", secret)));
                None
            }
        };
        (form.finish(), header)
    }

    /// Gives the code and gets the identity token.
    async fn exchange(&self, attempt: &LoginAttempt, code: &str) -> Result<String, LoginError> {
        let (form, header) = self.form(attempt, code);
        let mut request = self.client.post(self.token.clone()).header("accept", "application/json");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let (status, body) = ask(request).await.map_err(|why| self.provider(why))?;
        if status == 200 {
            let answer: TokenAnswer = serde_json::from_slice(&body)
                .map_err(|error| self.provider(format!("its answer to the code cannot be read: {error}")))?;
            return answer.id_token.ok_or_else(|| self.provider("it gave no identity token".to_owned()));
        }
        let refusal = serde_json::from_slice::<TokenRefusal>(&body).map(|refusal| refusal.error).unwrap_or_default();
        if refusal == "invalid_grant" {
            return Err(LoginError::Refused("the identity provider refused the code: log in once more".to_owned()));
        }
        let refusal: String = refusal.chars().filter(|letter| letter.is_ascii_graphic()).take(100).collect();
        Err(self.provider(format!("the code was answered with {status} {refusal}")))
    }

    /// The keys, read again where that was not done a moment ago. Of several who find an unknown key at once one reads.
    async fn newer_keys(&self, known: &Keys, now: Timestamp) -> Result<Keys, LoginError> {
        let _turn = self.reading.lock().await;
        let current = self.keys.lock().clone();
        let fresh = |at: Timestamp| (0..KEYS_PAUSE_MICROS).contains(&now.micros_since(at));
        if current.read_at != known.read_at || current.read_at.is_some_and(fresh) {
            return Ok(current);
        }
        let (status, body) = ask(self.client.get(self.keys_at.clone()))
            .await
            .map_err(|why| self.provider(format!("its keys: {why}")))?;
        if status != 200 {
            return Err(self.provider(format!("its keys were answered with {status}")));
        }
        let list = read_keys(&body, PROVIDER_KEYS_MAX).map_err(|why| self.provider(format!("its keys: {why}")))?;
        let keys = Keys { list: list.into(), read_at: Some(now) };
        *self.keys.lock() = keys.clone();
        Ok(keys)
    }

    fn provider(&self, why: String) -> LoginError {
        LoginError::Provider { issuer: self.settings.issuer.clone(), why }
    }
}

fn words(disbelief: Disbelief) -> String {
    match disbelief {
        Disbelief::UnknownKey => "none of the provider's keys has signed it".to_owned(),
        Disbelief::Refused(why) => why,
    }
}

/// Whether the provider is the one that was named, and can do what is needed.
fn check(metadata: &Metadata, settings: &LoginSettings) -> Result<(), String> {
    if metadata.issuer != settings.issuer {
        return Err(format!("it calls itself {}; `login.issuer` must say the same, letter by letter", metadata.issuer));
    }
    let lacks = |list: &Option<Vec<String>>, wanted: &[&str]| {
        list.as_ref().is_some_and(|list| !list.iter().any(|word| wanted.contains(&word.as_str())))
    };
    if lacks(&metadata.code_challenge_methods_supported, &["S256"]) {
        return Err("it does not know PKCE by S256".to_owned());
    }
    if lacks(&metadata.id_token_signing_alg_values_supported, &Algorithm::WORDS) {
        return Err(format!("it signs identity tokens by none of {}", Algorithm::WORDS.join(", ")));
    }
    Ok(())
}

/// The status and the body of an answer, of a bounded size.
async fn ask(request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
    let mut answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("its answer has more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((answer.status().as_u16(), body))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}
