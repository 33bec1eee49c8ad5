//! Products and stock in SQL.

use dhow_commerce::{
    Cursor, Page, PageRequest, Product, ProductInput, ProductState, StockLevel, StorageError, StoredStock, Variant,
};
use dhow_events::{ProductId, SellerId, TenantId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::{Fields, placeholders, row_of, storage_error, to_json};

fn product(row: &AnyRow) -> Result<Product, StorageError> {
    let fields = Fields::new("a product", row);
    Ok(Product {
        tenant: fields.parsed("tenant")?,
        id: fields.parsed("id")?,
        input: ProductInput {
            seller: fields.parsed("seller")?,
            reference: fields.text("reference")?,
            title: fields.text("title")?,
            description: fields.text("description")?,
            category: fields.parsed("category")?,
            price: fields.money("price_minor", "price_currency")?,
            prices: fields.json("prices")?,
            region: fields.parsed("region")?,
            sale_regions: fields.parsed("sale_regions")?,
            weight_grams: fields.integer("weight_grams")?,
            media: fields.json("media")?,
            attributes: fields.json("attributes")?,
            variant: variant(&fields)?,
        },
        review: fields.json("review")?,
        state: fields.word("state", ProductState::from_word)?,
        version: fields.integer("version")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
    })
}

fn variant(fields: &Fields) -> Result<Option<Variant>, StorageError> {
    let group = fields.optional_text("variant_group")?;
    group.map(|group| Ok(Variant { group, options: fields.json("variant_options")? })).transpose()
}

/// A seller's products of one group, by their options.
pub(crate) async fn variants(
    connection: &mut AnyConnection,
    tenant: TenantId,
    seller: SellerId,
    group: &str,
) -> Result<Vec<Product>, StorageError> {
    let sql =
        "SELECT * FROM products WHERE tenant = $1 AND seller = $2 AND variant_group = $3 ORDER BY variant_options";
    let query = sqlx::query(sql).bind(tenant.to_string()).bind(seller.to_string()).bind(group.to_owned());
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    rows.iter().map(product).collect()
}

pub(crate) async fn find(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[ProductId],
) -> Result<Vec<Product>, StorageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT * FROM products WHERE tenant = $1 AND id IN ({})", placeholders(2, ids.len()));
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string());
    let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    rows.iter().map(product).collect()
}

pub(crate) async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    state: Option<ProductState>,
    page: &PageRequest,
) -> Result<Page<Product>, StorageError> {
    let (created_at, id) = page.after().map_or((i64::MIN, String::new()), |at| (at.created_at.micros(), at.id.clone()));
    // A state that is not asked for does not stand in the statement, so that the database takes the index of what is.
    let of_state = if state.is_some() { "AND state = $5 " } else { "" };
    let sql = format!(
        "SELECT * FROM products WHERE tenant = $1 AND (created_at, id) > ($2, $3) {of_state}\
         ORDER BY created_at, id LIMIT $4"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.to_string()).bind(created_at).bind(id);
    let query = query.bind(i64::from(page.limit()) + 1);
    let query = state.iter().fold(query, |query, state| query.bind(state.to_string()));
    let rows = query.fetch_all(connection).await.map_err(storage_error)?;
    let products = rows.iter().map(product).collect::<Result<_, _>>()?;
    let place = |product: &Product| Cursor { created_at: product.created_at, id: product.id.to_string() };
    Ok(Page::from_items(products, page.limit(), place))
}

pub(crate) async fn put(connection: &mut AnyConnection, product: &Product) -> Result<bool, StorageError> {
    let sql = match product.version {
        1 => {
            "INSERT INTO products (tenant, id, version, seller, reference, title, description, category, price_minor, \
             price_currency, region, weight_grams, state, updated_at, created_at, prices, sale_regions, media, attributes, \
             review, variant_group, variant_options) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
             $21, $22) \
             ON CONFLICT (tenant, id) DO NOTHING"
        }
        _ => {
            "UPDATE products SET version = $3, seller = $4, reference = $5, title = $6, description = $7, category = $8, \
             price_minor = $9, price_currency = $10, region = $11, weight_grams = $12, state = $13, updated_at = $14, \
             prices = $16, sale_regions = $17, media = $18, attributes = $19, review = $20, \
             variant_group = $21, variant_options = $22 \
             WHERE tenant = $1 AND id = $2 AND version = $3 - 1 AND created_at = $15"
        }
    };
    let input = &product.input;
    let done = sqlx::query(sql)
        .bind(product.tenant.to_string())
        .bind(product.id.to_string())
        .bind(product.version)
        .bind(input.seller.to_string())
        .bind(input.reference.clone())
        .bind(input.title.clone())
        .bind(input.description.clone())
        .bind(input.category.to_string())
        .bind(input.price.amount_minor)
        .bind(input.price.currency.to_string())
        .bind(input.region.to_string())
        .bind(input.weight_grams)
        .bind(product.state.to_string())
        .bind(product.updated_at.micros())
        .bind(product.created_at.micros())
        .bind(to_json("price lists", &input.prices)?)
        .bind(input.sale_regions.to_string())
        .bind(to_json("media references", &input.media)?)
        .bind(to_json("attributes", &input.attributes)?)
        .bind(to_json("a review", &product.review)?)
        .bind(input.variant.as_ref().map(|variant| variant.group.clone()))
        .bind(input.variant.as_ref().map(|variant| to_json("options", &variant.options)).transpose()?)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(done.rows_affected() == 1)
}

pub(crate) fn level(product: ProductId, row: &AnyRow) -> Result<StockLevel, StorageError> {
    let fields = Fields::new("a stock level", row);
    Ok(StockLevel { product, on_hand: fields.integer("on_hand")?, reserved: fields.integer("reserved")? })
}

pub(crate) async fn stock(
    connection: &mut AnyConnection,
    tenant: TenantId,
    product: ProductId,
) -> Result<Option<StockLevel>, StorageError> {
    let row =
        row_of(connection, "SELECT on_hand, reserved FROM stock WHERE tenant = $1 AND product = $2", tenant, product)
            .await?;
    row.map(|row| level(product, &row)).transpose()
}

pub(crate) async fn put_stock(
    connection: &mut AnyConnection,
    tenant: TenantId,
    product: ProductId,
    on_hand: i64,
) -> Result<StoredStock, StorageError> {
    let first = "INSERT INTO stock (tenant, product, on_hand, reserved) VALUES ($1, $2, 0, 0) \
                 ON CONFLICT (tenant, product) DO NOTHING";
    let first = sqlx::query(first)
        .bind(tenant.to_string())
        .bind(product.to_string())
        .execute(&mut *connection)
        .await
        .map_err(storage_error)?;
    // An update that changes nothing reads and locks the row at once.
    let locked = "UPDATE stock SET on_hand = on_hand WHERE tenant = $1 AND product = $2 RETURNING on_hand, reserved";
    let row = sqlx::query(locked)
        .bind(tenant.to_string())
        .bind(product.to_string())
        .fetch_one(&mut *connection)
        .await
        .map_err(storage_error)?;
    let before = level(product, &row)?;
    sqlx::query("UPDATE stock SET on_hand = $3 WHERE tenant = $1 AND product = $2")
        .bind(tenant.to_string())
        .bind(product.to_string())
        .bind(on_hand)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    let is_first = first.rows_affected() == 1;
    Ok(StoredStock { is_first, on_hand_before: before.on_hand, level: StockLevel { on_hand, ..before } })
}

pub(crate) async fn add_stock(
    connection: &mut AnyConnection,
    tenant: TenantId,
    product: ProductId,
    quantity: i64,
) -> Result<StockLevel, StorageError> {
    let sql = "INSERT INTO stock (tenant, product, on_hand, reserved) VALUES ($1, $2, $3, 0) \
               ON CONFLICT (tenant, product) DO UPDATE SET on_hand = stock.on_hand + excluded.on_hand \
               RETURNING on_hand, reserved";
    moved(connection, sql, tenant, product, quantity).await
}

/// Moves units of one product by `sql` and gives what is there then.
async fn moved(
    connection: &mut AnyConnection,
    sql: &'static str,
    tenant: TenantId,
    product: ProductId,
    quantity: i64,
) -> Result<StockLevel, StorageError> {
    let row = sqlx::query(sql)
        .bind(tenant.to_string())
        .bind(product.to_string())
        .bind(quantity)
        .fetch_one(connection)
        .await
        .map_err(storage_error)?;
    level(product, &row)
}
