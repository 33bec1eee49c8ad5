//! The tables that trainers read, each one query over the lake: demand, interactions, catalogue; it trains nothing.

use arrow::record_batch::RecordBatch;
use dhow_events::{
    BuyerId, Category, Currency, DAY_MICROS, EventId, Money, ProductId, Region, SaleRegions, SellerId, SessionId,
    Timestamp,
};

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

/// What one product sold in one region on one day, with whose it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SaleRow {
    /// The product.
    pub product: ProductId,
    /// Who sold it.
    pub seller: SellerId,
    /// Its category.
    pub category: Category,
    /// Where the parcels went.
    pub region: Region,
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    /// Units ordered.
    pub quantity: f64,
}

/// What sold on the last `days` days before the latest one with a sale, and on that one; and the first day with a sale of all.
/// Sales that are dated more than `ahead_days` after the day on which they became known are left out.
///
/// # Errors
/// A failing query.
pub async fn recent_sales(
    session: &SqlSession,
    days: i64,
    ahead_days: i64,
) -> Result<(Vec<SaleRow>, Option<i64>), OfflineError> {
    let day =
        |column: &str| format!("CAST(floor(CAST(arrow_cast({column}, 'Int64') AS DOUBLE) / {DAY_MICROS}) AS BIGINT)");
    let sold = format!(
        "SELECT {} AS day, * FROM item_ordered WHERE {} <= {} + {ahead_days}",
        day("event_time"),
        day("event_time"),
        day("known_time")
    );
    let ends = session
        .query(&format!("SELECT min(day) AS first, max(day) AS latest FROM ({sold}) HAVING count(*) > 0"))
        .await?;
    let (Some(first), Some(latest)) = (integers(&ends, "first")?.pop(), integers(&ends, "latest")?.pop()) else {
        return Ok((Vec::new(), None));
    };
    let sql = format!(
        "SELECT product, seller, category, region, day, CAST(sum(quantity) AS DOUBLE) AS quantity FROM ({sold})
         WHERE day >= {} GROUP BY product, seller, category, region, day ORDER BY day, product, region",
        latest - days
    );
    let batches = session.query(&sql).await?;
    let (products, sellers) = (ids(&batches, "product", ProductId::KIND)?, ids(&batches, "seller", SellerId::KIND)?);
    let (categories, regions) = (texts(&batches, "category")?, texts(&batches, "region")?);
    let (days, quantities) = (integers(&batches, "day")?, floats(&batches, "quantity")?);
    let mut rows = Vec::with_capacity(products.len());
    for (index, (product, seller)) in products.iter().zip(&sellers).enumerate() {
        let (Some(product), Some(seller)) = (product, seller) else { continue };
        rows.push(SaleRow {
            product: ProductId::from_u128(*product),
            seller: SellerId::from_u128(*seller),
            category: parse_short(categories[index].as_deref().unwrap_or_default(), "category")?,
            region: parse_short(regions[index].as_deref().unwrap_or_default(), "region")?,
            day: days[index],
            quantity: quantities[index],
        });
    }
    Ok((rows, Some(first)))
}

/// Whose sales are added up; nothing means all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SoldOf {
    /// Of this product.
    pub product: Option<ProductId>,
    /// Of this seller.
    pub seller: Option<SellerId>,
    /// Of this category and those below it.
    pub category: Option<Category>,
    /// To this region.
    pub region: Option<Region>,
}

/// The units ordered on each of some days (days since 1970-01-01 UTC), without gaps. Days before the first sale of all and from the
/// latest one on are left out at either end: nobody looked, or they are not over.
///
/// # Errors
/// A failing query.
pub async fn daily_totals(
    session: &SqlSession,
    of: &SoldOf,
    days: std::ops::Range<i64>,
) -> Result<(i64, Vec<f64>), OfflineError> {
    let day = format!("CAST(floor(CAST(arrow_cast(event_time, 'Int64') AS DOUBLE) / {DAY_MICROS}) AS BIGINT)");
    let text = |text: &str| text.replace('\'', "''");
    let conditions = [
        of.product.map(|product| format!("product = '{product}'")),
        of.seller.map(|seller| format!("seller = '{seller}'")),
        of.region.map(|region| format!("region = '{}'", text(region.as_str()))),
        of.category.map(|category| {
            let category = text(category.as_str());
            format!("(category = '{category}' OR starts_with(category, '{category}/'))")
        }),
    ];
    let chosen: Vec<String> = conditions.into_iter().flatten().collect();
    let chosen = if chosen.is_empty() { "true".to_owned() } else { chosen.join(" AND ") };
    let ends = format!("SELECT min({day}) AS first, max({day}) AS latest FROM item_ordered HAVING count(*) > 0");
    let ends = session.query(&ends).await?;
    let (Some(first), Some(latest)) = (integers(&ends, "first")?.pop(), integers(&ends, "latest")?.pop()) else {
        return Ok((days.start, Vec::new()));
    };
    let (first_day, end) = (days.start.max(first), days.end.min(latest));
    let sql = format!(
        "SELECT day, CAST(sum(quantity) AS DOUBLE) AS quantity FROM (SELECT {day} AS day, quantity FROM item_ordered WHERE {chosen})
         WHERE day >= {first_day} AND day < {end} GROUP BY day"
    );
    let batches = session.query(&sql).await?;
    let mut totals = vec![0.0; usize::try_from(end - first_day).unwrap_or(0)];
    for (day, quantity) in integers(&batches, "day")?.into_iter().zip(floats(&batches, "quantity")?) {
        if let Some(total) = usize::try_from(day - first_day).ok().and_then(|at| totals.get_mut(at)) {
            *total = quantity;
        }
    }
    Ok((first_day, totals))
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

/// A stretch of time in which something held for a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductSpan {
    /// The product.
    pub product: ProductId,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What held.
    pub value: f64,
}

/// The listed prices of every product in cents, each from its listing or change to the next one or until it was taken off offer, in
/// the order of products and times, as known before `until`.
///
/// # Errors
/// A failing query.
pub async fn price_spans(session: &SqlSession, until: Timestamp) -> Result<Vec<ProductSpan>, OfflineError> {
    let time = "arrow_cast(event_time, 'Int64') AS time, event_id";
    let sql = format!(
        "SELECT product, time, price FROM (
             SELECT product, {time}, CAST(price_usd_minor AS DOUBLE) AS price FROM product_listed
             UNION ALL SELECT product, {time}, CAST(price_usd_minor AS DOUBLE) AS price FROM product_price_changed
             UNION ALL SELECT product, {time}, CAST(-1 AS DOUBLE) AS price FROM product_delisted
         ) WHERE time < {} ORDER BY product, time, event_id",
        until.micros()
    );
    let batches = session.query(&sql).await?;
    let (products, times) = (ids(&batches, "product", ProductId::KIND)?, integers(&batches, "time")?);
    let prices = floats(&batches, "price")?;
    let mut spans: Vec<ProductSpan> = Vec::with_capacity(products.len());
    for (index, product) in products.into_iter().enumerate() {
        let Some(product) = product.map(ProductId::from_u128) else { continue };
        let from = Timestamp::from_micros(times[index]);
        if let Some(last) = spans.last_mut().filter(|last| last.product == product && last.until > from) {
            last.until = from;
        }
        // A price without a listing before it is one all the same; what ends an offer begins nothing.
        if prices[index] > 0.0 {
            spans.push(ProductSpan { product, from, until, value: prices[index] });
        }
    }
    Ok(spans)
}

/// The promotions that began before `until`, with the share that each takes off the price.
///
/// # Errors
/// A failing query.
pub async fn promotion_spans(session: &SqlSession, until: Timestamp) -> Result<Vec<ProductSpan>, OfflineError> {
    let sql = format!(
        "SELECT product, arrow_cast(event_time, 'Int64') AS begins, arrow_cast(ends_at, 'Int64') AS ends,
                CAST(discount_basis_points AS DOUBLE) AS discount
         FROM promotion_started WHERE arrow_cast(event_time, 'Int64') < {} ORDER BY product, begins, event_id",
        until.micros()
    );
    let batches = session.query(&sql).await?;
    let (begins, ends) = (integers(&batches, "begins")?, integers(&batches, "ends")?);
    let discounts = floats(&batches, "discount")?;
    let span = |(index, product): (usize, Option<u128>)| {
        Some(ProductSpan {
            product: ProductId::from_u128(product?),
            from: Timestamp::from_micros(begins[index]),
            until: Timestamp::from_micros(ends[index]),
            value: discounts[index] / 10_000.0,
        })
    };
    Ok(ids(&batches, "product", ProductId::KIND)?.into_iter().enumerate().filter_map(span).collect())
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
    /// Where it may be sold.
    pub sale_regions: SaleRegions,
    /// The price of one unit now, in cents.
    pub price_usd_minor: i64,
    /// The price of one unit now.
    pub price: Money,
    /// Since when it has the price.
    pub priced_at: Timestamp,
    /// Whether it is still on offer.
    pub offered: bool,
    /// When it was listed last, or taken off offer since.
    pub listed_at: Timestamp,
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
             SELECT product, price_usd_minor, price_minor, price_currency, event_time, row_number() OVER (PARTITION BY product ORDER BY event_time DESC, event_id DESC) AS position
             FROM product_price_changed WHERE {before}
         ), gone AS (SELECT product, max(event_time) AS gone_at FROM product_delisted WHERE {before} GROUP BY product)
         SELECT l.product, l.seller, l.category, l.title, l.description, l.region, l.sale_regions,
                coalesce(p.price_usd_minor, l.price_usd_minor) AS price, coalesce(p.price_minor, l.price_minor) AS minor,
                coalesce(p.price_currency, l.price_currency) AS currency,
                arrow_cast(coalesce(p.event_time, l.event_time), 'Int64') AS priced_at,
                CASE WHEN g.gone_at IS NULL OR g.gone_at < l.event_time THEN 1 ELSE 0 END AS offered,
                arrow_cast(CASE WHEN g.gone_at > l.event_time THEN g.gone_at ELSE l.event_time END, 'Int64') AS listed_at
         FROM listed l LEFT JOIN priced p ON l.product = p.product AND p.position = 1 AND p.event_time >= l.event_time
              LEFT JOIN gone g ON l.product = g.product
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
    let sale_regions = texts(&batches, "sale_regions")?;
    let (prices, offered) = (integers(&batches, "price")?, integers(&batches, "offered")?);
    let (amounts, currencies) = (integers(&batches, "minor")?, texts(&batches, "currency")?);
    let (priced_at, listed_at) = (integers(&batches, "priced_at")?, integers(&batches, "listed_at")?);
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
            sale_regions: parse_sale_regions(sale_regions[index].as_deref().unwrap_or_default())?,
            price_usd_minor: prices[index],
            price: Money::new(amounts[index], parse_currency(currencies[index].as_deref().unwrap_or_default())?),
            priced_at: Timestamp::from_micros(priced_at[index]),
            offered: offered[index] == 1,
            listed_at: Timestamp::from_micros(listed_at[index]),
        });
    }
    Ok(rows)
}

fn parse_sale_regions(text: &str) -> Result<SaleRegions, OfflineError> {
    let wrong = |error: dhow_events::SaleRegionsError| OfflineError::Table {
        table: "product_listed".to_owned(),
        reason: error.to_string(),
    };
    text.parse().map_err(wrong)
}

fn parse_currency(text: &str) -> Result<Currency, OfflineError> {
    let wrong = |error: dhow_events::MoneyError| OfflineError::Table {
        table: "product_listed".to_owned(),
        reason: error.to_string(),
    };
    text.parse().map_err(wrong)
}

fn parse_short<const N: usize>(text: &str, column: &str) -> Result<dhow_events::ShortText<N>, OfflineError> {
    text.parse()
        .map_err(|e: dhow_events::TextError| OfflineError::Table { table: column.to_owned(), reason: e.to_string() })
}
