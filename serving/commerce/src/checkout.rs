//! The checkout use case: decide, authorise, settle; see the crate's outline. What waits is brought on in `settlement` and `recovery`.

use std::collections::{BTreeMap, BTreeSet};

use dhow_commission::previous_month;
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{
    AuctionId, CheckoutId, Currency, DecisionId, Money, OrderId, PaymentId, ProductId, Region, SellerId, TenantId,
    Timestamp,
};
use tracing::Instrument;

use crate::cart::{check_lines, sum_minor};
use crate::commissions::CommissionTerms;
use crate::credit::Considered;
use crate::idempotency::{claim, save_answer};
use crate::instalments::is_financed;
use crate::service::record;
use crate::settlement::{Ending, no_payment, verdict_on};
use crate::{
    Amounts, Answered, Authorisation, AuthorisationRequest, CartLine, Checkout, CheckoutRequest, CheckoutState,
    Commerce, CommerceError, CreditTransaction, DecisionKind, DecisionOutcome, DecisionRecord, FraudAction,
    FraudCheckError, FraudDecision, FraudRequest, FraudSummary, Idempotency, Market, Order, OrderLine, OrderState,
    OutboxEvent, Payment, PaymentRail, PaymentState, Quote, QuoteLine, RailError, RailQuote, RefusalReason, Shortage,
    Storage, StorageError, StorageTransaction, facts, quote,
};

/// A checkout that is being decided: what was asked for, what it costs and what the models say.
pub(crate) struct Attempt<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) id: CheckoutId,
    pub(crate) request: &'a CheckoutRequest,
    pub(crate) key: Option<&'a Idempotency>,
    pub(crate) quote: Quote,
    pub(crate) submitted: CheckoutSubmitted,
    pub(crate) decision: DecisionId,
    pub(crate) fraud: FraudDecision,
    pub(crate) now: Timestamp,
    /// The decision about credit, where it is paid later.
    pub(crate) credit: Option<Considered>,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Prices a cart that goes to `region` and is paid in `currency`, as of now, changing nothing.
    ///
    /// # Errors
    /// What [`quote`] refuses; the database fails.
    pub async fn quote(
        &self,
        tenant: TenantId,
        lines: &[CartLine],
        region: Option<Region>,
        currency: Option<Currency>,
    ) -> Result<Quote, CommerceError> {
        let problems = check_lines(lines);
        if !problems.is_empty() {
            return Err(CommerceError::Invalid(problems));
        }
        let products = self.storage.find_products(tenant, &product_ids(lines)).await?;
        quote(lines, &products, &self.rates, &Market { region, currency, at: self.clock.now() })
    }

    /// Buys what is in a cart. The answer is a checkout that is completed, held until a person has looked at it, refused
    /// with its reason, or, where the rail has not answered, still pending; a pending one is settled by
    /// [`Commerce::recover_pending`], and its idempotency key counts as in flight until then.
    ///
    /// # Errors
    /// A wrong request, a reused or unanswered idempotency key, no score, or the database fails. After a failure the
    /// same request with the same key is safe to send again.
    pub async fn submit_checkout(
        &self,
        tenant: TenantId,
        request: &CheckoutRequest,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Checkout>, CommerceError> {
        self.submit(tenant, request, key, None).await
    }

    /// The same, where the price was agreed by the auction that it pays.
    pub(crate) async fn submit(
        &self,
        tenant: TenantId,
        request: &CheckoutRequest,
        key: Option<&Idempotency>,
        auction: Option<AuctionId>,
    ) -> Result<Answered<Checkout>, CommerceError> {
        request.check().map_err(CommerceError::Invalid)?;
        let deciding = tracing::info_span!(target: "dhow::trace", "decide checkout");
        let decided = self.decide(tenant, request, key, auction).instrument(deciding).await?;
        if decided.replayed || decided.value.state != CheckoutState::PendingPayment {
            return Ok(decided);
        }
        let paying = tracing::info_span!(target: "dhow::trace", "pay checkout", checkout = %decided.value.id);
        let value = self.pay(decided.value).instrument(paying).await?;
        Ok(Answered { value, replayed: false })
    }

    /// Step 1 and 2: one transaction that ends in a pending checkout or in a committed refusal.
    async fn decide(
        &self,
        tenant: TenantId,
        request: &CheckoutRequest,
        key: Option<&Idempotency>,
        auction: Option<AuctionId>,
    ) -> Result<Answered<Checkout>, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let mut products = transaction.find_products(tenant, &product_ids(&request.lines)).await?;
        let sale = match auction {
            Some(id) => Some(self.sale(&mut transaction, tenant, id, request.buyer).await?),
            None => None,
        };
        if let Some(sale) = &sale {
            sale.price(&mut products)?;
        }
        let market = Market { region: Some(request.delivery_region), currency: request.currency, at: now };
        let quote = quote(&request.lines, &products, &self.rates, &market)?;
        let mut attempt = self.score(tenant, request, key, quote, now)?;
        if attempt.fraud.action == FraudAction::Decline {
            let checkout = self.refusal(&attempt, RefusalReason::Fraud, Vec::new())?;
            self.write_refusal(&mut transaction, &attempt, &checkout, DecisionOutcome::Refused).await?;
            transaction.commit().await?;
            return Ok(Answered { value: checkout, replayed: false });
        }
        if let Some(sale) = &sale {
            self.give_unit(&mut transaction, sale).await?;
        }
        let shortages = transaction.reserve_stock(tenant, &attempt.quote.demand()).await?;
        if !shortages.is_empty() {
            transaction.rollback().await?;
            return self.abort(&attempt, RefusalReason::Stock, shortages).await;
        }
        if !self.lend(&mut transaction, &mut attempt).await? {
            transaction.rollback().await?;
            return self.abort(&attempt, RefusalReason::Credit, Vec::new()).await;
        }
        let checkout = self.accepted(&mut transaction, &attempt).await?;
        record(&mut transaction, &attempt.record(DecisionOutcome::Applied)?).await?;
        transaction.insert_checkout(&checkout).await?;
        self.write_agreement_of(&mut transaction, &attempt, &checkout).await?;
        transaction.append_events(&self.decided_events(&attempt), now).await?;
        if let Some(sale) = sale {
            self.wait_for_checkout(&mut transaction, sale, &checkout).await?;
        }
        transaction.commit().await?;
        Ok(Answered { value: checkout, replayed: false })
    }

    /// Step 3 and 4: ask the rail outside any transaction, then settle in one.
    pub(crate) async fn pay(&self, checkout: Checkout) -> Result<Checkout, CommerceError> {
        let payment = checkout.payment.as_ref().ok_or_else(|| no_payment(&checkout))?;
        let (amount, amount_usd_minor) = if is_financed(&checkout) {
            self.to_hold(&checkout, payment.id).await?
        } else {
            (payment.amount, checkout.total_usd_minor)
        };
        let request = AuthorisationRequest {
            tenant: checkout.tenant,
            idempotency_key: payment.id.to_string(),
            amount,
            amount_usd_minor,
            method: payment.method,
            card: checkout.request.card,
            requested_at: payment.created_at,
        };
        match self.rail.authorise(&request).await {
            Ok(Authorisation::Pending) => Ok(checkout),
            Ok(Authorisation::Quoted { quote }) => self.keep_quote(checkout, quote).await,
            Err(RailError::NoAnswer(reason)) => {
                tracing::warn!(checkout = %checkout.id, reason, "no answer of the payment rail; the checkout stays pending");
                Ok(checkout)
            }
            Ok(Authorisation::Approved { reference }) => self.settle(checkout, Ok(reference)).await,
            Ok(Authorisation::Declined { reason }) => self.settle(checkout, Err(reason)).await,
        }
    }

    /// Writes what the buyer is to pay at a rail that waits for it; the checkout stays pending.
    async fn keep_quote(&self, mut checkout: Checkout, quote: RailQuote) -> Result<Checkout, CommerceError> {
        let none = no_payment(&checkout);
        let payment = checkout.payment.as_mut().ok_or(none)?;
        if payment.quote.as_ref() != Some(&quote) {
            let mut transaction = self.storage.begin().await?;
            transaction.put_quote(checkout.tenant, payment.id, &quote).await?;
            transaction.commit().await?;
            payment.quote = Some(quote);
        }
        Ok(checkout)
    }

    /// Step 4: the rail's final answer, written once however many ask for it. `answer` is the rail's reference, or why
    /// it declined.
    pub(crate) async fn settle(
        &self,
        checkout: Checkout,
        answer: Result<String, String>,
    ) -> Result<Checkout, CommerceError> {
        let now = self.clock.now();
        let (tenant, id) = (checkout.tenant, checkout.id);
        let mut transaction = self.storage.begin().await?;
        let ending = match answer {
            Ok(reference) => Ending::authorised(reference, verdict_on(&mut transaction, &checkout).await?),
            Err(reason) => Ending::Declined { reason },
        };
        if let Some(settlement) = self.move_on(&mut transaction, &checkout, &ending, now).await? {
            let settled = match ending {
                // What is asked of the rail changed the payment as well.
                Ending::GivenUp { .. } => stored(&mut transaction, tenant, id).await?,
                _ => settlement.applied_to(checkout),
            };
            save_answer(&mut transaction, tenant, settled.idempotency_key.as_deref(), &settled).await?;
            transaction.commit().await?;
            return Ok(settled);
        }
        // Somebody else settled it meanwhile; what is stored is the answer.
        stored(&mut transaction, tenant, id).await
    }

    pub(crate) fn score<'a>(
        &self,
        tenant: TenantId,
        request: &'a CheckoutRequest,
        key: Option<&'a Idempotency>,
        quote: Quote,
        now: Timestamp,
    ) -> Result<Attempt<'a>, CommerceError> {
        let id = CheckoutId::at(now, self.ids.random());
        let decision = DecisionId::at(now, self.ids.random());
        let submitted = facts::submitted(id, request, &quote);
        let fraud = self.fraud.score(&FraudRequest { tenant, decision, now, checkout: &submitted })?;
        if !(0.0..=1.0).contains(&fraud.probability) {
            let message = format!("the model `{}` gave the probability {}", fraud.model, fraud.probability);
            return Err(FraudCheckError(message).into());
        }
        Ok(Attempt { tenant, id, request, key, quote, submitted, decision, fraud, now, credit: None })
    }

    /// The decision of an attempt that another rule ended, in a transaction of its own.
    async fn abort(
        &self,
        attempt: &Attempt<'_>,
        reason: RefusalReason,
        shortages: Vec<Shortage>,
    ) -> Result<Answered<Checkout>, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        match claim(&mut transaction, attempt.tenant, attempt.key, attempt.now).await {
            Ok(None) => {
                let checkout = self.refusal(attempt, reason, shortages)?;
                self.write_refusal(&mut transaction, attempt, &checkout, DecisionOutcome::Aborted).await?;
                transaction.commit().await?;
                Ok(Answered { value: checkout, replayed: false })
            }
            // The same request was sent twice and the other one came first: its answer is the answer.
            other => {
                transaction.insert_decisions(&[&attempt.record(DecisionOutcome::Aborted)?]).await?;
                transaction.commit().await?;
                let earlier = other?.ok_or_else(|| CommerceError::NotFound("saved answer".to_owned()))?;
                Ok(Answered { value: earlier, replayed: true })
            }
        }
    }

    async fn write_refusal(
        &self,
        transaction: &mut S::Transaction,
        attempt: &Attempt<'_>,
        checkout: &Checkout,
        outcome: DecisionOutcome,
    ) -> Result<(), CommerceError> {
        transaction.insert_decisions(&[&attempt.record(outcome)?]).await?;
        if let Some(credit) = &attempt.credit {
            let record = credit.record(attempt, attempt.id.to_string(), DecisionOutcome::Refused);
            transaction.insert_decisions(&[&record]).await?;
        }
        transaction.insert_checkout(checkout).await?;
        let mut events = self.decided_events(attempt);
        if let Some(reason) = checkout.refusal {
            let fact = facts::refused(checkout, reason);
            events.push(self.event(attempt.tenant, attempt.id.to_string(), attempt.now, fact));
        }
        transaction.append_events(&events, attempt.now).await?;
        save_answer(transaction, attempt.tenant, checkout.idempotency_key.as_deref(), checkout).await
    }

    /// Decides about the credit of an attempt that is paid later and takes it off the buyer's limit; `false` where it is refused.
    async fn lend(&self, transaction: &mut S::Transaction, attempt: &mut Attempt<'_>) -> Result<bool, CommerceError> {
        let Some(plan) = attempt.request.pay_later_plan.as_deref() else { return Ok(true) };
        let mut credit = self.consider(transaction, attempt, plan).await?;
        let mut lent = credit.summary.approved;
        if lent {
            lent = self.take_credit(transaction, attempt.tenant, attempt.request.buyer, &credit.summary).await?;
            if !lent {
                credit.overtaken();
            }
        }
        attempt.credit = Some(credit);
        Ok(lent)
    }

    /// The agreement of a checkout that is paid later, with its decision.
    async fn write_agreement_of(
        &self,
        transaction: &mut S::Transaction,
        attempt: &Attempt<'_>,
        checkout: &Checkout,
    ) -> Result<(), CommerceError> {
        let Some(credit) = &attempt.credit else { return Ok(()) };
        let (Some(id), Some(payment)) = (credit.summary.agreement, &checkout.payment) else { return Ok(()) };
        let record = credit.record(attempt, attempt.id.to_string(), DecisionOutcome::Applied);
        transaction.insert_decisions(&[&record]).await?;
        Ok(transaction.put_agreement(&self.proposed(attempt, credit, (id, payment.id))).await?)
    }

    fn decided_events(&self, attempt: &Attempt<'_>) -> Vec<OutboxEvent> {
        let scored = facts::scored(&attempt.submitted, attempt.decision, &attempt.fraud);
        let aggregate = || attempt.id.to_string();
        vec![
            self.event(attempt.tenant, aggregate(), attempt.now, attempt.submitted.clone()),
            self.event(attempt.tenant, aggregate(), attempt.now, scored),
        ]
    }

    fn refusal(
        &self,
        attempt: &Attempt<'_>,
        reason: RefusalReason,
        shortages: Vec<Shortage>,
    ) -> Result<Checkout, CommerceError> {
        let checkout = self.undecided(attempt)?;
        Ok(Checkout { state: CheckoutState::Refused, refusal: Some(reason), shortages, ..checkout })
    }

    /// The checkout with its orders, whose commissions are frozen here, and the payment to be made.
    async fn accepted(
        &self,
        transaction: &mut S::Transaction,
        attempt: &Attempt<'_>,
    ) -> Result<Checkout, CommerceError> {
        let (tenant, now, total) = (attempt.tenant, attempt.now, attempt.quote.total);
        let checkout = self.undecided(attempt)?;
        let sellers: BTreeSet<SellerId> = attempt.quote.lines.iter().map(|line| line.seller).collect();
        let sellers: Vec<SellerId> = sellers.into_iter().collect();
        let standings = transaction.seller_standings(tenant, &sellers, previous_month(now).0).await?;
        for (seller, _) in standings.iter().filter(|(_, standing)| standing.orders_are_limited) {
            self.check_order_limit(transaction, tenant, *seller, now).await?;
        }
        let terms = CommissionTerms {
            tables: &self.commission,
            standings,
            units_per_usd_micros: checkout.units_per_usd_micros,
            placed_at: now,
        };
        let payment = Payment {
            id: PaymentId::at(now, self.ids.random()),
            method: attempt.request.payment_method,
            state: PaymentState::Pending,
            amount: total,
            authorised_minor: 0,
            amounts: Amounts::default(),
            rail_reference: None,
            decline_reason: None,
            quote: None,
            created_at: now,
            updated_at: now,
        };
        Ok(Checkout { orders: self.split(attempt, &terms)?, payment: Some(payment), ..checkout })
    }

    fn undecided(&self, attempt: &Attempt<'_>) -> Result<Checkout, CommerceError> {
        let Attempt { now, quote, .. } = attempt;
        Ok(Checkout {
            tenant: attempt.tenant,
            id: attempt.id,
            request: attempt.request.clone(),
            state: CheckoutState::PendingPayment,
            refusal: None,
            shortages: Vec::new(),
            line_count: quote.line_count,
            quantity: quote.quantity,
            total: quote.total,
            total_usd_minor: quote.total_usd_minor,
            units_per_usd_micros: self.rates.units_per_usd_micros(quote.total.currency)?,
            rates_as_of: self.rates.as_of,
            fraud: FraudSummary::new(attempt.decision, &attempt.fraud),
            credit: attempt.credit.as_ref().map(|credit| credit.summary.clone()),
            orders: Vec::new(),
            payment: None,
            created_at: *now,
            updated_at: *now,
            idempotency_key: attempt.key.map(|key| key.key().to_owned()),
        })
    }

    /// One order for each seller, in the order of the sellers' ids.
    fn split(&self, attempt: &Attempt<'_>, terms: &CommissionTerms<'_>) -> Result<Vec<Order>, CommerceError> {
        let mut by_seller: BTreeMap<SellerId, Vec<&QuoteLine>> = BTreeMap::new();
        for line in &attempt.quote.lines {
            by_seller.entry(line.seller).or_default().push(line);
        }
        by_seller.into_iter().map(|(seller, lines)| self.order(attempt, terms, seller, &lines)).collect()
    }

    fn order(
        &self,
        attempt: &Attempt<'_>,
        terms: &CommissionTerms<'_>,
        seller: SellerId,
        lines: &[&QuoteLine],
    ) -> Result<Order, CommerceError> {
        let total_minor = sum_minor(lines.iter().map(|line| line.amount.amount_minor))?;
        let total = Money::new(total_minor, attempt.quote.total.currency);
        let order_lines: Vec<OrderLine> = lines.iter().map(|line| order_line(line)).collect();
        Ok(Order {
            tenant: attempt.tenant,
            id: OrderId::at(attempt.now, self.ids.random()),
            checkout: attempt.id,
            buyer: attempt.request.buyer,
            seller,
            region: attempt.request.delivery_region,
            state: OrderState::PendingPayment,
            line_count: lines.iter().map(|line| line.product).collect::<BTreeSet<_>>().len() as i64,
            quantity: lines.iter().map(|line| line.quantity).sum(),
            total,
            total_usd_minor: self.rates.usd_minor(total)?,
            version: 1,
            created_at: attempt.now,
            updated_at: attempt.now,
            amounts: Amounts::default(),
            commission: terms.of(seller, total, &order_lines)?,
            lines: order_lines,
        })
    }
}

impl Attempt<'_> {
    fn record(&self, outcome: DecisionOutcome) -> Result<DecisionRecord, CommerceError> {
        let request = serde_json::to_value(&self.submitted)
            .map_err(|error| StorageError::Corrupt { what: "a scored checkout", detail: error.to_string() })?;
        let fraud = self.fraud.clone();
        Ok(DecisionRecord {
            tenant: self.tenant,
            id: self.decision,
            kind: DecisionKind::Fraud,
            subject: self.id.to_string(),
            answer: fraud.answer(),
            model: fraud.model,
            request,
            reasons: fraud.reasons,
            features: fraud.features,
            applied_offsets: fraud.applied_offsets,
            degraded: fraud.degraded,
            latency_us: fraud.latency_us,
            outcome,
            created_at: self.now,
        })
    }
}

/// Reserves in the order of the products' ids, so that two checkouts never wait for each other.
pub(crate) async fn stored<X: StorageTransaction>(
    transaction: &mut X,
    tenant: TenantId,
    id: CheckoutId,
) -> Result<Checkout, CommerceError> {
    transaction.checkout(tenant, id).await?.ok_or_else(|| CommerceError::NotFound(format!("checkout {id}")))
}

fn order_line(line: &QuoteLine) -> OrderLine {
    OrderLine {
        product: line.product,
        category: line.category,
        title: line.title.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        amount_usd_minor: line.amount_usd_minor,
    }
}

fn product_ids(lines: &[CartLine]) -> Vec<ProductId> {
    lines.iter().map(|line| line.product).collect::<BTreeSet<_>>().into_iter().collect()
}
