//! Brings on what waits: payments and transfers without an answer, holds that ran out; who runs it when is the caller's.

use dhow_events::{MINUTE_MICROS, SECOND_MICROS, Timestamp};

use crate::settlement::{Ending, reference_of};
use crate::{
    AUTHORISATION_MICROS, Checkout, CheckoutState, Commerce, CommerceError, PaymentRail, RefusalReason, Storage,
    StorageTransaction, TransferState,
};

/// How old a pending checkout must be before recovery asks the rail again; younger ones have a request under way.
pub const RECOVERY_AFTER_MICROS: i64 = 15 * SECOND_MICROS;
/// How many waiting checkouts are read at once.
pub const RECOVERY_BATCH: u32 = 100;
/// How long before the rail's hold runs out an undecided checkout is refused.
pub const HOLD_MARGIN_MICROS: i64 = 10 * MINUTE_MICROS;

/// What a checkout waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The rail's answer to its payment.
    ForPayment,
    /// A person's verdict.
    ForVerdict,
}

/// What a recovery did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Checkouts that waited for the rail and got its answer.
    pub settled_count: usize,
    /// Checkouts that the rail has no final answer for yet.
    pub pending_count: usize,
    /// Held checkouts that nobody decided in time, refused.
    pub expired_count: usize,
    /// Transfers that waited for the rail and got its answer.
    pub transferred_count: usize,
    /// Charges that agreements' schedules asked for.
    pub charged_count: usize,
    /// Subscriptions whose next period began.
    pub renewed_count: usize,
    /// Labels, and their giving up, that waited for a carrier and got its answer.
    pub labelled_count: usize,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Asks the rail again about every checkout that has waited for its payment for [`RECOVERY_AFTER_MICROS`], and
    /// settles those with a final answer; refuses held checkouts whose hold at the rail is about to run out; charges
    /// what is due of agreements to pay later; renews subscriptions of sellers; asks the rail about every transfer that is due, and carriers about labels. A server runs it at its start and then every few seconds.
    ///
    /// # Errors
    /// The database fails; what is left is recovered by the next call.
    pub async fn recover_pending(&self) -> Result<Recovery, CommerceError> {
        let now = self.clock.now();
        let mut recovery = Recovery::default();
        self.bring_on(Waiting::ForPayment, now - RECOVERY_AFTER_MICROS, &mut recovery).await?;
        let held_before = now + HOLD_MARGIN_MICROS - AUTHORISATION_MICROS;
        self.bring_on(Waiting::ForVerdict, held_before, &mut recovery).await?;
        recovery.charged_count = self.bring_agreements_on(now).await?;
        recovery.renewed_count = self.renew_subscriptions(now).await?;
        self.carry_out_due(now, &mut recovery).await?;
        recovery.labelled_count = self.bring_shipments_on(now).await?;
        Ok(recovery)
    }

    async fn bring_on(
        &self,
        waiting: Waiting,
        created_before: Timestamp,
        recovery: &mut Recovery,
    ) -> Result<(), CommerceError> {
        let mut after = None;
        loop {
            let batch = self.storage.waiting_checkouts(waiting, created_before, after, RECOVERY_BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some((last.created_at, last.id));
            for checkout in batch {
                match waiting {
                    Waiting::ForPayment => match self.pay(checkout).await?.state {
                        CheckoutState::PendingPayment => recovery.pending_count += 1,
                        _ => recovery.settled_count += 1,
                    },
                    Waiting::ForVerdict => recovery.expired_count += usize::from(self.expire(&checkout).await?),
                }
            }
        }
    }

    /// Refuses a checkout that nobody decided; its case stays, for what was found is worth knowing.
    async fn expire(&self, checkout: &Checkout) -> Result<bool, CommerceError> {
        let ending = Ending::GivenUp { reference: reference_of(checkout)?, refusal: RefusalReason::ReviewExpired };
        let mut transaction = self.storage.begin().await?;
        let moved = self.move_on(&mut transaction, checkout, &ending, self.clock.now()).await?.is_some();
        transaction.commit().await?;
        Ok(moved)
    }

    /// Asks the rail about every transfer whose end nobody else waits for.
    async fn carry_out_due(&self, now: Timestamp, recovery: &mut Recovery) -> Result<(), CommerceError> {
        let mut after = None;
        loop {
            let batch = self.storage.due_transfers(now, after, RECOVERY_BATCH).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some((last.due_at, last.id));
            for transfer in batch {
                let ended = self.carry_out(transfer).await?;
                recovery.transferred_count += usize::from(ended.state != TransferState::Pending);
            }
        }
    }
}
