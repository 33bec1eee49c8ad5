//! Use cases of the catalogue: listing, changing and delisting products, counting stock, and taking over a catalogue.

use dhow_events::facts::{ProductListed, ProductPriceChanged, StockChanged};
use dhow_events::{Fact, ProductId, TenantId, Timestamp};

use crate::categories::check_categories;
use crate::idempotency::{claim, save_answer};
use crate::prices::check_rates;
use crate::variants::check_variant;
use crate::{
    Answered, Commerce, CommerceError, Idempotency, PaymentRail, Product, ProductInput, ProductState, StockLevel,
    Storage, StorageTransaction,
};

/// The most rows that are taken over in one transaction.
pub const IMPORT_ROWS_MAX: usize = 1_000;
/// The highest stock of one product.
const ON_HAND_MAX: i64 = 1_000_000_000;

/// Which stored version a change is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Whatever is stored, or nothing.
    Any,
    /// Nothing is stored yet.
    Absent,
    /// This version is stored.
    Exactly(i64),
}

impl ExpectedVersion {
    pub(crate) fn check(self, found: Option<i64>) -> Result<(), CommerceError> {
        let expected = match self {
            Self::Any => return Ok(()),
            Self::Absent if found.is_none() => return Ok(()),
            Self::Exactly(version) if found == Some(version) => return Ok(()),
            Self::Absent => "none".to_owned(),
            Self::Exactly(version) => version.to_string(),
        };
        Err(CommerceError::StaleVersion { expected, found })
    }
}

/// A product of a catalogue that is taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedProduct {
    /// Which.
    pub id: ProductId,
    /// What the seller says about it.
    pub input: ProductInput,
    /// Units there.
    pub on_hand: i64,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Lists a new product under a fresh id.
    ///
    /// # Errors
    /// Wrong fields, a reused or unanswered idempotency key, the database fails.
    pub async fn create_product(
        &self,
        tenant: TenantId,
        input: &ProductInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Product>, CommerceError> {
        let id = ProductId::at(self.clock.now(), self.ids.random());
        self.save_product(tenant, id, input, ExpectedVersion::Absent, key).await
    }

    /// Lists a product under `id`, or changes it; a change that changes nothing keeps the version.
    ///
    /// # Errors
    /// Wrong fields, another seller's product, a stale version, more products on offer than the seller's plan allows, a reused or
    /// unanswered idempotency key, the database fails.
    pub async fn save_product(
        &self,
        tenant: TenantId,
        id: ProductId,
        input: &ProductInput,
        expected: ExpectedVersion,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Product>, CommerceError> {
        self.check(input)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        let stored = transaction.find_products(tenant, &[id]).await?.pop();
        expected.check(stored.as_ref().map(|product| product.version))?;
        let state = self.wanted_on_offer(stored.as_ref(), input);
        let product = match &stored {
            None => Product { state, ..new_product(tenant, id, input, now) },
            Some(stored) if stored.input.seller != input.seller => {
                let message = format!("is {}; the product belongs to {}", input.seller, stored.input.seller);
                return Err(CommerceError::invalid("/seller", message));
            }
            Some(stored) if stored.input == *input && stored.state == state => stored.clone(),
            Some(stored) => next_version(stored, input.clone(), state, now),
        };
        if stored.as_ref() != Some(&product) {
            check_categories(&mut transaction, tenant, [input]).await?;
            check_variant(&mut transaction, &product).await?;
            write(&mut transaction, &product).await?;
            self.tell(&mut transaction, stored.as_ref(), &product, now).await?;
        }
        let was_on_offer = stored.is_some_and(|stored| stored.state == ProductState::Listed);
        if state == ProductState::Listed && !was_on_offer {
            self.check_product_limit(&mut transaction, tenant, input.seller).await?;
        }
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &product).await?;
        transaction.commit().await?;
        Ok(Answered { value: product, replayed: false })
    }

    /// Takes a product off offer; its orders stay. One that is already off offer stays as it is.
    ///
    /// # Errors
    /// No such product, a stale version, the database fails.
    pub async fn delist_product(
        &self,
        tenant: TenantId,
        id: ProductId,
        expected: ExpectedVersion,
    ) -> Result<Product, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let stored = transaction.find_products(tenant, &[id]).await?.pop();
        let stored = stored.ok_or_else(|| CommerceError::NotFound(format!("product {id}")))?;
        expected.check(Some(stored.version))?;
        if stored.state == ProductState::Delisted {
            return Ok(stored);
        }
        let product = next_version(&stored, stored.input.clone(), ProductState::Delisted, now);
        write(&mut transaction, &product).await?;
        self.tell(&mut transaction, Some(&stored), &product, now).await?;
        transaction.commit().await?;
        Ok(product)
    }

    /// Sets how many units of a product there are.
    ///
    /// # Errors
    /// A count out of range, no such product, fewer units than pending checkouts hold
    /// (`Storage(Rule)`), a reused or unanswered idempotency key, the database fails.
    pub async fn set_stock(
        &self,
        tenant: TenantId,
        product: ProductId,
        on_hand: i64,
        key: Option<&Idempotency>,
    ) -> Result<Answered<StockLevel>, CommerceError> {
        check_on_hand(on_hand)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        if let Some(value) = claim(&mut transaction, tenant, key, now).await? {
            return Ok(Answered { value, replayed: true });
        }
        if transaction.find_products(tenant, &[product]).await?.is_empty() {
            return Err(CommerceError::NotFound(format!("product {product}")));
        }
        let stored = transaction.put_stock(tenant, product, on_hand).await?;
        let quantity_change = on_hand - stored.on_hand_before;
        // A first count of none is news too: what was never counted can be bought.
        if quantity_change != 0 || stored.is_first {
            let fact = StockChanged { product, quantity_change, on_hand };
            transaction.append_events(&[self.event(tenant, product.to_string(), now, fact)], now).await?;
        }
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &stored.level).await?;
        transaction.commit().await?;
        Ok(Answered { value: stored.level, replayed: false })
    }

    /// Takes over products whose events are in the log already, so that it writes none; one that exists is changed to
    /// match. Gives how many products were new.
    ///
    /// # Errors
    /// More than [`IMPORT_ROWS_MAX`] rows, wrong fields with the row's number, the database fails; nothing is taken
    /// over then.
    pub async fn import_products(&self, tenant: TenantId, rows: &[ImportedProduct]) -> Result<usize, CommerceError> {
        if rows.len() > IMPORT_ROWS_MAX {
            let message = format!("has {} rows; at most {IMPORT_ROWS_MAX} are taken at once", rows.len());
            return Err(CommerceError::invalid("", message));
        }
        for (index, row) in rows.iter().enumerate() {
            self.check(&row.input).and_then(|()| check_on_hand(row.on_hand)).map_err(|error| at_row(index, error))?;
        }
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut new_rows = 0;
        for row in rows {
            let stored = transaction.find_products(tenant, &[row.id]).await?.pop();
            new_rows += usize::from(stored.is_none());
            match stored {
                None => write(&mut transaction, &new_product(tenant, row.id, &row.input, now)).await?,
                Some(stored) if stored.input == row.input && stored.state == ProductState::Listed => {}
                Some(stored) => {
                    let product = next_version(&stored, row.input.clone(), ProductState::Listed, now);
                    write(&mut transaction, &product).await?;
                }
            }
            transaction.put_stock(tenant, row.id, row.on_hand).await?;
        }
        transaction.commit().await?;
        Ok(new_rows)
    }

    pub(crate) fn check(&self, input: &ProductInput) -> Result<(), CommerceError> {
        input.check().map_err(CommerceError::Invalid)?;
        let problems = check_rates(&input.prices, &self.rates);
        if problems.is_empty() { Ok(()) } else { Err(CommerceError::Invalid(problems)) }
    }

    /// Writes the events of a change of a product.
    pub(crate) async fn tell(
        &self,
        transaction: &mut S::Transaction,
        stored: Option<&Product>,
        product: &Product,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let event = |fact| self.event(product.tenant, product.id.to_string(), now, fact);
        let events: Vec<_> = self.told(stored, product)?.into_iter().map(event).collect();
        Ok(transaction.append_events(&events, now).await?)
    }

    pub(crate) fn changed(&self, stored: &Product, input: &ProductInput) -> Result<Fact, CommerceError> {
        let only_price = stored.state == ProductState::Listed
            && stored.input == ProductInput { price: stored.input.price, ..input.clone() };
        if only_price {
            let price_usd_minor = self.rates.usd_minor(input.price)?;
            return Ok(ProductPriceChanged { product: stored.id, price: input.price, price_usd_minor }.into());
        }
        self.listed(&Product { input: input.clone(), ..stored.clone() })
    }

    pub(crate) fn listed(&self, product: &Product) -> Result<Fact, CommerceError> {
        let input = product.input.clone();
        Ok(ProductListed {
            product: product.id,
            seller: input.seller,
            category: input.category,
            title: input.title,
            description: input.description,
            price: input.price,
            price_usd_minor: self.rates.usd_minor(input.price)?,
            region: input.region,
            weight_grams: input.weight_grams,
            reference: input.reference,
            sale_regions: Some(input.sale_regions).filter(|regions| !regions.is_everywhere()),
        }
        .into())
    }
}

pub(crate) async fn write<X: StorageTransaction>(transaction: &mut X, product: &Product) -> Result<(), CommerceError> {
    if transaction.put_product(product).await? {
        return Ok(());
    }
    let found = transaction.find_products(product.tenant, &[product.id]).await?.pop();
    let expected = (product.version - 1).to_string();
    Err(CommerceError::StaleVersion { expected, found: found.map(|product| product.version) })
}

pub(crate) fn new_product(tenant: TenantId, id: ProductId, input: &ProductInput, now: Timestamp) -> Product {
    let state = ProductState::Listed;
    Product { tenant, id, input: input.clone(), state, review: None, version: 1, created_at: now, updated_at: now }
}

pub(crate) fn next_version(stored: &Product, input: ProductInput, state: ProductState, now: Timestamp) -> Product {
    Product { input, state, version: stored.version + 1, updated_at: now, ..stored.clone() }
}

fn check_on_hand(on_hand: i64) -> Result<(), CommerceError> {
    if (0..=ON_HAND_MAX).contains(&on_hand) {
        return Ok(());
    }
    Err(CommerceError::invalid("/on_hand", format!("is {on_hand}; it must be from 0 to {ON_HAND_MAX}")))
}

fn at_row(index: usize, error: CommerceError) -> CommerceError {
    match error {
        CommerceError::Invalid(mut problems) => {
            problems.iter_mut().for_each(|problem| problem.pointer = format!("/{index}{}", problem.pointer));
            CommerceError::Invalid(problems)
        }
        other => other,
    }
}
