//! What a marketplace's events tell a recommender: interactions, the catalogue, the slates that were served; nothing is learned here.

use std::collections::{HashMap, HashSet};

use dhow_events::{DecisionId, Event, EventId, Fact, ProductId, SessionId};
use dhow_recommend::{CatalogueItem, Interaction, InteractionKind, ServedSlate};

/// Collects facts from events, which may come twice.
#[derive(Default)]
pub struct Told {
    interactions: Vec<Interaction>,
    catalogue: Vec<CatalogueItem>,
    listed: HashSet<ProductId>,
    slates: Vec<(DecisionId, ServedSlate)>,
    opened: HashSet<(DecisionId, ProductId)>,
    visits_of_checkouts: HashMap<u128, SessionId>,
    seen: HashSet<EventId>,
}

/// All that was told, interactions by time.
pub struct Known {
    /// Views, carts and orders, oldest first.
    pub interactions: Vec<Interaction>,
    /// Every product as it was listed first.
    pub catalogue: Vec<CatalogueItem>,
    /// Slates with what was opened of them.
    pub slates: Vec<ServedSlate>,
}

impl Told {
    /// Takes an event in.
    pub fn observe(&mut self, event: &Event) {
        if !self.seen.insert(event.id) {
            return;
        }
        let time = event.event_time;
        let mut act = |person, session, product, kind, region| {
            self.interactions.push(Interaction { person, session, product, kind, region, time });
        };
        match &event.fact {
            Fact::ProductListed(f) if self.listed.insert(f.product) => {
                self.catalogue.push(CatalogueItem {
                    product: f.product,
                    category: f.category,
                    text: format!("{} {}", f.title, f.description),
                    seller: f.seller,
                    regions: Vec::new(),
                    price_usd_minor: f.price_usd_minor,
                });
            }
            Fact::CheckoutSubmitted(f) => {
                self.visits_of_checkouts.extend(f.session.map(|session| (f.checkout.as_u128(), session)));
            }
            Fact::SlateServed(f) => {
                let products = f.products.split(',').filter_map(|text| text.parse().ok()).map(|p| (p, false)).collect();
                self.slates.push((f.decision, ServedSlate { person: f.buyer, session: f.session, time, products }));
            }
            Fact::ProductViewed(f) => {
                self.opened.extend(f.decision.map(|decision| (decision, f.product)));
                act(f.buyer, f.session, f.product, InteractionKind::View, Some(f.region));
            }
            Fact::CartItemAdded(f) => act(f.buyer, f.session, f.product, InteractionKind::CartAdd, None),
            Fact::ItemOrdered(f) => {
                let visit = self.visits_of_checkouts.get(&f.checkout.as_u128()).copied();
                let session = visit.unwrap_or_else(|| SessionId::from_u128(f.checkout.as_u128()));
                act(Some(f.buyer), session, f.product, InteractionKind::Purchase, Some(f.region));
            }
            _ => {}
        }
    }
    /// Everything, once the last event was taken in.
    pub fn finish(self) -> Known {
        let Self { mut interactions, catalogue, mut slates, opened, .. } = self;
        interactions.sort_by_key(|i| (i.time, i.session, i.product));
        for (decision, slate) in &mut slates {
            slate.products.iter_mut().for_each(|(product, was)| *was = opened.contains(&(*decision, *product)));
        }
        Known { interactions, catalogue, slates: slates.into_iter().map(|(_, slate)| slate).collect() }
    }
}
