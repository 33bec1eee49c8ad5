//! The truth about synonyms: what people call some of the simulated products who do not know the words of their titles.
//!
//! No event and no feature holds these words; a search that finds the products by them knows more than letters.

use std::collections::BTreeMap;

use dhow_events::ProductId;

/// A noun of titles and what some call it. The two share no word.
const NOUNS: [(&str, &str); 56] = [
    ("mug", "coffee cup"),
    ("bowl", "cereal dish"),
    ("jug", "water pitcher"),
    ("plate", "dinner dish"),
    ("apron", "cooking smock"),
    ("frame", "picture holder"),
    ("vase", "flower container"),
    ("mirror", "looking glass"),
    ("clock", "wall timepiece"),
    ("ornament", "decorative figurine"),
    ("lantern", "hanging light"),
    ("lamp", "bedside light"),
    ("planter", "flower tub"),
    ("trowel", "small spade"),
    ("birdhouse", "nesting box"),
    ("watering can", "plant sprinkler"),
    ("trellis", "climbing plant support"),
    ("puzzle", "jigsaw"),
    ("kite", "flying toy"),
    ("spinning top", "whirling toy"),
    ("sewing kit", "needle and thread"),
    ("paint box", "watercolours"),
    ("loom", "weaving machine"),
    ("notebook", "writing journal"),
    ("planner", "diary"),
    ("envelope set", "mailing covers"),
    ("calendar", "year overview"),
    ("napkins", "serviettes"),
    ("garland", "festive wreath"),
    ("gift bag", "present wrapping"),
    ("straw set", "drinking tubes"),
    ("purse", "money wallet"),
    ("backpack", "rucksack"),
    ("tote", "canvas carrier"),
    ("satchel", "school shoulder case"),
    ("necklace", "neck chain"),
    ("bracelet", "wrist band"),
    ("earrings", "ear studs"),
    ("brooch", "lapel pin"),
    ("soap", "washing bar"),
    ("hand cream", "skin lotion"),
    ("lipstick", "lip colour"),
    ("mascara", "eyelash cosmetic"),
    ("headphones", "over-ear headset"),
    ("speaker", "loud sound box"),
    ("earbuds", "in-ear headset"),
    ("turntable", "record player"),
    ("charger", "mobile power supply"),
    ("power bank", "portable battery"),
    ("bottle", "drinking flask"),
    ("mat", "exercise rug"),
    ("hammock", "garden swing bed"),
    ("biscuits", "cookies"),
    ("honey", "bee nectar"),
    ("jam", "fruit preserve"),
    ("chocolate", "cocoa sweets"),
];

/// A colour of titles and what some call it.
const COLOURS: [(&str, &str); 12] = [
    ("red", "crimson"),
    ("blue", "navy"),
    ("green", "emerald"),
    ("ivory", "cream"),
    ("pink", "rose"),
    ("grey", "silver"),
    ("yellow", "golden"),
    ("teal", "turquoise"),
    ("white", "snowy"),
    ("lilac", "purple"),
    ("orange", "tangerine"),
    ("brown", "chestnut"),
];

/// A query that shares no word with the titles of what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParaphrasedQuery {
    /// What somebody types.
    pub text: String,
    /// The products that are meant.
    pub relevant: Vec<ProductId>,
}

/// One query for each colour and noun that some product of the listings has, in the order of the alphabet. A listing is a
/// product and its title, as the simulator writes it: adjective, colour, noun.
pub fn paraphrased_queries(listings: &[(ProductId, String)]) -> Vec<ParaphrasedQuery> {
    let mut queries: BTreeMap<String, Vec<ProductId>> = BTreeMap::new();
    for (product, title) in listings {
        for (noun, other_noun) in NOUNS {
            let Some(before) = title.strip_suffix(noun).and_then(|before| before.strip_suffix(' ')) else { continue };
            let colour = before.rsplit(' ').next();
            if let Some((_, other_colour)) = COLOURS.iter().find(|(name, _)| Some(*name) == colour) {
                queries.entry(format!("{other_colour} {other_noun}")).or_default().push(*product);
            }
        }
    }
    queries.into_iter().map(|(text, relevant)| ParaphrasedQuery { text, relevant }).collect()
}
