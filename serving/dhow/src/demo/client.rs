//! A client of the API over real connections that keeps the latency of every answer by kind of question.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use dhow_events::{Clock, SystemClock};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;

use crate::failure::Failure;

/// How often a request is sent again that the server was too busy for.
const RETRIES_MAX: u32 = 20;

/// Latencies in microseconds by kind of question.
pub type Latencies = BTreeMap<&'static str, Vec<i64>>;

/// A refusal: the status and the problem's stable code, with its words.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable code, such as `not_found`.
    pub code: String,
    /// The whole problem.
    problem: Json,
}

impl Refusal {
    /// Whether nothing is wrong but products of the lines.
    pub fn is_of_products(&self) -> bool {
        let of_a_product = |error: &Json| {
            error["pointer"].as_str().is_some_and(|at| at.starts_with("/lines/") && at.ends_with("/product"))
        };
        let errors = self.problem["errors"].as_array();
        errors.is_some_and(|errors| !errors.is_empty() && errors.iter().all(of_a_product))
    }

    /// The failure that this is where the client did not reckon with it.
    pub fn into_failure(self, asked: &str) -> Failure {
        Failure::Failed(format!("{asked}: {}", self.problem))
    }
}

/// One client with kept-alive connections.
pub struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    base: String,
    latencies: Latencies,
}

impl Client {
    /// A client of the server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Self { http, base: format!("http://{address}"), latencies: Latencies::new() }
    }

    /// Posts and gives the answer's JSON.
    ///
    /// # Errors
    /// No answer, or a status of 400 or above, in the answer's words.
    pub async fn post(
        &mut self,
        kind: &'static str,
        path: &str,
        body: &Json,
        key: Option<&str>,
    ) -> Result<Json, Failure> {
        self.try_post(kind, path, body, key).await?.map_err(|refusal| refusal.into_failure(&format!("POST {path}")))
    }

    /// Posts; a status from 400 to 499 is the inner error.
    ///
    /// # Errors
    /// No answer at all, or a failure of the server.
    pub async fn try_post(
        &mut self,
        kind: &'static str,
        path: &str,
        body: &Json,
        key: Option<&str>,
    ) -> Result<Result<Json, Refusal>, Failure> {
        self.send(kind, Method::POST, path, Bytes::from(body.to_string()), key).await
    }

    /// Puts; a status from 400 to 499 is the inner error.
    ///
    /// # Errors
    /// No answer at all, or a failure of the server.
    pub async fn try_put(
        &mut self,
        kind: &'static str,
        path: &str,
        body: &Json,
    ) -> Result<Result<Json, Refusal>, Failure> {
        self.send(kind, Method::PUT, path, Bytes::from(body.to_string()), None).await
    }

    /// Gets; a status from 400 to 499 is the inner error.
    ///
    /// # Errors
    /// No answer at all, or a failure of the server.
    pub async fn try_get(&mut self, kind: &'static str, path: &str) -> Result<Result<Json, Refusal>, Failure> {
        self.send(kind, Method::GET, path, Bytes::new(), None).await
    }

    /// The latencies so far.
    pub fn take_latencies(&mut self) -> Latencies {
        std::mem::take(&mut self.latencies)
    }

    async fn send(
        &mut self,
        kind: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
        key: Option<&str>,
    ) -> Result<Result<Json, Refusal>, Failure> {
        for attempt in 0.. {
            let mut request = Request::builder().method(method.clone()).uri(format!("{}{path}", self.base));
            request = request.header("content-type", "application/json");
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let begin = SystemClock.now();
            let answer = self.http.request(request.body(Full::new(body.clone()))?).await?;
            let status = answer.status();
            let bytes = answer.into_body().collect().await?.to_bytes();
            if status.as_u16() == 429 && attempt < RETRIES_MAX {
                tokio::time::sleep(std::time::Duration::from_millis(50 * u64::from(attempt + 1))).await;
                continue;
            }
            self.latencies.entry(kind).or_default().push(SystemClock.now().micros_since(begin));
            let json = if bytes.is_empty() { Json::Null } else { serde_json::from_slice(&bytes)? };
            if status.is_server_error() {
                return Err(Failure::Failed(format!("{method} {path}: {status} {json}")));
            }
            let refusal = |problem: Json| {
                let code = problem["code"].as_str().unwrap_or_default().to_owned();
                Refusal { code, problem }
            };
            return Ok(if status.is_client_error() { Err(refusal(json)) } else { Ok(json) });
        }
        Err(Failure::Failed(format!("{path}: the server stays too busy")))
    }
}
