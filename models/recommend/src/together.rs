//! Which products are bought in one basket, with support and lift; the order inside a basket has no meaning here.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::lists::Lists;
use crate::neighbours::{Accumulator, best};
use crate::sequences::Action;
use crate::{InteractionKind, Settings};

/// At most so many distinct products of one basket are read: those bought last in it.
pub const MAX_BASKET_PRODUCTS: usize = 200;

/// A product bought together with another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) item: u32,
    /// Baskets that hold both.
    pub(crate) baskets: u32,
    /// Shrunk cosine of the two products' baskets.
    pub(crate) score: f32,
}

/// Pairs bought more often together than chance would have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BoughtTogether {
    pub(crate) baskets: u32,
    /// Baskets that hold each item.
    pub(crate) item_baskets: Vec<u32>,
    pub(crate) partners: Lists<Partner>,
}

impl BoughtTogether {
    pub(crate) fn new(sorted_actions: &[Action], items: usize, settings: &Settings) -> Self {
        let baskets = Lists::from_rows(sorted_actions.chunk_by(|a, b| a.session == b.session).filter_map(basket));
        let occurrences = Lists::inverted(&baskets, items, |item| *item);
        let item_baskets: Vec<u32> = (0..items).map(|item| occurrences.row(item).len() as u32).collect();
        let shrunk = |item: usize| f64::from(item_baskets[item]) + settings.shrinkage;
        let lift_of =
            |together: f64, a: usize, b: usize| lift(together, baskets.rows(), item_baskets[a], item_baskets[b]);
        let rows: Vec<Vec<Partner>> = (0..items)
            .into_par_iter()
            .map_init(
                || Accumulator::new(items),
                |counts, item| {
                    for &(basket, _) in occurrences.row(item) {
                        for &other in baskets.row(basket as usize).iter().filter(|other| **other as usize != item) {
                            counts.add(other, 1.0);
                        }
                    }
                    let supported = counts.drain().filter(|(other, together)| {
                        *together >= f64::from(settings.basket_support)
                            && lift_of(*together, item, *other as usize) > 1.0
                    });
                    let partner = |(other, together): (u32, f64)| Partner {
                        item: other,
                        baskets: together as u32,
                        score: (together / (shrunk(item) * shrunk(other as usize)).sqrt()) as f32,
                    };
                    best(supported.map(partner).collect(), settings.neighbours, |p| (p.score, p.item))
                },
            )
            .collect();
        Self { baskets: baskets.rows() as u32, item_baskets, partners: Lists::from_rows(rows) }
    }

    /// How many times more often than by chance the two meet.
    pub(crate) fn lift(&self, item: u32, partner: &Partner) -> f64 {
        let counts = (self.item_baskets[item as usize], self.item_baskets[partner.item as usize]);
        lift(f64::from(partner.baskets), self.baskets as usize, counts.0, counts.1)
    }

    pub(crate) fn is_sound(&self, items: usize) -> bool {
        self.item_baskets.len() == items
            && self.partners.is_sound(items, |p| (p.item as usize) < items && p.score.is_finite())
    }
}

fn lift(together: f64, baskets: usize, baskets_a: u32, baskets_b: u32) -> f64 {
    together * baskets as f64 / (f64::from(baskets_a) * f64::from(baskets_b))
}

/// The distinct products bought in one session; nothing when it bought none.
fn basket(session: &[Action]) -> Option<Vec<u32>> {
    let mut products: Vec<u32> = Vec::new();
    for action in session.iter().rev().filter(|a| a.kind == InteractionKind::Purchase) {
        if products.len() == MAX_BASKET_PRODUCTS {
            break;
        }
        if !products.contains(&action.item) {
            products.push(action.item);
        }
    }
    (!products.is_empty()).then_some(products)
}
