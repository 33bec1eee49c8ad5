//! What commerce asks of a database about pay later: plans, what buyers owe and have paid, agreements; the rest stands in `storage`.

use std::future::Future;

use dhow_events::{AgreementId, BuyerId, PaymentId, TenantId, Timestamp};

use crate::{Agreement, AgreementState, CreditChange, CreditHistory, Page, PageRequest, PayLaterPlan, StorageError};

/// Which agreements are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgreementFilter {
    /// Of this buyer.
    pub buyer: Option<BuyerId>,
    /// In this state.
    pub state: Option<AgreementState>,
}

/// The part of [`crate::Storage`] that reads plans and agreements; it fails as the rest does.
pub trait CreditStorage {
    /// The tenant's plans by name, at most [`crate::PAY_LATER_PLANS_MAX`].
    fn pay_later_plans(&self, tenant: TenantId)
    -> impl Future<Output = Result<Vec<PayLaterPlan>, StorageError>> + Send;

    /// What a buyer owes and has paid; nothing owed where nothing is written.
    fn credit_history(
        &self,
        tenant: TenantId,
        buyer: BuyerId,
    ) -> impl Future<Output = Result<CreditHistory, StorageError>> + Send;

    /// An agreement.
    fn agreement(
        &self,
        tenant: TenantId,
        id: AgreementId,
    ) -> impl Future<Output = Result<Option<Agreement>, StorageError>> + Send;

    /// The agreement that a payment is made by.
    fn agreement_of_payment(
        &self,
        tenant: TenantId,
        payment: PaymentId,
    ) -> impl Future<Output = Result<Option<Agreement>, StorageError>> + Send;

    /// A page of agreements.
    fn agreements(
        &self,
        tenant: TenantId,
        filter: &AgreementFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Agreement>, StorageError>> + Send;

    /// Agreements of all tenants with a step that is due at `now`, the longest due first, after the given place.
    fn due_agreements(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, AgreementId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Agreement>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes plans and agreements.
pub trait CreditTransaction {
    /// A plan.
    fn pay_later_plan(
        &mut self,
        tenant: TenantId,
        name: &str,
    ) -> impl Future<Output = Result<Option<PayLaterPlan>, StorageError>> + Send;

    /// How many plans there are.
    fn count_pay_later_plans(&mut self, tenant: TenantId) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// Writes a plan: version 1 where there is none, version n + 1 over version n. `false` where the stored version is
    /// another one.
    fn put_pay_later_plan(&mut self, plan: &PayLaterPlan) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// What a buyer owes and has paid, held against other writers until the transaction ends where anything is written.
    fn credit_history(
        &mut self,
        tenant: TenantId,
        buyer: BuyerId,
    ) -> impl Future<Output = Result<CreditHistory, StorageError>> + Send;

    /// Adds to what a buyer owes, under a limit that is written with it.
    ///
    /// # Errors
    /// [`StorageError::Rule`] `pay_later_open_within_limit` where more would be open than the limit; whoever waits for another
    /// transaction of the same buyer is judged by what that one left.
    fn grant_credit(
        &mut self,
        tenant: TenantId,
        buyer: BuyerId,
        limit_usd_minor: i64,
        usd_minor: i64,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Adds to what a buyer owes and has paid without asking for a limit: a charge that the rail took back opens again what was
    /// paid, and raises the limit where it must.
    fn change_credit(
        &mut self,
        tenant: TenantId,
        buyer: BuyerId,
        change: &CreditChange,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The agreement that a payment is made by; the payment was held in this transaction.
    fn agreement_of_payment(
        &mut self,
        tenant: TenantId,
        payment: PaymentId,
    ) -> impl Future<Output = Result<Option<Agreement>, StorageError>> + Send;

    /// Writes an agreement, new or changed.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where its sums do not add up.
    fn put_agreement(&mut self, agreement: &Agreement) -> impl Future<Output = Result<(), StorageError>> + Send;
}
