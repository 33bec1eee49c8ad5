//! What is paid of agreements: charges by the schedule and by hand, what becomes of them, refunds and losses; who may have one stands in `credit`.
//!
//! To the checkout an agreement is a rail of its own, [`PAY_LATER`], that pays at once whatever is captured and takes back whatever is
//! refunded. Its clearing account is what the agreements took over of checkouts and is not captured yet; what buyers owe
//! stands in the account of each agreement. Instalments are transfers through the real rail, by the reference that it gave
//! when it held the down payment, or nothing, for us.

use dhow_credit::{Standing, StandingStep, lines_paid};
use dhow_events::{AgreementId, Money, PaymentId, TenantId, Timestamp};
use dhow_ledger::divide::DivideError;

use crate::agreements::{Charge, Waiver};
use crate::idempotency::claim;
use crate::settlement::Ending;
use crate::transfers::{held, insert_asked};
use crate::{
    Agreement, AgreementPart, AgreementState, Answered, Checkout, Commerce, CommerceError, CreditChange,
    CreditTransaction, Idempotency, PaymentMethod, PaymentRail, RECOVERY_BATCH, RailError, Storage, StorageError,
    StorageTransaction, Transfer, TransferAnswer, TransferKind, TransferRequest, TransferState, bookings, transition,
};

/// The rail of payments that agreements take over.
pub(crate) const PAY_LATER: &str = "pay_later";

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// The rail that moves a checkout's payment.
    pub(crate) fn rail_of(&self, checkout: &Checkout) -> &str {
        if is_financed(checkout) { PAY_LATER } else { self.rail.name() }
    }

    /// An agreement.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn find_agreement(&self, tenant: TenantId, id: AgreementId) -> Result<Agreement, CommerceError> {
        self.storage.agreement(tenant, id).await?.ok_or_else(|| missing(id))
    }

    /// What the rail is to hold when a financed checkout is paid: the down payment, and the same in cents.
    pub(crate) async fn to_hold(&self, checkout: &Checkout, payment: PaymentId) -> Result<(Money, i64), CommerceError> {
        let agreement = self.storage.agreement_of_payment(checkout.tenant, payment).await?;
        let agreement = agreement.ok_or_else(|| unfinanced(payment))?;
        let down = agreement.down_payment_minor();
        Ok((Money::new(down, agreement.currency), agreement.usd_minor(down)?))
    }

    /// What a checkout's end means to its agreement: it begins, or it is not made.
    pub(crate) async fn follow_checkout(
        &self,
        transaction: &mut S::Transaction,
        checkout: &Checkout,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let Some(payment) = checkout.payment.as_ref().filter(|_| is_financed(checkout)) else { return Ok(()) };
        let mut agreement = stored(transaction, checkout.tenant, payment.id).await?;
        match ending {
            Ending::Held { .. } => Ok(()),
            Ending::Declined { .. } | Ending::GivenUp { .. } => {
                transition(agreement.state, AgreementState::Cancelled)?;
                agreement.state = AgreementState::Cancelled;
                let before = agreement.standing;
                let minor = before.principal_minor;
                agreement.standing = before.after(StandingStep::Refunded { minor })?;
                self.write_agreement(transaction, &mut agreement, before, now).await
            }
            Ending::Completed { .. } => {
                transition(agreement.state, AgreementState::Active)?;
                agreement.state = AgreementState::Active;
                let held_micros = now.micros_since(agreement.created_at);
                for instalment in &mut agreement.schedule {
                    instalment.due_at = instalment.due_at + held_micros;
                }
                self.write_agreement(transaction, &mut agreement, Standing::default(), now).await
            }
        }
    }

    /// Pays some or all of an agreement now. The answer is done, failed, or pending as that of any transfer.
    ///
    /// # Errors
    /// No such agreement, nothing to be paid, a charge that is under way, a reused or unanswered idempotency key; the database
    /// fails. After a failure the same request with the same key is safe to send again.
    pub async fn pay_agreement(
        &self,
        tenant: TenantId,
        id: AgreementId,
        part: AgreementPart,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Transfer>, CommerceError> {
        let payment = self.find_agreement(tenant, id).await?.payment;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        held(&mut transaction, tenant, payment).await?;
        let mut agreement = stored(&mut transaction, tenant, payment).await?;
        let (minor, waives_minor) = agreement.part_minor(part, now);
        let open = [AgreementState::Active, AgreementState::Late, AgreementState::Defaulted].contains(&agreement.state);
        if agreement.charging.is_some() {
            let message = format!("a charge of {id} is under way; ask again once it ended");
            return Err(CommerceError::CreditRefused(message));
        }
        if !open || minor <= 0 {
            let message = format!("{id} is `{}` and nothing of it is to be paid", agreement.state);
            return Err(CommerceError::CreditRefused(message));
        }
        let charge = (minor, waives_minor, false);
        let transfer = self.charge(&mut transaction, &mut agreement, charge, key, now).await?;
        transaction.commit().await?;
        Ok(Answered { value: self.carry_out(transfer).await?, replayed: false })
    }

    /// Does what the schedule asks of every agreement that is due: charges, and losses of those that were late too long.
    pub(crate) async fn bring_agreements_on(&self, now: Timestamp) -> Result<usize, CommerceError> {
        let (mut after, mut charged) = (None, 0);
        loop {
            let batch = self.storage.due_agreements(now, after, RECOVERY_BATCH).await?;
            let Some(last) = batch.last() else { return Ok(charged) };
            after = last.next_at.map(|at| (at, last.id));
            for agreement in &batch {
                if let Some(transfer) = self.bring_agreement_on(agreement, now).await? {
                    charged += 1;
                    self.carry_out(transfer).await?;
                }
            }
        }
    }

    /// The step of an agreement that is due; a charge is given to be carried out.
    async fn bring_agreement_on(&self, due: &Agreement, now: Timestamp) -> Result<Option<Transfer>, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        held(&mut transaction, due.tenant, due.payment).await?;
        let mut agreement = stored(&mut transaction, due.tenant, due.payment).await?;
        if agreement.next_at.is_none_or(|at| at > now) {
            return Ok(None);
        }
        let before = agreement.standing;
        let minor = agreement.due_minor(now);
        let mut transfer = None;
        if agreement.state == AgreementState::Late {
            agreement.standing = agreement.standing.after(StandingStep::WrittenOff)?;
            self.write_agreement(&mut transaction, &mut agreement, before, now).await?;
        } else if minor > 0 {
            transfer = Some(self.charge(&mut transaction, &mut agreement, (minor, 0, true), None, now).await?);
        } else {
            self.write_agreement(&mut transaction, &mut agreement, before, now).await?;
        }
        transaction.commit().await?;
        Ok(transfer)
    }

    /// Writes a charge of minor units that is asked for, with the fee that it waives and whether the schedule asks.
    async fn charge(
        &self,
        transaction: &mut S::Transaction,
        agreement: &mut Agreement,
        (minor, waives_minor, by_schedule): (i64, i64, bool),
        key: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<Transfer, CommerceError> {
        let amount = Money::new(minor, agreement.currency);
        let asked = self.pending(agreement.tenant, TransferKind::Instalment, amount, key);
        let transfer = Transfer { payment: Some(agreement.payment), ..asked };
        insert_asked(transaction, &transfer).await?;
        agreement.charging = Some(Charge { transfer: transfer.id, waives_minor, by_schedule });
        let before = agreement.standing;
        self.write_agreement(transaction, agreement, before, now).await?;
        Ok(transfer)
    }

    /// What the end of a transfer means to the agreement behind its payment, which is held.
    pub(crate) async fn follow_agreement(
        &self,
        transaction: &mut S::Transaction,
        checkout: &Checkout,
        transfer: &Transfer,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let Some(payment) = transfer.payment.filter(|_| is_financed(checkout)) else { return Ok(()) };
        let minor = transfer.amount.amount_minor;
        let called_off = matches!(transfer.kind, TransferKind::Void | TransferKind::Refund);
        let mut agreement = stored(transaction, checkout.tenant, payment).await?;
        let before = agreement.standing;
        if called_off && transfer.rail == PAY_LATER {
            if transfer.state != TransferState::Done || !agreement.is_made() {
                return Ok(());
            }
            agreement.standing = agreement.standing.after(StandingStep::Refunded { minor })?;
        } else if transfer.kind == TransferKind::Instalment {
            agreement.take_charge(transfer, now)?;
        } else {
            return Ok(());
        }
        self.write_agreement(transaction, &mut agreement, before, now).await
    }

    /// Writes an agreement after a step with its books, its limit, its event and what is then to go back to the buyer.
    async fn write_agreement(
        &self,
        transaction: &mut S::Transaction,
        agreement: &mut Agreement,
        before: Standing,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let state = agreement.state;
        agreement.follow(now)?;
        (agreement.version, agreement.updated_at) = (agreement.version + 1, now);
        let (standing, tenant) = (agreement.standing, agreement.tenant);
        let open = agreement.usd_minor(standing.outstanding_minor())?;
        let open_before = std::mem::replace(&mut agreement.open_usd_minor, open);
        transaction.put_agreement(agreement).await?;
        let entered = |state_now: AgreementState| i64::from(state != state_now && agreement.state == state_now);
        let paid_before = lines_paid(&agreement.schedule, &before);
        let change = CreditChange {
            open_usd_minor: open - open_before,
            paid_count: lines_paid(&agreement.schedule, &standing) - paid_before,
            late_count: entered(AgreementState::Late),
            defaulted_count: entered(AgreementState::Defaulted),
        };
        if change != CreditChange::default() {
            transaction.change_credit(tenant, agreement.buyer, &change).await?;
        }
        if let Some(batch) = bookings::agreement(agreement, &before, self.rail.name(), now)? {
            transaction.write_batch(&batch).await?;
        }
        let back = standing.returned_minor - before.returned_minor;
        if back > 0 {
            let amount = Money::new(back, agreement.currency);
            let asked = self.pending(tenant, TransferKind::InstalmentRefund, amount, None);
            // Nobody waits for it, so recovery asks the rail at once.
            let transfer = Transfer { payment: Some(agreement.payment), due_at: now, ..asked };
            insert_asked(transaction, &transfer).await?;
        }
        let event = self.event(tenant, agreement.id.to_string(), now, agreement.moved()?);
        Ok(transaction.append_events(&[event], now).await?)
    }

    /// What the agreements' own rail makes of a transfer. What the real rail holds of a checkout that was not made is given
    /// up there.
    pub(crate) async fn answer_of_credit(
        &self,
        transfer: &Transfer,
        request: TransferRequest,
    ) -> Result<Result<TransferAnswer, RailError>, CommerceError> {
        let payment = transfer.payment.ok_or_else(|| StorageError::Corrupt {
            what: "a transfer",
            detail: format!("{} is of no payment", transfer.id),
        })?;
        let agreement = self.storage.agreement_of_payment(transfer.tenant, payment).await?;
        let agreement = agreement.ok_or_else(|| unfinanced(payment))?;
        let down = agreement.down_payment_minor();
        if transfer.kind == TransferKind::Void && agreement.state == AgreementState::Cancelled && down > 0 {
            let amount = Money::new(down, agreement.currency);
            return Ok(self.rail.transfer(&TransferRequest { amount, ..request }).await);
        }
        Ok(Ok(TransferAnswer::Done { reference: agreement.id.to_string() }))
    }
}

impl Agreement {
    /// A charge came to an end, or was taken back.
    fn take_charge(&mut self, transfer: &Transfer, now: Timestamp) -> Result<(), DivideError> {
        let minor = transfer.amount.amount_minor;
        let charge = self.charging.take_if(|charge| charge.transfer == transfer.id);
        match transfer.state {
            TransferState::Pending => {}
            TransferState::Done => {
                let waives_minor = charge.map_or(0, |charge| charge.waives_minor);
                let waived_before = self.standing.fee_waived_minor;
                self.standing = self.standing.after(StandingStep::Paid { minor, waives_minor })?;
                let waived = self.standing.fee_waived_minor - waived_before;
                if waived > 0 {
                    self.waivers.push(Waiver { transfer: transfer.id, minor: waived });
                }
                (self.failures, self.retry_at) = (0, None);
            }
            TransferState::Failed => {
                if charge.is_some_and(|charge| charge.by_schedule) {
                    self.count_failure(now);
                }
            }
            TransferState::Reversed => {
                let of_transfer = |waiver: &Waiver| waiver.transfer == transfer.id;
                let waived_minor = self.waivers.iter().filter(|waiver| of_transfer(waiver)).map(|one| one.minor).sum();
                self.waivers.retain(|waiver| !of_transfer(waiver));
                self.standing = self.standing.after(StandingStep::TakenBack { minor, waived_minor })?;
                self.count_failure(now);
            }
        }
        Ok(())
    }
}

/// Whether a checkout is paid later.
pub(crate) fn is_financed(checkout: &Checkout) -> bool {
    checkout.request.payment_method == PaymentMethod::PayLater
}

async fn stored<X: StorageTransaction>(
    transaction: &mut X,
    tenant: TenantId,
    payment: PaymentId,
) -> Result<Agreement, CommerceError> {
    transaction.agreement_of_payment(tenant, payment).await?.ok_or_else(|| unfinanced(payment))
}

fn unfinanced(payment: PaymentId) -> CommerceError {
    let detail = format!("{payment} is paid later and has no agreement");
    StorageError::Corrupt { what: "a payment", detail }.into()
}

fn missing(id: AgreementId) -> CommerceError {
    CommerceError::NotFound(format!("agreement {id}"))
}
