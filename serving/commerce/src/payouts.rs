//! Sending sellers what they are owed: asked against the books, carried out by the rail as any transfer; when to pay is the caller's.

use dhow_events::{Currency, Money, SellerId, TenantId};
use dhow_ledger::{Asset, Side};

use crate::bookings::seller_account;
use crate::idempotency::claim;
use crate::transfers::insert_asked;
use crate::{
    Answered, Commerce, CommerceError, Idempotency, PaymentRail, Storage, StorageTransaction, Transfer, TransferKind,
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
        let amount = Money::new(asked_minor, currency);
        let transfer = Transfer { seller: Some(seller), ..self.pending(tenant, TransferKind::Payout, amount, key) };
        insert_asked(&mut transaction, &transfer).await?;
        transaction.commit().await?;
        Ok(Answered { value: self.carry_out(transfer).await?, replayed: false })
    }
}
