//! The same rules said of a whole list of bids at once, as plainly as they can be: what [`Standing`](crate::Standing) is held against.

use dhow_events::BuyerId;

use crate::{Bid, Ending, Terms};

/// Who leads by `bids`: the highest maximum, of equal ones the earliest.
pub fn leader(bids: &[Bid]) -> Option<&Bid> {
    bids.iter().min_by_key(|bid| (std::cmp::Reverse(bid.maximum_minor), bid.sequence))
}

/// The price that `bids` make, in minor units; nothing where there are none.
///
/// Raises of the leader's own are left out of it: what counts is how things stood when somebody else bid last, or when the
/// leader took the lead after that.
pub fn price(terms: &Terms, bids: &[Bid]) -> Option<i64> {
    let winner = leader(bids)?;
    let price = match bids.iter().rposition(|bid| bid.bidder != winner.bidder) {
        None => terms.opening_minor,
        Some(last_other) => {
            let leads = |index: &usize| leader(&bids[..=*index]).map(|bid| bid.bidder) == Some(winner.bidder);
            let settled = (last_other..bids.len()).find(leads)?;
            let then = &bids[..=settled];
            let others = then.iter().filter(|bid| bid.bidder != winner.bidder);
            let against = others.map(|bid| bid.maximum_minor).max()?;
            let own = then.iter().filter(|bid| bid.bidder == winner.bidder).map(|bid| bid.maximum_minor).max()?;
            own.min(against + terms.increments.step(against))
        }
    };
    let reserve = terms.reserve_minor.filter(|reserve| winner.maximum_minor >= *reserve);
    Some(price.max(reserve.unwrap_or(0)))
}

/// How bidding ends by `bids`.
pub fn ending(terms: &Terms, bids: &[Bid]) -> Ending {
    match (leader(bids), price(terms, bids)) {
        (Some(winner), Some(price_minor)) if terms.reaches_reserve(winner.maximum_minor) => {
            Ending::Won { bidder: winner.bidder, price_minor }
        }
        (Some(_), _) => Ending::ReserveNotMet,
        (None, _) => Ending::NoBids,
    }
}

/// The least maximum that `bidder` can bid after `bids`.
pub fn minimum(terms: &Terms, bids: &[Bid], bidder: BuyerId) -> i64 {
    match (leader(bids), price(terms, bids)) {
        (Some(winner), _) if winner.bidder == bidder => winner.maximum_minor + 1,
        (_, Some(price)) => price + terms.increments.step(price),
        (_, None) => terms.opening_minor,
    }
}
