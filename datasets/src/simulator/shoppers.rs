//! Shoppers who come after the log has ended and answer to slates by the simulator's truth; what a slate holds is chosen elsewhere.
//!
//! A recommender is judged here by an A/B test on people whose tastes are known. The truth is kept from the recommender by
//! what it is given: it learns from the simulation's events alone, and of a visit it is told what any storefront knows
//! (who, where, when, which pages were opened, what was clicked and bought). Tastes, clusters, probabilities and the
//! table of what goes with what stay inside [`Shoppers`]; only the oracle's slate and a test read them.
//!
//! How a shopper answers, all of it with the numbers that the log itself was drawn with:
//! 1. A visit opens on the home page and lasts as many pages as a simulated visit without a checkout.
//! 2. Each product of a slate is clicked by the click model of the log (taste and popularity) times what its position
//!    leaves. On a product's page a second, independent reason is what goes with that product, at the chance of the
//!    simulated step to it. What is off offer, or was opened in this visit already, is not clicked.
//! 3. A clicked product is bought as often as a simulated visit keeps one in its cart, more or less often as the person's own
//!    taste prefers it to an average product.
//! 4. The last product clicked is the next page. Without a click the shopper goes on alone, as in the log: to what goes with
//!    the page, to what is liked, or to something popular.
//!
//! The offer stays as on the last simulated day, and stock does not run out. Sales are those through slates: what people
//! would buy anyway (most orders of the log come as lists) is the same for every recommender and not counted.
//!
//! The draws of a visit depend on the seed, the visit's number, the page's number and the position alone: recommenders that
//! are compared on the same visits meet equal luck as long as the pages are the same.

use dhow_events::{
    BuyerId, DAY_MICROS, DeviceId, Event, Fact, ProductId, Region, SECOND_MICROS, SellerId, SessionId, TenantId,
    Timestamp,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::catalog::dot;
use super::market::{CLUSTER_TASTE, NEIGHBOUR_WEIGHTS, OWN_TASTE, click_probability_of_liking, position_share};
use super::people::{CLUSTER_PART, CLUSTERS};
use super::random::{Cumulative, Random};
use super::shopping::{
    CART_CHANCE, MOST_CART_UNITS, MOST_STEPS, ONE_MORE_STEP, STEP_TO_LIKED, STEP_TO_NEIGHBOUR, TAKEN_OUT_AGAIN,
};
use super::truth::{ProductTruth, Truth};

/// A slate has at most so many products.
pub const MOST_SLATE: usize = 100;
/// From the beginning of one visit to that of the next.
const BETWEEN_VISITS_MICROS: i64 = 10 * SECOND_MICROS;
/// How long a page is looked at.
const PAGE_MICROS: i64 = 30 * SECOND_MICROS;

/// Why shoppers cannot be made or cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShopperError {
    /// The truth is of a simulation under way.
    #[error("the truth ends before day {days}; run the simulation to its end first")]
    Unfinished {
        /// The days that it was to have.
        days: u32,
    },
    /// Nobody who could come.
    #[error("no buyer of the truth is an honest customer; simulate more buyers or days")]
    NoVisitors,
    /// A product has no price in the log.
    #[error("no event of the log lists {product}; observe every event of the simulation")]
    Unpriced {
        /// Which.
        product: ProductId,
    },
    /// The visit is over.
    #[error("the visit has ended; ask `page()` before a slate is shown")]
    Ended,
    /// A slate shows nothing or too much.
    #[error("a slate of {length} products; show 1 to {MOST_SLATE}")]
    Length {
        /// How many it has.
        length: usize,
    },
    /// A slate shows what was never listed.
    #[error("position {position} of the slate shows {product}, which the simulation does not know")]
    Unknown {
        /// Where, from 0.
        position: usize,
        /// What.
        product: ProductId,
    },
    /// A slate shows a product twice.
    #[error("position {position} of the slate repeats {product}; show each product once")]
    Repeated {
        /// Where, from 0.
        position: usize,
        /// What.
        product: ProductId,
    },
}

/// What the log tells of a product.
#[derive(Debug, Clone, Copy, Default)]
struct Offer {
    seller: Option<SellerId>,
    price_usd_minor: i64,
    priced_at: Timestamp,
    delisted: bool,
    views: u64,
    order_lines: u64,
}

/// What popularity counts. Views are the stronger floor for clicks, order lines often for sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Popularity {
    /// How often the product's page was opened.
    Views,
    /// How many order lines have the product.
    OrderLines,
}

/// Gathers from the events of a simulation what everybody can know of its offer: prices, what is listed, what sells.
#[derive(Debug, Clone, Default)]
pub struct OfferCollector {
    offers: FxHashMap<ProductId, Offer>,
}

impl OfferCollector {
    /// A collector that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an event.
    pub fn observe(&mut self, event: &Event) {
        match &event.fact {
            Fact::ProductListed(fact) => {
                self.offers.entry(fact.product).or_default().seller = Some(fact.seller);
                self.price(fact.product, event.event_time, fact.price_usd_minor);
            }
            Fact::ProductPriceChanged(fact) => self.price(fact.product, event.event_time, fact.price_usd_minor),
            Fact::ProductDelisted(fact) => self.offers.entry(fact.product).or_default().delisted = true,
            Fact::ProductViewed(fact) => self.offers.entry(fact.product).or_default().views += 1,
            Fact::ItemOrdered(fact) => self.offers.entry(fact.product).or_default().order_lines += 1,
            _ => {}
        }
    }

    fn price(&mut self, product: ProductId, at: Timestamp, price_usd_minor: i64) {
        let offer = self.offers.entry(product).or_default();
        if offer.priced_at <= at {
            (offer.price_usd_minor, offer.priced_at) = (price_usd_minor, at);
        }
    }

    /// What is on offer, the most popular first: the recommender that knows nobody.
    pub fn by_popularity(&self, popularity: Popularity) -> Vec<ProductId> {
        let count = |offer: &Offer| match popularity {
            Popularity::Views => offer.views,
            Popularity::OrderLines => offer.order_lines,
        };
        let mut offered: Vec<(u64, ProductId)> =
            self.offers.iter().filter(|(_, offer)| !offer.delisted).map(|(id, offer)| (count(offer), *id)).collect();
        offered.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        offered.into_iter().map(|(_, product)| product).collect()
    }
}

/// The page that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The front page.
    Home,
    /// The page of a product.
    Product(ProductId),
}

/// A visit under way, as the storefront knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// Who.
    pub buyer: BuyerId,
    /// The visit's id.
    pub session: SessionId,
    /// The device used.
    pub device: DeviceId,
    /// Where the device is.
    pub region: Region,
    /// When the open page was opened; the first one after the last day of the log.
    pub at: Timestamp,
    /// The products opened so far, in order, those found without a slate included.
    pub viewed: Vec<ProductId>,
    number: u64,
    buyer_number: usize,
    /// What the shopper came for, by number.
    wanted: usize,
    pages_seen: u64,
    pages_left: u32,
}

impl Visit {
    /// The page that is open; nothing when the visit has ended.
    pub fn page(&self) -> Option<Page> {
        (self.pages_left > 0).then(|| self.viewed.last().map_or(Page::Home, |product| Page::Product(*product)))
    }
}

/// Units bought of a clicked product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Units.
    pub quantity: i64,
    /// What they cost, in cents.
    pub amount_usd_minor: i64,
}

/// A click on a slate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Click {
    /// The place in the slate, from 0.
    pub position: usize,
    /// What was clicked.
    pub product: ProductId,
    /// What was bought of it.
    pub purchase: Option<Purchase>,
}

/// A shopper's answer to a slate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The clicks in the order of their positions.
    pub clicks: Vec<Click>,
}

impl Response {
    /// What was bought through the slate, in cents.
    pub fn sales_usd_minor(&self) -> i64 {
        self.clicks.iter().filter_map(|click| click.purchase).map(|purchase| purchase.amount_usd_minor).sum()
    }
}

/// What a stream of draws is for.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Visit,
    Clicks,
    Purchases,
    Step,
}

/// The people of a finished simulation, who go on visiting.
#[derive(Debug)]
pub struct Shoppers<'t> {
    truth: &'t Truth,
    seed: u64,
    numbers: FxHashMap<ProductId, usize>,
    prices_usd_minor: Vec<i64>,
    /// For each cluster, the logarithm of how likely each product is picked among its seller's.
    choices: Vec<Vec<f64>>,
    by_views: Vec<ProductId>,
    by_order_lines: Vec<ProductId>,
    /// The numbers of the products on offer on the last day.
    offered: Vec<usize>,
    visitors: Cumulative,
    wanted: Cumulative,
    wanted_by_cluster: Vec<Cumulative>,
}

/// The logarithm of how likely somebody of the cluster picks each product among those of its seller.
fn choices_among_sellers(truth: &Truth, sellers: &[Option<SellerId>], cluster: usize) -> Vec<f64> {
    let wanted: Vec<f64> = truth
        .products
        .iter()
        .zip(truth.liking(cluster))
        .map(|(product, liking)| product.popularity * f64::from(*liking))
        .collect();
    let mut totals: FxHashMap<Option<SellerId>, f64> = FxHashMap::default();
    sellers.iter().zip(&wanted).for_each(|(seller, wanted)| *totals.entry(*seller).or_default() += wanted);
    sellers.iter().zip(&wanted).map(|(seller, wanted)| (wanted / totals[seller]).ln()).collect()
}

impl<'t> Shoppers<'t> {
    /// The shoppers of a finished simulation whose every event went through `offer`.
    ///
    /// # Errors
    /// A simulation under way, without honest customers, or with products that `offer` has not seen.
    pub fn new(truth: &'t Truth, offer: &OfferCollector, seed: u64) -> Result<Self, ShopperError> {
        let weights = truth.last_weights().ok_or(ShopperError::Unfinished { days: truth.days })?;
        let offered: Vec<usize> = (0..weights.len()).filter(|product| weights[*product] > 0.0).collect();
        let mut prices_usd_minor = vec![0; weights.len()];
        let seller = |product: &ProductTruth| offer.offers.get(&product.product).and_then(|offer| offer.seller);
        let sellers: Vec<Option<SellerId>> = truth.products.iter().map(seller).collect();
        let choices = (0..CLUSTERS).map(|cluster| choices_among_sellers(truth, &sellers, cluster)).collect();
        for number in &offered {
            let product = truth.products[*number].product;
            let known = offer.offers.get(&product).filter(|offer| offer.price_usd_minor > 0);
            prices_usd_minor[*number] = known.ok_or(ShopperError::Unpriced { product })?.price_usd_minor;
        }
        let mut visitors = Cumulative::default();
        visitors.rebuild(truth.buyers.iter().map(|buyer| buyer.checkouts_per_day));
        let mut wanted = Cumulative::default();
        wanted.rebuild(weights.iter().map(|weight| f64::from(*weight)));
        if visitors.total() <= 0.0 || wanted.total() <= 0.0 {
            return Err(ShopperError::NoVisitors);
        }
        let wanted_by_cluster = (0..CLUSTERS)
            .map(|cluster| {
                let mut table = Cumulative::default();
                table.rebuild(
                    weights.iter().zip(truth.liking(cluster)).map(|(weight, liking)| f64::from(weight * liking)),
                );
                table
            })
            .collect();
        let numbers = truth.products.iter().zip(0..).map(|(product, number)| (product.product, number)).collect();
        Ok(Self {
            truth,
            seed,
            numbers,
            prices_usd_minor,
            choices,
            by_views: offer.by_popularity(Popularity::Views),
            by_order_lines: offer.by_popularity(Popularity::OrderLines),
            offered,
            visitors,
            wanted,
            wanted_by_cluster,
        })
    }

    /// A visit by its number: always the same one. People come in proportion to how often they buy.
    pub fn visit(&self, number: u64) -> Visit {
        let mut random = self.stream(number, 0, Draw::Visit);
        let buyer_number = self.visitors.draw(&mut random, 0..self.truth.buyers.len()).unwrap_or(0);
        let buyer = &self.truth.buyers[buyer_number];
        let end = self.truth.start + i64::from(self.truth.days) * DAY_MICROS;
        let at = end + number as i64 * BETWEEN_VISITS_MICROS;
        Visit {
            buyer: buyer.buyer,
            session: SessionId::at(at, random.bits()),
            device: DeviceId::from_reference(&TenantId::default(), &buyer.buyer.to_string()),
            region: buyer.region,
            at,
            viewed: Vec::new(),
            number,
            buyer_number,
            wanted: self.liked(buyer_number, &mut random),
            pages_seen: 0,
            pages_left: 1 + u32::from(random.run_length(ONE_MORE_STEP, MOST_STEPS)),
        }
    }

    /// Shows a slate on the open page: the shopper clicks, buys, and goes on to the next page.
    ///
    /// # Errors
    /// A visit that has ended, or a slate that is empty, too long, or shows an unknown product or one twice.
    pub fn respond(&self, visit: &mut Visit, slate: &[ProductId]) -> Result<Response, ShopperError> {
        let chances = self.click_probabilities(visit, slate)?;
        let mut attention = self.stream(visit.number, visit.pages_seen, Draw::Clicks);
        let mut purse = self.stream(visit.number, visit.pages_seen, Draw::Purchases);
        let mut response = Response::default();
        for (position, (product, chance)) in slate.iter().zip(chances).enumerate() {
            // Both draws are made at every position, so that what one position shows moves no other's luck.
            let (clicked, purchase) = (attention.chance(chance), self.purchase(visit, *product, &mut purse));
            if clicked {
                response.clicks.push(Click { position, product: *product, purchase });
            }
        }
        self.go_on(visit, &response);
        Ok(response)
    }

    /// The probability that each product of a slate is clicked, its position included. For oracles and tests only.
    ///
    /// # Errors
    /// As [`Self::respond`].
    pub fn click_probabilities(&self, visit: &Visit, slate: &[ProductId]) -> Result<Vec<f64>, ShopperError> {
        if visit.page().is_none() {
            return Err(ShopperError::Ended);
        }
        if slate.is_empty() || slate.len() > MOST_SLATE {
            return Err(ShopperError::Length { length: slate.len() });
        }
        let mut shown = FxHashSet::default();
        slate
            .iter()
            .enumerate()
            .map(|(position, product)| {
                let known = self.numbers.get(product);
                let number = *known.ok_or(ShopperError::Unknown { position, product: *product })?;
                if !shown.insert(number) {
                    return Err(ShopperError::Repeated { position, product: *product });
                }
                let liking = self.truth.click_probability(visit.buyer_number, number);
                Ok(self.interest(visit, number, liking) * position_share(position))
            })
            .collect()
    }

    /// The slate with the most expected clicks on the open page, by the truth: the ceiling of every recommender for one
    /// page. Over a whole visit another slate may lead to better pages.
    pub fn oracle_slate(&self, visit: &Visit, count: usize) -> Vec<ProductId> {
        self.best_slate(visit, count, |number| self.truth.click_probability(visit.buyer_number, number))
    }

    /// The slate with the most expected clicks for a shopper whose liking of a product, as the probability of a click, is given.
    fn best_slate(&self, visit: &Visit, count: usize, liking: impl Fn(usize) -> f64) -> Vec<ProductId> {
        let interest = |number: &usize| (self.interest(visit, *number, liking(*number)), *number);
        let mut best: Vec<(f64, usize)> = self.offered.iter().map(interest).collect();
        let order = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if count < best.len() {
            best.select_nth_unstable_by(count, order);
            best.truncate(count);
        }
        best.sort_unstable_by(order);
        best.into_iter().map(|(_, number)| self.truth.products[number].product).collect()
    }

    /// The likely cluster of a person who picked these products, by the simulation's own laws of choice: the probability
    /// of each cluster. A pick counts half, as the picks of one basket follow one another.
    pub fn clusters_of_picks(&self, picks: &[ProductId]) -> [f64; CLUSTERS] {
        let numbers: FxHashSet<usize> = picks.iter().filter_map(|pick| self.numbers.get(pick)).copied().collect();
        let log = |choice: &Vec<f64>| numbers.iter().map(|number| 0.5 * choice[*number]).sum::<f64>();
        let logs: [f64; CLUSTERS] = std::array::from_fn(|cluster| log(&self.choices[cluster]));
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = logs.map(|log| (log - best).exp());
        let total: f64 = weights.iter().sum();
        weights.map(|weight| weight / total)
    }

    /// The slate of a recommender that knows every law of the simulation, every product's truth and what goes with what,
    /// and of the person only what the log tells about the cluster: what a recommender can hope to learn from the log, but
    /// for the person's own part of the taste.
    pub fn informed_slate(&self, visit: &Visit, clusters: &[f64; CLUSTERS], count: usize) -> Vec<ProductId> {
        self.best_slate(visit, count, |number| {
            let product = &self.truth.products[number];
            let expected = |(cluster, probability): (usize, &f64)| {
                let liking = f64::from(self.truth.liking(cluster)[number]).ln() / CLUSTER_TASTE;
                probability * click_probability_of_liking(CLUSTER_PART * liking, product.popularity)
            };
            clusters.iter().enumerate().map(expected).sum()
        })
    }

    /// The most popular products by the log, without those opened in this visit: the floor.
    pub fn popular_slate(&self, visit: &Visit, count: usize, popularity: Popularity) -> Vec<ProductId> {
        let products = match popularity {
            Popularity::Views => &self.by_views,
            Popularity::OrderLines => &self.by_order_lines,
        };
        products.iter().filter(|product| !visit.viewed.contains(product)).take(count).copied().collect()
    }

    fn stream(&self, visit: u64, page: u64, draw: Draw) -> Random {
        // Eight bits hold any page of a visit, two the kind of draw; counting visits from 1 keeps off the purposes.
        Random::numbered(self.seed, ((visit + 1) << 10) | (page << 2) | draw as u64)
    }

    /// The probability of a click in the first position of the open page.
    fn interest(&self, visit: &Visit, number: usize, liking: f64) -> f64 {
        let product = &self.truth.products[number];
        if self.prices_usd_minor[number] == 0 || visit.viewed.contains(&product.product) {
            return 0.0;
        }
        let together = visit.viewed.last().map_or(0.0, |open| self.goes_with(self.numbers[open], number));
        1.0 - (1.0 - liking) * (1.0 - STEP_TO_NEIGHBOUR * together)
    }

    /// How often the step from a product to what goes with it leads to `other`.
    fn goes_with(&self, product: usize, other: usize) -> f64 {
        let neighbours = self.truth.products[product].neighbours.iter().zip(NEIGHBOUR_WEIGHTS);
        neighbours.filter(|(neighbour, _)| **neighbour as usize == other).map(|(_, weight)| weight).sum()
    }

    /// What would be bought of a product if it was clicked.
    fn purchase(&self, visit: &Visit, product: ProductId, purse: &mut Random) -> Option<Purchase> {
        let (buys, units) = (purse.unit(), 1 + purse.below(MOST_CART_UNITS));
        let number = self.numbers[&product];
        let preference = 1.0 / (1.0 + (-OWN_TASTE * self.own_liking(visit.buyer_number, number)).exp());
        (buys < CART_CHANCE * (1.0 - TAKEN_OUT_AGAIN) * 2.0 * preference).then(|| {
            let quantity =
                (units as f64 * f64::from(self.truth.products[number].quantity_factor)).round().max(1.0) as i64;
            Purchase { quantity, amount_usd_minor: quantity * self.prices_usd_minor[number] }
        })
    }

    /// How a product pleases the person's own taste, beyond the cluster's.
    fn own_liking(&self, buyer: usize, product: usize) -> f64 {
        let buyer = &self.truth.buyers[buyer];
        let of_cluster = f64::from(self.truth.liking(usize::from(buyer.cluster))[product]).ln() / CLUSTER_TASTE;
        dot(&buyer.taste, &self.truth.products[product].vector) - CLUSTER_PART * of_cluster
    }

    fn go_on(&self, visit: &mut Visit, response: &Response) {
        let mut random = self.stream(visit.number, visit.pages_seen, Draw::Step);
        let open = visit.viewed.last().map_or(visit.wanted, |product| self.numbers[product]);
        let alone = self.step_alone(visit.buyer_number, open, &mut random);
        visit.viewed.extend(response.clicks.iter().map(|click| click.product));
        visit.pages_seen += 1;
        visit.pages_left -= 1;
        visit.at = visit.at + PAGE_MICROS;
        if response.clicks.is_empty() && visit.pages_left > 0 {
            visit.viewed.push(self.truth.products[alone].product);
        }
    }

    /// Where the shopper goes who follows no slate.
    fn step_alone(&self, buyer: usize, open: usize, random: &mut Random) -> usize {
        let kind = random.unit();
        let next = if kind < STEP_TO_NEIGHBOUR {
            let neighbour = self.truth.products[open].neighbours[random.weighted(&NEIGHBOUR_WEIGHTS)] as usize;
            (neighbour != open && self.prices_usd_minor[neighbour] > 0).then_some(neighbour)
        } else if kind < STEP_TO_NEIGHBOUR + STEP_TO_LIKED {
            Some(self.liked(buyer, random))
        } else {
            None
        };
        next.unwrap_or_else(|| self.wanted.draw(random, 0..self.truth.products.len()).unwrap_or(self.offered[0]))
    }

    /// A product by the cluster's taste, the better of two by the person's own.
    fn liked(&self, buyer: usize, random: &mut Random) -> usize {
        let table = &self.wanted_by_cluster[usize::from(self.truth.buyers[buyer].cluster)];
        let products = 0..self.truth.products.len();
        let first = table.draw(random, products.clone()).unwrap_or(self.offered[0]);
        let second = table.draw(random, products).unwrap_or(self.offered[0]);
        let preference = OWN_TASTE * (self.own_liking(buyer, first) - self.own_liking(buyer, second));
        if random.chance(1.0 / (1.0 + (-preference).exp())) { first } else { second }
    }
}
