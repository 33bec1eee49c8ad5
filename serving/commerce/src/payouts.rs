//! Sending sellers what they are owed: asked against the books, carried out by the rail as any transfer; when to pay is the caller's.

use dhow_events::{Currency, Money, SellerId, TenantId, TransferId};
use dhow_ledger::{Asset, Side};

use crate::bookings::{self, seller_account};
use crate::idempotency::claim;
use crate::{
    Answered, Commerce, CommerceError, Idempotency, PaymentRail, RECOVERY_AFTER_MICROS, Storage, StorageTransaction,
    Transfer, TransferKind, TransferState,
};

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Sends a seller what is owed in a currency, or some of it.
    ///
    /// # Errors
    /// An amount that is not above zero, more than is owed, a reused or unanswered idempotency key; the database fails.
    pub async fn pay_out(
        &self,
        tenant: TenantId,
        seller: SellerId,
        currency: Currency,
        amount_minor: Option<i64>,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Transfer>, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        if let Some(minor) = amount_minor.filter(|minor| *minor <= 0) {
            return Err(CommerceError::invalid("/amount/amount", format!("is {minor}; it must be above zero")));
        }
        let account = seller_account(seller)?;
        let owed = transaction.balance(tenant, &account, Asset::from(currency)).await?.available(Side::Credit);
        let left_minor = i64::try_from(owed).unwrap_or(i64::MAX).max(0);
        let asked_minor = amount_minor.unwrap_or(left_minor);
        if asked_minor > left_minor || asked_minor == 0 {
            return Err(CommerceError::AmountExceeded { what: TransferKind::Payout, asked_minor, left_minor });
        }
        let transfer = Transfer {
            tenant,
            id: TransferId::at(now, self.ids.random()),
            kind: TransferKind::Payout,
            state: TransferState::Pending,
            amount: Money::new(asked_minor, currency),
            payment: None,
            seller: Some(seller),
            shares: Vec::new(),
            rail: self.rail.name().to_owned(),
            rail_reference: None,
            failure: None,
            created_at: now,
            updated_at: now,
            due_at: now + RECOVERY_AFTER_MICROS,
            idempotency_key: key.map(|key| key.key().to_owned()),
        };
        transaction.insert_transfer(&transfer).await?;
        if let Some(batch) = bookings::asked(&transfer, now)? {
            transaction.write_batch(&batch).await?;
        }
        transaction.commit().await?;
        Ok(Answered { value: self.carry_out(transfer).await?, replayed: false })
    }
}
