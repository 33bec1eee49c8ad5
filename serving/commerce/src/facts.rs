//! The facts that a checkout writes to the outbox at each of its steps; it writes nothing itself.

use dhow_events::facts::{
    CheckoutRefused, CheckoutSubmitted, FraudScored, ItemOrdered, OrderPlaced, PaymentAuthorized, PaymentDeclined,
    PaymentVoided, StockChanged,
};
use dhow_events::{CheckoutId, DecisionId, Fact, Money, ProductId};

use crate::{Checkout, CheckoutRequest, FraudDecision, Payment, Quote, RefusalReason, StockLevel};

/// A buyer asked to buy: also what the fraud check sees.
pub(crate) fn submitted(id: CheckoutId, request: &CheckoutRequest, quote: &Quote) -> CheckoutSubmitted {
    CheckoutSubmitted {
        buyer: request.buyer,
        checkout: id,
        session: request.session,
        device: request.device,
        card: request.card,
        address: request.address,
        region: request.region,
        delivery_region: request.delivery_region,
        payment_method: request.payment_method.to_string(),
        line_count: quote.line_count,
        quantity: quote.quantity,
        total: quote.total,
        total_usd_minor: quote.total_usd_minor,
    }
}

/// The fraud model decided.
pub(crate) fn scored(submitted: &CheckoutSubmitted, decision: DecisionId, fraud: &FraudDecision) -> FraudScored {
    let codes: Vec<&str> = fraud.reasons.iter().map(|reason| reason.code.as_str()).collect();
    FraudScored {
        buyer: submitted.buyer,
        decision,
        checkout: submitted.checkout,
        model: fraud.model.clone(),
        probability: fraud.probability,
        action: fraud.action.to_string(),
        reasons: codes.join(","),
    }
}

/// The checkout was refused; only a refusal by the model names its decision.
pub(crate) fn refused(checkout: &Checkout, reason: RefusalReason) -> CheckoutRefused {
    CheckoutRefused {
        buyer: checkout.request.buyer,
        checkout: checkout.id,
        decision: (reason == RefusalReason::Fraud).then_some(checkout.fraud.decision),
        reason: reason.to_string(),
    }
}

/// The rail holds the amount.
pub(crate) fn authorised(checkout: &Checkout, payment: &Payment) -> PaymentAuthorized {
    PaymentAuthorized {
        checkout: checkout.id,
        payment: payment.id,
        buyer: checkout.request.buyer,
        card: checkout.request.card,
        device: checkout.request.device,
        amount: payment.amount,
        amount_usd_minor: checkout.total_usd_minor,
    }
}

/// The rail no longer holds some or all of the amount.
pub(crate) fn voided(checkout: &Checkout, payment: &Payment, amount: Money, amount_usd_minor: i64) -> PaymentVoided {
    PaymentVoided {
        checkout: checkout.id,
        payment: payment.id,
        buyer: checkout.request.buyer,
        amount,
        amount_usd_minor,
    }
}

/// Every order is placed.
pub(crate) fn placed(checkout: &Checkout) -> Vec<Fact> {
    let mut facts = Vec::new();
    for order in &checkout.orders {
        facts.push(
            OrderPlaced {
                buyer: order.buyer,
                order: order.id,
                checkout: checkout.id,
                seller: order.seller,
                region: order.region,
                line_count: order.line_count,
                quantity: order.quantity,
                total: order.total,
                total_usd_minor: order.total_usd_minor,
            }
            .into(),
        );
        facts.extend(order.lines.iter().map(|line| {
            Fact::from(ItemOrdered {
                product: line.product,
                order: order.id,
                checkout: checkout.id,
                buyer: order.buyer,
                seller: order.seller,
                category: line.category,
                region: order.region,
                quantity: line.quantity,
                unit_price: line.unit_price,
                amount_usd_minor: line.amount_usd_minor,
            })
        }));
    }
    facts
}

/// The rail declined, which refuses the checkout.
pub(crate) fn declined(checkout: &Checkout, payment: &Payment, reason: &str) -> Vec<Fact> {
    let declined = PaymentDeclined {
        checkout: checkout.id,
        payment: payment.id,
        buyer: checkout.request.buyer,
        card: checkout.request.card,
        device: checkout.request.device,
        amount: payment.amount,
        amount_usd_minor: checkout.total_usd_minor,
        reason: reason.to_owned(),
    };
    vec![declined.into(), refused(checkout, RefusalReason::PaymentDeclined).into()]
}

/// Units left the stock, or came back to it.
pub(crate) fn stock_changed(product: ProductId, quantity_change: i64, level: &StockLevel) -> StockChanged {
    StockChanged { product, quantity_change, on_hand: level.on_hand }
}
