//! Drawn products, changes and questions for the properties; it checks nothing.

use std::collections::BTreeMap;

use dhow_events::{ProductId, SaleRegions, SellerId};
use dhow_search::{Change, FacetsAsked, Filters, Mode, ProductDocument, SearchRequest};
use proptest::prelude::*;
use proptest::sample::select;

pub const WORDS: [&str; 16] = [
    "red",
    "blue",
    "mug",
    "mugs",
    "lamp",
    "lantern",
    "Ceramic",
    "blu-ray",
    "16gb",
    "wooden",
    "café",
    "緑茶",
    "headphones",
    "headphone",
    "table",
    "tables",
];
pub const CATEGORIES: [&str; 5] = ["home", "home/kitchen", "home/kitchen/cups", "toys/games", "food"];
pub const REGIONS: [&str; 4] = ["NG", "NG-LA", "GB", "ZZ"];
const SALE_REGIONS: [&str; 6] = ["", "NG", "!NG", "002,!NG-LA", "150,NG-LA", "!150,!002"];

pub fn product(number: u128) -> ProductId {
    ProductId::from_u128(number)
}

fn text(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(select(&WORDS[..]), words).prop_map(|words| words.join(" "))
}

pub fn document() -> impl Strategy<Value = ProductDocument> {
    let sale_regions = select(&SALE_REGIONS[..]).prop_map(|text| text.parse::<SaleRegions>().unwrap());
    let colour = prop::option::of(select(&["red", "blue", "green"][..]));
    (
        1..12u128,
        text(1..6),
        text(0..8),
        select(&CATEGORIES[..]),
        colour,
        1..4u128,
        1..50i64,
        sale_regions,
        any::<bool>(),
    )
        .prop_map(
            |(number, title, description, category, colour, seller, price_minor, sale_regions, available)| {
                ProductDocument {
                    product: product(number),
                    title,
                    description,
                    category: category.to_owned(),
                    attributes: colour.map(|colour| ("colour".to_owned(), colour.to_owned())).into_iter().collect(),
                    seller: SellerId::from_u128(seller),
                    price_minor,
                    sale_regions,
                    available,
                }
            },
        )
}

/// A vector of two numbers of unit length.
pub fn vector() -> impl Strategy<Value = Vec<f32>> {
    (0..64u32).prop_map(|part| {
        let angle = f64::from(part) / 64.0 * std::f64::consts::TAU;
        vec![angle.cos() as f32, angle.sin() as f32]
    })
}

/// A change; a vector is of the title that the product has then, or of another one.
#[derive(Debug, Clone)]
pub enum Drawn {
    Put(ProductDocument),
    Remove(u128),
    Meaning(u128, Vec<f32>, bool),
}

pub fn batches() -> impl Strategy<Value = Vec<Vec<Drawn>>> {
    let change = prop_oneof![
        5 => document().prop_map(Drawn::Put),
        2 => (1..12u128).prop_map(Drawn::Remove),
        3 => (1..12u128, vector(), any::<bool>()).prop_map(|(number, vector, stale)| Drawn::Meaning(number, vector, stale)),
    ];
    prop::collection::vec(prop::collection::vec(change, 1..8), 1..8)
}

/// What a catalogue is after changes, told the plain way.
#[derive(Debug, Default, Clone)]
pub struct Plain {
    pub documents: BTreeMap<ProductId, ProductDocument>,
    pub vectors: BTreeMap<ProductId, Vec<f32>>,
}

impl Plain {
    /// Takes a batch in and gives it as the index takes it: products first, then vectors, of each the last.
    pub fn take(&mut self, batch: &[Drawn]) -> Vec<Change> {
        let mut changes = Vec::new();
        let before: BTreeMap<ProductId, String> =
            self.documents.iter().map(|(product, document)| (*product, document.title.clone())).collect();
        for change in batch {
            match change {
                Drawn::Put(document) => {
                    self.documents.insert(document.product, document.clone());
                    changes.push(Change::Put(Box::new(document.clone())));
                }
                Drawn::Remove(number) => {
                    self.documents.remove(&product(*number));
                    changes.push(Change::Remove(product(*number)));
                }
                Drawn::Meaning(..) => {}
            }
        }
        for (id, title) in &before {
            if self.documents.get(id).map(|document| &document.title) != Some(title) {
                self.vectors.remove(id);
            }
        }
        let mut last = BTreeMap::new();
        for change in batch {
            if let Drawn::Meaning(number, vector, stale) = change {
                let id = product(*number);
                let title = self.documents.get(&id).map(|document| document.title.clone()).unwrap_or_default();
                let of = if *stale { "another text".to_owned() } else { title };
                changes.push(Change::Meaning { product: id, of, vector: vector.clone() });
                last.insert(id, (vector.clone(), *stale));
            }
        }
        for (id, (vector, stale)) in last {
            if !stale && self.documents.contains_key(&id) {
                self.vectors.insert(id, vector);
            }
        }
        changes
    }

    /// The changes that build the catalogue anew.
    pub fn anew(&self) -> Vec<Change> {
        let products = self.documents.values().map(|document| Change::Put(Box::new(document.clone())));
        let vectors = self.vectors.iter().map(|(id, vector)| Change::Meaning {
            product: *id,
            of: self.documents[id].title.clone(),
            vector: vector.clone(),
        });
        products.chain(vectors).collect()
    }
}

pub fn query() -> impl Strategy<Value = String> {
    let typo = select(&["hedphones", "cermaic", "lantren", "tabel", "mu", "woo", "zzzz", "headfones"][..]);
    let word = prop_oneof![4 => select(&WORDS[..]), 1 => typo];
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

pub fn filters() -> impl Strategy<Value = Filters> {
    let price = prop::option::of(1..50i64);
    (
        prop::collection::vec(select(&CATEGORIES[..]), 0..2),
        prop::collection::vec(1..4u128, 0..2),
        price,
        prop::option::of(select(&["red", "blue"][..])),
        prop::option::of(select(&REGIONS[..])),
        any::<bool>(),
    )
        .prop_map(|(categories, sellers, price_min, colour, region, available_only)| Filters {
            categories: categories.into_iter().map(str::to_owned).collect(),
            sellers: sellers.into_iter().map(SellerId::from_u128).collect(),
            price_min,
            price_max: None,
            attributes: colour.map(|colour| ("colour".to_owned(), vec![colour.to_owned()])).into_iter().collect(),
            region: region.map(str::to_owned),
            available_only,
        })
}

/// A question with nothing but words.
pub fn ask(text: &str) -> SearchRequest<'_> {
    SearchRequest {
        text,
        mode: Mode::Keyword,
        as_you_type: false,
        filters: Filters::default(),
        facets: FacetsAsked::default(),
        limit: 100,
        cursor: None,
    }
}
