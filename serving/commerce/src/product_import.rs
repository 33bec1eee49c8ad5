//! Use case of taking in a file of products: all of its rows or none, each change with its event; the file's form is in `product_file`.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::facts::ProductDelisted;
use dhow_events::{ProductId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::categories::wrong_categories;
use crate::idempotency::{claim, save_answer};
use crate::product_file::{Problems, ProductRow, read_product_file};
use crate::products::{new_product, next_version, write};
use crate::variants::check_variant;
use crate::{
    Answered, CategoryTransaction, CategoryTree, Commerce, CommerceError, Idempotency, OutboxEvent, PaymentRail,
    Product, ProductState, Storage, StorageTransaction,
};

/// What a file of products came to, or would come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductImport {
    /// Products that are new.
    pub created: usize,
    /// Products that were changed.
    pub changed: usize,
    /// Products that are as the file says already.
    pub unchanged: usize,
    /// Whether it was only tried.
    pub dry_run: bool,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Lists, changes and delists products as a file says, all of its rows or none; with `dry_run` nothing is kept.
    ///
    /// # Errors
    /// A file with anything wrong: each field at `/<line>/<column>`; more products on offer than a seller's plan allows, a product that
    /// was changed at the same time, a reused or unanswered idempotency key, the database fails. Nothing is taken in then.
    pub async fn import_product_file(
        &self,
        tenant: TenantId,
        file: &[u8],
        dry_run: bool,
        key: Option<&Idempotency>,
    ) -> Result<Answered<ProductImport>, CommerceError> {
        let rows = read_product_file(file).map_err(CommerceError::Invalid)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let ids: Vec<ProductId> = rows.iter().filter_map(|row| row.id).collect();
        let stored = transaction.find_products(tenant, &ids).await?;
        let stored: BTreeMap<ProductId, Product> = stored.into_iter().map(|product| (product.id, product)).collect();
        let tree = transaction.categories(tenant).await?;
        let rows = self.checked(rows, &stored, tree.as_ref())?;
        let mut outcome = ProductImport { dry_run, ..ProductImport::default() };
        let (mut events, mut sellers) = (Vec::new(), BTreeSet::new());
        for row in &rows {
            let known = row.id.and_then(|id| stored.get(&id));
            let state = match row.state {
                ProductState::Delisted => ProductState::Delisted,
                _ => self.wanted_on_offer(known, &row.input),
            };
            let product = match known {
                Some(known) if known.input == row.input && [row.state, state].contains(&known.state) => {
                    outcome.unchanged += 1;
                    continue;
                }
                Some(known) => next_version(known, row.input.clone(), state, now),
                None => {
                    let id = row.id.unwrap_or_else(|| ProductId::at(now, self.ids.random()));
                    Product { state, ..new_product(tenant, id, &row.input, now) }
                }
            };
            *(if known.is_some() { &mut outcome.changed } else { &mut outcome.created }) += 1;
            check_variant(&mut transaction, &product).await.map_err(|error| at_line(row.line, error))?;
            write(&mut transaction, &product).await?;
            events.extend(self.told_of(known, &product, now)?);
            if product.state == ProductState::Listed && known.is_none_or(|known| known.state != ProductState::Listed) {
                sellers.insert(product.input.seller);
            }
        }
        for seller in sellers {
            self.check_product_limit(&mut transaction, tenant, seller).await?;
        }
        transaction.append_events(&events, now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &outcome).await?;
        if dry_run {
            transaction.rollback().await?
        } else {
            transaction.commit().await?
        }
        Ok(Answered { value: outcome, replayed: false })
    }

    /// The rows, where each may be kept beside what is stored.
    fn checked(
        &self,
        rows: Vec<ProductRow>,
        stored: &BTreeMap<ProductId, Product>,
        tree: Option<&CategoryTree>,
    ) -> Result<Vec<ProductRow>, CommerceError> {
        let mut problems = Problems::default();
        for row in &rows {
            match self.check(&row.input) {
                Err(CommerceError::Invalid(wrong)) => {
                    wrong.iter().for_each(|problem| problems.add_field(row.line, problem));
                }
                other => other?,
            }
            let wrong = wrong_categories(tree, &row.input);
            wrong.iter().for_each(|problem| problems.add_field(row.line, problem));
            if let Some(known) = row.id.and_then(|id| stored.get(&id))
                && known.input.seller != row.input.seller
            {
                let message = format!("is {}; the product belongs to {}", row.input.seller, known.input.seller);
                problems.add(row.line, "seller", message);
            }
        }
        problems.end(rows).map_err(CommerceError::Invalid)
    }

    /// The events of a change: what is said anew of the product, and that it is off offer.
    fn told_of(
        &self,
        known: Option<&Product>,
        product: &Product,
        now: Timestamp,
    ) -> Result<Vec<OutboxEvent>, CommerceError> {
        let mut facts = self.told(known, product)?;
        if product.state == ProductState::Delisted && known.is_none_or(|known| known.input != product.input) {
            let said = known.map_or_else(|| self.listed(product), |known| self.changed(known, &product.input))?;
            facts = vec![said, ProductDelisted { product: product.id }.into()];
        }
        let event = |fact| self.event(product.tenant, product.id.to_string(), now, fact);
        Ok(facts.into_iter().map(event).collect())
    }
}

/// The same error at a line of a file.
fn at_line(line: u64, error: CommerceError) -> CommerceError {
    let CommerceError::Invalid(wrong) = error else { return error };
    let mut problems = Problems::default();
    wrong.iter().for_each(|problem| problems.add_field(line, problem));
    problems.end(()).map_or_else(CommerceError::Invalid, |()| CommerceError::Invalid(wrong))
}
