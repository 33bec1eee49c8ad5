//! Variants of a product: things of one seller and one group that differ in named options, each a product with its own stock and price; what
//! buyers are shown of them is the shop's choice.

use std::collections::BTreeMap;

use dhow_events::{ProductId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{Commerce, CommerceError, FieldProblem, PaymentRail, Product, Storage, StorageTransaction};

/// The most variants of one group.
pub const VARIANTS_MAX: usize = 200;
/// The most options by which variants differ.
pub const VARIANT_OPTIONS_MAX: usize = 5;
/// The longest name of a group, an option or a value, in bytes of UTF-8.
pub const VARIANT_TEXT_BYTES_MAX: usize = 100;

/// What a product is a variant of, and in what it differs from the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The seller's name for all that are variants of each other.
    pub group: String,
    /// By name, for example `size` or `colour`; every variant of a group has the same names, and no two the same values.
    pub options: BTreeMap<String, String>,
}

impl Variant {
    pub(crate) fn check(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        let mut text = |pointer: String, text: &str| {
            if text.trim().is_empty() || text.len() > VARIANT_TEXT_BYTES_MAX {
                let message = format!("must have from 1 to {VARIANT_TEXT_BYTES_MAX} bytes");
                problems.push(FieldProblem::new(pointer, message));
            }
        };
        text("/variant/group".to_owned(), &self.group);
        for (name, value) in &self.options {
            text("/variant/options".to_owned(), name);
            text(format!("/variant/options/{}", name.replace('~', "~0").replace('/', "~1")), value);
        }
        if !(1..=VARIANT_OPTIONS_MAX).contains(&self.options.len()) {
            let message = format!("has {} entries; it must have from 1 to {VARIANT_OPTIONS_MAX}", self.options.len());
            problems.push(FieldProblem::new("/variant/options", message));
        }
        problems
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// All variants of what a product is a variant of, itself among them, by their options; only the product where it is none.
    ///
    /// # Errors
    /// No such product, the database fails.
    pub async fn variants(&self, tenant: TenantId, id: ProductId) -> Result<Vec<Product>, CommerceError> {
        let product = self.storage.product(tenant, id).await?;
        let product = product.ok_or_else(|| CommerceError::NotFound(format!("product {id}")))?;
        match &product.input.variant {
            None => Ok(vec![product]),
            Some(variant) => Ok(self.storage.variants(tenant, product.input.seller, &variant.group).await?),
        }
    }
}

/// Whether a product fits beside the other variants of its group.
pub(crate) async fn check_variant<X: StorageTransaction>(
    transaction: &mut X,
    product: &Product,
) -> Result<(), CommerceError> {
    let Some(variant) = &product.input.variant else { return Ok(()) };
    let mut others = transaction.variants(product.tenant, product.input.seller, &variant.group).await?;
    others.retain(|other| other.id != product.id);
    let options = others.iter().filter_map(|other| Some((other.id, &other.input.variant.as_ref()?.options)));
    for (other, options) in options {
        if *options == variant.options {
            return Err(CommerceError::invalid("/variant/options", format!("are those of {other}, too")));
        }
        if !options.keys().eq(variant.options.keys()) {
            let names: Vec<&str> = options.keys().map(String::as_str).collect();
            let message = format!("must have the names that the other variants have: {}", names.join(", "));
            return Err(CommerceError::invalid("/variant/options", message));
        }
    }
    if others.len() >= VARIANTS_MAX {
        return Err(CommerceError::invalid(
            "/variant/group",
            format!("has {VARIANTS_MAX} variants, which is the most"),
        ));
    }
    Ok(())
}
