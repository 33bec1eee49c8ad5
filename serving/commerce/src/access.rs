//! Who may do what: permissions and API keys; checking a request's header is the HTTP layer's business.

use std::fmt;

use dhow_events::{KeyId, TenantId, Timestamp};

use crate::words::worded;

/// What every API key's secret begins with, so that leaked ones can be searched for.
pub const API_KEY_PREFIX: &str = "dhow_";

worded! {
    /// A right that a route asks for and an API key grants.
    Permission {
        /// Read products.
        ProductsRead = "products:read",
        /// Create and change products.
        ProductsWrite = "products:write",
        /// Put products that wait on offer, and reject products.
        ProductsReview = "products:review",
        /// Write the category tree.
        CategoriesWrite = "categories:write",
        /// Read stock.
        StockRead = "stock:read",
        /// Count stock.
        StockWrite = "stock:write",
        /// Search products.
        SearchRead = "search:read",
        /// Ask what a cart costs.
        QuotesRead = "quotes:read",
        /// Read orders and their timelines.
        OrdersRead = "orders:read",
        /// Read checkouts.
        CheckoutRead = "checkout:read",
        /// Submit checkouts.
        CheckoutWrite = "checkout:write",
        /// Read payments.
        PaymentsRead = "payments:read",
        /// Capture payments.
        PaymentsCapture = "payments:capture",
        /// Void payments.
        PaymentsVoid = "payments:void",
        /// Read captures, voids, refunds and payouts.
        TransfersRead = "transfers:read",
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
        /// Read suppliers and their papers.
        SuppliersRead = "suppliers:read",
        /// Write suppliers' profiles, hand papers in, and submit them.
        SuppliersWrite = "suppliers:write",
        /// Decide about papers, and verify, reject and suspend suppliers.
        SuppliersVerify = "suppliers:verify",
        /// Read prices of plans, sellers' subscriptions and invoices.
        BillingRead = "billing:read",
        /// Begin, change and end sellers' subscriptions.
        BillingWrite = "billing:write",
        /// Count what sellers use.
        BillingMeter = "billing:meter",
        /// Read returns and claims.
        ReturnsRead = "returns:read",
        /// Open returns and claims, decide them, and say what became of the goods.
        ReturnsWrite = "returns:write",
        /// Ask carriers for prices, and read shipments.
        ShipmentsRead = "shipments:read",
        /// Ship units of orders, and give labels up.
        ShipmentsWrite = "shipments:write",
        /// Read disputes.
        DisputesRead = "disputes:read",
        /// Open disputes, answer them, and write how they ended.
        DisputesWrite = "disputes:write",
        /// Read plans and agreements to pay later.
        PayLaterRead = "pay_later:read",
        /// Make and change plans to pay later.
        PayLaterWrite = "pay_later:write",
        /// Charge buyers what they owe by agreements, at their wish.
        PayLaterPay = "pay_later:pay",
        /// Read auctions and follow them live.
        AuctionsRead = "auctions:read",
        /// Open and cancel auctions.
        AuctionsWrite = "auctions:write",
        /// Bid on auctions and buy them at once.
        AuctionsBid = "auctions:bid",
        /// What goods cost at a border, which papers they need, and where declarations stand.
        CustomsRead = "customs:read",
        /// Draft customs declarations, and take steps with them.
        CustomsWrite = "customs:write",
        /// Read the feed of changes.
        EventsRead = "events:read",
        /// Send events.
        EventsWrite = "events:write",
        /// Read webhook endpoints and what was sent to them.
        WebhooksRead = "webhooks:read",
        /// Make, change, test and remove webhook endpoints, and send again.
        WebhooksWrite = "webhooks:write",
        /// Read saved searches and price alerts.
        WatchesRead = "watches:read",
        /// Make and remove saved searches and price alerts.
        WatchesWrite = "watches:write",
        /// Ask for recommendations.
        RecommendationsRead = "recommendations:read",
        /// Put texts in the order of their likeness.
        TextsRead = "texts:read",
        /// Judge the experiment that runs.
        ExperimentsRead = "experiments:read",
        /// Ask for fraud scores.
        FraudScore = "fraud:score",
        /// Read fraud decisions and the health of fraud models.
        FraudRead = "fraud:read",
        /// Read fraud cases.
        FraudCasesRead = "fraud_cases:read",
        /// Claim and decide fraud cases.
        FraudReview = "fraud:review",
        /// Read fraud rules and their log.
        FraudRulesRead = "fraud_rules:read",
        /// Write, publish and roll back fraud rules.
        FraudRules = "fraud:rules",
        /// Read how rules would have done on past decisions.
        FraudBacktestsRead = "fraud_backtests:read",
        /// Try rules on past decisions.
        FraudBacktestsWrite = "fraud_backtests:write",
        /// Read block and allow lists.
        FraudListsRead = "fraud_lists:read",
        /// Change block and allow lists.
        FraudListsWrite = "fraud_lists:write",
        /// Read the trust scores of buyers and sellers.
        TrustRead = "trust:read",
        /// Ask what customers will spend, and for their groups.
        CustomersRead = "customers:read",
        /// Ask how long parcels take.
        DeliveryTimesRead = "delivery_times:read",
        /// Ask for demand forecasts.
        ForecastsRead = "forecasts:read",
        /// Ask what prices, promotions and named days do to demand.
        EffectsRead = "effects:read",
        /// Read reorder proposals.
        ReordersRead = "reorders:read",
        /// Make reorder proposals, and say that they were ordered and received.
        ReordersWrite = "reorders:write",
        /// Approve and reject reorder proposals.
        ReordersApprove = "reorders:approve",
        /// Read reorder budgets.
        BudgetsRead = "budgets:read",
        /// Set reorder budgets.
        BudgetsWrite = "budgets:write",
        /// Read route plans and follow them.
        RoutesRead = "routes:read",
        /// Ask for route plans, check and explain them.
        RoutesPlan = "routes:plan",
        /// Accept route plans, and change those that are live.
        RoutesAccept = "routes:accept",
        /// Read recorded decisions of every kind.
        DecisionsRead = "decisions:read",
        /// Read the model registry.
        ModelsRead = "models:read",
        /// Ask models by tensors.
        ModelsInfer = "models:infer",
        /// Load and unload models.
        ModelsWrite = "models:write",
        /// Read trials of models.
        TrialsRead = "trials:read",
        /// Begin and end trials of models, and tell what came of their answers.
        TrialsWrite = "trials:write",
        /// Read how the platform is.
        StatusRead = "status:read",
        /// Read the metrics.
        MetricsRead = "metrics:read",
        /// Read feature values and definitions.
        FeaturesRead = "features:read",
        /// Ask by SQL, of everything in the lake.
        SqlRead = "sql:read",
        /// Export what is held of a person.
        PersonsExport = "persons:export",
        /// Erase persons.
        PersonsErase = "persons:erase",
        /// Read and verify the audit log.
        AuditRead = "audit:read",
        /// List API keys and roles.
        ApiKeysRead = "api_keys:read",
        /// Make and revoke API keys that grant no more than the own one.
        ApiKeysWrite = "api_keys:write",
        /// Everything, also what later versions bring.
        Admin = "admin",
    }
}

/// The most permissions that a [`Permissions`] can tell apart.
const PERMISSIONS_MAX: usize = u128::BITS as usize;
const _: () = assert!(Permission::ALL.len() <= PERMISSIONS_MAX, "a set of permissions has a bit for each");

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u128);

impl Permissions {
    /// What `admin` grants.
    pub const EVERYTHING: Self = Self(u128::MAX);

    const fn bit(permission: Permission) -> u128 {
        1 << permission as u32
    }

    /// What `list` grants: everything where [`Permission::Admin`] is in it.
    pub fn of(list: &[Permission]) -> Self {
        if list.contains(&Permission::Admin) {
            return Self::EVERYTHING;
        }
        Self(list.iter().fold(0, |bits, permission| bits | Self::bit(*permission)))
    }

    /// Whether `permission` is granted.
    pub const fn grant(self, permission: Permission) -> bool {
        self.0 & Self::bit(permission) != 0
    }

    /// What of `wanted` is not granted. Who lacks nothing of a key may make it, and revoke it.
    pub fn lacking(self, wanted: &[Permission]) -> Vec<Permission> {
        wanted.iter().copied().filter(|permission| !self.grant(*permission)).collect()
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

/// What became of a wish to revoke a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The key works no more.
    Revoked,
    /// The tenant has no key of this id in force.
    NotInForce,
    /// It is the tenant's last key that may make keys of every kind: without it nobody could let everybody in again. It stays.
    LastOfItsKind,
    /// It grants these, which who wants to revoke it lacks. It stays.
    Beyond(Vec<Permission>),
}

impl Permission {
    /// Those that let a key make other keys of every kind.
    pub const KEY_MAKERS: &'static [Self] = &[Self::Admin];
}

impl ApiKey {
    /// Whether the key is in force and may make other keys of every kind.
    pub fn makes_keys(&self) -> bool {
        self.revoked_at.is_none() && Permission::KEY_MAKERS.iter().any(|maker| self.permissions.contains(maker))
    }

    /// Whether the key is in force and grants `permission`; `admin` grants everything.
    pub fn allows(&self, permission: Permission) -> bool {
        self.revoked_at.is_none() && Permissions::of(&self.permissions).grant(permission)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_grants_what_is_in_its_list_and_admin_grants_everything() {
        for (index, permission) in Permission::ALL.iter().enumerate() {
            let rest: Vec<_> = Permission::ALL.iter().copied().filter(|other| other != permission).collect();
            let set = Permissions::of(&rest);
            if *permission == Permission::Admin {
                assert!(!set.grant(Permission::Admin), "all together are not admin, which also grants what is to come");
                continue;
            }
            assert!(set.grant(*permission), "admin is among the rest of {index}");
            let rest: Vec<_> = rest.into_iter().filter(|other| *other != Permission::Admin).collect();
            assert_eq!(Permissions::of(&rest).lacking(Permission::ALL), [*permission, Permission::Admin]);
        }
        assert!(Permissions::EVERYTHING.lacking(Permission::ALL).is_empty());
        assert_eq!(Permissions::of(&[]).lacking(Permission::ALL), Permission::ALL);
    }
}
