//! Products as a file of comma-separated values: its columns, writing them, and reading them with a problem for each wrong field; what is done with the rows is in `product_import`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use csv::{ByteRecord, ReaderBuilder, StringRecord, WriterBuilder};
use dhow_events::{Money, ProductId};
use serde::de::DeserializeOwned;
use serde::ser::Error as _;

use crate::{FieldProblem, Product, ProductInput, ProductState};

/// The most rows of a file.
pub const PRODUCT_FILE_ROWS_MAX: usize = 1_000;
/// The most problems that are told of one file.
pub const PRODUCT_FILE_PROBLEMS_MAX: usize = 100;
/// The columns in the order in which they are written; the header of a file may name them in any order.
pub const PRODUCT_FILE_COLUMNS: [&str; 16] = [
    "id",
    "state",
    "seller",
    "reference",
    "title",
    "description",
    "category",
    "price_amount",
    "price_currency",
    "region",
    "sale_regions",
    "weight_grams",
    "prices",
    "media",
    "attributes",
    "variant",
];
/// Columns that a file may leave out, and fields that may be empty.
const OPTIONAL: [&str; 8] = ["id", "state", "description", "sale_regions", "prices", "media", "attributes", "variant"];

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductRow {
    /// The line on which it begins, from 1, the header included.
    pub line: u64,
    /// Which product; nothing makes a new one.
    pub id: Option<ProductId>,
    /// Whether it is on offer.
    pub state: ProductState,
    /// What the seller says about it.
    pub input: ProductInput,
}

/// Products as a file, one line each below the header; a field with line breaks takes more.
///
/// # Errors
/// None in practice: everything of a product can be written.
pub fn write_product_file<'a>(products: impl IntoIterator<Item = &'a Product>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(PRODUCT_FILE_COLUMNS)?;
    for Product { id, state, input, .. } in products {
        let json = |text: serde_json::Result<String>| text.map_err(csv::Error::custom);
        let prices = if input.prices.is_empty() { String::new() } else { json(serde_json::to_string(&input.prices))? };
        let media = if input.media.is_empty() { String::new() } else { json(serde_json::to_string(&input.media))? };
        let variant =
            input.variant.as_ref().map_or(Ok(String::new()), |variant| json(serde_json::to_string(variant)))?;
        let attributes = match input.attributes.is_empty() {
            true => String::new(),
            false => json(serde_json::to_string(&input.attributes))?,
        };
        writer.write_record([
            id.to_string(),
            state.to_string(),
            input.seller.to_string(),
            input.reference.clone(),
            input.title.clone(),
            input.description.clone(),
            input.category.to_string(),
            input.price.amount_minor.to_string(),
            input.price.currency.to_string(),
            input.region.to_string(),
            input.sale_regions.to_string(),
            input.weight_grams.to_string(),
            prices,
            media,
            attributes,
            variant,
        ])?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// Reads a file: UTF-8, a header, commas, fields with commas, quotes or line breaks in quotes.
///
/// # Errors
/// Every field that is wrong, at `/<line>/<column>`, with what would be right, up to [`PRODUCT_FILE_PROBLEMS_MAX`] of them and
/// the number of the rest; a header or a number of rows that is wrong, at the file as a whole.
pub fn read_product_file(bytes: &[u8]) -> Result<Vec<ProductRow>, Vec<FieldProblem>> {
    let mut reader = ReaderBuilder::new().has_headers(true).flexible(true).from_reader(bytes);
    let columns = reader.headers().map_err(|error| vec![whole(format!("has no header in UTF-8: {error}"))])?.clone();
    let columns = Columns::of(&columns)?;
    let mut problems = Problems::default();
    let (mut rows, mut first_lines) = (Vec::new(), BTreeMap::new());
    let mut record = ByteRecord::new();
    // A reader that never stops at a number of fields fails only where reading bytes does.
    while reader.read_byte_record(&mut record).map_err(|error| vec![whole(error.to_string())])? {
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() == PRODUCT_FILE_ROWS_MAX {
            return Err(vec![whole(format!("has more than {PRODUCT_FILE_ROWS_MAX} rows; send it in parts"))]);
        }
        let mut fields = Fields { line, columns: &columns, record: &record, problems: &mut problems };
        let row = fields.row();
        if let Some(id) = row.as_ref().and_then(|row| row.id)
            && let Some(first) = first_lines.insert(id, line)
        {
            problems.add(line, "id", format!("is {id}, as on line {first}; a product stands once in a file"));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(vec![whole("has no row below its header".to_owned())]);
    }
    problems.end(rows.into_iter().flatten().collect())
}

fn whole(message: String) -> FieldProblem {
    FieldProblem::new("", message)
}

/// Where each column stands in a record.
struct Columns {
    places: BTreeMap<&'static str, usize>,
    count: usize,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, Vec<FieldProblem>> {
        let (mut places, mut problems) = (BTreeMap::new(), Vec::new());
        for (place, name) in header.iter().enumerate() {
            let known = PRODUCT_FILE_COLUMNS.iter().find(|column| **column == name.trim());
            let twice = known.and_then(|column| places.insert(*column, place)).is_some();
            if known.is_none() || twice {
                let reason = if twice { "stands twice" } else { "is no column" };
                let message = format!("`{name}` {reason}; the columns are {}", PRODUCT_FILE_COLUMNS.join(", "));
                problems.push(FieldProblem::new("/1", message));
            }
        }
        let missing = |column: &&&str| !places.contains_key(**column) && !OPTIONAL.contains(column);
        for column in PRODUCT_FILE_COLUMNS.iter().filter(missing) {
            problems.push(FieldProblem::new(format!("/1/{column}"), "is missing in the header"));
        }
        problems.truncate(PRODUCT_FILE_PROBLEMS_MAX);
        if problems.is_empty() { Ok(Self { places, count: header.len() }) } else { Err(problems) }
    }
}

/// What is wrong so far; only the first are kept.
#[derive(Default)]
pub(crate) struct Problems {
    kept: Vec<FieldProblem>,
    more: usize,
}

impl Problems {
    pub(crate) fn add(&mut self, line: u64, column: &str, message: impl Into<String>) {
        if self.kept.len() < PRODUCT_FILE_PROBLEMS_MAX {
            let column = if column.is_empty() { String::new() } else { format!("/{column}") };
            self.kept.push(FieldProblem::new(format!("/{line}{column}"), message));
        } else {
            self.more += 1;
        }
    }

    /// A problem of a product's field at the column that holds it.
    pub(crate) fn add_field(&mut self, line: u64, problem: &FieldProblem) {
        let column = match problem.pointer.trim_start_matches('/') {
            "price/amount" => "price_amount",
            "price/currency" => "price_currency",
            other => other,
        };
        self.add(line, column, problem.message.clone());
    }

    /// What was read, where nothing is wrong.
    pub(crate) fn end<T>(mut self, read: T) -> Result<T, Vec<FieldProblem>> {
        if self.more > 0 {
            self.kept.push(whole(format!("has {} more problems", self.more)));
        }
        if self.kept.is_empty() { Ok(read) } else { Err(self.kept) }
    }
}

/// A record as it is read.
struct Fields<'a> {
    line: u64,
    columns: &'a Columns,
    record: &'a ByteRecord,
    problems: &'a mut Problems,
}

impl Fields<'_> {
    fn row(&mut self) -> Option<ProductRow> {
        if self.record.len() != self.columns.count {
            let message = format!("has {} fields; the header has {}", self.record.len(), self.columns.count);
            self.problems.add(self.line, "", message);
            return None;
        }
        // Every field is read before the first wrong one ends the row.
        let (id, state, seller) = (self.optional("id"), self.state(), self.parsed("seller"));
        let (reference, title, description) = (self.text("reference"), self.text("title"), self.text("description"));
        let (category, amount, currency) =
            (self.parsed("category"), self.parsed("price_amount"), self.parsed("price_currency"));
        let (region, sale_regions, weight_grams) =
            (self.parsed("region"), self.parsed("sale_regions"), self.parsed("weight_grams"));
        let prices = self.json("prices", "price lists");
        let (media, attributes) = (self.json("media", "media references"), self.json("attributes", "attributes"));
        let variant = self.json("variant", "a variant");
        let input = ProductInput {
            seller: seller?,
            reference: reference?,
            title: title?,
            description: description?,
            category: category?,
            price: Money::new(amount?, currency?),
            prices: prices?,
            region: region?,
            sale_regions: sale_regions?,
            weight_grams: weight_grams?,
            media: media?,
            attributes: attributes?,
            variant: variant?,
        };
        if let Err(wrong) = input.check() {
            wrong.iter().for_each(|problem| self.problems.add_field(self.line, problem));
            return None;
        }
        Some(ProductRow { line: self.line, id: id?, state: state?, input })
    }

    /// The text of a column; empty where the file has no such column.
    fn text(&mut self, column: &'static str) -> Option<String> {
        let field = self.columns.places.get(column).and_then(|place| self.record.get(*place)).unwrap_or_default();
        let read = std::str::from_utf8(field).map(str::to_owned);
        read.map_err(|error| self.problems.add(self.line, column, format!("is not UTF-8: {error}"))).ok()
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Option<T> {
        let text = self.text(column)?;
        let read = text.trim().parse().map_err(|error| format!("is `{}`: {error}", shown(&text)));
        read.map_err(|message| self.problems.add(self.line, column, message)).ok()
    }

    fn optional<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Option<Option<T>> {
        if self.text(column)?.trim().is_empty() { Some(None) } else { self.parsed(column).map(Some) }
    }

    fn state(&mut self) -> Option<ProductState> {
        let text = self.text("state")?;
        let state =
            if text.trim().is_empty() { Some(ProductState::Listed) } else { ProductState::from_word(text.trim()) };
        if state.is_none() {
            let message = format!("is `{}`; it must be `listed` or `delisted`, or as it was told", shown(&text));
            self.problems.add(self.line, "state", message);
        }
        state
    }

    /// What a column has as JSON; an empty field is none.
    fn json<T: DeserializeOwned + Default>(&mut self, column: &'static str, what: &str) -> Option<T> {
        let text = self.text(column)?;
        if text.trim().is_empty() {
            return Some(T::default());
        }
        let read = serde_json::from_str(&text);
        read.map_err(|error| self.problems.add(self.line, column, format!("is no JSON of {what}: {error}"))).ok()
    }
}

/// The beginning of what somebody wrote.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

#[cfg(test)]
mod tests {
    use dhow_events::{Currency, Region, SellerId, TenantId, Timestamp};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::{PriceBreak, PriceList};

    fn product() -> impl Strategy<Value = Product> {
        let text = || "[ a-z,;\"'\r\n\t=@üж日]{0,12}";
        let named = || text().prop_map(|text| format!("x{text}"));
        let regions = select(&["", "NG", "!SA", "002,!NG,NG-LA"][..]);
        let breaks = prop::collection::vec(1..1_000_i64, 0..3);
        let numbers = (any::<u128>(), 1..9_u128, 0..1_000_000_i64, 0..1_000_i64);
        (numbers, named(), named(), text(), regions, breaks, any::<bool>()).prop_map(
            |((id, seller, minor, weight_grams), reference, title, description, regions, breaks, listed)| Product {
                tenant: TenantId::default(),
                id: ProductId::from_u128(id),
                input: ProductInput {
                    seller: SellerId::from_u128(seller),
                    reference,
                    title,
                    description,
                    category: "home/kitchen".parse().expect("a category"),
                    price: Money::new(minor, Currency::GBP),
                    prices: breaks.iter().enumerate().map(list).collect(),
                    region: Region::new("GB").expect("a region"),
                    sale_regions: regions.parse().expect("places"),
                    weight_grams,
                    media: Vec::new(),
                    attributes: BTreeMap::new(),
                    variant: None,
                },
                review: None,
                state: if listed { ProductState::Listed } else { ProductState::Delisted },
                version: 1,
                created_at: Timestamp::from_micros(0),
                updated_at: Timestamp::from_micros(0),
            },
        )
    }

    fn list((number, minor): (usize, &i64)) -> PriceList {
        let region = Region::new(["NG", "DE", "US"][number % 3]).expect("a region");
        let breaks = vec![PriceBreak { quantity: 1, unit_price: Money::usd(*minor) }];
        PriceList { region: Some(region), valid_from: Some(Timestamp::from_micros(*minor)), valid_until: None, breaks }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(products in prop::collection::btree_map(any::<u128>(), product(), 1..6)) {
            let products: Vec<Product> = products.into_iter()
                .map(|(id, product)| Product { id: ProductId::from_u128(id), ..product })
                .collect();
            let file = write_product_file(&products).expect("it is written");
            let rows = read_product_file(&file).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            let read: Vec<_> = rows.into_iter().map(|row| (row.id, row.state, row.input)).collect();
            let written: Vec<_> = products.into_iter().map(|one| (Some(one.id), one.state, one.input)).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_product_file(&bytes);
            let header = PRODUCT_FILE_COLUMNS.join(",").into_bytes();
            let _ = read_product_file(&[header, b"\n".to_vec(), bytes].concat());
        }
    }

    #[test]
    fn of_many_problems_the_first_are_told_and_the_rest_are_counted() {
        let rows = format!("{}\n", ["x"; PRODUCT_FILE_COLUMNS.len()].join(",")).repeat(50);
        let problems = read_product_file(format!("{}\n{rows}", PRODUCT_FILE_COLUMNS.join(",")).as_bytes());
        let problems = problems.expect_err("nothing is right");
        assert_eq!(problems.len(), PRODUCT_FILE_PROBLEMS_MAX + 1);
        assert!(problems.last().is_some_and(|last| last.message.contains("more problems")), "{problems:?}");
        assert_eq!(problems[0].pointer, "/2/id");
    }
}
