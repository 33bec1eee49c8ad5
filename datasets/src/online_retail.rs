//! Loads the Online Retail data set (UCI, CC BY 4.0) as marketplace events; it invents no visits, stock or parcels.
//!
//! One invoice becomes a checkout, a payment and an order with the one seller of the data; a line becomes an ordered
//! item; an invoice whose number begins with C is a return. The data has no visits, devices, cards, addresses or
//! deliveries, and none are made up. Times have no zone in the data and are read as UTC. Prices are pounds; dollars are
//! at the fixed rate [`USD_PER_GBP`].

use std::fs::File;
use std::path::Path;

use arrow::array::{
    Array, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use dhow_events::{
    BuyerId, Category, CheckoutId, Currency, Event, EventId, Fact, Money, OrderId, PaymentId, PayoutAccountId,
    ProductId, Region, ReturnId, SellerId, TenantId, TextError, Timestamp, facts,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Dollars for one pound: a round figure for 2011, fixed so that features do not move with the rate.
pub const USD_PER_GBP: f64 = 1.60;
/// The category of every product: the data has none.
pub const CATEGORY: &str = "gifts";
/// Rows are read in batches of this many.
const BATCH_ROWS: usize = 8192;

/// Why the data cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not Parquet, or is damaged.
    #[error("cannot read {path} as Parquet: {message}")]
    Parquet {
        /// Which file.
        path: String,
        /// Why.
        message: String,
    },
    /// A column is missing.
    #[error("column `{column}` is missing; Online Retail has {expected} columns: {all}")]
    MissingColumn {
        /// Which.
        column: &'static str,
        /// How many there should be.
        expected: usize,
        /// All of them with their types.
        all: String,
    },
    /// A column has the wrong type.
    #[error("column `{column}` has type {found}; it must be {expected}")]
    ColumnType {
        /// Which.
        column: &'static str,
        /// Its type.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A built-in name is not valid.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// How many lines did not become events, and why. Lines are counted under the first reason that applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLines {
    /// The invoice number, stock code or time is missing, or the invoice number is neither digits nor C and digits.
    pub malformed: u64,
    /// No customer is known.
    pub no_customer: u64,
    /// Postage, fees, manual corrections and the like: the stock code does not begin with five digits.
    pub not_a_product: u64,
    /// The price is zero, negative or less than half a penny.
    pub no_price: u64,
    /// The quantity is zero, or its sign does not fit the invoice.
    pub no_quantity: u64,
    /// A cancellation of a product that the customer did not order in the data.
    pub return_without_order: u64,
}

impl SkippedLines {
    /// All skipped lines.
    pub fn total(&self) -> u64 {
        self.malformed
            + self.no_customer
            + self.not_a_product
            + self.no_price
            + self.no_quantity
            + self.return_without_order
    }
}

/// The data set as events.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineRetail {
    /// All events, in order of their time.
    pub events: Vec<Event>,
    /// Lines in the file.
    pub lines: u64,
    /// Lines that became an ordered item.
    pub ordered_lines: u64,
    /// Lines that became a return.
    pub returned_lines: u64,
    /// The others.
    pub skipped: SkippedLines,
}

/// The columns and what their types must be.
const COLUMNS: [(&str, &str); 8] = [
    ("InvoiceNo", "text"),
    ("StockCode", "text"),
    ("Description", "text"),
    ("Quantity", "a 32-bit integer"),
    ("InvoiceDate", "a timestamp"),
    ("UnitPrice", "a 64-bit float"),
    ("CustomerID", "a 32-bit integer"),
    ("Country", "text"),
];

/// Reads the Parquet file at `path` into events of `tenant`, in order of time.
///
/// Ids are derived from the invoice numbers, stock codes and customer numbers, so that loading twice gives the same
/// events.
///
/// # Errors
/// A file that cannot be read, and a missing or mistyped column, with what would be right. Odd lines are no error: they
/// are counted in [`OnlineRetail::skipped`].
pub fn load(path: &Path, tenant: TenantId) -> Result<OnlineRetail, LoadError> {
    let mut lines = Vec::new();
    let mut counts = Counts::default();
    for_each_batch(path, |batch| read_lines(batch, &mut lines, &mut counts))?;
    // Stable: the lines of an invoice keep their order.
    lines.sort_by_key(|line| line.at);
    let mut ledger = Ledger::new(tenant)?;
    for invoice in group_by_invoice(lines) {
        ledger.book(&invoice, &mut counts);
    }
    let mut events = ledger.events;
    events.sort_by_key(|event| event.event_time);
    let Counts { lines, ordered_lines, returned_lines, skipped } = counts;
    Ok(OnlineRetail { events, lines, ordered_lines, returned_lines, skipped })
}

/// What a customer's lines of one day come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CustomerDay {
    /// The customer's number.
    pub customer: u32,
    /// Days since 1970.
    pub day: i32,
    /// Pounds; less than nothing where more was given back.
    pub amount: f64,
}

/// Reads what every known customer's lines come to, line by line, postage and the like included: money is money.
///
/// # Errors
/// As [`load`].
pub fn load_amounts(path: &Path) -> Result<Vec<CustomerDay>, LoadError> {
    let mut amounts = Vec::new();
    for_each_batch(path, |batch| {
        for line in raw_lines(batch)? {
            if let (Some(at), Some(customer)) = (line.at, line.customer.and_then(|number| u32::try_from(number).ok())) {
                let amount = line.quantity as f64 * line.unit_price;
                // Microseconds in 64 bits hold a hundred million days.
                let day = Timestamp::from_micros(at).day() as i32;
                amounts.push(CustomerDay { customer, day, amount });
            }
        }
        Ok(())
    })?;
    Ok(amounts)
}

fn for_each_batch(path: &Path, mut each: impl FnMut(&RecordBatch) -> Result<(), LoadError>) -> Result<(), LoadError> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|source| LoadError::Open { path: shown.clone(), source })?;
    let damaged = |message: String| LoadError::Parquet { path: shown.clone(), message };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(error.to_string()))?;
    check_columns(builder.schema())?;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| damaged(error.to_string()))?;
    for batch in reader {
        each(&batch.map_err(|error| damaged(error.to_string()))?)?;
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    lines: u64,
    ordered_lines: u64,
    returned_lines: u64,
    skipped: SkippedLines,
}

fn check_columns(schema: &Schema) -> Result<(), LoadError> {
    for (column, expected) in COLUMNS {
        let Ok(field) = schema.field_with_name(column) else {
            let all: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
            return Err(LoadError::MissingColumn { column, expected: COLUMNS.len(), all: all.join(", ") });
        };
        let fits = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => expected == "text",
            DataType::Int32 => expected == "a 32-bit integer",
            DataType::Float64 => expected == "a 64-bit float",
            DataType::Timestamp(unit, None) => expected == "a timestamp" && *unit != TimeUnit::Second,
            _ => false,
        };
        if !fits {
            return Err(LoadError::ColumnType { column, found: field.data_type().to_string(), expected });
        }
    }
    Ok(())
}

/// A line that can be booked.
struct Line {
    invoice: String,
    stock_code: String,
    description: String,
    quantity: i64,
    at: Timestamp,
    unit_price_minor: i64,
    customer: i32,
    country: String,
}

/// A column of the batch in the type asked for; texts of any layout are cast.
fn column<'a, A: Array + 'static>(
    array: &'a dyn Array,
    name: &'static str,
    expected: &'static str,
) -> Result<&'a A, LoadError> {
    let wrong = || LoadError::ColumnType { column: name, found: array.data_type().to_string(), expected };
    array.as_any().downcast_ref::<A>().ok_or_else(wrong)
}

fn texts(batch: &RecordBatch, index: usize) -> Result<StringArray, LoadError> {
    let (name, expected) = COLUMNS[index];
    let wrong = |found: String| LoadError::ColumnType { column: name, found, expected };
    let array = batch.column_by_name(name).ok_or_else(|| wrong("nothing".to_owned()))?;
    let cast = arrow::compute::cast(array, &DataType::Utf8).map_err(|error| wrong(error.to_string()))?;
    Ok(column::<StringArray>(&cast, name, expected)?.clone())
}

/// The instants of a timestamp column in microseconds; nothing where one is missing.
fn instants(array: &dyn Array) -> Result<Vec<Option<i64>>, LoadError> {
    let (name, expected) = COLUMNS[4];
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let millis: &TimestampMillisecondArray = column(array, name, expected)?;
            millis.iter().map(|at| at.map(|at| at.saturating_mul(1000))).collect()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos: &TimestampNanosecondArray = column(array, name, expected)?;
            nanos.iter().map(|at| at.map(|at| at.div_euclid(1000))).collect()
        }
        _ => column::<TimestampMicrosecondArray>(array, name, expected)?.iter().collect(),
    })
}

fn read_lines(batch: &RecordBatch, lines: &mut Vec<Line>, counts: &mut Counts) -> Result<(), LoadError> {
    for raw in raw_lines(batch)? {
        counts.lines += 1;
        lines.extend(raw.checked(&mut counts.skipped));
    }
    Ok(())
}

fn raw_lines(batch: &RecordBatch) -> Result<Vec<RawLine>, LoadError> {
    let (invoices, codes) = (texts(batch, 0)?, texts(batch, 1)?);
    let (descriptions, countries) = (texts(batch, 2)?, texts(batch, 7)?);
    let array = |index: usize| {
        let (column, expected) = COLUMNS[index];
        batch.column_by_name(column).ok_or(LoadError::ColumnType { column, found: "nothing".to_owned(), expected })
    };
    let quantities: &Int32Array = column(array(3)?, COLUMNS[3].0, COLUMNS[3].1)?;
    let times = instants(array(4)?)?;
    let prices: &Float64Array = column(array(5)?, COLUMNS[5].0, COLUMNS[5].1)?;
    let customers: &Int32Array = column(array(6)?, COLUMNS[6].0, COLUMNS[6].1)?;
    let raw = |(row, at): (usize, Option<i64>)| {
        let text = |array: &StringArray| if array.is_null(row) { "" } else { array.value(row) }.trim().to_owned();
        RawLine {
            invoice: text(&invoices),
            stock_code: text(&codes),
            description: text(&descriptions),
            quantity: if quantities.is_null(row) { 0 } else { i64::from(quantities.value(row)) },
            at,
            unit_price: if prices.is_null(row) { 0.0 } else { prices.value(row) },
            customer: (!customers.is_null(row)).then(|| customers.value(row)),
            country: text(&countries),
        }
    };
    Ok(times.into_iter().enumerate().map(raw).collect())
}

/// A line as the file has it.
struct RawLine {
    invoice: String,
    stock_code: String,
    description: String,
    quantity: i64,
    at: Option<i64>,
    unit_price: f64,
    customer: Option<i32>,
    country: String,
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl RawLine {
    /// The line, where it can be booked; else it is counted under its reason.
    fn checked(self, skipped: &mut SkippedLines) -> Option<Line> {
        let cancels = self.invoice.starts_with('C');
        let known_invoice = all_digits(self.invoice.strip_prefix('C').unwrap_or(&self.invoice));
        let unit_price_minor = (self.unit_price * 100.0).round() as i64;
        let is_product = self.stock_code.len() >= 5 && all_digits(self.stock_code.get(..5).unwrap_or(""));
        let reason = match (self.at, self.customer) {
            _ if !known_invoice || self.stock_code.is_empty() => &mut skipped.malformed,
            (None, _) => &mut skipped.malformed,
            (_, None) => &mut skipped.no_customer,
            _ if !is_product => &mut skipped.not_a_product,
            _ if !(1..=1_000_000_000).contains(&unit_price_minor) => &mut skipped.no_price,
            _ if self.quantity == 0 || (self.quantity < 0) != cancels => &mut skipped.no_quantity,
            (Some(at), Some(customer)) => {
                return Some(Line {
                    invoice: self.invoice,
                    stock_code: self.stock_code,
                    description: self.description,
                    quantity: self.quantity,
                    at: Timestamp::from_micros(at),
                    unit_price_minor,
                    customer,
                    country: self.country,
                });
            }
        };
        *reason += 1;
        None
    }
}

/// The lines of each invoice together, in order of the invoices' first lines.
fn group_by_invoice(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut position: FxHashMap<String, usize> = FxHashMap::default();
    let mut invoices: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        let next = invoices.len();
        match position.entry(line.invoice.clone()).or_insert(next) {
            place if *place == next => invoices.push(vec![line]),
            place => invoices[*place].push(line),
        }
    }
    invoices
}

/// The region of a country of the data; `ZZ` (unknown) for what is no single country.
fn region_code(country: &str) -> &'static str {
    match country {
        "United Kingdom" => "GB",
        "Germany" => "DE",
        "France" => "FR",
        "EIRE" => "IE",
        "Spain" => "ES",
        "Netherlands" => "NL",
        "Belgium" => "BE",
        "Switzerland" => "CH",
        "Portugal" => "PT",
        "Australia" => "AU",
        "Norway" => "NO",
        "Italy" => "IT",
        "Channel Islands" => "JE",
        "Finland" => "FI",
        "Cyprus" => "CY",
        "Sweden" => "SE",
        "Austria" => "AT",
        "Denmark" => "DK",
        "Japan" => "JP",
        "Poland" => "PL",
        "USA" => "US",
        "Israel" => "IL",
        "Hong Kong" => "HK",
        "Singapore" => "SG",
        "Iceland" => "IS",
        "Canada" => "CA",
        "Greece" => "GR",
        "Malta" => "MT",
        "United Arab Emirates" => "AE",
        "RSA" => "ZA",
        "Lebanon" => "LB",
        "Lithuania" => "LT",
        "Brazil" => "BR",
        "Czech Republic" => "CZ",
        "Bahrain" => "BH",
        "Saudi Arabia" => "SA",
        _ => "ZZ",
    }
}

/// What was booked so far, and the events that tell it.
struct Ledger {
    tenant: TenantId,
    seller: SellerId,
    category: Category,
    home: Region,
    opened: bool,
    known_products: FxHashMap<String, ProductId>,
    known_buyers: FxHashMap<i32, BuyerId>,
    /// The last order of each product by each customer, which a cancellation refers to, with what can still come back.
    last_orders: FxHashMap<(BuyerId, ProductId), (OrderId, i64)>,
    events: Vec<Event>,
}

impl Ledger {
    fn new(tenant: TenantId) -> Result<Self, LoadError> {
        Ok(Self {
            tenant,
            seller: SellerId::from_reference(&tenant, "online-retail"),
            category: Category::new(CATEGORY)?,
            home: Region::new("GB")?,
            opened: false,
            known_products: FxHashMap::default(),
            known_buyers: FxHashMap::default(),
            last_orders: FxHashMap::default(),
            events: Vec::new(),
        })
    }

    /// Adds an event; `reference` makes its id.
    fn tell(&mut self, at: Timestamp, reference: &str, fact: impl Into<Fact>) {
        let id = EventId::from_reference(&self.tenant, &format!("online-retail/{reference}"));
        self.events.push(Event { id, tenant: self.tenant, event_time: at, fact: fact.into() });
    }

    fn book(&mut self, invoice: &[Line], counts: &mut Counts) {
        let Some(first) = invoice.first() else { return };
        self.open(first.at);
        let buyer = self.buyer(first);
        let products: Vec<ProductId> = invoice.iter().map(|line| self.product(line)).collect();
        if first.invoice.starts_with('C') {
            self.take_back(invoice, buyer, &products, counts);
        } else {
            self.sell(invoice, buyer, &products);
            counts.ordered_lines += invoice.len() as u64;
        }
    }

    /// The one seller, before anything else.
    fn open(&mut self, at: Timestamp) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        let registered = facts::SellerRegistered {
            seller: self.seller,
            name: "Online Retail".to_owned(),
            region: self.home,
            payout_account: PayoutAccountId::from_reference(&self.tenant, "online-retail"),
        };
        self.tell(at, "seller", registered);
    }

    /// The region of a line; every code of the list is valid, the home region stands in where it were not.
    fn region(&self, line: &Line) -> Region {
        Region::new(region_code(&line.country)).unwrap_or(self.home)
    }

    fn buyer(&mut self, line: &Line) -> BuyerId {
        if let Some(buyer) = self.known_buyers.get(&line.customer) {
            return *buyer;
        }
        let buyer = BuyerId::from_reference(&self.tenant, &line.customer.to_string());
        self.known_buyers.insert(line.customer, buyer);
        let registered = facts::BuyerRegistered { buyer, region: self.region(line), device: None };
        self.tell(line.at, &format!("buyer/{}", line.customer), registered);
        buyer
    }

    /// The product of a line, listed at its first line with the first price.
    fn product(&mut self, line: &Line) -> ProductId {
        if let Some(product) = self.known_products.get(&line.stock_code) {
            return *product;
        }
        let product = ProductId::from_reference(&self.tenant, &line.stock_code);
        self.known_products.insert(line.stock_code.clone(), product);
        let title = if line.description.is_empty() { line.stock_code.clone() } else { line.description.clone() };
        let listed = facts::ProductListed {
            product,
            seller: self.seller,
            category: self.category,
            title,
            description: String::new(),
            price: Money::new(line.unit_price_minor, Currency::GBP),
            price_usd_minor: usd_minor(line.unit_price_minor),
            region: self.home,
            weight_grams: 0,
            reference: line.stock_code.clone(),
            sale_regions: None,
        };
        self.tell(line.at, &format!("product/{}", line.stock_code), listed);
        product
    }

    fn sell(&mut self, invoice: &[Line], buyer: BuyerId, products: &[ProductId]) {
        let first = &invoice[0];
        let (at, number) = (first.at, &first.invoice);
        let region = self.region(first);
        let checkout = CheckoutId::from_reference(&self.tenant, number);
        let order = OrderId::from_reference(&self.tenant, number);
        let payment = PaymentId::from_reference(&self.tenant, number);
        let total_minor = invoice.iter().map(|line| line.quantity * line.unit_price_minor).sum();
        let total_usd_minor = invoice.iter().map(|line| usd_minor(line.quantity * line.unit_price_minor)).sum();
        let total = Money::new(total_minor, Currency::GBP);
        let quantity = invoice.iter().map(|line| line.quantity).sum();
        let mut different = products.to_vec();
        different.sort_unstable();
        different.dedup();
        let line_count = different.len() as i64;
        let submitted = facts::CheckoutSubmitted {
            buyer,
            checkout,
            session: None,
            device: None,
            card: None,
            address: None,
            region,
            delivery_region: region,
            payment_method: "bank_transfer".to_owned(),
            line_count,
            quantity,
            total,
            total_usd_minor,
        };
        let authorized = facts::PaymentAuthorized {
            checkout,
            payment,
            buyer,
            card: None,
            device: None,
            amount: total,
            amount_usd_minor: total_usd_minor,
        };
        let captured = facts::PaymentCaptured { checkout, payment, amount: total, amount_usd_minor: total_usd_minor };
        let seller = self.seller;
        let placed =
            facts::OrderPlaced { buyer, order, checkout, seller, region, line_count, quantity, total, total_usd_minor };
        self.tell(at, &format!("{number}/checkout"), submitted);
        self.tell(at, &format!("{number}/authorized"), authorized);
        self.tell(at, &format!("{number}/order"), placed);
        for (place, (line, product)) in invoice.iter().zip(products).enumerate() {
            let ordered = facts::ItemOrdered {
                product: *product,
                order,
                checkout,
                buyer,
                seller,
                category: self.category,
                region,
                quantity: line.quantity,
                unit_price: Money::new(line.unit_price_minor, Currency::GBP),
                amount_usd_minor: usd_minor(line.quantity * line.unit_price_minor),
            };
            // All lines have the time of the invoice, even where one was typed a minute later.
            self.tell(at, &format!("{number}/line/{place}"), ordered);
            let entry = self.last_orders.entry((buyer, *product)).or_insert((order, 0));
            *entry = (order, entry.1 + line.quantity);
        }
        self.tell(at, &format!("{number}/captured"), captured);
    }

    /// Cancelled lines are returns against the customer's last order of the product, of at most what was ordered.
    fn take_back(&mut self, invoice: &[Line], buyer: BuyerId, products: &[ProductId], counts: &mut Counts) {
        for (place, (line, product)) in invoice.iter().zip(products).enumerate() {
            let known = self.last_orders.get_mut(&(buyer, *product)).filter(|(_, left)| *left >= -line.quantity);
            let Some((order, left)) = known else {
                counts.skipped.return_without_order += 1;
                continue;
            };
            *left += line.quantity;
            counts.returned_lines += 1;
            let reference = format!("{}/line/{place}", line.invoice);
            let returned = facts::OrderReturned {
                buyer,
                order: *order,
                return_id: ReturnId::from_reference(&self.tenant, &reference),
                seller: self.seller,
                product: *product,
                quantity: -line.quantity,
                amount_usd_minor: usd_minor(-line.quantity * line.unit_price_minor),
                reason: "cancelled".to_owned(),
            };
            self.tell(line.at, &reference, returned);
        }
    }
}

fn usd_minor(gbp_minor: i64) -> i64 {
    (gbp_minor as f64 * USD_PER_GBP).round() as i64
}
