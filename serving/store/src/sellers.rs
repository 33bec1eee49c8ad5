//! What sellers agreed, and what they sold by month, in SQL: the commission's rule asks for both.

use std::collections::BTreeMap;

use dhow_commerce::{SellerStanding, SellerTerms, StorageError};
use dhow_commission::Plan;
use dhow_events::{SellerId, TenantId, Timestamp};
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::{Fields, equal_statements, placeholders, row_of, storage_error};

const fn word(plan: Plan) -> &'static str {
    match plan {
        Plan::Free => "free",
        Plan::Professional => "professional",
        Plan::Enterprise => "enterprise",
    }
}

fn plan(text: &str) -> Option<Plan> {
    [Plan::Free, Plan::Professional, Plan::Enterprise].into_iter().find(|plan| word(*plan) == text)
}

fn terms(fields: &Fields<'_>) -> Result<SellerTerms, StorageError> {
    let wrong = |_| StorageError::Corrupt { what: "a seller's terms", detail: "contract_ppm is no rate".to_owned() };
    let contract_ppm = fields.optional_integer("contract_ppm")?.map(u32::try_from).transpose().map_err(wrong)?;
    Ok(SellerTerms { plan: fields.word("plan", plan)?, contract_ppm })
}

pub(crate) async fn terms_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
) -> Result<SellerTerms, StorageError> {
    let row = row_of(
        connection,
        "SELECT plan, contract_ppm FROM seller_terms WHERE tenant = $1 AND seller = $2",
        tenant,
        seller,
    )
    .await?;
    row.map_or(Ok(SellerTerms::default()), |row| terms(&Fields::new("a seller's terms", &row)))
}

pub(crate) async fn put_terms(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    terms: SellerTerms,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO seller_terms (tenant, seller, plan, contract_ppm) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, seller) DO UPDATE SET plan = excluded.plan, contract_ppm = excluded.contract_ppm",
    )
    .bind(tenant.to_string())
    .bind(seller.to_string())
    .bind(word(terms.plan))
    .bind(terms.contract_ppm.map(i64::from))
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}

pub(crate) async fn standings(
    connection: &mut AnyConnection,
    tenant: TenantId,
    sellers: &[SellerId],
    month: Timestamp,
) -> Result<BTreeMap<SellerId, SellerStanding>, StorageError> {
    let mut standings: BTreeMap<SellerId, SellerStanding> = BTreeMap::new();
    for sellers in equal_statements(sellers) {
        let places = placeholders(3, sellers.len());
        let sql = format!(
            "SELECT seller, plan, contract_ppm, 0 AS settled_usd_minor, 0 AS limited FROM seller_terms \
             WHERE tenant = $1 AND seller IN ({places}) UNION ALL \
             SELECT seller, NULL, NULL, settled_usd_minor, 0 FROM seller_sales \
             WHERE tenant = $1 AND month = $2 AND seller IN ({places}) UNION ALL \
             SELECT seller, NULL, NULL, 0, CAST(1 AS BIGINT) FROM subscriptions \
             WHERE tenant = $1 AND seller IN ({places}) AND orders_per_month_max IS NOT NULL"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string()).bind(month.micros());
        let query = sellers.iter().fold(query, |query, seller| query.bind(seller.to_string()));
        for row in query.fetch_all(&mut *connection).await.map_err(storage_error)? {
            let fields = Fields::new("a seller's standing", &row);
            let standing = standings.entry(fields.parsed("seller")?).or_default();
            if fields.optional_text("plan")?.is_some() {
                standing.terms = terms(&fields)?;
            }
            standing.settled_usd_minor += fields.integer("settled_usd_minor")?;
            standing.orders_are_limited |= fields.integer("limited")? == 1;
        }
    }
    Ok(standings)
}

pub(crate) async fn add_sales(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    month: Timestamp,
    usd_minor: i64,
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO seller_sales (tenant, seller, month, settled_usd_minor) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant, seller, month) DO UPDATE \
         SET settled_usd_minor = seller_sales.settled_usd_minor + excluded.settled_usd_minor",
    )
    .bind(tenant.to_string())
    .bind(seller.to_string())
    .bind(month.micros())
    .bind(usd_minor)
    .execute(connection)
    .await
    .map_err(storage_error)?;
    Ok(())
}
