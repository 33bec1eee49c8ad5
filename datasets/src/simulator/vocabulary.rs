//! The words of the simulated world: categories with their nouns, adjectives tied to tastes, reviews; it draws nothing.

/// How many numbers a taste or a product vector has.
pub const DIMENSIONS: usize = 8;

/// A category: its path, the usual price in cents and weight in grams, when its season peaks and how much, its nouns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CategoryWords {
    pub(crate) path: &'static str,
    pub(crate) price_usd_minor: f64,
    pub(crate) weight_grams: f64,
    pub(crate) peak_day_of_year: f64,
    pub(crate) season_strength: f64,
    pub(crate) nouns: [&'static str; 8],
}

const fn words(
    path: &'static str,
    price_usd_minor: f64,
    weight_grams: f64,
    peak_day_of_year: f64,
    season_strength: f64,
    nouns: [&'static str; 8],
) -> CategoryWords {
    CategoryWords { path, price_usd_minor, weight_grams, peak_day_of_year, season_strength, nouns }
}

pub(crate) const CATEGORIES: [CategoryWords; 16] = [
    words("home/kitchen", 320.0, 420.0, 320.0, 0.15, ["mug", "bowl", "jug", "plate", "tin", "spoon", "apron", "board"]),
    words(
        "home/decor",
        280.0,
        300.0,
        325.0,
        0.30,
        ["frame", "vase", "hook", "sign", "mirror", "bunting", "clock", "ornament"],
    ),
    words(
        "home/lighting",
        410.0,
        380.0,
        335.0,
        0.35,
        ["lantern", "candle", "lamp", "t-light holder", "shade", "night light", "fairy lights", "wick"],
    ),
    words(
        "home/garden",
        350.0,
        600.0,
        140.0,
        0.50,
        ["planter", "trowel", "birdhouse", "watering can", "seed box", "trellis", "windmill", "pot"],
    ),
    words(
        "toys/games",
        260.0,
        250.0,
        335.0,
        0.45,
        ["puzzle", "skittles", "domino set", "spinning top", "card game", "kite", "quoits", "building set"],
    ),
    words(
        "toys/craft",
        190.0,
        150.0,
        330.0,
        0.30,
        ["sewing kit", "felt set", "sticker sheet", "paint box", "bead set", "paper kit", "stamp set", "loom"],
    ),
    words(
        "stationery/paper",
        120.0,
        120.0,
        245.0,
        0.25,
        ["notebook", "card", "wrap", "envelope set", "planner", "memo pad", "folder", "calendar"],
    ),
    words(
        "stationery/party",
        150.0,
        130.0,
        335.0,
        0.30,
        ["napkins", "balloon set", "cake cases", "garland", "gift bag", "paper plate", "straw set", "ribbon"],
    ),
    words(
        "fashion/bags",
        310.0,
        220.0,
        150.0,
        0.15,
        ["tote", "jumbo bag", "lunch bag", "purse", "backpack", "pouch", "shopper", "satchel"],
    ),
    words(
        "fashion/jewellery",
        420.0,
        60.0,
        330.0,
        0.25,
        ["necklace", "bracelet", "earrings", "ring", "brooch", "hair clip", "charm", "anklet"],
    ),
    words(
        "beauty/bath",
        240.0,
        260.0,
        335.0,
        0.20,
        ["soap", "bath salts", "sponge", "body butter", "hand cream", "gift set", "shower cap", "oil"],
    ),
    words(
        "beauty/makeup",
        520.0,
        90.0,
        120.0,
        0.10,
        ["lipstick", "palette", "brush", "mascara", "powder", "mirror case", "nail set", "balm"],
    ),
    words(
        "electronics/audio",
        1450.0,
        350.0,
        330.0,
        0.35,
        ["headphones", "speaker", "earbuds", "radio", "microphone", "cable", "turntable", "amplifier"],
    ),
    words(
        "electronics/phone",
        980.0,
        140.0,
        270.0,
        0.20,
        ["phone case", "charger", "power bank", "stand", "screen film", "adapter", "car holder", "strap"],
    ),
    words(
        "sports/outdoor",
        760.0,
        700.0,
        165.0,
        0.40,
        ["bottle", "mat", "lantern pack", "picnic set", "hammock", "ball", "rope", "cool bag"],
    ),
    words(
        "food/pantry",
        230.0,
        500.0,
        340.0,
        0.20,
        ["tea", "coffee", "honey", "spice set", "biscuits", "jam", "chocolate", "date box"],
    ),
];

/// Two adjectives for each number of a product's vector: the first where it is high, the second where it is low.
pub(crate) const ADJECTIVES: [[&str; 2]; DIMENSIONS] = [
    ["vintage", "modern"],
    ["floral", "striped"],
    ["wooden", "metal"],
    ["pastel", "black"],
    ["handmade", "classic"],
    ["mini", "jumbo"],
    ["retro spot", "plain"],
    ["luxury", "everyday"],
];

pub(crate) const COLOURS: [&str; 12] =
    ["red", "blue", "green", "ivory", "pink", "grey", "yellow", "teal", "white", "lilac", "orange", "brown"];

pub(crate) const USES: [&str; 10] = [
    "for the family table",
    "for a small flat",
    "a welcome gift",
    "for shops and markets",
    "made to last",
    "easy to clean",
    "packed in a box",
    "sold by the piece",
    "for rainy days",
    "a customers' favourite",
];

pub(crate) const SHOP_FIRST: [&str; 16] = [
    "Harbour", "Acacia", "Juniper", "Baobab", "Meadow", "Crescent", "Lantern", "Saffron", "Willow", "Palm", "Copper",
    "Orchard", "Delta", "Coral", "Summit", "Cedar",
];

pub(crate) const SHOP_SECOND: [&str; 10] =
    ["Trading", "Goods", "Supply", "House", "Market", "Wholesale", "Store", "Works", "Company", "Depot"];

pub(crate) const PRAISE: [&str; 8] = [
    "Exactly as described",
    "Lovely quality",
    "Sells out every week in our shop",
    "Well packed and quick",
    "My favourite so far",
    "Good value",
    "Better than the picture",
    "Will order again",
];

pub(crate) const COMPLAINT: [&str; 8] = [
    "Arrived broken",
    "Thinner than it looks",
    "The colour is different",
    "Came much too late",
    "Two pieces were missing",
    "Poor finish",
    "Not worth the price",
    "Would not buy again",
];

pub(crate) const RETURN_REASONS: [&str; 5] =
    ["damaged", "not_as_described", "changed_mind", "wrong_item", "arrived_late"];
