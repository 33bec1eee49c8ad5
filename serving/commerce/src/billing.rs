//! Use cases of sellers' subscriptions: beginning, changing, ending and renewing them, each with its invoice in the books, and what a plan allows; what things cost is in `dhow-billing`.
//!
//! Who has no subscription is neither billed nor limited. An invoice is taken from what the seller is owed, so that it is paid by sales;
//! a credit is added to it.

use dhow_billing::{BillingError, End, Invoice, PriceList, Subscription, Terms, month_of};
use dhow_commission::Plan;
use dhow_events::{SellerId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::{
    Answered, BillingTransaction, Commerce, CommerceError, ExpectedVersion, Idempotency, PaymentRail, RECOVERY_BATCH,
    SellerTerms, Storage, StorageTransaction, bookings,
};

/// The most units of usage that are counted at once.
pub const USAGE_UNITS_MAX: u64 = 1_000_000_000;
/// How many periods of one subscription are renewed in one step, where a server was down for long; the rest follows in the next.
const RENEWALS_MAX: usize = 120;

/// A seller's subscription as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerSubscription {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Who subscribed.
    pub seller: SellerId,
    /// Terms, period and what runs.
    #[serde(flatten)]
    pub subscription: Subscription,
    /// How many invoices it has; the last one's number.
    pub invoice_count: i64,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was first made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An invoice as it is kept; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerInvoice {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Who pays it.
    pub seller: SellerId,
    /// Counts the seller's invoices from 1.
    pub number: i64,
    /// Its lines.
    #[serde(flatten)]
    pub invoice: Invoice,
}

/// A subscription after a step, and the invoices that the step made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionStep {
    /// The subscription.
    pub subscription: SellerSubscription,
    /// Its new invoices, oldest first; those without a line are not made.
    pub invoices: Vec<SellerInvoice>,
}

/// What a seller's plan allows and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlanUsage {
    /// Products on offer.
    pub products: i64,
    /// The most; nothing where any number is allowed.
    pub products_max: Option<u32>,
    /// Orders of this calendar month, in UTC.
    pub orders_this_month: i64,
    /// The most; nothing where any number is allowed.
    pub orders_per_month_max: Option<u32>,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// The price list that counts now.
    ///
    /// # Errors
    /// None counts yet.
    pub fn price_list(&self) -> Result<&PriceList, CommerceError> {
        self.prices_at(self.clock.now())
    }

    /// A seller's subscription with what its plan allows.
    ///
    /// # Errors
    /// The seller has none; the database fails.
    pub async fn find_subscription(
        &self,
        tenant: TenantId,
        seller: SellerId,
    ) -> Result<(SellerSubscription, PlanUsage), CommerceError> {
        let found = self.storage.subscription(tenant, seller).await?.ok_or_else(|| missing(seller))?;
        let month = month_of(self.clock.now()).map_err(refused)?;
        let usage = PlanUsage {
            products: self.storage.products_on_offer(tenant, seller).await?,
            products_max: found.subscription.limits.products_max,
            orders_this_month: self.storage.orders_since(tenant, seller, month.begin).await?,
            orders_per_month_max: found.subscription.limits.orders_per_month_max,
        };
        Ok((found, usage))
    }

    /// Begins a subscription, or takes other terms from now on; terms that are those in force change nothing. With `dry_run` the
    /// answer is what it would come to, and nothing is kept.
    ///
    /// # Errors
    /// Terms that the price list does not have, a stale version; the database fails.
    pub async fn subscribe(
        &self,
        tenant: TenantId,
        seller: SellerId,
        terms: Terms,
        expected: ExpectedVersion,
        dry_run: bool,
    ) -> Result<SubscriptionStep, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let kept = transaction.hold_subscription(tenant, seller).await?;
        expected.check(kept.as_ref().map(|kept| kept.version))?;
        let prices = self.prices_at(now)?;
        let step = match kept {
            None => {
                let (subscription, invoice) = Subscription::begin(terms, prices, now).map_err(refused)?;
                let (created_at, updated_at) = (now, now);
                let made = SellerSubscription {
                    tenant,
                    seller,
                    subscription,
                    invoice_count: 0,
                    version: 0,
                    created_at,
                    updated_at,
                };
                made.after(vec![invoice], now)
            }
            Some(kept) => {
                let (current, mut invoices) = self.renewed(&kept.subscription, now)?;
                let stays = current.terms == terms && !current.ends_with_period && current.ended_at.is_none();
                let (next, invoice) = match current.ended_at {
                    _ if stays && invoices.is_empty() => {
                        transaction.rollback().await?;
                        return Ok(SubscriptionStep { subscription: kept, invoices: Vec::new() });
                    }
                    Some(_) => Subscription::begin(terms, prices, now),
                    None => current.change(terms, prices, now),
                }
                .map_err(refused)?;
                invoices.push(invoice);
                SellerSubscription { subscription: next, ..kept }.after(invoices, now)
            }
        };
        self.keep(&mut transaction, &step).await?;
        if dry_run {
            transaction.rollback().await?
        } else {
            transaction.commit().await?
        }
        Ok(step)
    }

    /// Ends a subscription. The seller is on the free plan's rates and limits from then on.
    ///
    /// # Errors
    /// The seller has none, it ended already, a stale version; the database fails.
    pub async fn end_subscription(
        &self,
        tenant: TenantId,
        seller: SellerId,
        when: End,
        expected: ExpectedVersion,
    ) -> Result<SubscriptionStep, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let kept = transaction.hold_subscription(tenant, seller).await?.ok_or_else(|| missing(seller))?;
        expected.check(Some(kept.version))?;
        let (current, mut invoices) = self.renewed(&kept.subscription, now)?;
        let (ended, invoice) = current.end(when, self.prices_at(now)?, now).map_err(refused)?;
        invoices.push(invoice);
        let step = SellerSubscription { subscription: ended, ..kept }.after(invoices, now);
        self.keep(&mut transaction, &step).await?;
        transaction.commit().await?;
        Ok(step)
    }

    /// Counts what a seller used in the period, for example calls that a gateway counted.
    ///
    /// # Errors
    /// The seller has no subscription, it ended, something that is not metered, a reused or unanswered idempotency key; the database
    /// fails.
    pub async fn count_usage(
        &self,
        tenant: TenantId,
        seller: SellerId,
        (name, units): (&str, u64),
        key: Option<&Idempotency>,
    ) -> Result<Answered<SellerSubscription>, CommerceError> {
        if !(1..=USAGE_UNITS_MAX).contains(&units) {
            return Err(CommerceError::invalid(
                "/units",
                format!("is {units}; it must be from 1 to {USAGE_UNITS_MAX}"),
            ));
        }
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let kept = transaction.hold_subscription(tenant, seller).await?.ok_or_else(|| missing(seller))?;
        let (current, invoices) = self.renewed(&kept.subscription, now)?;
        let counted = current.count(name, units, self.prices_at(now)?).map_err(refused)?;
        let step = SellerSubscription { subscription: counted, ..kept }.after(invoices, now);
        self.keep(&mut transaction, &step).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &step.subscription).await?;
        transaction.commit().await?;
        Ok(Answered { value: step.subscription, replayed: false })
    }

    /// Renews every subscription whose period ended. Gives how many.
    pub(crate) async fn renew_subscriptions(&self, now: Timestamp) -> Result<usize, CommerceError> {
        let (mut after, mut renewed_count) = (None, 0);
        loop {
            let batch = self.storage.due_subscriptions(now, after, RECOVERY_BATCH).await?;
            let Some(last) = batch.last() else { return Ok(renewed_count) };
            after = Some(*last);
            for (_, tenant, seller) in batch {
                renewed_count += usize::from(self.renew_subscription(tenant, seller, now).await?);
            }
        }
    }

    async fn renew_subscription(
        &self,
        tenant: TenantId,
        seller: SellerId,
        now: Timestamp,
    ) -> Result<bool, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let Some(kept) = transaction.hold_subscription(tenant, seller).await? else { return Ok(false) };
        let (current, invoices) = self.renewed(&kept.subscription, now)?;
        if current == kept.subscription {
            // Another server was first.
            return Ok(false);
        }
        let step = SellerSubscription { subscription: current, ..kept }.after(invoices, now);
        self.keep(&mut transaction, &step).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The subscription as of `now`, with the invoices of the periods that ended since it was kept.
    fn renewed(
        &self,
        subscription: &Subscription,
        now: Timestamp,
    ) -> Result<(Subscription, Vec<Invoice>), CommerceError> {
        let (mut current, mut invoices) = (subscription.clone(), Vec::new());
        while current.ended_at.is_none() && current.period.end <= now && invoices.len() < RENEWALS_MAX {
            let prices = self.prices_at(current.period.end)?;
            let (next, invoice) = current.renew(prices).map_err(refused)?;
            invoices.push(invoice);
            current = next;
        }
        Ok((current, invoices))
    }

    fn prices_at(&self, at: Timestamp) -> Result<&PriceList, CommerceError> {
        let none = || CommerceError::BillingRefused(format!("no price list counts at {at}"));
        self.prices.at(at).ok_or_else(none)
    }

    /// Writes a step: the subscription, the plan that the commission asks for, its invoices and their batches.
    async fn keep(&self, transaction: &mut S::Transaction, step: &SubscriptionStep) -> Result<(), CommerceError> {
        let kept = &step.subscription;
        if !transaction.put_subscription(kept).await? {
            let found = transaction.hold_subscription(kept.tenant, kept.seller).await?.map(|found| found.version);
            return Err(CommerceError::StaleVersion { expected: (kept.version - 1).to_string(), found });
        }
        let asked = transaction.seller_standings(kept.tenant, &[kept.seller], kept.updated_at).await?;
        let contract_ppm = asked.get(&kept.seller).and_then(|standing| standing.terms.contract_ppm);
        let terms = SellerTerms { plan: kept.plan(), contract_ppm };
        transaction.put_seller_terms(kept.tenant, kept.seller, terms).await?;
        for invoice in &step.invoices {
            transaction.insert_invoice(invoice).await?;
            if let Some(batch) = bookings::invoiced(invoice)? {
                transaction.write_batch(&batch).await?;
            }
        }
        Ok(())
    }

    /// Refuses to place an order with a seller whose plan allows no more this month. The subscription stays held, so that
    /// of two checkouts the second counts the first.
    pub(crate) async fn check_order_limit(
        &self,
        transaction: &mut S::Transaction,
        tenant: TenantId,
        seller: SellerId,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let Some(kept) = transaction.hold_subscription(tenant, seller).await? else { return Ok(()) };
        let Some(most) = kept.subscription.limits.orders_per_month_max else { return Ok(()) };
        let month = month_of(now).map_err(refused)?;
        let placed = transaction.orders_since(tenant, seller, month.begin).await?;
        within(placed + 1, most, seller, "orders in a calendar month")
    }

    /// Refuses to put a product on offer whose seller's plan allows no more; called after the product was written.
    pub(crate) async fn check_product_limit(
        &self,
        transaction: &mut S::Transaction,
        tenant: TenantId,
        seller: SellerId,
    ) -> Result<(), CommerceError> {
        let Some(kept) = transaction.hold_subscription(tenant, seller).await? else { return Ok(()) };
        let Some(most) = kept.subscription.limits.products_max else { return Ok(()) };
        let listed = transaction.products_on_offer(tenant, seller).await?;
        within(listed, most, seller, "products on offer")
    }
}

fn within(found: i64, most: u32, seller: SellerId, what: &'static str) -> Result<(), CommerceError> {
    if found <= i64::from(most) { Ok(()) } else { Err(CommerceError::PlanLimit { seller, what, most }) }
}

impl SellerSubscription {
    /// The plan that counts for the commission: the free one once the subscription ended.
    pub(crate) fn plan(&self) -> Plan {
        if self.subscription.ended_at.is_some() { Plan::Free } else { self.subscription.terms.plan }
    }

    /// The next version with the invoices that have lines, numbered.
    fn after(mut self, invoices: Vec<Invoice>, now: Timestamp) -> SubscriptionStep {
        let mut numbered = Vec::new();
        for invoice in invoices.into_iter().filter(|invoice| !invoice.lines.is_empty()) {
            self.invoice_count += 1;
            let (tenant, seller, number) = (self.tenant, self.seller, self.invoice_count);
            numbered.push(SellerInvoice { tenant, seller, number, invoice });
        }
        (self.version, self.updated_at) = (self.version + 1, now);
        SubscriptionStep { subscription: self, invoices: numbered }
    }
}

fn refused(error: BillingError) -> CommerceError {
    let words = error.to_string();
    match error {
        BillingError::Cycle => CommerceError::invalid("/cycle", words),
        BillingError::AddOn { name, .. } | BillingError::Quantity { name, .. } => {
            CommerceError::invalid(format!("/add_ons/{}", name.replace('~', "~0").replace('/', "~1")), words)
        }
        BillingError::Metric { .. } => CommerceError::invalid("/metric", words),
        BillingError::Overflow => CommerceError::invalid("", words),
        BillingError::Time | BillingError::OutsideOfPeriod(_) | BillingError::Ended(_) => {
            CommerceError::BillingRefused(words)
        }
    }
}

fn missing(seller: SellerId) -> CommerceError {
    CommerceError::NotFound(format!("subscription of {seller}"))
}
