//! What each fact says about accounts and things; facts that name no account with a thing say nothing here.

use dhow_events::{Event, Fact, Timestamp};

use crate::LinkIndex;
use crate::things::{Account, Thing};

impl LinkIndex {
    /// Takes in an event that became known at `known_time`. Events come in the order in which they became known; their
    /// event times may lie in any order. One that comes twice changes nothing more. Gives whether the event says
    /// anything about links. A failed sign-in does not: it may be somebody else's.
    pub fn apply(&mut self, event: &Event, known_time: Timestamp) -> bool {
        let (tenant, at) = (event.tenant, event.event_time);
        let told = match &event.fact {
            Fact::BuyerRegistered(fact) => {
                let account = Account::Buyer(fact.buyer);
                self.register(tenant, account, at);
                self.observe_all(event, account, [fact.device.map(Thing::Device)]);
                true
            }
            Fact::SellerRegistered(fact) => {
                let account = Account::Seller(fact.seller);
                self.register(tenant, account, at);
                self.observe(tenant, account, Thing::PayoutAccount(fact.payout_account), at);
                true
            }
            Fact::PayoutAccountChanged(fact) => {
                self.observe(tenant, Account::Seller(fact.seller), Thing::PayoutAccount(fact.payout_account), at);
                true
            }
            Fact::AccountSignedIn(fact) if fact.succeeded => {
                self.observe(tenant, Account::Buyer(fact.buyer), Thing::Device(fact.device), at);
                true
            }
            Fact::AddressAdded(fact) => {
                self.observe(tenant, Account::Buyer(fact.buyer), Thing::Address(fact.address), at);
                true
            }
            Fact::SessionStarted(fact) => fact.buyer.is_some_and(|buyer| {
                self.observe(tenant, Account::Buyer(buyer), Thing::Device(fact.device), at);
                true
            }),
            Fact::CheckoutSubmitted(fact) => {
                let things =
                    [fact.card.map(Thing::Card), fact.device.map(Thing::Device), fact.address.map(Thing::Address)];
                self.observe_all(event, Account::Buyer(fact.buyer), things)
            }
            Fact::PaymentAuthorized(fact) => {
                let things = [fact.card.map(Thing::Card), fact.device.map(Thing::Device)];
                self.observe_all(event, Account::Buyer(fact.buyer), things)
            }
            Fact::PaymentDeclined(fact) => {
                let things = [fact.card.map(Thing::Card), fact.device.map(Thing::Device)];
                self.observe_all(event, Account::Buyer(fact.buyer), things)
            }
            Fact::FraudLabelled(fact) => {
                self.label(tenant, Account::Buyer(fact.buyer), fact.checkout, fact.fraud, at, known_time);
                true
            }
            _ => false,
        };
        self.pass(at.min(known_time));
        told
    }

    /// Gives whether there was any thing.
    fn observe_all<const N: usize>(&mut self, event: &Event, account: Account, things: [Option<Thing>; N]) -> bool {
        let mut any = false;
        for thing in things.into_iter().flatten() {
            self.observe(event.tenant, account, thing, event.event_time);
            any = true;
        }
        any
    }
}
