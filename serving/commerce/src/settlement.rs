//! How a waiting checkout moves on: states, amounts, stock and events of each ending, written in one transaction; it asks nobody.

use dhow_events::{CheckoutId, Fact, TenantId, Timestamp};

use crate::checkout::stored;
use crate::{
    Checkout, CheckoutState, Commerce, CommerceError, FraudAction, OrderState, OutboxEvent, Payment, PaymentChange,
    PaymentRail, PaymentState, RefusalReason, Settlement, Step, Storage, StorageError, StorageTransaction,
    TransferKind, Verdict, facts, transition,
};

/// What became of a checkout that waited for the rail or for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The rail holds the amount, and nothing stands against the checkout.
    Completed { reference: String },
    /// The rail holds the amount, and a person is to look first.
    Held { reference: String },
    /// The rail declined.
    Declined { reason: String },
    /// The rail held the amount, and a person declined, or nobody decided in time.
    GivenUp { reference: String, refusal: RefusalReason },
}

/// What a person said of a checkout so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Nobody has to look.
    NotAsked,
    /// Somebody has to, and has not decided yet.
    NotYet,
    /// The verdict is final.
    Decided(Verdict),
}

impl Ending {
    /// The ending of an authorised checkout.
    pub(crate) fn authorised(reference: String, looked: Looked) -> Self {
        match looked {
            Looked::NotAsked | Looked::Decided(Verdict::Approve) => Self::Completed { reference },
            Looked::NotYet => Self::Held { reference },
            Looked::Decided(Verdict::Decline) => Self::GivenUp { reference, refusal: RefusalReason::Fraud },
        }
    }

    fn states(&self) -> (CheckoutState, OrderState, PaymentState) {
        match self {
            Self::Completed { .. } => (CheckoutState::Completed, OrderState::Placed, PaymentState::Authorised),
            Self::Held { .. } => (CheckoutState::Held, OrderState::Held, PaymentState::Authorised),
            Self::Declined { .. } => (CheckoutState::Refused, OrderState::Cancelled, PaymentState::Declined),
            Self::GivenUp { .. } => (CheckoutState::Refused, OrderState::Cancelled, PaymentState::Voiding),
        }
    }

    fn refusal(&self) -> Option<RefusalReason> {
        match self {
            Self::Completed { .. } | Self::Held { .. } => None,
            Self::Declined { .. } => Some(RefusalReason::PaymentDeclined),
            Self::GivenUp { refusal, .. } => Some(*refusal),
        }
    }

    fn settlement(&self, checkout: &Checkout, payment: &Payment, at: Timestamp) -> Result<Settlement, CommerceError> {
        let (to_checkout, to_orders, mut to_payment) = self.states();
        if to_payment == PaymentState::Voiding && payment.amount.amount_minor == 0 {
            to_payment = PaymentState::Voided;
        }
        let (rail_reference, decline_reason) = match self {
            Self::Completed { reference } | Self::Held { reference } | Self::GivenUp { reference, .. } => {
                (Some(reference.clone()), None)
            }
            Self::Declined { reason } => (None, Some(reason.clone())),
        };
        let moves = transition(checkout.state, to_checkout)?;
        transition(payment.state, to_payment)?;
        for order in &checkout.orders {
            transition(order.state, to_orders)?;
        }
        debug_assert!(moves == Step::Changes, "a waiting checkout moves on");
        Ok(Settlement {
            from: checkout.state,
            checkout: to_checkout,
            orders: to_orders,
            payment: to_payment,
            refusal: self.refusal(),
            authorised_minor: if rail_reference.is_some() { payment.amount.amount_minor } else { 0 },
            rail_reference,
            decline_reason,
            at,
        })
    }

    /// What happened, as others learn it. The hold at the rail is told once: where the checkout leaves `pending_payment`.
    fn facts(&self, checkout: &Checkout, payment: &Payment) -> Vec<Fact> {
        let mut told = Vec::new();
        let authorised = !matches!(self, Self::Declined { .. });
        if authorised && checkout.state == CheckoutState::PendingPayment {
            told.push(facts::authorised(checkout, payment).into());
        }
        match self {
            Self::Completed { .. } => told.extend(facts::placed(checkout)),
            Self::Held { .. } => {}
            Self::Declined { reason } => told.extend(facts::declined(checkout, payment, reason)),
            Self::GivenUp { refusal, .. } => told.push(facts::refused(checkout, *refusal).into()),
        }
        told
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Writes the ending of a checkout that still stands as it was read, and gives what changed; nothing, and no change, where
    /// it moved meanwhile.
    pub(crate) async fn move_on(
        &self,
        transaction: &mut S::Transaction,
        checkout: &Checkout,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Option<Settlement>, CommerceError> {
        let (tenant, id) = (checkout.tenant, checkout.id);
        let payment = checkout.payment.as_ref().ok_or_else(|| no_payment(checkout))?;
        let settlement = ending.settlement(checkout, payment, now)?;
        if !transaction.settle_checkout(tenant, id, &settlement).await? {
            return Ok(None);
        }
        let told = ending.facts(checkout, payment).into_iter();
        let mut events: Vec<OutboxEvent> = told.map(|fact| self.event(tenant, id.to_string(), now, fact)).collect();
        let demand = checkout.demand();
        match ending {
            Ending::Held { .. } => {}
            Ending::Declined { .. } | Ending::GivenUp { .. } => transaction.release_stock(tenant, &demand).await?,
            Ending::Completed { .. } => {
                for level in transaction.take_reserved_stock(tenant, &demand).await? {
                    let changed = facts::stock_changed(level.product, -demand[&level.product], &level);
                    events.push(self.event(tenant, level.product.to_string(), now, changed));
                }
            }
        }
        if matches!(ending, Ending::GivenUp { .. }) && payment.amount.amount_minor > 0 {
            // Nobody waits for it, so recovery asks the rail at once.
            let change = PaymentChange { kind: TransferKind::Void, order: None, amount: None };
            let given_up = stored(transaction, tenant, id).await?;
            let rail = self.rail_of(&given_up).to_owned();
            self.ask(transaction, given_up, &change, None, now, &rail).await?;
        }
        transaction.append_events(&events, now).await?;
        self.follow_checkout(transaction, checkout, ending, now).await?;
        Ok(Some(settlement))
    }

    /// Moves a held checkout on by a person's final verdict. One whose payment is still pending goes on when the rail has
    /// answered; one that was only scored, or has ended, has nothing to be moved.
    pub(crate) async fn end_hold(
        &self,
        transaction: &mut S::Transaction,
        tenant: TenantId,
        id: CheckoutId,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let Some(checkout) = transaction.checkout(tenant, id).await? else { return Ok(()) };
        if checkout.state == CheckoutState::Held {
            let ending = Ending::authorised(reference_of(&checkout)?, Looked::Decided(verdict));
            self.move_on(transaction, &checkout, &ending, now).await?;
        }
        Ok(())
    }
}

/// What a person said of the checkout, with its case held until the transaction ends, so that no verdict falls between.
pub(crate) async fn verdict_on<X: StorageTransaction>(
    transaction: &mut X,
    checkout: &Checkout,
) -> Result<Looked, StorageError> {
    if !matches!(checkout.fraud.action, FraudAction::Review | FraudAction::StepUp) {
        return Ok(Looked::NotAsked);
    }
    let case = transaction.case(checkout.tenant, checkout.fraud.decision).await?;
    let case = case.ok_or_else(|| {
        let detail = format!("{} is to be reviewed and has no case", checkout.id);
        StorageError::Corrupt { what: "a checkout", detail }
    })?;
    Ok(case.final_verdict().map_or(Looked::NotYet, |given| Looked::Decided(given.verdict)))
}

/// The rail's own name for the payment of a checkout that it authorised.
pub(crate) fn reference_of(checkout: &Checkout) -> Result<String, CommerceError> {
    let payment = checkout.payment.as_ref().ok_or_else(|| no_payment(checkout))?;
    payment.rail_reference.clone().ok_or_else(|| {
        let detail = format!("{} is authorised without a reference", payment.id);
        StorageError::Corrupt { what: "a payment", detail }.into()
    })
}

pub(crate) fn no_payment(checkout: &Checkout) -> CommerceError {
    let detail = format!("{} waits without a payment", checkout.id);
    StorageError::Corrupt { what: "a checkout", detail }.into()
}
