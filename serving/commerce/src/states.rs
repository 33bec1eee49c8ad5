//! The states of checkouts, orders and payments, with their transitions as tables; it moves nothing by itself.
//!
//! ```text
//! checkout  pending_payment ─► completed ◄┐
//!                           ├► held ───────┤ (a person looks at it)
//!                           └► refused ◄───┘
//! order     pending_payment ─► placed ─► fulfilled
//!                           ├► held ─► placed, cancelled
//!                           └► cancelled ◄┘ (placed only)
//! payment   pending ─► authorised ─► captured ◄─► refunded (more is captured, or a refund fails late)
//!                   ├► declined   └◄► voiding ─► voided
//!                   └► voiding (authorised after the order was declined)
//! ```

use crate::words::worded;

worded! {
    /// Where a checkout stands.
    CheckoutState {
        /// Decided and reserved; the payment rail has not answered yet.
        PendingPayment = "pending_payment",
        /// The amount is held at the rail, the stock is reserved, and a person is to look at it before it goes on.
        Held = "held",
        /// Paid for; its orders are placed.
        Completed = "completed",
        /// Refused; see its reason.
        Refused = "refused",
    }
}

worded! {
    /// Where an order stands.
    OrderState {
        /// Waits for the payment of its checkout.
        PendingPayment = "pending_payment",
        /// Waits for a person's verdict on its checkout; the seller must not send it.
        Held = "held",
        /// Paid for; the seller can send it.
        Placed = "placed",
        /// Sent and delivered.
        Fulfilled = "fulfilled",
        /// Not paid for, or called off before it was sent.
        Cancelled = "cancelled",
    }
}

worded! {
    /// Where a payment stands.
    PaymentState {
        /// To be authorised; the rail has not answered yet.
        Pending = "pending",
        /// The rail holds the amount for us.
        Authorised = "authorised",
        /// The rail refused.
        Declined = "declined",
        /// Some or all of the amount was taken.
        Captured = "captured",
        /// The hold is to be given up; the rail has not confirmed it yet.
        Voiding = "voiding",
        /// The hold was given up.
        Voided = "voided",
        /// All that was captured so far went back.
        Refunded = "refunded",
    }
}

/// States with a table of allowed transitions.
pub trait States: Copy + Eq + std::fmt::Display + 'static {
    /// What has these states, in words.
    const SUBJECT: &'static str;
    /// Each state with those that may follow it; a state that is missing is final.
    const TRANSITIONS: &'static [(Self, &'static [Self])];
}

impl States for CheckoutState {
    const SUBJECT: &'static str = "checkout";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::PendingPayment, &[Self::Held, Self::Completed, Self::Refused]),
        (Self::Held, &[Self::Completed, Self::Refused]),
    ];
}

impl States for OrderState {
    const SUBJECT: &'static str = "order";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::PendingPayment, &[Self::Held, Self::Placed, Self::Cancelled]),
        (Self::Held, &[Self::Placed, Self::Cancelled]),
        (Self::Placed, &[Self::Fulfilled, Self::Cancelled]),
    ];
}

impl States for PaymentState {
    const SUBJECT: &'static str = "payment";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Pending, &[Self::Authorised, Self::Declined, Self::Voiding, Self::Voided]),
        (Self::Authorised, &[Self::Captured, Self::Voiding, Self::Voided]),
        (Self::Voiding, &[Self::Voided, Self::Authorised]),
        (Self::Captured, &[Self::Refunded]),
        (Self::Refunded, &[Self::Captured]),
    ];
}

/// What a transition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The state changes.
    Changes,
    /// The state is already so: nothing is to be done.
    AlreadyThere,
}

/// A transition that the table does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {subject} is `{from}` and cannot become `{to}`; allowed: {}", words(allowed))]
pub struct TransitionError {
    /// What has the state.
    pub subject: &'static str,
    /// Its state.
    pub from: String,
    /// The state that was asked for.
    pub to: String,
    /// The states that may follow; none where the state is final.
    pub allowed: Vec<String>,
}

fn words(allowed: &[String]) -> String {
    if allowed.is_empty() { "nothing, it is final".to_owned() } else { allowed.join(", ") }
}

/// Looks `from` → `to` up in the table.
///
/// # Errors
/// A transition that the table does not list.
pub fn transition<S: States>(from: S, to: S) -> Result<Step, TransitionError> {
    if from == to {
        return Ok(Step::AlreadyThere);
    }
    let allowed = S::TRANSITIONS.iter().find(|(state, _)| *state == from).map_or(&[][..], |(_, allowed)| *allowed);
    if allowed.contains(&to) {
        return Ok(Step::Changes);
    }
    Err(TransitionError {
        subject: S::SUBJECT,
        from: from.to_string(),
        to: to.to_string(),
        allowed: allowed.iter().map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_states_is_allowed_refused_with_its_alternatives_or_nothing_to_do() {
        let allowed = [
            (OrderState::PendingPayment, OrderState::Held),
            (OrderState::PendingPayment, OrderState::Placed),
            (OrderState::Held, OrderState::Placed),
            (OrderState::Held, OrderState::Cancelled),
            (OrderState::PendingPayment, OrderState::Cancelled),
            (OrderState::Placed, OrderState::Fulfilled),
            (OrderState::Placed, OrderState::Cancelled),
        ];
        for from in OrderState::ALL {
            for to in OrderState::ALL {
                match transition(*from, *to) {
                    Ok(Step::AlreadyThere) => assert_eq!(from, to),
                    Ok(Step::Changes) => assert!(allowed.contains(&(*from, *to))),
                    Err(error) => {
                        assert!(from != to && !allowed.contains(&(*from, *to)));
                        let following = allowed.iter().filter(|(state, _)| state == from).count();
                        assert_eq!(error.allowed.len(), following);
                    }
                }
            }
        }
        let error = transition(PaymentState::Declined, PaymentState::Captured).map_err(|e| e.to_string());
        let words = "the payment is `declined` and cannot become `captured`; allowed: nothing, it is final";
        assert_eq!(error, Err(words.to_owned()));
    }
}
