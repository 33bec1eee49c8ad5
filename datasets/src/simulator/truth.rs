//! What the simulator knows and its events do not tell, for evaluation only; no trainer reads it.

use dhow_events::{BuyerId, CheckoutId, ProductId, Region, ShipmentId, Timestamp};
use serde::{Deserialize, Serialize};

use super::SimulationSettings;
use super::catalog::{Catalog, NEIGHBOURS};
use super::day::FIRST_DAY_ORDER;
use super::fraud::CheckoutKind;
use super::market::{Market, click_probability};
use super::people::{Buyer, CLUSTERS, People};
use super::places::{Atlas, LANDS};
use super::shopping::{GOES_WITH, MEAN_UNITS_PER_CHECKOUT, quantity_by_price};
use super::vocabulary::DIMENSIONS;

/// The truth of one checkout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CheckoutTruth {
    /// Which.
    pub checkout: CheckoutId,
    /// When it was submitted.
    pub at: Timestamp,
    /// Honest, or the kind of fraud.
    pub kind: CheckoutKind,
    /// The probability of fraud that an oracle gives who knows how appearances are drawn and sees this one.
    pub probability: f32,
}

/// The truth of one parcel: its minutes under way are log-normal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeliveryTruth {
    /// Which.
    pub shipment: ShipmentId,
    /// When it left.
    pub dispatched_at: Timestamp,
    /// When its delivery was promised.
    pub promised_at: Timestamp,
    /// The median of the minutes from leaving to delivery.
    pub median_minutes: f32,
    /// The standard deviation of their natural logarithm.
    pub log_spread: f32,
}

/// The truth of one buyer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuyerTruth {
    /// Who.
    pub buyer: BuyerId,
    /// Where the account's owner lives.
    pub region: Region,
    /// The group of tastes, from 0.
    pub cluster: u16,
    /// The taste, a vector of length 1.
    pub taste: [f32; DIMENSIONS],
    /// How often the person buys while a customer, checkouts a day; 0 for accounts of fraudsters and for who never joined.
    pub checkouts_per_day: f64,
}

/// The truth of one product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductTruth {
    /// Which.
    pub product: ProductId,
    /// Where it is in the space of tastes, a vector of length 1.
    pub vector: [f32; DIMENSIONS],
    /// Popularity without season, age, price and promotion; the mean is 1.
    pub popularity: f64,
    /// The first simulated day on offer, and the first day off offer.
    pub on_offer_days: (i32, i32),
    /// The numbers of the products that it goes with, strongest first.
    pub neighbours: [u32; NEIGHBOURS],
    /// Its usual quantity in a line, relative to other products'.
    pub quantity_factor: f32,
}

/// What is needed to give the expected demand of any product, region and day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DemandTruth {
    /// Liking of each product by each cluster: cluster × product.
    liking: Vec<f32>,
    /// Weight of each product on each day without taste: day × product.
    weights: Vec<f32>,
    /// The sum over the products of weight × liking: day × cluster.
    norms: Vec<f32>,
    /// How often each product is ordered because it goes with another, beside how often it is wanted itself, on average
    /// over the clusters: day × product.
    following: Vec<f32>,
    /// Expected checkouts of each cluster in each region: day × region × cluster.
    checkouts: Vec<f32>,
}

/// Everything that the simulator knows. Numbers of products and buyers are positions in `products` and `buyers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Midnight of the first day.
    pub start: Timestamp,
    /// How many days.
    pub days: u32,
    /// The declared prevalence of fraud.
    pub fraud_prevalence: f64,
    /// The regions, in the order that demand is kept in.
    pub regions: Vec<Region>,
    /// Every checkout so far.
    pub checkouts: Vec<CheckoutTruth>,
    /// Every parcel so far.
    pub deliveries: Vec<DeliveryTruth>,
    /// Every buyer, accounts of fraudsters included.
    pub buyers: Vec<BuyerTruth>,
    /// Every product.
    pub products: Vec<ProductTruth>,
    /// The expected demand.
    pub demand: DemandTruth,
}

impl Truth {
    pub(crate) fn new(
        settings: &SimulationSettings,
        atlas: &Atlas,
        people: &People,
        catalog: &Catalog,
        market: &Market,
    ) -> Self {
        let products = catalog
            .products
            .iter()
            .map(|product| ProductTruth {
                product: product.id,
                vector: product.vector,
                popularity: product.popularity,
                on_offer_days: (product.listed_day, product.delisted_day),
                neighbours: product.neighbours,
                quantity_factor: quantity_by_price(product.first_price_usd_minor) as f32,
            })
            .collect();
        let mut truth = Self {
            start: settings.start,
            days: settings.days,
            fraud_prevalence: settings.fraud_prevalence,
            regions: atlas.regions.clone(),
            products,
            demand: DemandTruth { liking: market.liking.clone(), ..DemandTruth::default() },
            ..Self::default()
        };
        people.buyers.iter().for_each(|buyer| truth.know_buyer(buyer, atlas));
        truth
    }

    pub(crate) fn know_buyer(&mut self, buyer: &Buyer, atlas: &Atlas) {
        self.buyers.push(BuyerTruth {
            buyer: buyer.id,
            region: atlas.regions[buyer.land()],
            cluster: buyer.cluster as u16,
            taste: buyer.taste,
            checkouts_per_day: if buyer.joined_day < self.days as i32 { buyer.checkouts_per_day } else { 0.0 },
        });
    }

    pub(crate) fn open_day(
        &mut self,
        day: i32,
        trade_factor: f64,
        people: &People,
        catalog: &Catalog,
        market: &Market,
    ) {
        let mut checkouts = [0.0f32; LANDS.len() * CLUSTERS];
        for buyer in people.buyers.iter().filter(|buyer| buyer.joined_day < day.max(1)) {
            checkouts[buyer.land() * CLUSTERS + buyer.cluster] += (buyer.checkouts_per_day * trade_factor) as f32;
        }
        for number in &people.joining[day as usize] {
            let buyer = &people.buyers[*number as usize];
            checkouts[buyer.land() * CLUSTERS + buyer.cluster] += FIRST_DAY_ORDER as f32;
        }
        let count = self.products.len();
        let demand = &mut self.demand;
        demand.checkouts.extend(checkouts);
        demand.weights.extend(&market.weights);
        let (mut wanted, mut following) = (vec![0.0f32; count], vec![0.0f32; count]);
        for liking in demand.liking.chunks_exact(count) {
            let norm: f32 = liking.iter().zip(&market.weights).map(|(liking, weight)| liking * weight).sum();
            demand.norms.push(norm);
            for (wanted, (liking, weight)) in wanted.iter_mut().zip(liking.iter().zip(&market.weights)) {
                *wanted += liking * weight / norm.max(f32::MIN_POSITIVE);
            }
        }
        Market::follow(catalog, &wanted, &mut following);
        let ratios = following
            .iter()
            .zip(&wanted)
            .zip(&market.weights)
            .map(|((following, wanted), weight)| if *weight > 0.0 { following / wanted } else { 0.0 });
        demand.following.extend(ratios);
    }

    /// The probability that a buyer clicks a product shown in the first position of the storefront, by their numbers;
    /// further down it is times [`super::position_share`].
    pub fn click_probability(&self, buyer: usize, product: usize) -> f64 {
        let product = &self.products[product];
        click_probability(&self.buyers[buyer].taste, &product.vector, product.popularity)
    }

    /// The weight of each product on the last day, without taste; nothing while the simulation has not ended.
    pub(crate) fn last_weights(&self) -> Option<&[f32]> {
        let count = self.products.len();
        (self.days > 0)
            .then(|| (self.days as usize - 1) * count)
            .and_then(|first| self.demand.weights.get(first..first + count))
    }

    /// Liking of each product by a cluster.
    pub(crate) fn liking(&self, cluster: usize) -> &[f32] {
        &self.demand.liking[cluster * self.products.len()..][..self.products.len()]
    }

    /// The units of a product (by number) that are expected to be ordered in a region (by number) on a simulated day:
    /// what the day's offer, prices, promotions, season and customers make likely, without knowing who orders again and
    /// what runs out of stock.
    pub fn expected_units(&self, product: usize, region: usize, day: usize) -> f64 {
        let count = self.products.len();
        let demand = &self.demand;
        let following = GOES_WITH as f32 * demand.following[day * count + product];
        let quantity = self.products[product].quantity_factor;
        let weight = demand.weights[day * count + product] * (1.0 - GOES_WITH as f32 + following) * quantity;
        let checkouts = &demand.checkouts[(day * LANDS.len() + region) * CLUSTERS..][..CLUSTERS];
        let norms = &demand.norms[day * CLUSTERS..][..CLUSTERS];
        let share: f32 = (0..CLUSTERS)
            .filter(|cluster| norms[*cluster] > 0.0)
            .map(|cluster| checkouts[cluster] * weight * demand.liking[cluster * count + product] / norms[cluster])
            .sum();
        f64::from(share) * MEAN_UNITS_PER_CHECKOUT
    }
}
