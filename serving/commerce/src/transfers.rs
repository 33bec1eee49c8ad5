//! Captures, voids, refunds and payouts: asked in one transaction, carried out by the rail outside of any, ended in another; their books are in `bookings`.
//!
//! ```text
//! transfer  pending ─► done ─► reversed (the rail took it back later)
//!                   └► failed
//! ```
//! Whatever tells of the end (the rail's answer, its message, the answer to a second question after a restart), and however
//! often: the end is a conditional change of the transfer's state, and all that hangs on it is written with it.

use std::collections::BTreeMap;

use dhow_events::facts::{PaymentCaptured, PaymentRefunded, TransferSettled};
use dhow_events::{DAY_MICROS, Fact, Money, OrderId, PaymentId, ProductId, SellerId, TenantId, Timestamp, TransferId};
use dhow_ledger::divide::{DivideError, Rounding, ratio, share_of_step, split};
use serde::{Deserialize, Serialize};

use crate::checkout::stored;
use crate::idempotency::{claim, save_answer};
use crate::instalments::PAY_LATER;
use crate::settlement::no_payment;
use crate::words::worded;
use crate::{
    Answered, Checkout, CheckoutState, Commerce, CommerceError, Idempotency, OrderState, OutboxEvent, PaymentRail,
    RECOVERY_AFTER_MICROS, RailError, RailNotice, RailOutcome, SignedNotice, Storage, StorageError, StorageTransaction,
    TransferAnswer, TransferKind, TransferRequest, bookings, facts, transition,
};

/// The rail of credit notes: a refund whose money stays with the marketplace, in the buyer's account, done at once.
pub(crate) const STORE_CREDIT: &str = "store_credit";

/// The database's rule that refunds and what is disputed stay within what was captured.
const DISPUTED_RULE: &str = "payments_disputed_within_captured";

worded! {
    /// Where a transfer stands.
    TransferState {
        /// Asked for; the rail has not said how it ended.
        Pending = "pending",
        /// The rail did it.
        Done = "done",
        /// The rail refused.
        Failed = "failed",
        /// The rail did it, and took it back later.
        Reversed = "reversed",
    }
}

impl crate::States for TransferState {
    const SUBJECT: &'static str = "transfer";
    const TRANSITIONS: &'static [(Self, &'static [Self])] =
        &[(Self::Pending, &[Self::Done, Self::Failed]), (Self::Done, &[Self::Reversed])];
}

/// The part of a transfer that belongs to one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferShare {
    /// The order.
    pub order: OrderId,
    /// Its seller.
    pub seller: SellerId,
    /// Minor units.
    pub amount_minor: i64,
    /// The marketplace's commission in it: taken by a capture once it is done, given back by a refund.
    pub commission_minor: i64,
}

/// A request to a rail to move an amount, or to give it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which; also its idempotency key at the rail.
    pub id: TransferId,
    /// What it does.
    pub kind: TransferKind,
    /// Where it stands.
    pub state: TransferState,
    /// How much.
    pub amount: Money,
    /// The payment; nothing for a payout.
    pub payment: Option<PaymentId>,
    /// Who is paid out; nothing for the others.
    pub seller: Option<SellerId>,
    /// The orders' parts, which sum to the amount; none for a payout.
    pub shares: Vec<TransferShare>,
    /// The rail.
    pub rail: String,
    /// The rail's own name for it.
    pub rail_reference: Option<String>,
    /// Why it failed or was taken back.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// From when on recovery asks the rail, where nobody else waits for its answer.
    #[serde(default, skip_serializing)]
    pub due_at: Timestamp,
    /// The idempotency key whose answer it is.
    #[serde(default, skip_serializing)]
    pub idempotency_key: Option<String>,
}

/// What is asked of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentChange {
    /// Capture, void or refund.
    pub kind: TransferKind,
    /// The order that it is for; nothing for all of the checkout, to each its share of what is left.
    pub order: Option<OrderId>,
    /// How much; nothing for all that is left.
    pub amount: Option<Money>,
}

/// Which transfers are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Of this kind.
    pub kind: Option<TransferKind>,
    /// Of this payment.
    pub payment: Option<PaymentId>,
    /// Paid out to this seller.
    pub seller: Option<SellerId>,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Captures, voids or refunds some or all of a payment. The answer is done, failed, or, where the rail has not
    /// answered, pending; a pending one is ended by the rail's message or by [`Commerce::recover_pending`], and its
    /// idempotency key counts as in flight until then.
    ///
    /// # Errors
    /// No such payment or order, another currency, a checkout that is not completed, more than is left, a reused or
    /// unanswered idempotency key; the database fails. After a failure the same request with the same key is safe to send
    /// again.
    pub async fn change_payment(
        &self,
        tenant: TenantId,
        payment: PaymentId,
        change: &PaymentChange,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Transfer>, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let checkout = held(&mut transaction, tenant, payment).await?;
        if checkout.state != CheckoutState::Completed {
            return Err(CommerceError::NotCompleted { checkout: checkout.state });
        }
        let due_at = now + RECOVERY_AFTER_MICROS;
        let rail = self.rail_of(&checkout).to_owned();
        let transfer = self.ask(&mut transaction, checkout, change, key, due_at, &rail).await?;
        transaction.commit().await?;
        Ok(Answered { value: self.carry_out(transfer).await?, replayed: false })
    }

    /// Writes what is asked of a payment that is held against other writers, through a rail: the transfer, the amounts, the
    /// books.
    pub(crate) async fn ask(
        &self,
        transaction: &mut S::Transaction,
        mut checkout: Checkout,
        change: &PaymentChange,
        key: Option<&Idempotency>,
        due_at: Timestamp,
        rail: &str,
    ) -> Result<Transfer, CommerceError> {
        let now = self.clock.now();
        let mut shares = shares(&checkout, change)?;
        let asked_minor = shares.iter().map(|share| share.amount_minor).sum();
        let left_minor = left(&checkout, change).iter().sum();
        for share in &mut shares {
            let Some(order) = checkout.orders.iter_mut().find(|order| order.id == share.order) else { continue };
            order.amounts.add_asked(change.kind, share.amount_minor);
            if change.kind == TransferKind::Refund && order.amounts.refund_asked_minor <= order.total.amount_minor {
                let asked = order.amounts.refund_asked_minor;
                share.commission_minor = order.commission.of_refund(asked, order.total.amount_minor)?;
                order.commission.commission_returned_minor += share.commission_minor;
            }
        }
        if change.kind == TransferKind::Void {
            nothing_is_shipped(transaction, &checkout, &shares).await?;
        }
        let amount = Money::new(asked_minor, checkout.total.currency);
        let transfer = Transfer {
            payment: checkout.payment.as_ref().map(|payment| payment.id),
            shares,
            due_at,
            rail: rail.to_owned(),
            ..self.pending(checkout.tenant, change.kind, amount, key)
        };
        move_payment(&mut checkout, &transfer, |amounts| amounts.add_asked(transfer.kind, asked_minor))?;
        // Whether there is as much is the database's to say: its constraints hold for whatever comes at the same time.
        let written = write_amounts(transaction, &mut checkout, &transfer, now).await;
        written.map_err(|error| exceeded(error, change.kind, asked_minor, left_minor))?;
        insert_asked(transaction, &transfer).await?;
        Ok(transfer)
    }

    /// A transfer that is asked for now, of nobody yet.
    pub(crate) fn pending(
        &self,
        tenant: TenantId,
        kind: TransferKind,
        amount: Money,
        key: Option<&Idempotency>,
    ) -> Transfer {
        let now = self.clock.now();
        Transfer {
            tenant,
            id: TransferId::at(now, self.ids.random()),
            kind,
            state: TransferState::Pending,
            amount,
            payment: None,
            seller: None,
            shares: Vec::new(),
            rail: self.rail.name().to_owned(),
            rail_reference: None,
            failure: None,
            created_at: now,
            updated_at: now,
            due_at: now + RECOVERY_AFTER_MICROS,
            idempotency_key: key.map(|key| key.key().to_owned()),
        }
    }

    /// Has the rail do it, outside any transaction, and writes how it ended.
    pub(crate) async fn carry_out(&self, transfer: Transfer) -> Result<Transfer, CommerceError> {
        let payment_reference = match transfer.payment {
            Some(payment) => self.storage.payment_reference(transfer.tenant, payment).await?,
            None => None,
        };
        let request = TransferRequest {
            tenant: transfer.tenant,
            idempotency_key: transfer.id.to_string(),
            kind: transfer.kind,
            amount: transfer.amount,
            payment_reference,
            seller: transfer.seller,
            requested_at: transfer.created_at,
        };
        let answer = if transfer.rail == PAY_LATER {
            self.answer_of_credit(&transfer, request).await?
        } else {
            self.rail.transfer(&request).await
        };
        let outcome = match answer {
            Ok(TransferAnswer::Pending) => return Ok(transfer),
            Err(RailError::NoAnswer(reason)) => {
                tracing::warn!(transfer = %transfer.id, reason, "no answer of the payment rail; the transfer stays pending");
                return Ok(transfer);
            }
            Ok(TransferAnswer::Done { reference }) => RailOutcome::Done { reference },
            Ok(TransferAnswer::Declined { reason }) => RailOutcome::Declined { reason },
        };
        self.end_transfer(transfer, outcome).await
    }

    /// Takes a rail's message. One that was taken before, or whose news came by another way, changes nothing.
    ///
    /// # Errors
    /// Another rail's, not signed, too old, about what is not known here; the database fails. The rail sends it again then.
    pub async fn take_notice(&self, rail: &str, signed: &SignedNotice<'_>) -> Result<(), CommerceError> {
        if rail != self.rail.name() {
            return Err(CommerceError::NotFound(format!("payment rail `{rail}`")));
        }
        let RailNotice { tenant, key, outcome } = self.rail.read_notice(signed)?;
        if let RailOutcome::Dispute(news) = &outcome {
            let payment = key.parse().map_err(|_| CommerceError::NotFound(format!("payment `{key}`")))?;
            return self.take_dispute(tenant, payment, news).await;
        }
        if let Ok(id) = key.parse::<TransferId>() {
            let transfer = self.storage.transfer(tenant, id).await?;
            let transfer = transfer.filter(|transfer| transfer.rail == rail);
            let transfer = transfer.ok_or_else(|| CommerceError::NotFound(format!("transfer {id}")))?;
            self.end_transfer(transfer, outcome).await?;
            return Ok(());
        }
        let checkout = match key.parse::<PaymentId>() {
            Ok(id) => self.storage.payment(tenant, id).await?,
            Err(_) => None,
        };
        let checkout = checkout.ok_or_else(|| CommerceError::NotFound(format!("payment or transfer `{key}`")))?;
        if checkout.state == CheckoutState::PendingPayment {
            let answer = match outcome {
                RailOutcome::Done { reference } => Ok(reference),
                RailOutcome::Declined { reason } => Err(reason),
                RailOutcome::Dispute(_) => return Ok(()),
            };
            self.settle(checkout, answer).await?;
        }
        Ok(())
    }

    /// Writes how a transfer ended, once however many tell of it. What was done and is told to have failed, the rail took
    /// back; what failed stays so, for that news is the later one.
    async fn end_transfer(&self, told: Transfer, outcome: RailOutcome) -> Result<Transfer, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let mut checkout = match told.payment {
            Some(payment) => Some(held(&mut transaction, told.tenant, payment).await?),
            None => None,
        };
        let found = transaction.transfer(told.tenant, told.id).await?;
        let mut transfer = found.ok_or_else(|| CommerceError::NotFound(format!("transfer {}", told.id)))?;
        if self.end(&mut transaction, checkout.as_mut(), &mut transfer, outcome).await? {
            transaction.commit().await?;
        }
        Ok(transfer)
    }

    /// The end of a transfer that is held with its payment; `false` where nothing is new.
    pub(crate) async fn end(
        &self,
        transaction: &mut S::Transaction,
        mut checkout: Option<&mut Checkout>,
        transfer: &mut Transfer,
        outcome: RailOutcome,
    ) -> Result<bool, CommerceError> {
        let now = self.clock.now();
        let before = transfer.state;
        let after = match (before, &outcome) {
            (TransferState::Pending, RailOutcome::Done { .. }) => TransferState::Done,
            (TransferState::Pending, RailOutcome::Declined { .. }) => TransferState::Failed,
            (TransferState::Done, RailOutcome::Declined { .. }) => TransferState::Reversed,
            _ => return Ok(false),
        };
        transition(before, after)?;
        (transfer.state, transfer.updated_at) = (after, now);
        match outcome {
            RailOutcome::Done { reference } => transfer.rail_reference = Some(reference),
            RailOutcome::Declined { reason } => transfer.failure = Some(reason),
            RailOutcome::Dispute(_) => return Ok(false),
        }
        let mut events = Vec::new();
        if let Some(checkout) = checkout.as_deref_mut().filter(|_| transfer.kind.moves_payment()) {
            events = self.end_payment_part(transaction, checkout, transfer).await?;
        }
        transaction.update_transfer(transfer).await?;
        let buyer = checkout.as_deref().map(|checkout| checkout.request.buyer);
        if let Some(batch) = bookings::ended(transfer, buyer, now)? {
            transaction.write_batch(&batch).await?;
        }
        events.push(self.settled_event(checkout.as_deref(), transfer, now)?);
        transaction.append_events(&events, now).await?;
        if transfer.kind == TransferKind::Refund {
            self.follow_refund(transaction, transfer, now).await?;
        }
        if let Some(checkout) = checkout.as_deref() {
            self.follow_agreement(transaction, checkout, transfer, now).await?;
        }
        if before == TransferState::Pending {
            save_answer(transaction, transfer.tenant, transfer.idempotency_key.as_deref(), transfer).await?;
        }
        Ok(true)
    }

    /// The end of a transfer on the payment's side: amounts, commissions, sales, orders that are called off.
    async fn end_payment_part(
        &self,
        transaction: &mut S::Transaction,
        checkout: &mut Checkout,
        transfer: &mut Transfer,
    ) -> Result<Vec<OutboxEvent>, CommerceError> {
        let (kind, now) = (transfer.kind, transfer.updated_at);
        let moved = moved(kind, transfer.state);
        let done_before = checkout.payment.as_ref().map_or(0, |payment| payment.amounts.done(kind));
        let mut events = Vec::new();
        let mut called_off: BTreeMap<ProductId, i64> = BTreeMap::new();
        for share in &mut transfer.shares {
            let Some(order) = checkout.orders.iter_mut().find(|order| order.id == share.order) else { continue };
            let (whole, from) = (order.total.amount_minor, order.amounts.done(kind));
            order.amounts.add_asked(kind, moved.asked * share.amount_minor);
            order.amounts.add_done(kind, moved.done * share.amount_minor);
            let to = order.amounts.done(kind);
            if kind == TransferKind::Capture && moved.done != 0 {
                share.commission_minor = order.commission.of_capture(from, to, whole)?;
            }
            if kind == TransferKind::Refund && moved.asked != 0 {
                order.commission.commission_returned_minor -= share.commission_minor;
            }
            let sold_usd_minor = usd_of_step(order.total_usd_minor, from, to, whole)?;
            let sign = if kind == TransferKind::Capture { 1 } else { -1 };
            if kind != TransferKind::Void && sold_usd_minor != 0 {
                let month = Timestamp::from_micros(now.first_day_of_month() * DAY_MICROS);
                transaction.add_seller_sales(transfer.tenant, order.seller, month, sign * sold_usd_minor).await?;
            }
            if order.amounts.voided_minor == whole && order.state == OrderState::Placed {
                transition(order.state, OrderState::Cancelled)?;
                order.state = OrderState::Cancelled;
                for line in &order.lines {
                    *called_off.entry(line.product).or_default() += line.quantity;
                }
            }
        }
        for (product, quantity) in called_off {
            let level = transaction.add_stock(transfer.tenant, product, quantity).await?;
            let fact = facts::stock_changed(product, quantity, &level);
            events.push(self.event(transfer.tenant, product.to_string(), now, fact));
        }
        let amount = transfer.amount.amount_minor;
        move_payment(checkout, transfer, |amounts| {
            amounts.add_asked(kind, moved.asked * amount);
            amounts.add_done(kind, moved.done * amount);
        })?;
        write_amounts(transaction, checkout, transfer, now).await?;
        if transfer.state == TransferState::Done {
            let usd_minor =
                usd_of_step(checkout.total_usd_minor, done_before, done_before + amount, checkout.total.amount_minor)?;
            if let Some(fact) = done_fact(checkout, transfer, usd_minor) {
                events.push(self.event(transfer.tenant, checkout.id.to_string(), now, fact));
            }
        }
        Ok(events)
    }

    fn settled_event(
        &self,
        checkout: Option<&Checkout>,
        transfer: &Transfer,
        now: Timestamp,
    ) -> Result<OutboxEvent, CommerceError> {
        let amount = transfer.amount.amount_minor;
        let amount_usd_minor = match checkout {
            Some(checkout) if transfer.kind.moves_payment() => {
                usd_of_step(checkout.total_usd_minor, 0, amount, checkout.total.amount_minor)?
            }
            Some(checkout) => {
                // With its fee an instalment may be more than the checkout.
                let (cents, whole) = (checkout.total_usd_minor, checkout.total.amount_minor);
                ratio(amount, cents.unsigned_abs(), whole.unsigned_abs(), Rounding::HalfUp)?
            }
            None => self.rates.usd_minor(transfer.amount)?,
        };
        let fact = TransferSettled {
            transfer: transfer.id,
            payment: transfer.payment,
            seller: transfer.seller,
            kind: transfer.kind.to_string(),
            state: transfer.state.to_string(),
            amount: transfer.amount,
            amount_usd_minor,
        };
        let aggregate = checkout.map_or_else(|| transfer.id.to_string(), |checkout| checkout.id.to_string());
        Ok(self.event(transfer.tenant, aggregate, now, fact))
    }
}

/// How often a transfer's amount is added to what was asked and to what was done when it ends.
struct Moved {
    asked: i64,
    done: i64,
}

/// A reversed capture stays captured: the marketplace owes the seller and has lost the money, which the books say.
const fn moved(kind: TransferKind, state: TransferState) -> Moved {
    match (kind, state) {
        (_, TransferState::Done) => Moved { asked: 0, done: 1 },
        (_, TransferState::Failed) => Moved { asked: -1, done: 0 },
        (TransferKind::Refund, TransferState::Reversed) => Moved { asked: -1, done: -1 },
        (_, TransferState::Reversed | TransferState::Pending) => Moved { asked: 0, done: 0 },
    }
}

/// Writes a transfer that is asked for, with its books.
pub(crate) async fn insert_asked<X: StorageTransaction>(
    transaction: &mut X,
    transfer: &Transfer,
) -> Result<(), CommerceError> {
    transaction.insert_transfer(transfer).await?;
    if let Some(batch) = bookings::asked(transfer, transfer.created_at)? {
        transaction.write_batch(&batch).await?;
    }
    Ok(())
}

/// An order whose payment is given up whole is called off, so none of its units may be on shipments.
async fn nothing_is_shipped<X: StorageTransaction>(
    transaction: &mut X,
    checkout: &Checkout,
    shares: &[TransferShare],
) -> Result<(), CommerceError> {
    for order in checkout.orders.iter().filter(|order| shares.iter().any(|share| share.order == order.id)) {
        let is_whole = order.amounts.void_asked_minor >= order.total.amount_minor;
        let units = if is_whole { transaction.line_units(order.tenant, order.id).await? } else { Vec::new() };
        if units.iter().any(|line| line.shipped > 0) {
            let message = format!("units of {} are on shipments; give their labels up first", order.id);
            return Err(CommerceError::ShippingRefused(message));
        }
    }
    Ok(())
}

/// The checkout of a payment, whose row is held against other writers until the transaction ends.
pub(crate) async fn held<X: StorageTransaction>(
    transaction: &mut X,
    tenant: TenantId,
    payment: PaymentId,
) -> Result<Checkout, CommerceError> {
    let checkout = transaction.hold_payment(tenant, payment).await?;
    let checkout = checkout.ok_or_else(|| CommerceError::NotFound(format!("payment {payment}")))?;
    stored(transaction, tenant, checkout).await
}

/// What is left of each order for `change`; nothing of those that it is not for.
fn left(checkout: &Checkout, change: &PaymentChange) -> Vec<i64> {
    let of = |order: &crate::Order| match change.order {
        Some(id) if id != order.id => 0,
        _ => order.amounts.left(change.kind, order.total.amount_minor).max(0),
    };
    checkout.orders.iter().map(of).collect()
}

/// Parts an amount over the orders by what is left of each; the parts sum to it to the minor unit.
fn shares(checkout: &Checkout, change: &PaymentChange) -> Result<Vec<TransferShare>, CommerceError> {
    if let Some(id) = change.order.filter(|id| checkout.orders.iter().all(|order| order.id != *id)) {
        return Err(CommerceError::invalid("/order", format!("{id} is not paid by this payment")));
    }
    let currency = checkout.total.currency;
    if let Some(amount) = change.amount.filter(|amount| amount.currency != currency) {
        let message = format!("is in {}; the payment is in {currency}", amount.currency);
        return Err(CommerceError::invalid("/amount/currency", message));
    }
    let left = left(checkout, change);
    let all: i64 = left.iter().sum();
    let asked = change.amount.map_or(all, |amount| amount.amount_minor);
    if change.amount.is_some() && asked <= 0 {
        return Err(CommerceError::invalid("/amount/amount", format!("is {asked}; it must be above zero")));
    }
    if all == 0 {
        return Err(CommerceError::AmountExceeded { what: change.kind, asked_minor: asked, left_minor: 0 });
    }
    let weights: Vec<u64> = left.iter().map(|minor| minor.unsigned_abs()).collect();
    let parts = split(asked, &weights)?;
    let share = |(order, amount_minor): (&crate::Order, i64)| TransferShare {
        order: order.id,
        seller: order.seller,
        amount_minor,
        commission_minor: 0,
    };
    Ok(checkout.orders.iter().zip(parts).filter(|(_, minor)| *minor != 0).map(share).collect())
}

/// Changes the payment's amounts, and its state by them.
fn move_payment(
    checkout: &mut Checkout,
    transfer: &Transfer,
    change: impl FnOnce(&mut crate::Amounts),
) -> Result<(), CommerceError> {
    let none = no_payment(checkout);
    let payment = checkout.payment.as_mut().ok_or(none)?;
    change(&mut payment.amounts);
    let state = payment.amounts.state(payment.authorised_minor);
    transition(payment.state, state)?;
    (payment.state, payment.updated_at) = (state, transfer.updated_at);
    Ok(())
}

/// Writes the payment and those orders that the transfer is for.
async fn write_amounts<X: StorageTransaction>(
    transaction: &mut X,
    checkout: &mut Checkout,
    transfer: &Transfer,
    now: Timestamp,
) -> Result<(), StorageError> {
    if let Some(payment) = &checkout.payment {
        transaction.update_payment(checkout.tenant, payment).await?;
    }
    for order in &mut checkout.orders {
        if transfer.shares.iter().any(|share| share.order == order.id) {
            (order.version, order.updated_at) = (order.version + 1, now);
            transaction.update_order(order).await?;
        }
    }
    Ok(())
}

/// A broken rule about amounts means that more was asked than is left.
fn exceeded(error: StorageError, what: TransferKind, asked_minor: i64, left_minor: i64) -> CommerceError {
    match error {
        // The payment is held, so what is left is exact: as much is there, and a dispute takes some of it up.
        StorageError::Rule { rule } if rule == DISPUTED_RULE && asked_minor <= left_minor => {
            let message = "so much of the payment is disputed; what is disputed cannot be refunded besides";
            CommerceError::AfterSaleRefused(message.to_owned())
        }
        StorageError::Rule { rule } if rule.starts_with("payments_") || rule.starts_with("orders_") => {
            CommerceError::AmountExceeded { what, asked_minor, left_minor }
        }
        other => other.into(),
    }
}

/// The share of an amount in cents that belongs to the step from `from` to `to` of `whole`; below zero for a step back.
pub(crate) fn usd_of_step(total_usd_minor: i64, from: i64, to: i64, whole: i64) -> Result<i64, DivideError> {
    if from > to {
        return share_of_step(total_usd_minor, to, from, whole).map(|back| -back);
    }
    share_of_step(total_usd_minor, from, to, whole)
}

fn done_fact(checkout: &Checkout, transfer: &Transfer, amount_usd_minor: i64) -> Option<Fact> {
    let (payment, amount) = (checkout.payment.as_ref()?, transfer.amount);
    let (checkout_id, payment_id) = (checkout.id, payment.id);
    match transfer.kind {
        TransferKind::Capture => {
            Some(PaymentCaptured { checkout: checkout_id, payment: payment_id, amount, amount_usd_minor }.into())
        }
        TransferKind::Refund => {
            Some(PaymentRefunded { checkout: checkout_id, payment: payment_id, amount, amount_usd_minor }.into())
        }
        TransferKind::Void => Some(facts::voided(checkout, payment, amount, amount_usd_minor).into()),
        TransferKind::Payout | TransferKind::Instalment | TransferKind::InstalmentRefund => None,
    }
}
