//! The tables that trainers read, each one query over the lake: demand, interactions, catalogue; it trains nothing.

use arrow::record_batch::RecordBatch;
use dhow_events::{BuyerId, Category, DAY_MICROS, EventId, ProductId, Region, SellerId, SessionId, Timestamp};

use crate::as_of::{Changes, as_of};
use crate::columns::{floats, ids, integers, table_error, texts};
use crate::{OfflineError, SqlSession};

/// What one product sold in one region on one day. Days without a sale have no row.
#[derive(Debug, Clone, PartialEq)]
pub struct DemandRow {
    /// The product.
    pub product: ProductId,
    /// Where the parcels went.
    pub region: Region,
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    /// Units ordered.
    pub quantity: f64,
    /// The listed price of one unit as it was at the beginning of the day, in cents; NaN before the first listing.
    pub price_usd_minor: f64,
}

/// Daily demand in the order of product, region and day, of orders before `until`.
///
/// # Errors
/// A failing query.
pub async fn daily_demand(session: &SqlSession, until: Timestamp) -> Result<Vec<DemandRow>, OfflineError> {
    let sql = format!(
        "SELECT product, region, day, CAST(sum(quantity) AS DOUBLE) AS quantity FROM (
             SELECT product, region, quantity, CAST(floor(CAST(arrow_cast(event_time, 'Int64') AS DOUBLE) / {DAY_MICROS}) AS BIGINT) AS day
             FROM item_ordered WHERE arrow_cast(event_time, 'Int64') < {}
         ) GROUP BY product, region, day ORDER BY product, region, day",
        until.micros()
    );
    let batches = session.query(&sql).await?;
    let keys: Vec<String> = texts(&batches, "product")?.into_iter().flatten().collect();
    let days = integers(&batches, "day")?;
    let times: Vec<i64> = days.iter().map(|day| day * DAY_MICROS).collect();
    let prices = as_of(&keys, &times, &price_changes(session).await?)?;
    let products = ids(&batches, "product", ProductId::KIND)?;
    let regions = texts(&batches, "region")?;
    let quantities = floats(&batches, "quantity")?;
    let mut rows = Vec::with_capacity(products.len());
    for (index, (product, region)) in products.iter().zip(&regions).enumerate() {
        let (Some(product), Some(region)) = (product, region) else { continue };
        rows.push(DemandRow {
            product: ProductId::from_u128(*product),
            region: parse_short(region, "region")?,
            day: days[index],
            quantity: quantities[index],
            price_usd_minor: prices[index],
        });
    }
    Ok(rows)
}

/// Every listing and price change, as what an as-of join needs.
///
/// # Errors
/// A failing query.
pub async fn price_changes(session: &SqlSession) -> Result<Changes, OfflineError> {
    // Of two changes at one time the one with the larger id holds, wherever their rows are.
    let sql = "SELECT event_id, product, arrow_cast(event_time, 'Int64') AS time, CAST(price_usd_minor AS DOUBLE) AS price FROM product_listed
               UNION ALL
               SELECT event_id, product, arrow_cast(event_time, 'Int64') AS time, CAST(price_usd_minor AS DOUBLE) AS price FROM product_price_changed
               ORDER BY time, event_id";
    let batches = session.query(sql).await?;
    let keys = texts(&batches, "product")?.into_iter().flatten().collect();
    Ok(Changes { keys, times: integers(&batches, "time")?, values: floats(&batches, "price")? })
}

/// How a shopper touched a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Its page was opened.
    View,
    /// It went into a cart.
    CartAdd,
    /// It was ordered.
    Order,
}

/// One touch of a product by a shopper.
#[derive(Debug, Clone, PartialEq)]
pub struct InteractionRow {
    /// The visit; orders that came of no visit have the checkout's id here.
    pub session: SessionId,
    /// Who, where known.
    pub buyer: Option<BuyerId>,
    /// Which product.
    pub product: ProductId,
    /// Where the shopper was, or where the order went.
    pub region: Option<Region>,
    /// How.
    pub touch: Touch,
    /// When.
    pub time: Timestamp,
}

/// Views, carts and orders before `until`, in the order of time.
///
/// # Errors
/// A failing query.
pub async fn interactions(session: &SqlSession, until: Timestamp) -> Result<Vec<InteractionRow>, OfflineError> {
    let sql = format!(
        "SELECT event_id, session, buyer, product, region, touch, time FROM (
             SELECT event_id, session, buyer, product, region, 0 AS touch, arrow_cast(event_time, 'Int64') AS time FROM product_viewed
             UNION ALL
             SELECT event_id, session, buyer, product, CAST(NULL AS VARCHAR) AS region, 1 AS touch, arrow_cast(event_time, 'Int64') AS time FROM cart_item_added
             UNION ALL
             SELECT i.event_id, coalesce(c.session, replace(i.checkout, 'chk_', 'ses_')) AS session, i.buyer, i.product, i.region, 2 AS touch,
                    arrow_cast(i.event_time, 'Int64') AS time
             FROM item_ordered i LEFT JOIN checkout_submitted c ON i.checkout = c.checkout
         ) WHERE time < {}",
        until.micros()
    );
    // Sorted here, where a row is a few words and not seven columns of text.
    let mut rows = Vec::new();
    for batch in session.query(&sql).await? {
        read_interactions(&[batch], &mut rows)?;
    }
    rows.sort_unstable_by_key(|(event, row): &(u128, InteractionRow)| (row.time, *event));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn read_interactions(batches: &[RecordBatch], rows: &mut Vec<(u128, InteractionRow)>) -> Result<(), OfflineError> {
    let events = ids(batches, "event_id", EventId::KIND)?;
    let sessions = ids(batches, "session", SessionId::KIND)?;
    let buyers = ids(batches, "buyer", BuyerId::KIND)?;
    let products = ids(batches, "product", ProductId::KIND)?;
    let regions = texts(batches, "region")?;
    let touches = integers(batches, "touch")?;
    let times = integers(batches, "time")?;
    for (index, ((event, session), product)) in events.iter().zip(&sessions).zip(&products).enumerate() {
        let (Some(event), Some(session), Some(product)) = (event, session, product) else { continue };
        let row = InteractionRow {
            session: SessionId::from_u128(*session),
            buyer: buyers[index].map(BuyerId::from_u128),
            product: ProductId::from_u128(*product),
            region: regions[index].as_deref().map(|region| parse_short(region, "region")).transpose()?,
            touch: [Touch::View, Touch::CartAdd, Touch::Order][touches[index].clamp(0, 2) as usize],
            time: Timestamp::from_micros(times[index]),
        };
        rows.push((*event, row));
    }
    Ok(())
}

/// A slate that was served, with what was opened from it.
#[derive(Debug, Clone, PartialEq)]
pub struct SlateRow {
    /// To whom, where known.
    pub buyer: Option<BuyerId>,
    /// In which visit, where known.
    pub session: Option<SessionId>,
    /// When.
    pub time: Timestamp,
    /// The products in their places, each with whether it was opened.
    pub products: Vec<(ProductId, bool)>,
}

/// The slates served from `from` until before `until`, oldest first.
///
/// # Errors
/// A failing query, or a product that is no id.
pub async fn served_slates(
    session: &SqlSession,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<SlateRow>, OfflineError> {
    let sql = format!(
        "SELECT s.buyer, s.session, s.products, arrow_cast(s.event_time, 'Int64') AS time, coalesce(o.opened, '') AS opened
         FROM slate_served s LEFT JOIN (
             SELECT decision, string_agg(product, ',') AS opened FROM product_viewed WHERE decision IS NOT NULL GROUP BY decision
         ) o ON s.decision = o.decision
         WHERE arrow_cast(s.event_time, 'Int64') >= {} AND arrow_cast(s.event_time, 'Int64') < {}
         ORDER BY s.event_time, s.event_id",
        from.micros(),
        until.micros()
    );
    let rows = session.query(&sql).await?;
    let buyers = ids(&rows, "buyer", BuyerId::KIND)?;
    let sessions = ids(&rows, "session", SessionId::KIND)?;
    let (products, opened) = (texts(&rows, "products")?, texts(&rows, "opened")?);
    let times = integers(&rows, "time")?;
    let row = |(at, shown): (usize, Option<String>)| {
        let opened: Vec<&str> = opened[at].as_deref().unwrap_or_default().split(',').collect();
        let listed = shown.as_deref().unwrap_or_default().split(',').filter(|text| !text.is_empty());
        let product = |text: &str| {
            let id = text.parse().map_err(|error| table_error("products", error))?;
            Ok::<_, OfflineError>((id, opened.contains(&text)))
        };
        Ok(SlateRow {
            buyer: buyers[at].map(BuyerId::from_u128),
            session: sessions[at].map(SessionId::from_u128),
            time: Timestamp::from_micros(times[at]),
            products: listed.map(product).collect::<Result<_, _>>()?,
        })
    };
    products.iter().cloned().enumerate().map(row).collect()
}

/// A product as it was last listed.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueRow {
    /// The product.
    pub product: ProductId,
    /// Who offers it.
    pub seller: SellerId,
    /// Its category.
    pub category: Category,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Where it ships from.
    pub region: Region,
    /// The price of one unit now, in cents.
    pub price_usd_minor: i64,
    /// Whether it is still on offer.
    pub offered: bool,
}

/// The catalogue as of `until`, in the order of product ids.
///
/// # Errors
/// A failing query.
pub async fn catalogue(session: &SqlSession, until: Timestamp) -> Result<Vec<CatalogueRow>, OfflineError> {
    let before = format!("arrow_cast(event_time, 'Int64') < {}", until.micros());
    let sql = format!(
        "WITH listed AS (
             SELECT *, row_number() OVER (PARTITION BY product ORDER BY event_time DESC, event_id DESC) AS position
             FROM product_listed WHERE {before}
         ), priced AS (
             SELECT product, price_usd_minor, row_number() OVER (PARTITION BY product ORDER BY event_time DESC, event_id DESC) AS position
             FROM product_price_changed WHERE {before}
         ), gone AS (SELECT product, max(event_time) AS gone_at FROM product_delisted WHERE {before} GROUP BY product)
         SELECT l.product, l.seller, l.category, l.title, l.description, l.region, coalesce(p.price_usd_minor, l.price_usd_minor) AS price,
                CASE WHEN g.gone_at IS NULL OR g.gone_at < l.event_time THEN 1 ELSE 0 END AS offered
         FROM listed l LEFT JOIN priced p ON l.product = p.product AND p.position = 1 LEFT JOIN gone g ON l.product = g.product
         WHERE l.position = 1 ORDER BY l.product"
    );
    let batches = session.query(&sql).await?;
    let products = ids(&batches, "product", ProductId::KIND)?;
    let sellers = ids(&batches, "seller", SellerId::KIND)?;
    let (categories, titles, descriptions, regions) = (
        texts(&batches, "category")?,
        texts(&batches, "title")?,
        texts(&batches, "description")?,
        texts(&batches, "region")?,
    );
    let (prices, offered) = (integers(&batches, "price")?, integers(&batches, "offered")?);
    let mut rows = Vec::with_capacity(products.len());
    for index in 0..products.len() {
        let (Some(product), Some(seller)) = (products[index], sellers[index]) else { continue };
        rows.push(CatalogueRow {
            product: ProductId::from_u128(product),
            seller: SellerId::from_u128(seller),
            category: parse_short(categories[index].as_deref().unwrap_or_default(), "category")?,
            title: titles[index].clone().unwrap_or_default(),
            description: descriptions[index].clone().unwrap_or_default(),
            region: parse_short(regions[index].as_deref().unwrap_or_default(), "region")?,
            price_usd_minor: prices[index],
            offered: offered[index] == 1,
        });
    }
    Ok(rows)
}

fn parse_short<const N: usize>(text: &str, column: &str) -> Result<dhow_events::ShortText<N>, OfflineError> {
    text.parse()
        .map_err(|e: dhow_events::TextError| OfflineError::Table { table: column.to_owned(), reason: e.to_string() })
}
