//! Who may ask what: the one table of routes and their permissions, keys, and the rate of each caller; it answers no question.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use dhow_commerce::{AccessStorage, ApiKey, ApiKeySecret, KeyHash, LoginSession, Permission, Permissions};
use dhow_events::{KeyId, TenantId, Timestamp};
use dhow_login::Login;
use dhow_store::Store;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::problem::Problem;
use crate::sessions::{Cookie, Sessions, check_origin};
use crate::settings::{ApiSettings, KEY_MEMORY_MICROS, KEYS_REMEMBERED_MAX};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the answer holds no tenant's data.
    Nothing,
    /// The signature of who sends it, which the handler checks; no key.
    Signature,
    /// What a browser brings that logs in or out, which the handler checks; no key.
    Login,
    /// A key that grants this.
    Of(Permission),
}

impl Need {
    /// The permission's word, `signature`, `login` or `none`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Signature => "signature",
            Self::Login => "login",
            Self::Of(permission) => permission.word(),
        }
    }
}

/// Where an identity provider sends browsers back to.
pub(crate) const LOGIN_CALLBACK: &str = "/v1/login/callback";

/// Routes whose query is written by somebody else, who may add what we do not know: it is passed over, as OAuth 2 asks for.
const FOREIGN_QUERIES: [&str; 1] = [LOGIN_CALLBACK];

/// Every route of the OpenAPI document with what it needs. A route that is missing here is answered by nobody.
///
/// A new route has a line here; where no permission fits, a new one is a line of [`Permission`], and the roles that are to
/// have it name it in `dhow_commerce`'s table of roles.
pub(crate) const NEEDS: &[(&str, &str, Need)] = &[
    ("GET", "/v1/events", Need::Of(Permission::EventsRead)),
    ("POST", "/v1/events", Need::Of(Permission::EventsWrite)),
    ("POST", "/v1/batch", Need::Of(Permission::EventsWrite)),
    ("POST", "/v1/recommendations", Need::Of(Permission::RecommendationsRead)),
    ("GET", "/v1/products/{id}/related", Need::Of(Permission::RecommendationsRead)),
    ("POST", "/v1/bundles", Need::Of(Permission::RecommendationsRead)),
    ("GET", "/v1/experiment", Need::Of(Permission::ExperimentsRead)),
    ("POST", "/v1/fraud/scores", Need::Of(Permission::FraudScore)),
    ("GET", "/v1/fraud/decisions/{id}", Need::Of(Permission::FraudRead)),
    ("GET", "/v1/fraud/health", Need::Of(Permission::FraudRead)),
    ("GET", "/v1/fraud/cases", Need::Of(Permission::FraudCasesRead)),
    ("POST", "/v1/fraud/cases/claim", Need::Of(Permission::FraudReview)),
    ("GET", "/v1/fraud/cases/{id}", Need::Of(Permission::FraudCasesRead)),
    ("POST", "/v1/fraud/cases/{id}/claim", Need::Of(Permission::FraudReview)),
    ("POST", "/v1/fraud/cases/{id}/release", Need::Of(Permission::FraudReview)),
    ("POST", "/v1/fraud/cases/{id}/notes", Need::Of(Permission::FraudReview)),
    ("POST", "/v1/fraud/cases/{id}/verdict", Need::Of(Permission::FraudReview)),
    ("GET", "/v1/fraud/rules", Need::Of(Permission::FraudRulesRead)),
    ("PUT", "/v1/fraud/rules", Need::Of(Permission::FraudRules)),
    ("POST", "/v1/fraud/rules/publish", Need::Of(Permission::FraudRules)),
    ("POST", "/v1/fraud/rules/rollback", Need::Of(Permission::FraudRules)),
    ("GET", "/v1/fraud/rules/log", Need::Of(Permission::FraudRulesRead)),
    ("POST", "/v1/fraud/backtests", Need::Of(Permission::FraudBacktestsWrite)),
    ("GET", "/v1/fraud/backtests/{id}", Need::Of(Permission::FraudBacktestsRead)),
    ("DELETE", "/v1/fraud/backtests/{id}", Need::Of(Permission::FraudBacktestsWrite)),
    ("GET", "/v1/fraud/lists/{kind}/{effect}", Need::Of(Permission::FraudListsRead)),
    ("POST", "/v1/fraud/lists/{kind}/{effect}", Need::Of(Permission::FraudListsWrite)),
    ("DELETE", "/v1/fraud/lists/{kind}/{effect}", Need::Of(Permission::FraudListsWrite)),
    ("GET", "/v1/trust/buyers/{id}", Need::Of(Permission::TrustRead)),
    ("GET", "/v1/trust/sellers/{id}", Need::Of(Permission::TrustRead)),
    ("GET", "/v1/decisions", Need::Of(Permission::DecisionsRead)),
    ("GET", "/v1/decisions/{id}", Need::Of(Permission::DecisionsRead)),
    ("GET", "/v1/customers/{id}", Need::Of(Permission::CustomersRead)),
    ("GET", "/v1/segments", Need::Of(Permission::CustomersRead)),
    ("POST", "/v1/delivery-times", Need::Of(Permission::DeliveryTimesRead)),
    ("POST", "/v1/forecasts/batch", Need::Of(Permission::ForecastsRead)),
    ("GET", "/v1/forecasts", Need::Of(Permission::ForecastsRead)),
    ("GET", "/v1/forecasts/accuracy", Need::Of(Permission::ForecastsRead)),
    ("GET", "/v1/forecasts/regions", Need::Of(Permission::ForecastsRead)),
    ("GET", "/v1/forecasts/uplift", Need::Of(Permission::EffectsRead)),
    ("GET", "/v1/forecasts/{product}", Need::Of(Permission::ForecastsRead)),
    ("GET", "/v1/forecasts/{product}/elasticity", Need::Of(Permission::EffectsRead)),
    ("POST", "/v1/forecasts/what-if", Need::Of(Permission::EffectsRead)),
    ("GET", "/v1/reorder-proposals", Need::Of(Permission::ReordersRead)),
    ("POST", "/v1/reorder-proposals", Need::Of(Permission::ReordersWrite)),
    ("GET", "/v1/reorder-proposals/{id}", Need::Of(Permission::ReordersRead)),
    ("POST", "/v1/reorder-proposals/{id}/approve", Need::Of(Permission::ReordersApprove)),
    ("POST", "/v1/reorder-proposals/{id}/reject", Need::Of(Permission::ReordersApprove)),
    ("POST", "/v1/reorder-proposals/{id}/order", Need::Of(Permission::ReordersWrite)),
    ("POST", "/v1/reorder-proposals/{id}/receive", Need::Of(Permission::ReordersWrite)),
    ("GET", "/v1/reorder-budgets", Need::Of(Permission::BudgetsRead)),
    ("PUT", "/v1/reorder-budgets", Need::Of(Permission::BudgetsWrite)),
    ("POST", "/v1/routes", Need::Of(Permission::RoutesPlan)),
    ("POST", "/v1/optimization", Need::Of(Permission::RoutesPlan)),
    ("POST", "/v1/routes/check", Need::Of(Permission::RoutesPlan)),
    ("POST", "/v1/routes/explain", Need::Of(Permission::RoutesPlan)),
    ("GET", "/v1/route-plans", Need::Of(Permission::RoutesRead)),
    ("POST", "/v1/route-plans", Need::Of(Permission::RoutesPlan)),
    ("GET", "/v1/route-plans/{id}", Need::Of(Permission::RoutesRead)),
    ("DELETE", "/v1/route-plans/{id}", Need::Of(Permission::RoutesPlan)),
    ("GET", "/v1/route-plans/{id}/events", Need::Of(Permission::RoutesRead)),
    ("POST", "/v1/route-plans/{id}/accept", Need::Of(Permission::RoutesAccept)),
    ("POST", "/v1/route-plans/{id}/insert", Need::Of(Permission::RoutesAccept)),
    ("POST", "/v1/route-plans/{id}/reoptimise", Need::Of(Permission::RoutesAccept)),
    ("GET", "/v1/products", Need::Of(Permission::ProductsRead)),
    ("POST", "/v1/products", Need::Of(Permission::ProductsWrite)),
    ("POST", "/v1/products/import", Need::Of(Permission::ProductsWrite)),
    ("GET", "/v1/products/export", Need::Of(Permission::ProductsRead)),
    ("GET", "/v1/products/{id}", Need::Of(Permission::ProductsRead)),
    ("PUT", "/v1/products/{id}", Need::Of(Permission::ProductsWrite)),
    ("POST", "/v1/products/{id}/reviews", Need::Of(Permission::ProductsReview)),
    ("GET", "/v1/products/{id}/variants", Need::Of(Permission::ProductsRead)),
    ("GET", "/v1/categories", Need::Of(Permission::ProductsRead)),
    ("PUT", "/v1/categories", Need::Of(Permission::CategoriesWrite)),
    ("GET", "/v1/products/{id}/stock", Need::Of(Permission::StockRead)),
    ("PUT", "/v1/products/{id}/stock", Need::Of(Permission::StockWrite)),
    ("POST", "/v1/quotes", Need::Of(Permission::QuotesRead)),
    ("POST", "/v1/checkouts", Need::Of(Permission::CheckoutWrite)),
    ("GET", "/v1/checkouts/{id}", Need::Of(Permission::CheckoutRead)),
    ("GET", "/v1/orders", Need::Of(Permission::OrdersRead)),
    ("GET", "/v1/orders/{id}", Need::Of(Permission::OrdersRead)),
    ("GET", "/v1/orders/{id}/timeline", Need::Of(Permission::OrdersRead)),
    ("GET", "/v1/returns", Need::Of(Permission::ReturnsRead)),
    ("POST", "/v1/returns", Need::Of(Permission::ReturnsWrite)),
    ("GET", "/v1/returns/{id}", Need::Of(Permission::ReturnsRead)),
    ("POST", "/v1/returns/{id}/steps", Need::Of(Permission::ReturnsWrite)),
    ("POST", "/v1/returns/{id}/settlements", Need::Of(Permission::RefundsWrite)),
    ("GET", "/v1/disputes", Need::Of(Permission::DisputesRead)),
    ("POST", "/v1/disputes", Need::Of(Permission::DisputesWrite)),
    ("GET", "/v1/disputes/{id}", Need::Of(Permission::DisputesRead)),
    ("POST", "/v1/disputes/{id}/steps", Need::Of(Permission::DisputesWrite)),
    ("GET", "/v1/pay-later/plans", Need::Of(Permission::PayLaterRead)),
    ("PUT", "/v1/pay-later/plans/{name}", Need::Of(Permission::PayLaterWrite)),
    ("POST", "/v1/pay-later/eligibility", Need::Of(Permission::CheckoutWrite)),
    ("GET", "/v1/pay-later/agreements", Need::Of(Permission::PayLaterRead)),
    ("GET", "/v1/pay-later/agreements/{id}", Need::Of(Permission::PayLaterRead)),
    ("POST", "/v1/pay-later/agreements/{id}/payments", Need::Of(Permission::PayLaterPay)),
    ("POST", "/v1/customs/quotes", Need::Of(Permission::CustomsRead)),
    ("POST", "/v1/customs/codes", Need::Of(Permission::CustomsRead)),
    ("GET", "/v1/customs/declarations", Need::Of(Permission::CustomsRead)),
    ("POST", "/v1/customs/declarations", Need::Of(Permission::CustomsWrite)),
    ("GET", "/v1/customs/declarations/{id}", Need::Of(Permission::CustomsRead)),
    ("POST", "/v1/customs/declarations/{id}/steps", Need::Of(Permission::CustomsWrite)),
    ("POST", "/v1/shipping-quotes", Need::Of(Permission::ShipmentsRead)),
    ("POST", "/v1/orders/{id}/shipments", Need::Of(Permission::ShipmentsWrite)),
    ("GET", "/v1/shipments", Need::Of(Permission::ShipmentsRead)),
    ("GET", "/v1/shipments/{id}", Need::Of(Permission::ShipmentsRead)),
    ("POST", "/v1/shipments/{id}/void", Need::Of(Permission::ShipmentsWrite)),
    ("POST", "/v1/carriers/{carrier}/events", Need::Signature),
    ("GET", "/v1/sea-routes", Need::Of(Permission::ShipmentsRead)),
    ("GET", "/v1/containers/{number}", Need::Of(Permission::ShipmentsRead)),
    ("GET", "/v1/auctions", Need::Of(Permission::AuctionsRead)),
    ("POST", "/v1/auctions", Need::Of(Permission::AuctionsWrite)),
    ("GET", "/v1/auctions/{id}", Need::Of(Permission::AuctionsRead)),
    ("GET", "/v1/auctions/{id}/bids", Need::Of(Permission::AuctionsRead)),
    ("GET", "/v1/auctions/{id}/events", Need::Of(Permission::AuctionsRead)),
    ("POST", "/v1/auctions/{id}/bids", Need::Of(Permission::AuctionsBid)),
    ("POST", "/v1/auctions/{id}/buy-now", Need::Of(Permission::AuctionsBid)),
    ("POST", "/v1/auctions/{id}/cancel", Need::Of(Permission::AuctionsWrite)),
    ("POST", "/v1/auctions/{id}/checkout", Need::Of(Permission::CheckoutWrite)),
    ("GET", "/v1/payments/{id}", Need::Of(Permission::PaymentsRead)),
    ("POST", "/v1/payments/{id}/capture", Need::Of(Permission::PaymentsCapture)),
    ("POST", "/v1/payments/{id}/void", Need::Of(Permission::PaymentsVoid)),
    ("POST", "/v1/refunds", Need::Of(Permission::RefundsWrite)),
    ("POST", "/v1/payouts", Need::Of(Permission::PayoutsWrite)),
    ("GET", "/v1/transfers", Need::Of(Permission::TransfersRead)),
    ("GET", "/v1/transfers/{id}", Need::Of(Permission::TransfersRead)),
    ("GET", "/v1/sellers/{id}/terms", Need::Of(Permission::SellersRead)),
    ("PUT", "/v1/sellers/{id}/terms", Need::Of(Permission::SellersWrite)),
    ("GET", "/v1/sellers/{id}/statement", Need::Of(Permission::TransfersRead)),
    ("GET", "/v1/sellers/{id}/statement/lines", Need::Of(Permission::TransfersRead)),
    ("GET", "/v1/suppliers", Need::Of(Permission::SuppliersRead)),
    ("GET", "/v1/suppliers/{id}", Need::Of(Permission::SuppliersRead)),
    ("PUT", "/v1/suppliers/{id}", Need::Of(Permission::SuppliersWrite)),
    ("POST", "/v1/suppliers/{id}/documents", Need::Of(Permission::SuppliersWrite)),
    ("POST", "/v1/suppliers/{id}/submit", Need::Of(Permission::SuppliersWrite)),
    ("POST", "/v1/suppliers/{id}/decisions", Need::Of(Permission::SuppliersVerify)),
    ("GET", "/v1/billing/prices", Need::Of(Permission::BillingRead)),
    ("GET", "/v1/sellers/{id}/subscription", Need::Of(Permission::BillingRead)),
    ("PUT", "/v1/sellers/{id}/subscription", Need::Of(Permission::BillingWrite)),
    ("POST", "/v1/sellers/{id}/subscription/end", Need::Of(Permission::BillingWrite)),
    ("POST", "/v1/sellers/{id}/usage", Need::Of(Permission::BillingMeter)),
    ("GET", "/v1/sellers/{id}/invoices", Need::Of(Permission::BillingRead)),
    ("POST", "/v1/webhooks/payments/{rail}", Need::Signature),
    ("GET", "/v1/saved-searches", Need::Of(Permission::WatchesRead)),
    ("POST", "/v1/saved-searches", Need::Of(Permission::WatchesWrite)),
    ("GET", "/v1/saved-searches/{id}", Need::Of(Permission::WatchesRead)),
    ("DELETE", "/v1/saved-searches/{id}", Need::Of(Permission::WatchesWrite)),
    ("GET", "/v1/price-alerts", Need::Of(Permission::WatchesRead)),
    ("POST", "/v1/price-alerts", Need::Of(Permission::WatchesWrite)),
    ("GET", "/v1/price-alerts/{id}", Need::Of(Permission::WatchesRead)),
    ("DELETE", "/v1/price-alerts/{id}", Need::Of(Permission::WatchesWrite)),
    ("GET", "/v1/webhook-endpoints", Need::Of(Permission::WebhooksRead)),
    ("POST", "/v1/webhook-endpoints", Need::Of(Permission::WebhooksWrite)),
    ("GET", "/v1/webhook-endpoints/{id}", Need::Of(Permission::WebhooksRead)),
    ("PUT", "/v1/webhook-endpoints/{id}", Need::Of(Permission::WebhooksWrite)),
    ("DELETE", "/v1/webhook-endpoints/{id}", Need::Of(Permission::WebhooksWrite)),
    ("POST", "/v1/webhook-endpoints/{id}/rotate-secret", Need::Of(Permission::WebhooksWrite)),
    ("POST", "/v1/webhook-endpoints/{id}/test", Need::Of(Permission::WebhooksWrite)),
    ("GET", "/v1/webhook-endpoints/{id}/deliveries", Need::Of(Permission::WebhooksRead)),
    ("POST", "/v1/webhook-endpoints/{id}/deliveries/{delivery}/replay", Need::Of(Permission::WebhooksWrite)),
    ("POST", "/v1/webhook-endpoints/{id}/replay", Need::Of(Permission::WebhooksWrite)),
    ("GET", "/v1/ledger/trial-balance", Need::Of(Permission::LedgerRead)),
    ("GET", "/v1/ledger/journal", Need::Of(Permission::LedgerRead)),
    ("GET", "/v1/persons/{id}/export", Need::Of(Permission::PersonsExport)),
    ("POST", "/v1/persons/{id}/erase", Need::Of(Permission::PersonsErase)),
    ("GET", "/v1/erasures/{id}", Need::Of(Permission::PersonsErase)),
    ("GET", "/v1/features/{entity_id}", Need::Of(Permission::FeaturesRead)),
    ("POST", "/v1/features", Need::Of(Permission::FeaturesRead)),
    ("GET", "/v1/search", Need::Of(Permission::SearchRead)),
    ("POST", "/v1/text-similarity", Need::Of(Permission::TextsRead)),
    ("POST", "/v1/sql", Need::Of(Permission::SqlRead)),
    ("GET", "/v1/models", Need::Of(Permission::ModelsRead)),
    ("GET", "/v1/models/{model}/trial", Need::Of(Permission::TrialsRead)),
    ("PUT", "/v1/models/{model}/trial", Need::Of(Permission::TrialsWrite)),
    ("DELETE", "/v1/models/{model}/trial", Need::Of(Permission::TrialsWrite)),
    ("POST", "/v1/models/{model}/trial/outcomes", Need::Of(Permission::TrialsWrite)),
    ("GET", "/v2", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/health/live", Need::Nothing),
    ("GET", "/v2/health/ready", Need::Nothing),
    ("GET", "/v2/models/stats", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/versions/{version}", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/ready", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/versions/{version}/ready", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/config", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/versions/{version}/config", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/stats", Need::Of(Permission::ModelsRead)),
    ("GET", "/v2/models/{model}/versions/{version}/stats", Need::Of(Permission::ModelsRead)),
    ("POST", "/v2/models/{model}/infer", Need::Of(Permission::ModelsInfer)),
    ("POST", "/v2/models/{model}/versions/{version}/infer", Need::Of(Permission::ModelsInfer)),
    ("POST", "/v2/repository/index", Need::Of(Permission::ModelsRead)),
    ("POST", "/v2/repository/models/{model}/load", Need::Of(Permission::ModelsWrite)),
    ("POST", "/v2/repository/models/{model}/unload", Need::Of(Permission::ModelsWrite)),
    ("GET", "/v1/status", Need::Of(Permission::StatusRead)),
    ("GET", "/v1/login", Need::Login),
    ("GET", LOGIN_CALLBACK, Need::Login),
    ("POST", "/v1/logout", Need::Login),
    ("GET", "/v1/roles", Need::Of(Permission::ApiKeysRead)),
    ("GET", "/v1/api-keys", Need::Of(Permission::ApiKeysRead)),
    ("POST", "/v1/api-keys", Need::Of(Permission::ApiKeysWrite)),
    ("DELETE", "/v1/api-keys/{id}", Need::Of(Permission::ApiKeysWrite)),
    ("GET", "/v1/audit-log", Need::Of(Permission::AuditRead)),
    ("GET", "/v1/audit-log/verification", Need::Of(Permission::AuditRead)),
    ("GET", "/metrics", Need::Of(Permission::MetricsRead)),
    ("GET", "/healthz", Need::Nothing),
    ("GET", "/readyz", Need::Nothing),
    ("GET", "/openapi.json", Need::Nothing),
];

/// What `method` on `path` (with its placeholders) needs.
pub(crate) fn need_of(method: &str, path: &str) -> Option<Need> {
    NEEDS.iter().find(|(m, p, _)| *m == method && *p == path).map(|(_, _, need)| *need)
}

/// What the guard knows of a route: its need and the query parameters that its documentation names.
pub(crate) struct Rule {
    pub need: Need,
    /// Nothing where any are taken.
    pub parameters: Option<Vec<String>>,
}

/// The rules of all routes.
pub(crate) struct Rules(FxHashMap<(String, String), Rule>);

impl Rules {
    /// Joins the table with the documented query parameters.
    pub(crate) fn new(document: &serde_json::Value) -> Self {
        let rule = |(method, path, need): &(&str, &str, Need)| {
            let documented = &document["paths"][path][method.to_ascii_lowercase()]["parameters"];
            let in_query = |parameter: &&serde_json::Value| parameter["in"] == "query";
            let name = |parameter: &serde_json::Value| parameter["name"].as_str().map(str::to_owned);
            let parameters = documented.as_array().into_iter().flatten().filter(in_query).filter_map(name).collect();
            let parameters = (!FOREIGN_QUERIES.contains(path)).then_some(parameters);
            (((*method).to_owned(), (*path).to_owned()), Rule { need: *need, parameters })
        };
        Self(NEEDS.iter().map(rule).collect())
    }

    /// The rule of a route; HEAD is GET without its body.
    pub(crate) fn of(&self, method: &Method, path: &str) -> Option<&Rule> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method.to_string(), path.to_owned()))
    }
}

impl Rule {
    /// Refuses query parameters that the route does not have.
    pub(crate) fn check_parameters(&self, uri: &Uri) -> Result<(), Problem> {
        let Some(parameters) = &self.parameters else { return Ok(()) };
        let names = uri.query().unwrap_or("").split('&').filter(|part| !part.is_empty());
        for name in names.map(|part| part.split('=').next().unwrap_or(part)) {
            if !parameters.iter().any(|known| known == name) {
                let known = if parameters.is_empty() { "none".to_owned() } else { parameters.join(", ") };
                return Err(Problem::parameter(name, format!("is not a parameter of this route; it has: {known}")));
            }
        }
        Ok(())
    }
}

/// What who comes with nothing is told.
const SEND_A_KEY: &str = "send an API key as `Authorization: Bearer <key>`";

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// Whose data the caller may see.
    pub tenant: TenantId,
    /// The key; nothing where access is open, or a person logged in.
    pub key: Option<KeyId>,
    /// The session of a person who logged in.
    pub session: Option<KeyHash>,
    /// What the caller may do.
    pub may: Permissions,
}

/// A caller who was let in, and the person's name where one logged in.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub caller: Caller,
    pub person: Option<Arc<LoginSession>>,
}

impl Admitted {
    const fn of(caller: Caller) -> Self {
        Self { caller, person: None }
    }
}

/// What else than a key a request may come with, and when it came by the clock that sessions end by.
pub(crate) struct BySession<'a> {
    pub login: &'a Login,
    pub sessions: &'a Sessions,
    pub method: &'a Method,
    pub now: Timestamp,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| Problem::internal("a route that needs nothing asked for its caller"))
    }
}

struct Remembered {
    key: Option<ApiKey>,
    read_at: Timestamp,
}

/// Checks keys against the database and remembers each answer for [`KEY_MEMORY_MICROS`].
pub(crate) struct Keys {
    open_access: bool,
    /// Once a key was seen, access stays closed for as long as this process runs.
    closed: AtomicBool,
    found_none_at: Mutex<Option<Timestamp>>,
    remembered: Mutex<FxHashMap<KeyHash, Remembered>>,
}

impl Keys {
    /// No key is known yet.
    pub(crate) fn new(open_access: bool) -> Self {
        Self {
            open_access,
            closed: AtomicBool::new(false),
            found_none_at: Mutex::default(),
            remembered: Mutex::default(),
        }
    }

    /// Lets the request in, or says why not: 401 without a key or a session in force, 403 where it does not grant
    /// `permission`. A key stands before a session, and a session counts only where `by_session` says how.
    pub(crate) async fn admit(
        &self,
        store: &Store,
        headers: &HeaderMap,
        permission: Permission,
        now: Timestamp,
        by_session: Option<BySession<'_>>,
    ) -> Result<Admitted, Problem> {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            if let Some(by) = by_session {
                return by.admit(store, headers, permission, now).await;
            }
            if self.is_open(store, now).await? {
                check_host(headers)?;
                let may = Permissions::EVERYTHING;
                return Ok(Admitted::of(Caller { tenant: TenantId::default(), key: None, session: None, may }));
            }
            return Err(unauthorized(SEND_A_KEY));
        };
        let secret = presented(authorization.to_str().unwrap_or_default())
            .ok_or_else(|| unauthorized("the Authorization header must be `Bearer <key>`"))?;
        let hash = ApiKeySecret::presented(&secret).hash();
        let key = self.find(store, hash, now).await?.filter(|key| key.revoked_at.is_none());
        let key = key.ok_or_else(|| unauthorized("the API key is unknown or revoked"))?;
        self.close();
        let may = Permissions::of(&key.permissions);
        if may.grant(permission) {
            return Ok(Admitted::of(Caller { tenant: key.tenant, key: Some(key.id), session: None, may }));
        }
        Err(missing(permission, &format!("the API key …{}", key.last_four)))
    }

    /// Whether access is open: allowed by the settings, and no key in force was ever seen.
    pub(crate) async fn is_open(&self, store: &Store, now: Timestamp) -> Result<bool, Problem> {
        if !self.open_access || self.closed.load(Ordering::Acquire) {
            return Ok(false);
        }
        let fresh = |at: Timestamp| now.micros_since(at) < KEY_MEMORY_MICROS;
        if self.found_none_at.lock().is_some_and(fresh) {
            return Ok(true);
        }
        if store.has_api_keys().await? {
            self.close();
            return Ok(false);
        }
        *self.found_none_at.lock() = Some(now);
        Ok(true)
    }

    /// A key was made: access is closed from here on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Forgets what is remembered, so that a revocation works at once.
    pub(crate) fn forget(&self) {
        self.remembered.lock().clear();
    }

    async fn find(&self, store: &Store, hash: KeyHash, now: Timestamp) -> Result<Option<ApiKey>, Problem> {
        if let Some(known) = self.remembered.lock().get(&hash)
            && now.micros_since(known.read_at) < KEY_MEMORY_MICROS
        {
            return Ok(known.key.clone());
        }
        let key = store.find_api_key(&hash).await?;
        let mut remembered = self.remembered.lock();
        if remembered.len() >= KEYS_REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, Remembered { key: key.clone(), read_at: now });
        Ok(key)
    }
}

/// The key in an `Authorization` header: of the scheme Bearer, or of Basic as the name of a user without a password, which
/// is how Segment's libraries send it.
fn presented(authorization: &str) -> Option<Cow<'_, str>> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Cow::Borrowed(credentials.trim()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    password.is_empty().then(|| Cow::Owned(user.to_owned()))
}

impl BySession<'_> {
    async fn admit(
        &self,
        store: &Store,
        headers: &HeaderMap,
        permission: Permission,
        tick: Timestamp,
    ) -> Result<Admitted, Problem> {
        let Some(cookie) = Cookie::Session.of(headers, self.login.is_secure()) else {
            return Err(unauthorized(SEND_A_KEY));
        };
        let found = self.sessions.find(store, cookie, (self.now, tick)).await?;
        let found = found.ok_or_else(|| unauthorized("the session is over; log in again at /v1/login"))?;
        check_origin(self.login, self.method, headers)?;
        let (session, may) = (found.session, found.may);
        if !may.grant(permission) {
            let roles: Vec<&str> = session.roles.iter().map(|role| role.word()).collect();
            return Err(missing(permission, &format!("{:?} with {}", session.person, roles.join(", "))));
        }
        let caller = Caller { tenant: session.tenant, key: None, session: Some(found.hash), may };
        Ok(Admitted { caller, person: Some(session) })
    }
}

fn missing(permission: Permission, who: &str) -> Problem {
    let detail = format!("{who} does not grant `{permission}`");
    Problem::new(StatusCode::FORBIDDEN, "permission_missing", detail)
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// Where no key is asked for, a page of another site must not reach us under a name that it lets point here.
fn check_host(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let host = host.to_str().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback || name.eq_ignore_ascii_case("localhost") {
        return Ok(());
    }
    let detail = format!("without API keys only this machine is served, and `{host}` is not its loopback name");
    Err(Problem::new(StatusCode::FORBIDDEN, "host_not_loopback", detail))
}

/// Whose rate it is: a key's, a session's, or that of all who come without either.
type RateOf = (Option<KeyId>, Option<KeyHash>);

/// One caller's token bucket; a request takes a million parts.
struct Bucket {
    parts: i64,
    filled_at: Timestamp,
}

const PARTS_PER_REQUEST: i64 = 1_000_000;

/// The rate of each key and each session.
pub(crate) struct Rates {
    per_second: i64,
    burst: i64,
    buckets: Mutex<FxHashMap<RateOf, Bucket>>,
}

impl Rates {
    /// Full buckets for everybody.
    pub(crate) fn new(settings: &ApiSettings) -> Self {
        let (per_second, burst) =
            (i64::from(settings.requests_per_second_max.max(1)), i64::from(settings.request_burst_max.max(1)));
        Self { per_second, burst, buckets: Mutex::default() }
    }

    /// Takes one request of `caller`, or says when there is one again.
    pub(crate) fn take(&self, caller: &Caller, now: Timestamp) -> Result<(), Problem> {
        let most = self.burst * PARTS_PER_REQUEST;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= KEYS_REMEMBERED_MAX {
            buckets.retain(|_, bucket| now.micros_since(bucket.filled_at) < KEY_MEMORY_MICROS);
        }
        let bucket = buckets.entry((caller.key, caller.session)).or_insert(Bucket { parts: most, filled_at: now });
        // A microsecond brings as many millionths of a request as a second brings requests.
        let elapsed_us = now.micros_since(bucket.filled_at).max(0);
        bucket.parts = elapsed_us.saturating_mul(self.per_second).saturating_add(bucket.parts).min(most);
        bucket.filled_at = now;
        if bucket.parts >= PARTS_PER_REQUEST {
            bucket.parts -= PARTS_PER_REQUEST;
            return Ok(());
        }
        let wait_us = (PARTS_PER_REQUEST - bucket.parts + self.per_second - 1) / self.per_second;
        let detail =
            format!("this caller may send {} requests per second, and {} at once", self.per_second, self.burst);
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        Err(problem.retry_after((wait_us + 999_999) / 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let settings = ApiSettings { requests_per_second_max: 2, request_burst_max: 3, ..ApiSettings::default() };
        let rates = Rates::new(&settings);
        let at = |micros: i64| Timestamp::from_micros(micros);
        let (tenant, may) = (TenantId::default(), Permissions::EVERYTHING);
        let without = Caller { tenant, key: None, session: None, may };
        let taken = |micros: i64| (0..10).filter(|_| rates.take(&without, at(micros)).is_ok()).count();
        assert_eq!(taken(0), 3, "the burst");
        assert_eq!(taken(499_999), 0);
        assert_eq!(taken(500_000), 1, "half a second is one request");
        assert_eq!(taken(100_000_000), 3, "a pause fills the burst, no more");
        for session in [None, Some(KeyHash([7; 32])), Some(KeyHash([8; 32]))] {
            let keyed = Caller { key: session.is_none().then_some(KeyId::from_u128(7)), session, ..without };
            assert!(rates.take(&keyed, at(0)).is_ok(), "another key or session has its own bucket");
        }
    }

    #[test]
    fn every_line_of_the_table_of_needs_is_of_one_route_of_the_document_and_no_route_has_two() {
        let document: serde_json::Value = serde_json::from_str(&crate::openapi()).expect("the document is JSON");
        let mut seen = std::collections::BTreeSet::new();
        for (method, path, _) in NEEDS {
            assert!(seen.insert((method, path)), "{method} {path} has two lines");
            let operation = &document["paths"][path][method.to_ascii_lowercase()];
            assert!(operation.is_object(), "{method} {path} is no route");
        }
    }

    #[test]
    fn only_loopback_names_are_served_without_keys() {
        let host = |name: &str| HeaderMap::from_iter([(header::HOST, name.parse().expect("a header"))]);
        for name in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:80", "127.9.9.9"] {
            assert!(check_host(&host(name)).is_ok(), "{name}");
        }
        for name in ["evil.example", "10.0.0.1:80", "localhost.evil.example", "[fe80::1]:80"] {
            assert!(check_host(&host(name)).is_err(), "{name}");
        }
    }
}
