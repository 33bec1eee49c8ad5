//! What is done with returns and claims: opened, moved on, settled by refunds, credit notes and replacements; their states are in `returns`.
//!
//! Every change holds the order's payment first, so that changes of one payment's returns, refunds and disputes come one
//! after the other, and what one of them read is still so when it writes.

use std::collections::BTreeMap;

use dhow_events::facts::OrderReturned;
use dhow_events::{Money, OrderId, PaymentId, ProductId, ReturnId, TenantId, Timestamp};
use dhow_ledger::divide::share_of_step;

use crate::idempotency::{claim, save_answer};
use crate::texts::check_text;
use crate::transfers::{STORE_CREDIT, held};
use crate::{
    AfterSaleTransaction, Answered, Checkout, Commerce, CommerceError, ExpectedVersion, Idempotency, Order, OrderState,
    OutboxEvent, PERSON_BYTES_MAX, PaymentChange, PaymentRail, ProductState, RECOVERY_AFTER_MICROS, RailOutcome,
    Return, ReturnChange, ReturnInput, ReturnSettlement, ReturnState, ReturnUnits, ShipmentTransaction, Storage,
    StorageError, StorageTransaction, Transfer, TransferKind, TransferState, facts,
};

/// The most returns that an order has, those that ended included.
pub const RETURNS_PER_ORDER_MAX: i64 = 100;

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Opens a return or a claim of units of an order. The same request with the same key gives the one that it made before.
    ///
    /// # Errors
    /// Wrong fields, an order that is not there or was not placed, units that are on a return already; the database fails.
    pub async fn open_return(
        &self,
        tenant: TenantId,
        input: &ReturnInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Return>, CommerceError> {
        let payment = self.payment_of(tenant, input.order).await?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<ReturnId> = claim(&mut transaction, tenant, key, now).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.find_return(tenant, id).await?, replayed: true });
        }
        let checkout = held(&mut transaction, tenant, payment).await?;
        let order = order_of(&checkout, input.order)?;
        if !matches!(order.state, OrderState::Placed | OrderState::Fulfilled) {
            let message = format!("is `{}`; what is returned was placed or fulfilled", order.state);
            return Err(CommerceError::invalid("/order", message));
        }
        if transaction.count_returns(tenant, order.id).await? >= RETURNS_PER_ORDER_MAX {
            let message = format!("{} has {RETURNS_PER_ORDER_MAX} returns, the most that an order has", order.id);
            return Err(CommerceError::AfterSaleRefused(message));
        }
        let mut opened = input.opened(order, (ReturnId::at(now, self.ids.random()), payment), now)?;
        let units = transaction.line_units(tenant, order.id).await?;
        for line in &mut opened.lines {
            let of_line = units.iter().find(|units| units.product == line.product);
            line.called_off = of_line.map_or(0, |units| units.not_shipped(line.quantity));
            let counted = transaction.add_returned(tenant, order.id, line.product, line.quantity).await;
            counted.map_err(|error| on_a_return(error, line.product))?;
            if line.called_off > 0 {
                transaction.add_shipped(tenant, order.id, line.product, (0, line.called_off)).await?;
            }
        }
        self.write_return(&mut transaction, &opened, Vec::new(), now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &opened.id).await?;
        transaction.commit().await?;
        Ok(Answered { value: opened, replayed: false })
    }

    /// A return.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn find_return(&self, tenant: TenantId, id: ReturnId) -> Result<Return, CommerceError> {
        self.storage.find_return(tenant, id).await?.ok_or_else(|| missing(id))
    }

    /// A person's step: agreed to, refused, sent, received, inspected, closed. One that is there already stays as it is.
    ///
    /// # Errors
    /// No such return, a stale version, a step that does not follow, wrong fields; the database fails.
    pub async fn move_return(
        &self,
        tenant: TenantId,
        id: ReturnId,
        expected: ExpectedVersion,
        change: &ReturnChange,
    ) -> Result<Return, CommerceError> {
        let payment = self.find_return(tenant, id).await?.payment;
        let mut transaction = self.storage.begin().await?;
        let mut checkout = held(&mut transaction, tenant, payment).await?;
        let mut kept = stored_return(&mut transaction, tenant, id).await?;
        if kept.state == change.to {
            transaction.rollback().await?;
            return Ok(kept);
        }
        expected.check(Some(kept.version))?;
        let now = self.clock.now();
        kept.step(change, now)?;
        let mut events = Vec::new();
        let gives_up = matches!(kept.state, ReturnState::Declined | ReturnState::Closed);
        for line in kept.lines.iter().filter(|_| gives_up && kept.is_unsettled()) {
            transaction.add_returned(tenant, kept.order, line.product, -line.quantity).await?;
            if line.called_off > 0 {
                transaction.add_shipped(tenant, kept.order, line.product, (0, -line.called_off)).await?;
            }
        }
        if kept.state == ReturnState::Inspected {
            for line in kept.lines.iter().filter(|line| line.restocked > 0) {
                let level = transaction.add_stock(tenant, line.product, line.restocked).await?;
                let fact = facts::stock_changed(line.product, line.restocked, &level);
                events.push(self.event(tenant, line.product.to_string(), now, fact));
            }
        }
        if kept.state == kept.settled_from() {
            events.extend(self.facts_of_accepted(&kept, order_of(&checkout, kept.order)?, now)?);
        }
        self.write_return(&mut transaction, &kept, events, now).await?;
        if kept.state == kept.settled_from() && kept.lines.iter().any(|line| line.called_off > 0) {
            self.fulfil(&mut transaction, &mut checkout, kept.order, now).await?;
        }
        transaction.commit().await?;
        Ok(kept)
    }

    /// Settles what was accepted, or a part of it. A refund may still be under way in the answer.
    ///
    /// # Errors
    /// No such return, a stale version, nothing that can be settled, more than is left, no unit for a replacement, a reused
    /// idempotency key; the database fails. After a failure the same request with the same key is safe to send again.
    pub async fn settle_return(
        &self,
        tenant: TenantId,
        id: ReturnId,
        expected: ExpectedVersion,
        (settlement, by): (&ReturnSettlement, &str),
        key: Option<&Idempotency>,
    ) -> Result<Answered<Return>, CommerceError> {
        check_text("/by", by, 1..=PERSON_BYTES_MAX)?;
        let payment = self.find_return(tenant, id).await?.payment;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<ReturnId> = claim(&mut transaction, tenant, key, now).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.find_return(tenant, id).await?, replayed: true });
        }
        let checkout = held(&mut transaction, tenant, payment).await?;
        let kept = stored_return(&mut transaction, tenant, id).await?;
        expected.check(Some(kept.version))?;
        if kept.state != kept.settled_from() {
            let message = format!("{id} is `{}`; it is settled once it is `{}`", kept.state, kept.settled_from());
            return Err(CommerceError::AfterSaleRefused(message));
        }
        crate::returns::check_timeline(&kept.timeline)?;
        let refund = match settlement {
            ReturnSettlement::Refund { amount } => {
                let minor = asked_minor(&kept, *amount)?;
                Some(self.refund(&mut transaction, checkout, kept, (minor, by), now).await?)
            }
            ReturnSettlement::CreditNote { amount } => {
                let minor = asked_minor(&kept, *amount)?;
                self.credit(&mut transaction, checkout, kept, (minor, by), now).await?;
                None
            }
            ReturnSettlement::Replacement { units } => {
                self.replace(&mut transaction, checkout, kept, (units.as_deref(), by), now).await?
            }
        };
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &id).await?;
        transaction.commit().await?;
        if let Some(transfer) = refund {
            self.carry_out(transfer).await?;
        }
        Ok(Answered { value: self.find_return(tenant, id).await?, replayed: false })
    }

    /// Asks for a refund of the return's order; the rail is asked after the commit.
    async fn refund(
        &self,
        transaction: &mut S::Transaction,
        checkout: Checkout,
        mut kept: Return,
        (minor, by): (i64, &str),
        now: Timestamp,
    ) -> Result<Transfer, CommerceError> {
        let rail = self.rail_of(&checkout).to_owned();
        let transfer =
            self.ask(transaction, checkout, &part(&kept, minor), None, now + RECOVERY_AFTER_MICROS, &rail).await?;
        transaction.insert_return_transfer(kept.tenant, transfer.id, kept.id).await?;
        kept.refund_asked_minor += minor;
        kept.note(format!("refund {}", transfer.id), Some(by), "", now);
        self.write_return(transaction, &kept, Vec::new(), now).await?;
        Ok(transfer)
    }

    /// Writes a credit note: a refund whose money stays with the marketplace, done at once.
    async fn credit(
        &self,
        transaction: &mut S::Transaction,
        checkout: Checkout,
        mut kept: Return,
        (minor, by): (i64, &str),
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let asked = self.ask(transaction, checkout, &part(&kept, minor), None, now, STORE_CREDIT).await?;
        transaction.insert_return_transfer(kept.tenant, asked.id, kept.id).await?;
        kept.refund_asked_minor += minor;
        kept.note(format!("credit note {}", asked.id), Some(by), "", now);
        self.write_return(transaction, &kept, Vec::new(), now).await?;
        let mut checkout = held(transaction, kept.tenant, kept.payment).await?;
        let mut transfer = asked;
        let outcome = RailOutcome::Done { reference: kept.buyer.to_string() };
        self.end(transaction, Some(&mut checkout), &mut transfer, outcome).await?;
        Ok(())
    }

    /// Takes other units out of stock for what was accepted; gives the refund of the difference, where there is one.
    async fn replace(
        &self,
        transaction: &mut S::Transaction,
        checkout: Checkout,
        mut kept: Return,
        (units, by): (Option<&[ReturnUnits]>, &str),
        now: Timestamp,
    ) -> Result<Option<Transfer>, CommerceError> {
        if !kept.is_unsettled() {
            let message = format!("{} is settled in part; a replacement is for all that was accepted", kept.id);
            return Err(CommerceError::AfterSaleRefused(message));
        }
        let same: Vec<ReturnUnits> = kept
            .lines
            .iter()
            .filter(|line| line.accepted > 0)
            .map(|line| ReturnUnits { product: line.product, quantity: line.accepted })
            .collect();
        let demand = demand(units.unwrap_or(&same))?;
        let worth = self.worth(transaction, &kept, &demand).await?;
        let accepted = kept.accepted_minor();
        if worth == 0 || worth > accepted {
            let message = format!(
                "are worth {worth} minor units and {accepted} were accepted; for more, refund them and check out anew"
            );
            return Err(CommerceError::invalid("/settlement/units", message));
        }
        if let Some(shortage) = transaction.reserve_stock(kept.tenant, &demand).await?.first() {
            return Err(CommerceError::NoFreeUnit(shortage.product));
        }
        let mut events = Vec::new();
        for level in transaction.take_reserved_stock(kept.tenant, &demand).await? {
            let fact = facts::stock_changed(level.product, -demand[&level.product], &level);
            events.push(self.event(kept.tenant, level.product.to_string(), now, fact));
        }
        kept.replaced_minor = worth;
        kept.replacement = demand.iter().map(|(&product, &quantity)| ReturnUnits { product, quantity }).collect();
        kept.note("replacement".to_owned(), Some(by), "", now);
        kept.follow(now)?;
        transaction.append_events(&events, now).await?;
        if worth < accepted {
            return self.refund(transaction, checkout, kept, (accepted - worth, by), now).await.map(Some);
        }
        self.write_return(transaction, &kept, Vec::new(), now).await?;
        Ok(None)
    }

    /// What units are worth in a replacement: of the return's products what was paid, of others what the catalogue says.
    async fn worth(
        &self,
        transaction: &mut S::Transaction,
        kept: &Return,
        demand: &BTreeMap<ProductId, i64>,
    ) -> Result<i64, CommerceError> {
        let ids: Vec<ProductId> = demand.keys().copied().collect();
        let products = transaction.find_products(kept.tenant, &ids).await?;
        let mut worth = 0_i64;
        for (&id, &quantity) in demand {
            let paid = kept.lines.iter().find(|line| line.product == id).map(|line| line.unit_price_minor);
            let offered = || {
                let found = products.iter().find(|product| product.id == id);
                let listed = found.filter(|product| product.state == ProductState::Listed)?;
                let price = listed.input.price;
                let of_seller = listed.input.seller == kept.seller;
                (price.currency == kept.currency && of_seller).then_some(price.amount_minor)
            };
            let price = paid.or_else(offered).ok_or_else(|| {
                let message = format!("{id} is not on offer by the order's seller in {}", kept.currency);
                CommerceError::invalid("/settlement/units", message)
            })?;
            let of_line = price.checked_mul(quantity).and_then(|minor| minor.checked_add(worth));
            worth = of_line.ok_or_else(|| CommerceError::invalid("/settlement/units", "are worth more than fits"))?;
        }
        Ok(worth)
    }

    /// A refund of a return came to an end, or was taken back.
    pub(crate) async fn follow_refund(
        &self,
        transaction: &mut S::Transaction,
        transfer: &Transfer,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let found = transaction.return_of_transfer(transfer.tenant, transfer.id).await?;
        let Some(mut kept) = found else { return Ok(()) };
        let minor = transfer.amount.amount_minor;
        match transfer.state {
            TransferState::Done => kept.refunded_minor += minor,
            TransferState::Failed => kept.refund_asked_minor -= minor,
            TransferState::Reversed => {
                kept.refunded_minor -= minor;
                kept.refund_asked_minor -= minor;
            }
            TransferState::Pending => return Ok(()),
        }
        if transfer.rail == STORE_CREDIT {
            kept.credited_minor += minor;
        }
        let words = transfer.failure.clone().unwrap_or_default();
        kept.note(format!("refund {} {}", transfer.id, transfer.state), None, &words, now);
        kept.follow(now)?;
        self.write_return(transaction, &kept, Vec::new(), now).await
    }

    async fn write_return(
        &self,
        transaction: &mut S::Transaction,
        kept: &Return,
        mut events: Vec<OutboxEvent>,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        transaction.put_return(kept).await?;
        events.push(self.event(kept.tenant, kept.id.to_string(), now, kept.moved()));
        Ok(transaction.append_events(&events, now).await?)
    }

    /// The fact for each line of which units were accepted.
    fn facts_of_accepted(
        &self,
        kept: &Return,
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<OutboxEvent>, CommerceError> {
        let mut events = Vec::new();
        for line in kept.lines.iter().filter(|line| line.accepted > 0) {
            let fact = OrderReturned {
                buyer: kept.buyer,
                order: order.id,
                return_id: kept.id,
                seller: kept.seller,
                product: line.product,
                quantity: line.accepted,
                amount_usd_minor: share_of_step(line.amount_usd_minor, 0, line.accepted, line.quantity)?,
                reason: kept.reason.to_string(),
            };
            events.push(self.event(kept.tenant, kept.id.to_string(), now, fact));
        }
        Ok(events)
    }

    /// The payment of an order.
    async fn payment_of(&self, tenant: TenantId, id: OrderId) -> Result<PaymentId, CommerceError> {
        let unknown = || CommerceError::invalid("/order", format!("{id} is no order"));
        let order = self.storage.order(tenant, id).await?.ok_or_else(unknown)?;
        let checkout = self.storage.checkout(tenant, order.checkout).await?;
        checkout.and_then(|checkout| checkout.payment).map(|payment| payment.id).ok_or_else(unknown)
    }
}

fn order_of(checkout: &Checkout, id: OrderId) -> Result<&Order, CommerceError> {
    let order = checkout.orders.iter().find(|order| order.id == id);
    order.ok_or_else(|| CommerceError::NotFound(format!("order {id}")))
}

fn part(kept: &Return, minor: i64) -> PaymentChange {
    let amount = Some(Money::new(minor, kept.currency));
    PaymentChange { kind: TransferKind::Refund, order: Some(kept.order), amount }
}

/// How much is to be settled, in minor units.
fn asked_minor(kept: &Return, amount: Option<Money>) -> Result<i64, CommerceError> {
    let left_minor = kept.left_minor();
    if let Some(amount) = amount.filter(|amount| amount.currency != kept.currency) {
        let message = format!("is {}; the order is in {}", amount.currency, kept.currency);
        return Err(CommerceError::invalid("/settlement/amount/currency", message));
    }
    let asked_minor = amount.map_or(left_minor, |amount| amount.amount_minor);
    if amount.is_some() && asked_minor <= 0 {
        let message = format!("is {asked_minor}; it must be above zero");
        return Err(CommerceError::invalid("/settlement/amount/amount", message));
    }
    if asked_minor > left_minor || left_minor == 0 {
        return Err(CommerceError::AmountExceeded { what: TransferKind::Refund, asked_minor, left_minor });
    }
    Ok(asked_minor)
}

fn demand(units: &[ReturnUnits]) -> Result<BTreeMap<ProductId, i64>, CommerceError> {
    let mut demand = BTreeMap::new();
    for (number, units) in units.iter().enumerate() {
        let fresh = demand.insert(units.product, units.quantity).is_none();
        if !fresh || !(1..=crate::LINE_QUANTITY_MAX).contains(&units.quantity) || number >= crate::CHECKOUT_LINES_MAX {
            let message = format!(
                "must be a product once, with 1 to {} units; at most {} products",
                crate::LINE_QUANTITY_MAX,
                crate::CHECKOUT_LINES_MAX
            );
            return Err(CommerceError::invalid(format!("/settlement/units/{number}"), message));
        }
    }
    Ok(demand)
}

/// The database holds that no more units are on returns than were bought.
fn on_a_return(error: StorageError, product: ProductId) -> CommerceError {
    match error {
        StorageError::Rule { rule } if rule.starts_with("order_lines_returned") => {
            CommerceError::AfterSaleRefused(format!("so many units of {product} are not left: others are on a return"))
        }
        other => other.into(),
    }
}

async fn stored_return<X: StorageTransaction>(
    transaction: &mut X,
    tenant: TenantId,
    id: ReturnId,
) -> Result<Return, CommerceError> {
    transaction.find_return(tenant, id).await?.ok_or_else(|| missing(id))
}

fn missing(id: ReturnId) -> CommerceError {
    CommerceError::NotFound(format!("return {id}"))
}
