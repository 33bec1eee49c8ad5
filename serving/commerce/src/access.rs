//! Who may do what: permissions and API keys; checking a request's header is the HTTP layer's business.

use std::fmt;

use dhow_events::{KeyId, TenantId, Timestamp};

use crate::words::worded;

/// What every API key's secret begins with, so that leaked ones can be searched for.
pub const API_KEY_PREFIX: &str = "dhow_";

worded! {
    /// A right that a route asks for and an API key grants.
    Permission {
        /// Read products and stock.
        ProductsRead = "products:read",
        /// Create and change products and stock.
        ProductsWrite = "products:write",
        /// Read orders, checkouts and payments.
        OrdersRead = "orders:read",
        /// Change orders.
        OrdersWrite = "orders:write",
        /// Capture and void payments.
        PaymentsWrite = "payments:write",
        /// Refund payments.
        RefundsWrite = "refunds:write",
        /// Pay sellers out.
        PayoutsWrite = "payouts:write",
        /// Read the books.
        LedgerRead = "ledger:read",
        /// Read sellers' terms.
        SellersRead = "sellers:read",
        /// Set sellers' terms.
        SellersWrite = "sellers:write",
        /// Read returns and claims.
        ReturnsRead = "returns:read",
        /// Open returns and claims, decide them, and say what became of the goods.
        ReturnsWrite = "returns:write",
        /// Read disputes.
        DisputesRead = "disputes:read",
        /// Open disputes, answer them, and write how they ended.
        DisputesWrite = "disputes:write",
        /// Read auctions and follow them live.
        AuctionsRead = "auctions:read",
        /// Open and cancel auctions.
        AuctionsWrite = "auctions:write",
        /// Bid on auctions and buy them at once.
        AuctionsBid = "auctions:bid",
        /// Submit checkouts.
        CheckoutWrite = "checkout:write",
        /// Read the feed of changes.
        EventsRead = "events:read",
        /// Send events.
        EventsWrite = "events:write",
        /// Read webhook endpoints and what was sent to them.
        WebhooksRead = "webhooks:read",
        /// Make, change, test and remove webhook endpoints, and send again.
        WebhooksWrite = "webhooks:write",
        /// Ask for recommendations.
        RecommendationsRead = "recommendations:read",
        /// Ask for fraud scores.
        FraudScore = "fraud:score",
        /// Read fraud decisions, cases, rules and lists.
        FraudRead = "fraud:read",
        /// Claim and decide fraud cases.
        FraudReview = "fraud:review",
        /// Test, publish and roll back fraud rules, and change block and allow lists.
        FraudRules = "fraud:rules",
        /// Ask for demand forecasts.
        ForecastsRead = "forecasts:read",
        /// Read reorder proposals and budgets.
        ReordersRead = "reorders:read",
        /// Make reorder proposals, and say that they were ordered and received.
        ReordersWrite = "reorders:write",
        /// Approve and reject reorder proposals, and set budgets.
        ReordersApprove = "reorders:approve",
        /// Ask for route plans.
        RoutesPlan = "routes:plan",
        /// Accept route plans, and change those that are live.
        RoutesAccept = "routes:accept",
        /// Read recorded decisions of every kind.
        DecisionsRead = "decisions:read",
        /// Read the model registry.
        ModelsRead = "models:read",
        /// Ask models by tensors.
        ModelsInfer = "models:infer",
        /// Import, promote and retire models, load and unload them.
        ModelsWrite = "models:write",
        /// Read feature values and definitions.
        FeaturesRead = "features:read",
        /// Read and verify the audit log.
        AuditRead = "audit:read",
        /// Everything, API keys included.
        Admin = "admin",
    }
}

/// The secret half of an API key, shown once to the person who made it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// A new secret from 256 random bits that the caller draws from the operating system.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(format!("{API_KEY_PREFIX}{}", hex(&random)))
    }

    /// A secret that a client presents; anything but a known one hashes to nothing known.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text that a client sends after `Bearer `.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored in its place. The secret has 256 random bits, so a fast hash cannot be searched backwards.
    pub fn hash(&self) -> KeyHash {
        KeyHash(blake3::derive_key("dhow 2026 api key secret", self.0.as_bytes()))
    }

    /// The last four characters, by which people recognise a key.
    pub fn last_four(&self) -> String {
        let length = self.0.chars().count();
        self.0.chars().skip(length.saturating_sub(4)).collect()
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeySecret(…{})", self.last_four())
    }
}

/// The hash of an API key's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Display for KeyHash {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// An API key as it is stored: without its secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ApiKey {
    /// Its public id.
    pub id: KeyId,
    /// Whose data it opens.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// The last four characters of its secret.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped working, if it did.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether the key is in force and grants `permission`; `admin` grants everything.
    pub fn allows(&self, permission: Permission) -> bool {
        self.revoked_at.is_none()
            && (self.permissions.contains(&permission) || self.permissions.contains(&Permission::Admin))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
