//! Customs declarations as they are kept, and the steps that are taken with them; their states and rules are in `dhow-customs`.

use dhow_customs::{
    Borders, Country, Declaration, DeclarationError, DeclarationState, DeclarationStep, Document, Goods, QuoteError,
};
use dhow_events::facts::DeclarationMoved;
use dhow_events::{DeclarationId, OrderId, TenantId, Timestamp};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::texts::check_text;
use crate::{
    Answered, Commerce, CommerceError, DeclarationTransaction, ExpectedVersion, Idempotency, PERSON_BYTES_MAX,
    PaymentRail, Storage, StorageTransaction,
};

/// A declaration that is to be drafted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationInput {
    /// The order whose goods they are, where it is one.
    pub order: Option<OrderId>,
    /// Where the goods come to.
    pub destination: Country,
    /// The goods.
    pub goods: Vec<Goods>,
    /// The papers that are there.
    pub documents: Vec<Document>,
}

/// A step that is taken with a declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum DeclarationChange {
    /// Papers are added.
    Attach {
        /// Which.
        documents: Vec<Document>,
    },
    /// A person lets go on what is restricted.
    Review,
    /// It goes to the authority, by tables and rules of the day.
    Submit,
    /// The authority answers, or it is taken back.
    Answer {
        /// `held`, `cleared`, `refused` or `withdrawn`.
        to: DeclarationState,
    },
}

/// A declaration of goods at a border.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomsDeclaration {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: DeclarationId,
    /// The order whose goods they are.
    pub order: Option<OrderId>,
    /// Destination, goods, state, papers, quote and version.
    #[serde(flatten)]
    pub declaration: Declaration,
    /// The day by whose tables it was submitted last.
    pub submitted_on: Option<String>,
    /// Who took the last step.
    pub changed_by: Option<String>,
    /// When it was drafted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl CustomsDeclaration {
    /// Its version, as ETags have it.
    pub fn version(&self) -> i64 {
        i64::try_from(self.declaration.version).unwrap_or(i64::MAX)
    }

    fn moved(&self) -> DeclarationMoved {
        let quote = self.declaration.quote.as_ref();
        DeclarationMoved {
            declaration: self.id,
            order: self.order,
            destination: self.declaration.destination.to_string(),
            state: self.declaration.state.to_string(),
            currency: quote.map(|quote| quote.currency.to_string()),
            total_minor: quote.map(|quote| quote.total_minor),
        }
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Drafts a declaration of goods that were assessed. The same request with the same key gives the one that it made before.
    ///
    /// # Errors
    /// No such order, papers that cannot be; the database fails.
    pub async fn draft_declaration(
        &self,
        tenant: TenantId,
        input: DeclarationInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<CustomsDeclaration>, CommerceError> {
        if let Some(order) = input.order
            && self.storage.order(tenant, order).await?.is_none()
        {
            return Err(CommerceError::invalid("/order", format!("{order} is no order")));
        }
        let now = self.clock.now();
        let mut declaration = Declaration::draft(input.destination, input.goods);
        for document in input.documents {
            declaration.take(DeclarationStep::Attach(document)).map_err(refused)?;
        }
        declaration.version = 1;
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<DeclarationId> = claim(&mut transaction, tenant, key, now).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.find_declaration(tenant, id).await?, replayed: true });
        }
        let drafted = CustomsDeclaration {
            tenant,
            id: DeclarationId::at(now, self.ids.random()),
            order: input.order,
            declaration,
            submitted_on: None,
            changed_by: None,
            created_at: now,
            updated_at: now,
        };
        self.write_declaration(&mut transaction, &drafted, now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &drafted.id).await?;
        transaction.commit().await?;
        Ok(Answered { value: drafted, replayed: false })
    }

    /// A declaration.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn find_declaration(
        &self,
        tenant: TenantId,
        id: DeclarationId,
    ) -> Result<CustomsDeclaration, CommerceError> {
        self.storage.declaration(tenant, id).await?.ok_or_else(|| missing(id))
    }

    /// Takes a step with a declaration. One that was taken already changes nothing.
    ///
    /// # Errors
    /// No such declaration, a stale version, a step that does not follow, rules that are not met; the database fails.
    pub async fn move_declaration(
        &self,
        tenant: TenantId,
        id: DeclarationId,
        expected: ExpectedVersion,
        (change, by): (&DeclarationChange, &str),
        (borders, today): (&Borders, Date),
    ) -> Result<CustomsDeclaration, CommerceError> {
        check_text("/by", by, 1..=PERSON_BYTES_MAX)?;
        let mut transaction = self.storage.begin().await?;
        let kept = transaction.hold_declaration(tenant, id).await?;
        let mut kept = kept.ok_or_else(|| missing(id))?;
        let before = kept.clone();
        take(&mut kept, change, borders, today)?;
        if kept == before {
            transaction.rollback().await?;
            return Ok(kept);
        }
        expected.check(Some(before.version()))?;
        let now = self.clock.now();
        kept.declaration.version = before.declaration.version + 1;
        (kept.changed_by, kept.updated_at) = (Some(by.to_owned()), now);
        self.write_declaration(&mut transaction, &kept, now).await?;
        transaction.commit().await?;
        Ok(kept)
    }

    async fn write_declaration(
        &self,
        transaction: &mut S::Transaction,
        kept: &CustomsDeclaration,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        transaction.put_declaration(kept).await?;
        let event = self.event(kept.tenant, kept.id.to_string(), now, kept.moved());
        Ok(transaction.append_events(&[event], now).await?)
    }
}

/// Takes the step with what is kept; the version is written by whoever keeps it.
fn take(
    kept: &mut CustomsDeclaration,
    change: &DeclarationChange,
    borders: &Borders,
    today: Date,
) -> Result<(), CommerceError> {
    let declaration = &mut kept.declaration;
    match change {
        DeclarationChange::Attach { documents } => {
            for document in documents {
                declaration.take(DeclarationStep::Attach(document.clone())).map_err(refused)?;
            }
        }
        DeclarationChange::Review => {
            declaration.take(DeclarationStep::Review).map_err(refused)?;
        }
        DeclarationChange::Submit => {
            let step = DeclarationStep::Submit { tables: &borders.tariffs, rules: &borders.rules, on: today };
            if declaration.take(step).map_err(refused)? {
                kept.submitted_on = Some(today.to_string());
            }
        }
        DeclarationChange::Answer { to } => {
            declaration.take(DeclarationStep::Answer(*to)).map_err(refused)?;
        }
    }
    Ok(())
}

fn refused(error: DeclarationError) -> CommerceError {
    let words = error.to_string();
    match error {
        DeclarationError::State { .. } | DeclarationError::Fixed(_) | DeclarationError::Unmet(_) => {
            CommerceError::DeclarationRefused(words)
        }
        DeclarationError::Document => CommerceError::invalid("/documents", words),
        DeclarationError::NoTable { .. } | DeclarationError::Quote(QuoteError::Day { .. }) => {
            CommerceError::DeclarationRefused(words)
        }
        DeclarationError::Quote(_) => CommerceError::invalid("/goods", words),
    }
}

fn missing(id: DeclarationId) -> CommerceError {
    CommerceError::NotFound(format!("declaration {id}"))
}
