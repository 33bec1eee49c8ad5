//! What buyers choose on a given day: the products' weights by taste, and how a storefront's products are clicked.

use super::catalog::{Catalog, NEIGHBOURS, Vector, dot};
use super::people::{Buyer, CLUSTERS, People};
use super::random::{Cumulative, Random};

/// How strongly a cluster's taste decides what it buys.
pub(crate) const CLUSTER_TASTE: f64 = 1.6;
/// How strongly a person's own taste decides between two products.
pub(crate) const OWN_TASTE: f64 = 3.0;
/// The click model: log odds of a click at the first position.
const CLICK_BASE: f64 = -3.1;
const CLICK_TASTE: f64 = 2.4;
const CLICK_POPULARITY: f64 = 0.35;
/// Weights of the neighbours of a product, nearest first.
pub(crate) const NEIGHBOUR_WEIGHTS: [f64; NEIGHBOURS] = [0.36, 0.22, 0.15, 0.11, 0.09, 0.07];

/// The probability that a buyer clicks a product that is shown in the first position.
pub(crate) fn click_probability(taste: &Vector, vector: &Vector, popularity: f64) -> f64 {
    click_probability_of_liking(dot(taste, vector), popularity)
}

/// The same for a taste that meets the product so well.
pub(crate) fn click_probability_of_liking(liking: f64, popularity: f64) -> f64 {
    let log_odds = CLICK_BASE + CLICK_TASTE * liking + CLICK_POPULARITY * popularity.max(1e-3).ln();
    1.0 / (1.0 + (-log_odds).exp())
}

/// How much of the click probability is left at a position; the first is 0.
pub fn position_share(position: usize) -> f64 {
    1.0 / (1.0 + 0.25 * position as f64)
}

/// The day's choice tables.
#[derive(Debug)]
pub(crate) struct Market {
    /// Liking of each product by each cluster, cluster by cluster.
    pub(crate) liking: Vec<f32>,
    by_cluster: Vec<Cumulative>,
    overall: Cumulative,
    /// The day's weight of each product without taste.
    pub(crate) weights: Vec<f32>,
}

impl Market {
    pub(crate) fn new(catalog: &Catalog, people: &People) -> Self {
        let liking = people
            .centers
            .iter()
            .flat_map(|center| {
                catalog.products.iter().map(|product| (CLUSTER_TASTE * dot(center, &product.vector)).exp() as f32)
            })
            .collect();
        Self {
            liking,
            by_cluster: vec![Cumulative::default(); CLUSTERS],
            overall: Cumulative::default(),
            weights: Vec::new(),
        }
    }

    pub(crate) fn open_day(&mut self, catalog: &Catalog, day: i32, day_of_year: f64) {
        self.weights.clear();
        self.weights.extend(catalog.products.iter().map(|product| product.weight_today(day, day_of_year) as f32));
        self.overall.rebuild(self.weights.iter().map(|weight| f64::from(*weight)));
        for (table, liking) in self.by_cluster.iter_mut().zip(self.liking.chunks_exact(catalog.products.len())) {
            table.rebuild(self.weights.iter().zip(liking).map(|(weight, liking)| f64::from(weight * liking)));
        }
    }

    pub(crate) fn on_offer(&self, product: usize) -> bool {
        self.weights[product] > 0.0
    }

    /// A product by popularity alone.
    pub(crate) fn popular(&self, random: &mut Random) -> usize {
        self.overall.draw(random, 0..self.weights.len()).unwrap_or(0)
    }

    /// A product by the cluster's taste.
    pub(crate) fn liked(&self, cluster: usize, random: &mut Random) -> usize {
        self.by_cluster[cluster].draw(random, 0..self.weights.len()).unwrap_or(0)
    }

    /// A product of a seller by the cluster's and the buyer's taste; nothing where the seller has none on offer.
    pub(crate) fn liked_of_seller(
        &self,
        catalog: &Catalog,
        buyer: &Buyer,
        seller: usize,
        random: &mut Random,
    ) -> Option<usize> {
        let range = catalog.sellers[seller].products.clone();
        let table = &self.by_cluster[buyer.cluster];
        let first = table.draw(random, range.clone())?;
        let second = table.draw(random, range)?;
        let own = |product: usize| dot(&buyer.own_taste, &catalog.products[product].vector);
        let preference = OWN_TASTE * (own(first) - own(second));
        Some(if random.chance(1.0 / (1.0 + (-preference).exp())) { first } else { second })
    }

    /// Adds to `flow` how often each product follows another that is drawn by `shares`, by what goes with what.
    pub(crate) fn follow(catalog: &Catalog, shares: &[f32], flow: &mut [f32]) {
        for (product, share) in catalog.products.iter().zip(shares) {
            for (neighbour, weight) in product.neighbours.iter().zip(NEIGHBOUR_WEIGHTS) {
                flow[*neighbour as usize] += share * weight as f32;
            }
        }
    }

    /// A product that goes with another; nothing where the drawn one is off offer.
    pub(crate) fn neighbour(&self, catalog: &Catalog, product: usize, random: &mut Random) -> Option<usize> {
        let neighbour = catalog.products[product].neighbours[random.weighted(&NEIGHBOUR_WEIGHTS)] as usize;
        (neighbour != product && self.on_offer(neighbour)).then_some(neighbour)
    }
}
