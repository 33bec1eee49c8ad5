//! Review of products by the marketplace: which of a seller's changes wait for it, and what a decision makes of a product.

use dhow_events::facts::ProductDelisted;
use dhow_events::{Fact, ProductId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::products::{next_version, write};
use crate::texts::check_text;
use crate::{
    Commerce, CommerceError, ExpectedVersion, PERSON_BYTES_MAX, PaymentRail, Product, ProductInput, ProductState,
    States, Storage, StorageTransaction, transition,
};

/// The longest words that go with a decision, in bytes of UTF-8.
pub const REVIEW_NOTE_BYTES_MAX: usize = 1_000;

/// What the marketplace decided about a product last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductReview {
    /// Who.
    pub by: String,
    /// Words for the seller.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// What a review may do. A seller takes a product off offer and wants it back from wherever it stands.
impl States for ProductState {
    const SUBJECT: &'static str = "product";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::InReview, &[Self::Listed, Self::Rejected]),
        (Self::Listed, &[Self::Rejected]),
        (Self::Rejected, &[Self::Listed]),
    ];
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Products wait for a review before they are on offer, and again when more of them changes than what they cost.
    #[must_use]
    pub const fn with_reviews(mut self, reviews_products: bool) -> Self {
        self.reviews_products = reviews_products;
        self
    }

    /// Puts a product that waits, or was rejected, on offer, or rejects one; a decision that was made already is no change.
    ///
    /// # Errors
    /// Wrong words, no such product, a stale version, a product that its seller took off offer, more products on offer than the
    /// seller's plan allows, the database fails.
    pub async fn review_product(
        &self,
        tenant: TenantId,
        id: ProductId,
        expected: ExpectedVersion,
        to: ProductState,
        (by, note): (&str, &str),
    ) -> Result<Product, CommerceError> {
        check_text("/by", by, 1..=PERSON_BYTES_MAX)?;
        let least = usize::from(to == ProductState::Rejected);
        check_text("/note", note, least..=REVIEW_NOTE_BYTES_MAX)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let stored = transaction.find_products(tenant, &[id]).await?.pop();
        let stored = stored.ok_or_else(|| CommerceError::NotFound(format!("product {id}")))?;
        expected.check(Some(stored.version))?;
        if stored.state == to {
            return Ok(stored);
        }
        transition(stored.state, to)?;
        let review = ProductReview { by: by.to_owned(), note: note.to_owned(), at: now };
        let mut product = next_version(&stored, stored.input.clone(), to, now);
        product.review = Some(review);
        write(&mut transaction, &product).await?;
        self.tell(&mut transaction, Some(&stored), &product, now).await?;
        if to == ProductState::Listed {
            self.check_product_limit(&mut transaction, tenant, product.input.seller).await?;
        }
        transaction.commit().await?;
        Ok(product)
    }

    /// What becomes of a product that its seller wants on offer. What it costs may change while it is there.
    pub(crate) fn wanted_on_offer(&self, stored: Option<&Product>, input: &ProductInput) -> ProductState {
        let keeps_words = |stored: &&Product| {
            let (price, prices) = (stored.input.price, stored.input.prices.clone());
            stored.input == ProductInput { price, prices, ..input.clone() }
        };
        let reviewed = stored.filter(|stored| stored.state == ProductState::Listed).filter(keeps_words);
        if self.reviews_products && reviewed.is_none() { ProductState::InReview } else { ProductState::Listed }
    }

    /// The facts of a change of a product, or of a new one: what is on offer is told of, what no longer is, is taken back.
    pub(crate) fn told(&self, stored: Option<&Product>, product: &Product) -> Result<Vec<Fact>, CommerceError> {
        let was_on_offer = stored.is_some_and(|stored| stored.state == ProductState::Listed);
        Ok(match (product.state == ProductState::Listed, stored) {
            (true, Some(stored)) => vec![self.changed(stored, &product.input)?],
            (true, None) => vec![self.listed(product)?],
            (false, _) if was_on_offer => vec![ProductDelisted { product: product.id }.into()],
            (false, _) => Vec::new(),
        })
    }
}
