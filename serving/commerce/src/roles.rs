//! Roles: named lists of permissions that keys are made from, as data; a key keeps the list that it was made with.

use serde::Serialize;

use crate::Permission;
use crate::words::worded;

worded! {
    /// What somebody does here.
    RoleName {
        /// Answers for everything.
        Owner = "owner",
        /// Connects other systems.
        Developer = "developer",
        /// Runs the storefront.
        Storefront = "storefront",
        /// Sees to what is offered.
        Merchandiser = "merchandiser",
        /// Answers buyers.
        Support = "support",
        /// Judges what may be fraud.
        RiskAnalyst = "risk_analyst",
        /// Sees to goods and routes.
        Planner = "planner",
        /// Learns from data.
        DataScientist = "data_scientist",
        /// Sees to money.
        Finance = "finance",
        /// Answers for what is held of persons.
        PrivacyOfficer = "privacy_officer",
        /// Looks and changes nothing.
        ReadOnly = "read_only",
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Who has it, in words.
    pub description: &'static str,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

impl RoleName {
    /// The role as this version has it.
    pub fn role(self) -> Role {
        let (description, permissions) = match self {
            Self::Owner => ("answers for everything, also what later versions bring", vec![Permission::Admin]),
            Self::Developer => ("connects other systems: events, webhooks, products, orders, keys", DEVELOPER.to_vec()),
            Self::Storefront => ("runs the storefront: searches, recommends, sells", STOREFRONT.to_vec()),
            Self::Merchandiser => ("sees to what is offered: products, auctions, experiments", MERCHANDISER.to_vec()),
            Self::Support => ("answers buyers: orders, returns, refunds, instalments", SUPPORT.to_vec()),
            Self::RiskAnalyst => ("judges what may be fraud: cases, rules, lists, disputes", RISK_ANALYST.to_vec()),
            Self::Planner => ("sees to goods and routes: forecasts, reorders, route plans", PLANNER.to_vec()),
            Self::DataScientist => {
                ("learns from data: features, SQL, models and their trials", DATA_SCIENTIST.to_vec())
            }
            Self::Finance => ("sees to money: books, payments, payouts, terms, budgets", FINANCE.to_vec()),
            Self::PrivacyOfficer => ("answers for what is held of persons", PRIVACY_OFFICER.to_vec()),
            Self::ReadOnly => ("looks and changes nothing; SQL, keys and the audit log are not shown", reads()),
        };
        Role { name: self, description, permissions }
    }
}

/// Every permission to read, also of what a later version brings, but for those that show more than their name says.
fn reads() -> Vec<Permission> {
    let confidential = [Permission::SqlRead, Permission::AuditRead, Permission::ApiKeysRead];
    let read = |permission: &Permission| permission.word().ends_with(":read") && !confidential.contains(permission);
    Permission::ALL.iter().copied().filter(read).collect()
}

const DEVELOPER: &[Permission] = &[
    Permission::BillingMeter,
    Permission::ProductsRead,
    Permission::ProductsWrite,
    Permission::StockRead,
    Permission::StockWrite,
    Permission::SearchRead,
    Permission::QuotesRead,
    Permission::OrdersRead,
    Permission::CheckoutRead,
    Permission::CheckoutWrite,
    Permission::PaymentsRead,
    Permission::TransfersRead,
    Permission::ShipmentsRead,
    Permission::ShipmentsWrite,
    Permission::EventsRead,
    Permission::EventsWrite,
    Permission::WebhooksRead,
    Permission::WebhooksWrite,
    Permission::StatusRead,
    Permission::MetricsRead,
    Permission::FeaturesRead,
    Permission::ModelsRead,
    Permission::ModelsInfer,
    Permission::RecommendationsRead,
    Permission::ApiKeysRead,
    Permission::ApiKeysWrite,
];

const STOREFRONT: &[Permission] = &[
    Permission::ProductsRead,
    Permission::StockRead,
    Permission::SearchRead,
    Permission::QuotesRead,
    Permission::CheckoutRead,
    Permission::CheckoutWrite,
    Permission::OrdersRead,
    Permission::EventsWrite,
    Permission::RecommendationsRead,
    Permission::DeliveryTimesRead,
    Permission::AuctionsRead,
    Permission::AuctionsBid,
    Permission::ReturnsRead,
    Permission::ReturnsWrite,
    Permission::ShipmentsRead,
    Permission::WatchesRead,
    Permission::WatchesWrite,
    Permission::CustomsRead,
    Permission::PayLaterRead,
    Permission::PayLaterPay,
];

const MERCHANDISER: &[Permission] = &[
    Permission::SuppliersRead,
    Permission::SuppliersWrite,
    Permission::ProductsRead,
    Permission::ProductsWrite,
    Permission::ProductsReview,
    Permission::CategoriesWrite,
    Permission::StockRead,
    Permission::StockWrite,
    Permission::SearchRead,
    Permission::QuotesRead,
    Permission::AuctionsRead,
    Permission::AuctionsWrite,
    Permission::RecommendationsRead,
    Permission::TextsRead,
    Permission::ExperimentsRead,
    Permission::SellersRead,
    Permission::ForecastsRead,
    Permission::EffectsRead,
    Permission::CustomersRead,
    Permission::TrustRead,
];

const SUPPORT: &[Permission] = &[
    Permission::ProductsRead,
    Permission::StockRead,
    Permission::SearchRead,
    Permission::OrdersRead,
    Permission::CheckoutRead,
    Permission::PaymentsRead,
    Permission::TransfersRead,
    Permission::RefundsWrite,
    Permission::ReturnsRead,
    Permission::ReturnsWrite,
    Permission::ShipmentsRead,
    Permission::WatchesRead,
    Permission::DisputesRead,
    Permission::AuctionsRead,
    Permission::DeliveryTimesRead,
    Permission::PayLaterRead,
    Permission::PayLaterPay,
];

const RISK_ANALYST: &[Permission] = &[
    Permission::SuppliersRead,
    Permission::SuppliersVerify,
    Permission::FraudScore,
    Permission::FraudRead,
    Permission::FraudCasesRead,
    Permission::FraudReview,
    Permission::FraudRulesRead,
    Permission::FraudRules,
    Permission::FraudBacktestsRead,
    Permission::FraudBacktestsWrite,
    Permission::FraudListsRead,
    Permission::FraudListsWrite,
    Permission::TrustRead,
    Permission::DecisionsRead,
    Permission::FeaturesRead,
    Permission::OrdersRead,
    Permission::CheckoutRead,
    Permission::PaymentsRead,
    Permission::PayLaterRead,
    Permission::DisputesRead,
    Permission::DisputesWrite,
];

const PLANNER: &[Permission] = &[
    Permission::ProductsRead,
    Permission::StockRead,
    Permission::StockWrite,
    Permission::SearchRead,
    Permission::ForecastsRead,
    Permission::EffectsRead,
    Permission::DeliveryTimesRead,
    Permission::ReordersRead,
    Permission::ReordersWrite,
    Permission::ReordersApprove,
    Permission::BudgetsRead,
    Permission::RoutesRead,
    Permission::RoutesPlan,
    Permission::RoutesAccept,
    Permission::OrdersRead,
    Permission::ShipmentsRead,
    Permission::ShipmentsWrite,
    Permission::CustomsRead,
    Permission::CustomsWrite,
];

const DATA_SCIENTIST: &[Permission] = &[
    Permission::SqlRead,
    Permission::FeaturesRead,
    Permission::DecisionsRead,
    Permission::ModelsRead,
    Permission::ModelsInfer,
    Permission::ModelsWrite,
    Permission::TrialsRead,
    Permission::TrialsWrite,
    Permission::ExperimentsRead,
    Permission::TextsRead,
    Permission::ForecastsRead,
    Permission::EffectsRead,
    Permission::CustomersRead,
    Permission::RecommendationsRead,
    Permission::FraudRead,
    Permission::FraudBacktestsRead,
    Permission::EventsRead,
    Permission::StatusRead,
    Permission::MetricsRead,
];

const FINANCE: &[Permission] = &[
    Permission::BillingRead,
    Permission::BillingWrite,
    Permission::OrdersRead,
    Permission::CheckoutRead,
    Permission::PaymentsRead,
    Permission::PaymentsCapture,
    Permission::PaymentsVoid,
    Permission::TransfersRead,
    Permission::RefundsWrite,
    Permission::PayoutsWrite,
    Permission::LedgerRead,
    Permission::SellersRead,
    Permission::SellersWrite,
    Permission::DisputesRead,
    Permission::DisputesWrite,
    Permission::PayLaterRead,
    Permission::PayLaterWrite,
    Permission::BudgetsRead,
    Permission::BudgetsWrite,
];

const PRIVACY_OFFICER: &[Permission] =
    &[Permission::PersonsExport, Permission::PersonsErase, Permission::AuditRead, Permission::OrdersRead];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Permissions;

    #[test]
    fn a_role_names_each_permission_once_and_only_the_owner_has_them_all() {
        for role in RoleName::ALL.iter().map(|name| name.role()) {
            let mut permissions = role.permissions.clone();
            permissions.sort_unstable();
            permissions.dedup();
            assert_eq!(permissions.len(), role.permissions.len(), "{}", role.name);
            assert_eq!(permissions.contains(&Permission::Admin), role.name == RoleName::Owner, "{}", role.name);
            assert!(!role.permissions.is_empty() && !role.description.is_empty(), "{}", role.name);
        }
    }

    #[test]
    fn who_reads_only_changes_nothing_and_sees_no_secret_ways_in() {
        let read_only = Permissions::of(&RoleName::ReadOnly.role().permissions);
        for permission in Permission::ALL.iter().filter(|permission| read_only.grant(**permission)) {
            assert!(permission.word().ends_with(":read"), "{permission}");
        }
        assert!(!read_only.grant(Permission::SqlRead) && !read_only.grant(Permission::ApiKeysRead));
    }
}
