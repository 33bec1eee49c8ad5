//! Sellers and products of the simulated world and what changes about them from day to day; buyers are elsewhere.

use dhow_events::{Category, Money, PayoutAccountId, ProductId, PromotionId, SellerId, facts};

use super::emitter::Emitter;
use super::places::{Atlas, CITIES, LANDS};
use super::random::Random;
use super::vocabulary::{ADJECTIVES, CATEGORIES, COLOURS, DIMENSIONS, SHOP_FIRST, SHOP_SECOND, USES};
use super::{SimulationError, SimulationSettings};

/// A point in the space of tastes.
pub(crate) type Vector = [f32; DIMENSIONS];

/// How many products each product is bought and viewed together with.
pub(crate) const NEIGHBOURS: usize = 6;
/// Demand grows with the discount by this elasticity.
const PROMOTION_ELASTICITY: f64 = 4.0;
/// Demand falls with the price, relative to the first price, by this elasticity.
const PRICE_ELASTICITY: f64 = 1.5;
/// The exponent of the popularity by rank.
const POPULARITY_EXPONENT: f64 = 0.85;
/// The spread of the popularity around its rank's, as the standard deviation of the logarithm.
const POPULARITY_NOISE: f64 = 1.12;
/// The share of the products that are listed after the first day.
const NEW_PRODUCT_SHARE: f64 = 0.25;
/// The chance that a product is taken off offer, a year.
const DELISTED_PER_YEAR: f64 = 0.12;
const PRICE_CHANGES_PER_YEAR: f64 = 3.0;
const PROMOTIONS_PER_YEAR: f64 = 2.5;
/// Stock is ordered when less than so many days of usual demand are there.
const RESTOCK_BELOW_DAYS: f64 = 11.0;
/// Days of usual demand that a delivery of stock covers, least and most.
const STOCK_COVER_DAYS: (f64, f64) = (18.0, 50.0);

pub(crate) fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// A random vector of length 1.
pub(crate) fn random_direction(random: &mut Random) -> Vector {
    normalised(std::array::from_fn(|_| random.normal()))
}

/// `center` and noise in the given parts, scaled to length 1.
pub(crate) fn scattered(center: &Vector, center_part: f64, noise_part: f64, random: &mut Random) -> Vector {
    let noise = random_direction(random);
    normalised(std::array::from_fn(|i| center_part * f64::from(center[i]) + noise_part * f64::from(noise[i])))
}

fn normalised(vector: [f64; DIMENSIONS]) -> Vector {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-9);
    vector.map(|x| (x / length) as f32)
}

#[derive(Debug, Clone)]
pub(crate) struct Seller {
    pub(crate) id: SellerId,
    pub(crate) city: usize,
    pub(crate) payout_account: PayoutAccountId,
    /// Hours from the order to the dispatch, typically.
    pub(crate) handling_hours: f64,
    /// How much longer its parcels are under way, as a factor.
    pub(crate) slowness: f64,
    /// The chance that a delivered line is defective.
    pub(crate) defect_rate: f64,
    /// Its products' numbers.
    pub(crate) products: std::ops::Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) seller: usize,
    pub(crate) category: usize,
    pub(crate) vector: Vector,
    /// Popularity without season, age, price and promotion; the mean over all products is 1.
    pub(crate) popularity: f64,
    pub(crate) first_price_usd_minor: f64,
    pub(crate) price_usd_minor: i64,
    pub(crate) discount_basis_points: i64,
    pub(crate) promotion_ends_day: i32,
    /// First day on offer; negative for those on offer before the simulation.
    pub(crate) listed_day: i32,
    /// First day off offer.
    pub(crate) delisted_day: i32,
    pub(crate) weight_grams: i64,
    pub(crate) on_hand: i64,
    /// What the last stock event said.
    counted: i64,
    restock_day: i32,
    pub(crate) neighbours: [u32; NEIGHBOURS],
    noun: usize,
    colour: usize,
    reference: usize,
}

impl Product {
    pub(crate) fn on_offer(&self, day: i32) -> bool {
        (self.listed_day..self.delisted_day).contains(&day)
    }

    /// The price of one unit today, promotion included, in cents.
    pub(crate) fn price_today_usd_minor(&self) -> i64 {
        (self.price_usd_minor * (10_000 - self.discount_basis_points) / 10_000).max(1)
    }

    /// How much it is wanted today: popularity, age, season, price and promotion. Zero when off offer.
    pub(crate) fn weight_today(&self, day: i32, day_of_year: f64) -> f64 {
        if !self.on_offer(day) {
            return 0.0;
        }
        let words = &CATEGORIES[self.category];
        let phase = (day_of_year - words.peak_day_of_year) / 365.25 * std::f64::consts::TAU;
        let season = (words.season_strength * phase.cos()).exp();
        let age = f64::from(day - self.listed_day);
        let newness = if self.listed_day > 0 {
            0.35 + 0.65 * (1.0 - (-age / 12.0).exp()) + 0.8 * (-age / 25.0).exp()
        } else {
            1.0
        };
        let price = (self.price_usd_minor as f64 / self.first_price_usd_minor).powf(-PRICE_ELASTICITY);
        let promotion = (PROMOTION_ELASTICITY * self.discount_basis_points as f64 / 10_000.0).exp();
        self.popularity * season * newness * price * promotion
    }

    /// The words that buyers search it by.
    pub(crate) fn search_words(&self, random: &mut Random) -> String {
        let noun = CATEGORIES[self.category].nouns[self.noun];
        match random.below(3) {
            0 => noun.to_owned(),
            1 => format!("{} {noun}", self.adjective(0)),
            _ => format!("{} {noun}", COLOURS[self.colour]),
        }
    }

    /// The adjective of the vector's number that stands out most, second most, …
    fn adjective(&self, rank: usize) -> &'static str {
        let mut order: [usize; DIMENSIONS] = std::array::from_fn(|i| i);
        order.sort_by(|a, b| self.vector[*b].abs().total_cmp(&self.vector[*a].abs()));
        let dimension = order[rank];
        ADJECTIVES[dimension][usize::from(self.vector[dimension] < 0.0)]
    }
}

/// All sellers and products. Products of one seller have consecutive numbers.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) sellers: Vec<Seller>,
    pub(crate) products: Vec<Product>,
    categories: Vec<Category>,
    /// The usual number of units sold in a day of a product of popularity 1.
    pub(crate) units_per_popularity: f64,
}

impl Catalog {
    pub(crate) fn new(
        settings: &SimulationSettings,
        random: &mut Random,
        identity: &mut Random,
        units_per_popularity: f64,
    ) -> Result<Self, SimulationError> {
        let categories = CATEGORIES.iter().map(|words| Category::new(words.path)).collect::<Result<_, _>>()?;
        let mut sellers = new_sellers(settings, random, identity);
        let mut products = new_products(settings, &mut sellers, random, identity);
        connect(&mut products, &sellers, random);
        Ok(Self { sellers, products, categories, units_per_popularity })
    }

    pub(crate) fn category(&self, product: usize) -> Category {
        self.categories[self.products[product].category]
    }

    /// Announces the sellers on the first day.
    pub(crate) fn register_sellers(&self, atlas: &Atlas, emitter: &mut Emitter, random: &mut Random) {
        for (number, seller) in self.sellers.iter().enumerate() {
            let first = SHOP_FIRST[number % SHOP_FIRST.len()];
            let second = SHOP_SECOND[(number / SHOP_FIRST.len() + number) % SHOP_SECOND.len()];
            emitter.emit_at_opening(
                random,
                facts::SellerRegistered {
                    seller: seller.id,
                    name: format!("{first} {second} {}", number + 1),
                    region: atlas.regions[CITIES[seller.city].land],
                    payout_account: seller.payout_account,
                },
            );
        }
    }

    /// What happens to the offer before a day's business: listings, prices, promotions, counts and deliveries of stock.
    pub(crate) fn open_day(&mut self, day: i32, atlas: &Atlas, emitter: &mut Emitter, random: &mut Random) {
        for number in 0..self.products.len() {
            if day == self.products[number].listed_day.max(0) {
                self.list(number, day, atlas, emitter, random);
            } else if day == self.products[number].delisted_day {
                emitter.emit_at_opening(random, facts::ProductDelisted { product: self.products[number].id });
            } else if self.products[number].on_offer(day) {
                self.change_price(number, atlas, emitter, random);
                self.change_promotion(number, day, emitter, random);
                self.restock(number, day, emitter, random);
            }
        }
    }

    fn list(&mut self, number: usize, day: i32, atlas: &Atlas, emitter: &mut Emitter, random: &mut Random) {
        self.products[number].on_hand = self.delivery(number, random);
        self.products[number].counted = self.products[number].on_hand;
        self.products[number].restock_day = day;
        let product = &self.products[number];
        let seller = &self.sellers[product.seller];
        let land = CITIES[seller.city].land;
        let noun = CATEGORIES[product.category].nouns[product.noun];
        let listed = facts::ProductListed {
            product: product.id,
            seller: seller.id,
            category: self.categories[product.category],
            title: format!("{} {} {noun}", product.adjective(0), COLOURS[product.colour]),
            description: format!(
                "A {} and {} {noun}, {}.",
                product.adjective(1),
                product.adjective(2),
                USES[random.below(USES.len())]
            ),
            price: Money::new(atlas.local_minor(land, product.price_usd_minor), atlas.currencies[land]),
            price_usd_minor: product.price_usd_minor,
            region: atlas.regions[land],
            weight_grams: product.weight_grams,
            reference: format!("{}{}", 20_000 + product.reference, ["", "A", "B", "L"][product.reference % 4]),
            sale_regions: None,
        };
        let stock =
            facts::StockChanged { product: product.id, quantity_change: product.on_hand, on_hand: product.on_hand };
        emitter.emit_pair_at_opening(random, listed, stock);
    }

    fn change_price(&mut self, number: usize, atlas: &Atlas, emitter: &mut Emitter, random: &mut Random) {
        if !random.chance(PRICE_CHANGES_PER_YEAR / 365.0) {
            return;
        }
        let product = &mut self.products[number];
        let factor = (0.12 * random.normal()).exp().clamp(0.7, 1.4);
        product.price_usd_minor = ((product.first_price_usd_minor * factor).round() as i64).max(5);
        let land = CITIES[self.sellers[product.seller].city].land;
        let price = Money::new(atlas.local_minor(land, product.price_usd_minor), atlas.currencies[land]);
        let changed =
            facts::ProductPriceChanged { product: product.id, price, price_usd_minor: product.price_usd_minor };
        emitter.emit_at_opening(random, changed);
    }

    fn change_promotion(&mut self, number: usize, day: i32, emitter: &mut Emitter, random: &mut Random) {
        let product = &mut self.products[number];
        if product.discount_basis_points > 0 {
            if day >= product.promotion_ends_day {
                product.discount_basis_points = 0;
            }
        } else if random.chance(PROMOTIONS_PER_YEAR / 365.0) {
            product.discount_basis_points = 500 * (2 + random.below(5) as i64);
            product.promotion_ends_day = day + 3 + random.below(8) as i32;
            let started = facts::PromotionStarted {
                product: product.id,
                promotion: PromotionId::at(emitter.day_start(day), emitter.bits()),
                discount_basis_points: product.discount_basis_points,
                ends_at: emitter.day_start(product.promotion_ends_day),
            };
            emitter.emit_at_opening(random, started);
        }
    }

    /// Counts what is there when stock is low and orders more, which comes two to nine days later.
    ///
    /// The changes told in a product's stock events always add up to what is on hand at the event.
    fn restock(&mut self, number: usize, day: i32, emitter: &mut Emitter, random: &mut Random) {
        let usual = self.usual_units(number);
        let product = &self.products[number];
        if product.restock_day < day {
            if product.on_hand as f64 <= usual * RESTOCK_BELOW_DAYS {
                let wait_days = 2 + random.below(8) as i32;
                self.products[number].restock_day = day + wait_days;
                self.count_stock(number, emitter, random);
            }
        } else if product.restock_day == day {
            let delivered = self.delivery(number, random);
            let product = &mut self.products[number];
            product.on_hand += delivered;
            self.count_stock(number, emitter, random);
        }
    }

    fn count_stock(&mut self, number: usize, emitter: &mut Emitter, random: &mut Random) {
        let product = &mut self.products[number];
        let quantity_change = product.on_hand - product.counted;
        if quantity_change == 0 {
            return;
        }
        product.counted = product.on_hand;
        let changed = facts::StockChanged { product: product.id, quantity_change, on_hand: product.on_hand };
        emitter.emit_at_opening(random, changed);
    }

    fn usual_units(&self, number: usize) -> f64 {
        self.products[number].popularity * self.units_per_popularity
    }

    fn delivery(&self, number: usize, random: &mut Random) -> i64 {
        let days = random.between(STOCK_COVER_DAYS.0, STOCK_COVER_DAYS.1);
        (self.usual_units(number) * days * 1.3).ceil() as i64 + 120
    }
}

/// Sellers with products in sizes that fall with their rank.
fn new_sellers(settings: &SimulationSettings, random: &mut Random, identity: &mut Random) -> Vec<Seller> {
    let (sellers, products) = (settings.sellers as usize, settings.products as usize);
    let city_weights: Vec<f64> = CITIES.iter().map(|city| city.weight * LANDS[city.land].share).collect();
    let spare = products - sellers * 4;
    let weights: Vec<f64> = (0..sellers).map(|rank| 1.0 / (rank as f64 + 2.0)).collect();
    let total: f64 = weights.iter().sum();
    let mut first = 0;
    (0..sellers)
        .map(|rank| {
            let own = 4 + (spare as f64 * weights[rank] / total) as usize;
            let end = if rank + 1 == sellers { products } else { first + own };
            let joined = settings.start - (random.between(30.0, 900.0) * dhow_events::DAY_MICROS as f64) as i64;
            let seller = Seller {
                id: SellerId::at(joined, identity.bits()),
                city: random.weighted(&city_weights),
                payout_account: PayoutAccountId::at(joined, identity.bits()),
                handling_hours: (18f64.ln() + 0.5 * random.normal()).exp(),
                slowness: (0.18 * random.normal()).exp(),
                defect_rate: (0.025f64.ln() + 0.7 * random.normal()).exp().min(0.3),
                products: first..end,
            };
            first = end;
            seller
        })
        .collect()
}

fn new_products(
    settings: &SimulationSettings,
    sellers: &mut [Seller],
    random: &mut Random,
    identity: &mut Random,
) -> Vec<Product> {
    let category_centers: Vec<Vector> = CATEGORIES.iter().map(|_| random_direction(random)).collect();
    let popularities = popularities(settings.products as usize, random);
    let mut products = Vec::with_capacity(popularities.len());
    for (seller_number, seller) in sellers.iter().enumerate() {
        let own_categories: [usize; 5] = std::array::from_fn(|_| random.below(CATEGORIES.len()));
        for number in seller.products.clone() {
            let category = own_categories[random.below(own_categories.len())];
            let listed_day = if number > seller.products.start + 2 && random.chance(NEW_PRODUCT_SHARE) {
                1 + random.below(settings.days as usize) as i32
            } else {
                -(random.below(500) as i32)
            };
            let on_offer_days = random.exponential(365.0 / DELISTED_PER_YEAR);
            let words = &CATEGORIES[category];
            let price = (words.price_usd_minor * (0.55 * random.normal()).exp()).round().max(10.0);
            let listed_at = settings.start + i64::from(listed_day) * dhow_events::DAY_MICROS;
            products.push(Product {
                id: ProductId::at(listed_at, identity.bits()),
                seller: seller_number,
                category,
                vector: scattered(&category_centers[category], 0.75, 0.65, random),
                popularity: popularities[number],
                first_price_usd_minor: price,
                price_usd_minor: price as i64,
                discount_basis_points: 0,
                promotion_ends_day: 0,
                listed_day,
                delisted_day: listed_day.max(0) + 20 + on_offer_days.min(1e6) as i32,
                weight_grams: (words.weight_grams * (0.5 * random.normal()).exp()).round().max(5.0) as i64,
                on_hand: 0,
                counted: 0,
                restock_day: 0,
                neighbours: [0; NEIGHBOURS],
                noun: random.below(8),
                colour: random.below(COLOURS.len()),
                reference: number,
            });
        }
    }
    products
}

/// Popularities by rank with noise, shuffled, with mean 1.
fn popularities(count: usize, random: &mut Random) -> Vec<f64> {
    let mut popularities: Vec<f64> = (0..count)
        .map(|rank| (rank as f64 + 3.0).powf(-POPULARITY_EXPONENT) * (POPULARITY_NOISE * random.normal()).exp())
        .collect();
    for last in (1..count).rev() {
        popularities.swap(last, random.below(last + 1));
    }
    let mean = popularities.iter().sum::<f64>() / count as f64;
    popularities.iter_mut().for_each(|popularity| *popularity /= mean);
    popularities
}

/// Gives each product the products of its seller that it goes with: alike in taste, drawn by popularity.
fn connect(products: &mut [Product], sellers: &[Seller], random: &mut Random) {
    const CANDIDATES: usize = 24;
    for seller in sellers {
        for number in seller.products.clone() {
            let mut candidates: Vec<(f64, u32)> = (0..CANDIDATES)
                .map(|_| {
                    let other = seller.products.start + random.below(seller.products.len());
                    let liking = 2.5 * dot(&products[number].vector, &products[other].vector);
                    let listed_before =
                        if products[other].listed_day <= products[number].listed_day.max(0) { 0.0 } else { -1.0 };
                    (liking + products[other].popularity.ln() + 0.7 * random.normal() + listed_before, other as u32)
                })
                .filter(|(_, other)| *other as usize != number)
                .collect();
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            candidates.dedup_by_key(|candidate| candidate.1);
            for (slot, neighbour) in products[number].neighbours.iter_mut().enumerate() {
                *neighbour = candidates.get(slot).map_or(number as u32, |candidate| candidate.1);
            }
        }
    }
}
