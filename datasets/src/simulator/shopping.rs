//! Visits to the storefront and what goes into a basket; paying and what follows is elsewhere.

use dhow_events::{DecisionId, DeviceId, Money, SECOND_MICROS, SessionId, Timestamp, facts};

use super::Simulation;
use super::market::{click_probability, position_share};
use super::vocabulary::{CATEGORIES, COLOURS};

/// The number of different products in a basket by the standard normal quantile; after the invoices of Online Retail.
const LINE_KNOTS: [(f64, f64); 9] = [
    (-1.645, 1.0),
    (-1.282, 2.0),
    (-0.674, 7.4),
    (0.0, 15.8),
    (0.674, 29.0),
    (1.282, 50.0),
    (1.645, 68.0),
    (2.326, 115.0),
    (3.09, 220.0),
];
/// The number of units in a basket, likewise.
const UNIT_KNOTS: [(f64, f64); 9] = [
    (-2.326, 3.0),
    (-1.645, 16.0),
    (-1.282, 37.0),
    (-0.674, 97.0),
    (0.0, 188.0),
    (0.674, 335.0),
    (1.282, 560.0),
    (1.645, 780.0),
    (2.6, 3000.0),
];
/// The mean number of units of a checkout, where each is counted with its product's usual quantity.
pub(crate) const MEAN_UNITS_PER_CHECKOUT: f64 = 295.0;
/// How the spending of a checkout is made up of the buyer's usual and of the occasion.
const USUAL_SPENDING: f64 = 0.6;
const OCCASION_SPENDING: f64 = 0.8;
/// The correlation of the number of lines with the spending, and of the rest with the buyer's usual breadth.
const LINES_WITH_SPENDING: f64 = 0.5;
const LINES_WITH_BREADTH: f64 = 0.5;
/// The baskets above this size are usually sent in as an order list without a visit.
const LIST_ABOVE_LINES: f64 = 9.0;
const MOST_LINES_IN_A_VISIT: usize = 40;
/// Lines that are ordered again, and lines that go with the line before.
const REORDERED: f64 = 0.25;
pub(crate) const GOES_WITH: f64 = 0.25;
/// At most so many draws for a basket of so many lines; after so many repeated ones in a row another seller is asked.
const DRAWS_PER_LINE: usize = 4;
const LEAST_DRAWS: usize = 8;
const DRAWS_BEFORE_ANOTHER_SELLER: u32 = 8;
/// Dearer products are ordered in smaller quantities.
const QUANTITY_PRICE_EXPONENT: f64 = 0.4;
const USUAL_PRICE_USD_MINOR: f64 = 250.0;
const QUANTITY_SPREAD: f64 = 0.7;
/// How many products the storefront shows first.
const SLATE_LENGTH: usize = 8;
/// The share of the buyers who order more than is in stock that do so unaware of it.
const UNAWARE_OF_STOCK: f64 = 0.03;
const SLATE_CHANCE: f64 = 0.7;
const PAUSE_SECONDS: (f64, f64) = (4.0, 55.0);
/// Steps from a viewed product: to one that goes with it, to one that the buyer likes, else to a popular one.
pub(crate) const STEP_TO_NEIGHBOUR: f64 = 0.42;
pub(crate) const STEP_TO_LIKED: f64 = 0.38;
/// The chance of one more step in a visit without a checkout, and the most steps after the first.
pub(crate) const ONE_MORE_STEP: f64 = 0.78;
pub(crate) const MOST_STEPS: u8 = 30;
/// The chance that such a visit puts a product into the cart, that it is taken out again, and the most units of it.
pub(crate) const CART_CHANCE: f64 = 0.15;
pub(crate) const TAKEN_OUT_AGAIN: f64 = 0.4;
pub(crate) const MOST_CART_UNITS: usize = 6;

/// A product in a basket.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct BasketLine {
    pub(crate) seller: usize,
    pub(crate) product: usize,
    /// How often it was drawn.
    pub(crate) draws: u32,
    pub(crate) quantity: i64,
    /// In the buyer's currency.
    pub(crate) unit_price_minor: i64,
    pub(crate) amount_usd_minor: i64,
}

/// The value of a curve given by knots at `z`, geometrically between and beyond them.
fn curve(knots: &[(f64, f64)], z: f64) -> f64 {
    let after = knots.partition_point(|(knot, _)| *knot < z).clamp(1, knots.len() - 1);
    let ((z0, y0), (z1, y1)) = (knots[after - 1], knots[after]);
    (y0.ln() + (z - z0) / (z1 - z0) * (y1 / y0).ln()).exp()
}

/// The expected quantity of a line relative to an average line, by price.
pub(crate) fn quantity_by_price(price_usd_minor: f64) -> f64 {
    (price_usd_minor / USUAL_PRICE_USD_MINOR).powf(-QUANTITY_PRICE_EXPONENT).clamp(0.25, 3.0)
}

impl Simulation {
    /// Fills the basket with what a buyer orders whose occasion calls for `spending` beyond the usual; of one seller only
    /// where one is given.
    pub(super) fn fill_basket(&mut self, number: usize, spending: f64, seller: Option<usize>) {
        let buyer = &self.people.buyers[number];
        let random = &mut self.behaviour;
        let spending_z = USUAL_SPENDING * buyer.spending + OCCASION_SPENDING * spending;
        let own = LINES_WITH_BREADTH * buyer.breadth + (1.0 - LINES_WITH_BREADTH.powi(2)).sqrt() * random.normal();
        let lines_z = LINES_WITH_SPENDING * spending_z + (1.0 - LINES_WITH_SPENDING.powi(2)).sqrt() * own;
        let lines = curve(&LINE_KNOTS, lines_z).round().clamp(1.0, 400.0) as usize;
        let units = curve(&UNIT_KNOTS, spending_z).clamp(1.0, 20_000.0);
        let sellers = seller.map_or_else(|| self.choose_sellers(number, lines), |seller| vec![seller]);
        self.draw_products(number, lines, sellers, seller.is_some());
        self.set_quantities(number, units);
        self.basket.sort_by_key(|line| (line.seller, line.product));
    }

    /// Draws products until the basket has so many different ones. What is drawn again is ordered in a larger quantity,
    /// so that the units of a product follow its popularity although a basket has each product once.
    fn draw_products(&mut self, number: usize, lines: usize, mut sellers: Vec<usize>, only_these: bool) {
        self.basket.clear();
        let (mut last, mut repeated) = (None, 0);
        for _ in 0..DRAWS_PER_LINE * lines + LEAST_DRAWS {
            if self.basket.len() == lines {
                break;
            }
            let Some(product) = self.choose_product(number, &sellers, last) else { continue };
            last = Some(product);
            if let Some(line) = self.basket.iter_mut().find(|line| line.product == product) {
                line.draws += 1;
                repeated += 1;
            } else {
                repeated = 0;
                let seller = self.catalog.products[product].seller;
                self.basket.push(BasketLine { product, seller, draws: 1, ..BasketLine::default() });
            }
            if repeated == DRAWS_BEFORE_ANOTHER_SELLER && !only_these {
                repeated = 0;
                let another = self.market.liked(self.people.buyers[number].cluster, &mut self.behaviour);
                sellers.push(self.catalog.products[another].seller);
            }
        }
    }

    /// Shares the units among the lines, by draws and price. Most buyers then cut the basket to what is in stock; the
    /// others will be refused.
    fn set_quantities(&mut self, number: usize, units: f64) {
        let land = self.people.buyers[number].land();
        let draws: u32 = self.basket.iter().map(|line| line.draws).sum();
        for line in &mut self.basket {
            let known = &self.catalog.products[line.product];
            let price_usd_minor = known.price_today_usd_minor();
            let spread = (QUANTITY_SPREAD * self.behaviour.normal() - QUANTITY_SPREAD * QUANTITY_SPREAD / 2.0).exp();
            let share = f64::from(line.draws) / f64::from(draws);
            let wanted = units * share * quantity_by_price(price_usd_minor as f64) * spread;
            line.quantity = whole_pack(wanted);
            line.unit_price_minor = self.atlas.local_minor(land, price_usd_minor);
        }
        if !self.basket_in_stock() && !self.behaviour.chance(UNAWARE_OF_STOCK) {
            let products = &self.catalog.products;
            self.basket.iter_mut().for_each(|line| line.quantity = line.quantity.min(products[line.product].on_hand));
            self.basket.retain(|line| line.quantity > 0);
        }
        for line in &mut self.basket {
            line.amount_usd_minor = self.atlas.usd_minor(land, line.unit_price_minor * line.quantity);
        }
    }

    /// The sellers that a basket is bought from: more of them for a larger basket; often a known one first.
    fn choose_sellers(&mut self, number: usize, lines: usize) -> Vec<usize> {
        let buyer = &self.people.buyers[number];
        let random = &mut self.behaviour;
        let count = 1 + lines / 30 + usize::from(random.chance(0.25));
        let mut sellers = Vec::with_capacity(count);
        for place in 0..count {
            let known = if place == 0 && random.chance(0.5) { buyer.remembered(random) } else { None };
            let product = known.unwrap_or_else(|| self.market.liked(buyer.cluster, random));
            sellers.push(self.catalog.products[product].seller);
        }
        sellers
    }

    /// A product for the next draw: one ordered before, one that goes with the last one, or one that is liked.
    fn choose_product(&mut self, number: usize, sellers: &[usize], last: Option<usize>) -> Option<usize> {
        let buyer = &self.people.buyers[number];
        let random = &mut self.behaviour;
        let kind = random.unit();
        let known = if kind < REORDERED {
            buyer.remembered(random)
        } else if kind < REORDERED + GOES_WITH {
            last.and_then(|last| self.market.neighbour(&self.catalog, last, random))
        } else {
            None
        };
        let fits = |product: &usize| {
            self.market.on_offer(*product) && sellers.contains(&self.catalog.products[*product].seller)
        };
        match known.filter(fits) {
            Some(product) => Some(product),
            None => {
                let seller = sellers[random.below(sellers.len())];
                self.market.liked_of_seller(&self.catalog, buyer, seller, random)
            }
        }
    }

    /// Whether a basket of this size is put together in a visit.
    pub(super) fn shops_in_a_visit(&mut self) -> bool {
        let size = self.basket.len() as f64 / LIST_ABOVE_LINES;
        self.basket.len() <= MOST_LINES_IN_A_VISIT && self.behaviour.chance(1.0 / (1.0 + size * size))
    }

    /// A visit that ends without a checkout.
    pub(super) fn browse(&mut self, number: usize, at: Timestamp) {
        let device = self.people.buyers[number].device;
        let land = self.people.buyers[number].land();
        let mut visit = self.start_visit(number, device, land, at);
        let steps = 1 + self.behaviour.run_length(ONE_MORE_STEP, MOST_STEPS);
        self.wander(number, &mut visit, usize::from(steps));
        if self.behaviour.chance(CART_CHANCE) {
            let (product, quantity) = (visit.product, 1 + self.behaviour.below(MOST_CART_UNITS) as i64);
            self.add_to_cart(number, &mut visit, product, quantity);
            if self.behaviour.chance(TAKEN_OUT_AGAIN) {
                self.remove_from_cart(number, &mut visit, product, quantity);
            }
        }
    }

    /// The visit in which the basket is put together, and when it ends.
    pub(super) fn shop(
        &mut self,
        number: usize,
        device: DeviceId,
        land: usize,
        at: Timestamp,
    ) -> (SessionId, Timestamp) {
        let mut visit = self.start_visit(number, device, land, at);
        let extra = self.behaviour.run_length(0.6, 8);
        self.wander(number, &mut visit, usize::from(extra));
        for index in 0..self.basket.len() {
            let BasketLine { product, quantity, .. } = self.basket[index];
            if self.behaviour.chance(0.6) {
                self.view(number, &mut visit, product, None);
            }
            self.add_to_cart(number, &mut visit, product, quantity);
        }
        (visit.session, visit.pause(&mut self.behaviour))
    }

    fn start_visit(&mut self, number: usize, device: DeviceId, land: usize, at: Timestamp) -> Visiting {
        let buyer = &self.people.buyers[number];
        let session = SessionId::at(at, self.emitter.bits());
        let region = self.atlas.regions[land];
        self.emitter.emit(at, facts::SessionStarted { session, buyer: Some(buyer.id), device, region });
        let product = self.market.liked(buyer.cluster, &mut self.behaviour);
        let mut visit = Visiting { session, device, land, at, product };
        if self.behaviour.chance(SLATE_CHANCE) {
            self.show_slate(number, &mut visit);
        }
        visit
    }

    /// Shows popular products on the front page and clicks those that please.
    fn show_slate(&mut self, number: usize, visit: &mut Visiting) {
        let buyer = self.people.buyers[number].id;
        let decision = DecisionId::at(visit.at, self.emitter.bits());
        let mut products = Vec::with_capacity(SLATE_LENGTH);
        for _ in 0..SLATE_LENGTH {
            let product = self.market.popular(&mut self.behaviour);
            if !products.contains(&product) {
                products.push(product);
            }
        }
        let mut listed = String::with_capacity(products.len() * 41);
        for product in &products {
            if !listed.is_empty() {
                listed.push(',');
            }
            listed.push_str(&self.catalog.products[*product].id.to_string());
        }
        let served = facts::SlateServed {
            decision,
            buyer: Some(buyer),
            session: Some(visit.session),
            surface: "home".to_owned(),
            model: "storefront-popular".to_owned(),
            products: listed,
            degraded: false,
            kinds: None,
            propensities: None,
            arm: None,
        };
        self.emitter.emit(visit.at + SECOND_MICROS, served);
        for (position, product) in products.into_iter().enumerate() {
            let shown = &self.catalog.products[product];
            let taste = &self.people.buyers[number].taste;
            let click = click_probability(taste, &shown.vector, shown.popularity) * position_share(position);
            if self.behaviour.chance(click) {
                self.view(number, visit, product, Some(decision));
            }
        }
    }

    /// Goes from product to product, with a search now and then.
    fn wander(&mut self, number: usize, visit: &mut Visiting, steps: usize) {
        for _ in 0..steps {
            let kind = self.behaviour.unit();
            let next = if kind < STEP_TO_NEIGHBOUR {
                self.market.neighbour(&self.catalog, visit.product, &mut self.behaviour)
            } else if kind < STEP_TO_NEIGHBOUR + STEP_TO_LIKED {
                let buyer = &self.people.buyers[number];
                let seller = self.catalog.products[self.market.liked(buyer.cluster, &mut self.behaviour)].seller;
                self.market.liked_of_seller(&self.catalog, buyer, seller, &mut self.behaviour)
            } else {
                None
            };
            let product = next.unwrap_or_else(|| self.market.popular(&mut self.behaviour));
            if self.behaviour.chance(0.12) {
                self.search(number, visit, product);
            }
            self.view(number, visit, product, None);
        }
    }

    fn search(&mut self, number: usize, visit: &mut Visiting, product: usize) {
        let at = visit.pause(&mut self.behaviour);
        let query = self.catalog.products[product].search_words(&mut self.behaviour);
        let alike =
            self.catalog.products.len() / CATEGORIES.len() / if query.contains(' ') { COLOURS.len() } else { 4 };
        let searched = facts::SearchPerformed {
            session: visit.session,
            buyer: Some(self.people.buyers[number].id),
            query,
            result_count: 1 + self.behaviour.below(2 * alike + 1) as i64,
        };
        self.emitter.emit(at, searched);
    }

    fn view(&mut self, number: usize, visit: &mut Visiting, product: usize, decision: Option<DecisionId>) {
        let at = visit.pause(&mut self.behaviour);
        visit.product = product;
        let viewed = facts::ProductViewed {
            session: visit.session,
            buyer: Some(self.people.buyers[number].id),
            product: self.catalog.products[product].id,
            device: visit.device,
            region: self.atlas.regions[visit.land],
            decision,
        };
        self.emitter.emit(at, viewed);
    }

    fn add_to_cart(&mut self, number: usize, visit: &mut Visiting, product: usize, quantity: i64) {
        let at = visit.pause(&mut self.behaviour);
        let buyer = &self.people.buyers[number];
        let known = &self.catalog.products[product];
        let price_minor = self.atlas.local_minor(buyer.land(), known.price_today_usd_minor());
        let added = facts::CartItemAdded {
            session: visit.session,
            buyer: Some(buyer.id),
            product: known.id,
            quantity,
            unit_price: Money::new(price_minor, self.atlas.currencies[buyer.land()]),
        };
        self.emitter.emit(at, added);
    }

    fn remove_from_cart(&mut self, number: usize, visit: &mut Visiting, product: usize, quantity: i64) {
        let at = visit.pause(&mut self.behaviour);
        let removed = facts::CartItemRemoved {
            session: visit.session,
            buyer: Some(self.people.buyers[number].id),
            product: self.catalog.products[product].id,
            quantity,
        };
        self.emitter.emit(at, removed);
    }
}

/// A visit under way.
struct Visiting {
    session: SessionId,
    device: DeviceId,
    land: usize,
    at: Timestamp,
    /// The product looked at last.
    product: usize,
}

impl Visiting {
    /// Lets some seconds pass and gives the time.
    fn pause(&mut self, random: &mut super::random::Random) -> Timestamp {
        self.at = self.at + (random.between(PAUSE_SECONDS.0, PAUSE_SECONDS.1) * SECOND_MICROS as f64) as i64;
        self.at
    }
}

/// The number of units that is ordered when about `wanted` are: small numbers as they are, larger ones in packs.
fn whole_pack(wanted: f64) -> i64 {
    let pack = match wanted {
        w if w < 5.0 => 1.0,
        w if w < 14.0 => 2.0,
        w if w < 60.0 => 6.0,
        _ => 12.0,
    };
    ((wanted / pack).round() * pack).max(1.0) as i64
}
