//! Returns and claims of units of an order: what is asked for, where one stands, what is left to settle; it moves no money and no goods.
//!
//! ```text
//! requested ─► approved ─► in_transit ─► received ─► inspected ─► refunded
//!     │           │  └───────────────────────▲           ├──────► replaced
//!     │           └─► refunded, replaced (a claim, whose goods do not come back)
//!     └► declined                                        └──────► closed (from any state before its end)
//! ```
//! What an inspection or the approval of a claim accepts is settled in parts: by refunds, by credit notes, by a replacement.
//! `refunded` and `replaced` follow when all of it is settled and done; a refund that the rail takes back opens it again.

use dhow_events::facts::ReturnMoved;
use dhow_events::{
    BuyerId, CheckoutId, Currency, Money, OrderId, PaymentId, ProductId, ReturnId, SellerId, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::texts::check_text;
use crate::words::worded;
use crate::{CommerceError, Order, PERSON_BYTES_MAX, States, transition};

/// The most references of evidence that a return or a dispute keeps.
pub const EVIDENCE_MAX: usize = 50;
/// The longest reference of evidence, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 500;
/// The longest note on a return or a dispute, in bytes.
pub const RETURN_NOTE_BYTES_MAX: usize = 2_000;
/// The most steps that a timeline keeps; a return or dispute that has as many is changed no more by people.
pub const TIMELINE_MAX: usize = 200;

worded! {
    /// Whether goods come back.
    ReturnKind {
        /// The goods come back and are inspected.
        Return = "return",
        /// The goods do not come back: they never came, or came broken.
        Claim = "claim",
    }
}

worded! {
    /// Why units are returned or claimed.
    ReturnReason {
        /// The buyer wants them no longer.
        ChangedMind = "changed_mind",
        /// They are not what was described.
        NotAsDescribed = "not_as_described",
        /// They do not work.
        Defective = "defective",
        /// They came broken.
        Damaged = "damaged",
        /// Something else came.
        WrongItem = "wrong_item",
        /// They never came.
        NotReceived = "not_received",
    }
}

worded! {
    /// Who opens a return.
    ReturnParty {
        /// Who bought.
        Buyer = "buyer",
        /// Who sold.
        Seller = "seller",
    }
}

worded! {
    /// Where a return stands.
    ReturnState {
        /// Asked for.
        Requested = "requested",
        /// Agreed to; a claim can be settled.
        Approved = "approved",
        /// Refused; its units can be asked for again.
        Declined = "declined",
        /// The goods are on their way back.
        InTransit = "in_transit",
        /// The goods are back.
        Received = "received",
        /// The goods were looked at; what was accepted can be settled.
        Inspected = "inspected",
        /// All that was accepted is settled in money.
        Refunded = "refunded",
        /// All that was accepted is settled, and there was a replacement.
        Replaced = "replaced",
        /// Over before all of it was settled.
        Closed = "closed",
    }
}

impl States for ReturnState {
    const SUBJECT: &'static str = "return";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Requested, &[Self::Approved, Self::Declined, Self::Closed]),
        (Self::Approved, &[Self::InTransit, Self::Received, Self::Refunded, Self::Replaced, Self::Closed]),
        (Self::InTransit, &[Self::Received, Self::Closed]),
        (Self::Received, &[Self::Inspected, Self::Closed]),
        (Self::Inspected, &[Self::Refunded, Self::Replaced, Self::Closed]),
        (Self::Refunded, &[Self::Approved, Self::Inspected]),
        (Self::Replaced, &[Self::Approved, Self::Inspected]),
    ];
}

/// Units of a product of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnUnits {
    /// The product.
    pub product: ProductId,
    /// Units.
    pub quantity: i64,
}

/// A return or a claim that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnInput {
    /// Of which order.
    pub order: OrderId,
    /// Whether goods come back.
    pub kind: ReturnKind,
    /// Who asks.
    pub opened_by: ReturnParty,
    /// Why.
    pub reason: ReturnReason,
    /// In words.
    #[serde(default)]
    pub note: String,
    /// References of evidence: addresses or names of pictures and documents that are kept elsewhere.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Which units; each product once.
    pub lines: Vec<ReturnUnits>,
}

/// What an inspection found of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectedUnits {
    /// The product.
    pub product: ProductId,
    /// Units that are to be settled.
    pub accepted: i64,
    /// Units that go back into stock.
    pub restocked: i64,
}

/// A step that a person takes with a return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnChange {
    /// The state that it comes to: `approved`, `declined`, `in_transit`, `received`, `inspected` or `closed`.
    pub to: ReturnState,
    /// Who does it.
    pub by: String,
    /// In words.
    #[serde(default)]
    pub note: String,
    /// More references of evidence.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What an inspection found, each line once; empty with any other step.
    #[serde(default)]
    pub inspected: Vec<InspectedUnits>,
}

/// How what was accepted, or a part of it, is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReturnSettlement {
    /// Money goes back the way that it came.
    Refund {
        /// How much; all that is left where it is absent.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// The buyer has it with the marketplace: an entry in the books, and counted as refunded.
    CreditNote {
        /// How much; all that is left where it is absent.
        #[serde(default)]
        amount: Option<Money>,
    },
    /// Other units for all that was accepted, before anything else of it was settled.
    Replacement {
        /// What goes out; the accepted units once more where it is absent. Units of other products are worth what the
        /// catalogue says, at most what was accepted; the difference is refunded.
        #[serde(default)]
        units: Option<Vec<ReturnUnits>>,
    },
}

/// Units of an order's line on a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnLine {
    /// The product.
    pub product: ProductId,
    /// Units.
    pub quantity: i64,
    /// What one cost, in minor units.
    pub unit_price_minor: i64,
    /// What the units cost in cents, at the order's rate.
    pub amount_usd_minor: i64,
    /// Units that are to be settled; 0 before the inspection or a claim's approval.
    pub accepted: i64,
    /// Units that went back into stock.
    pub restocked: i64,
    /// Units that had not been shipped when it was opened; they are not shipped any more.
    #[serde(default)]
    pub called_off: i64,
}

/// A line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineLine {
    /// When.
    pub at: Timestamp,
    /// What happened: the state that was come to, or what was settled.
    pub what: String,
    /// Who did it; nothing where it followed by itself.
    pub by: Option<String>,
    /// In words.
    pub note: String,
}

/// A return or a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: ReturnId,
    /// Of which order.
    pub order: OrderId,
    /// Its checkout.
    pub checkout: CheckoutId,
    /// Its payment.
    pub payment: PaymentId,
    /// Who bought.
    pub buyer: BuyerId,
    /// Who sold.
    pub seller: SellerId,
    /// Whether goods come back.
    pub kind: ReturnKind,
    /// Who asked.
    pub opened_by: ReturnParty,
    /// Why.
    pub reason: ReturnReason,
    /// Where it stands.
    pub state: ReturnState,
    /// References of evidence.
    pub evidence: Vec<String>,
    /// The units.
    pub lines: Vec<ReturnLine>,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Refunds that were asked for and have not failed, credit notes included.
    pub refund_asked_minor: i64,
    /// Refunds that are done, credit notes included.
    pub refunded_minor: i64,
    /// What of the refunded is a credit note.
    pub credited_minor: i64,
    /// What replacements settled.
    pub replaced_minor: i64,
    /// Units that went out in their place.
    pub replacement: Vec<ReturnUnits>,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineLine>,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ReturnInput {
    /// The return that it asks for, of an order that its units are in.
    pub(crate) fn opened(
        &self,
        order: &Order,
        (id, payment): (ReturnId, PaymentId),
        now: Timestamp,
    ) -> Result<Return, CommerceError> {
        check_note("/note", &self.note)?;
        check_evidence(&self.evidence, 0)?;
        let claimable =
            matches!(self.reason, ReturnReason::NotReceived | ReturnReason::Damaged | ReturnReason::WrongItem);
        if self.kind == ReturnKind::Claim && !claimable {
            return Err(CommerceError::invalid("/reason", "must be not_received, damaged or wrong_item for a claim"));
        }
        if self.kind == ReturnKind::Return && self.reason == ReturnReason::NotReceived {
            return Err(CommerceError::invalid("/reason", "is not_received: what never came is claimed, not returned"));
        }
        if self.lines.is_empty() || self.lines.len() > order.lines.len() {
            let message = format!("must have 1 to {} lines, each product of the order once", order.lines.len());
            return Err(CommerceError::invalid("/lines", message));
        }
        let mut lines: Vec<ReturnLine> = Vec::with_capacity(self.lines.len());
        for (number, units) in self.lines.iter().enumerate() {
            let twice = lines.iter().any(|line| line.product == units.product);
            let bought = order.lines.iter().find(|line| line.product == units.product).filter(|_| !twice);
            let Some(bought) = bought else {
                let message = format!("{} is no product of {}, or stands twice", units.product, order.id);
                return Err(CommerceError::invalid(format!("/lines/{number}/product"), message));
            };
            if !(1..=bought.quantity).contains(&units.quantity) {
                let message = format!("is {}; it must be from 1 to {}", units.quantity, bought.quantity);
                return Err(CommerceError::invalid(format!("/lines/{number}/quantity"), message));
            }
            let of_units =
                dhow_ledger::divide::share_of_step(bought.amount_usd_minor, 0, units.quantity, bought.quantity)?;
            lines.push(ReturnLine {
                product: units.product,
                quantity: units.quantity,
                unit_price_minor: bought.unit_price.amount_minor,
                amount_usd_minor: of_units,
                accepted: 0,
                restocked: 0,
                called_off: 0,
            });
        }
        let first = TimelineLine {
            at: now,
            what: ReturnState::Requested.to_string(),
            by: Some(self.opened_by.to_string()),
            note: self.note.clone(),
        };
        Ok(Return {
            tenant: order.tenant,
            id,
            order: order.id,
            checkout: order.checkout,
            payment,
            buyer: order.buyer,
            seller: order.seller,
            kind: self.kind,
            opened_by: self.opened_by,
            reason: self.reason,
            state: ReturnState::Requested,
            evidence: self.evidence.clone(),
            lines,
            currency: order.total.currency,
            refund_asked_minor: 0,
            refunded_minor: 0,
            credited_minor: 0,
            replaced_minor: 0,
            replacement: Vec::new(),
            timeline: vec![first],
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

impl Return {
    /// What was paid for all of its units, in minor units.
    pub fn claimed_minor(&self) -> i64 {
        self.lines.iter().map(|line| line.quantity * line.unit_price_minor).sum()
    }

    /// What was paid for the units that were accepted.
    pub fn accepted_minor(&self) -> i64 {
        self.lines.iter().map(|line| line.accepted * line.unit_price_minor).sum()
    }

    /// What was accepted and is not settled, nor asked to be.
    pub fn left_minor(&self) -> i64 {
        self.accepted_minor() - self.refund_asked_minor - self.replaced_minor
    }

    /// The state in which it is settled.
    pub(crate) const fn settled_from(&self) -> ReturnState {
        match self.kind {
            ReturnKind::Return => ReturnState::Inspected,
            ReturnKind::Claim => ReturnState::Approved,
        }
    }

    /// Whether its units can be asked for again once it has ended: nothing of it was settled, nor asked to be.
    pub(crate) const fn is_unsettled(&self) -> bool {
        self.refund_asked_minor == 0 && self.replaced_minor == 0
    }

    /// Notes what happened.
    pub(crate) fn note(&mut self, what: String, by: Option<&str>, note: &str, now: Timestamp) {
        self.timeline.push(TimelineLine { at: now, what, by: by.map(str::to_owned), note: note.to_owned() });
        (self.version, self.updated_at) = (self.version + 1, now);
    }

    /// Comes to a state.
    pub(crate) fn come_to(
        &mut self,
        state: ReturnState,
        by: Option<&str>,
        note: &str,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        transition(self.state, state)?;
        self.state = state;
        self.note(state.to_string(), by, note, now);
        Ok(())
    }

    /// A person's step, checked; settling is not one.
    pub(crate) fn step(&mut self, change: &ReturnChange, now: Timestamp) -> Result<(), CommerceError> {
        check_text("/by", &change.by, 1..=PERSON_BYTES_MAX)?;
        check_note("/note", &change.note)?;
        check_evidence(&change.evidence, self.evidence.len())?;
        check_timeline(&self.timeline)?;
        if matches!(self.state, ReturnState::Refunded | ReturnState::Replaced) {
            let message = format!("{} is `{}`; only a refund that fails late opens it again", self.id, self.state);
            return Err(CommerceError::AfterSaleRefused(message));
        }
        transition(self.state, change.to)?;
        if matches!(change.to, ReturnState::Requested | ReturnState::Refunded | ReturnState::Replaced) {
            let message = format!("is {}, which follows from a settlement and is not set by itself", change.to);
            return Err(CommerceError::invalid("/to", message));
        }
        let moves_goods = matches!(change.to, ReturnState::InTransit | ReturnState::Received | ReturnState::Inspected);
        if self.kind == ReturnKind::Claim && moves_goods {
            return Err(CommerceError::invalid("/to", format!("is {}; a claim's goods do not come back", change.to)));
        }
        // What is on its way to the buyer is not closed over.
        if change.to == ReturnState::Closed && self.refund_asked_minor != self.refunded_minor {
            return Err(CommerceError::invalid("/to", "is closed; a refund is under way, wait for its end"));
        }
        match change.to {
            ReturnState::Inspected => self.inspect(&change.inspected)?,
            _ if !change.inspected.is_empty() => {
                return Err(CommerceError::invalid("/inspected", "belongs to the step to inspected only"));
            }
            ReturnState::Approved if self.kind == ReturnKind::Claim => {
                self.lines.iter_mut().for_each(|line| line.accepted = line.quantity);
            }
            _ => {}
        }
        self.evidence.extend(change.evidence.iter().cloned());
        self.come_to(change.to, Some(&change.by), &change.note, now)
    }

    fn inspect(&mut self, found: &[InspectedUnits]) -> Result<(), CommerceError> {
        if found.len() != self.lines.len() {
            let message = format!("has {} lines; the return has {}", found.len(), self.lines.len());
            return Err(CommerceError::invalid("/inspected", message));
        }
        for line in &mut self.lines {
            let of_line = found.iter().enumerate().find(|(_, units)| units.product == line.product);
            let Some((number, units)) = of_line else {
                return Err(CommerceError::invalid("/inspected", format!("says nothing of {}", line.product)));
            };
            for (name, count) in [("accepted", units.accepted), ("restocked", units.restocked)] {
                if !(0..=line.quantity).contains(&count) {
                    let message = format!("is {count}; it must be from 0 to {}", line.quantity);
                    return Err(CommerceError::invalid(format!("/inspected/{number}/{name}"), message));
                }
            }
            (line.accepted, line.restocked) = (units.accepted, units.restocked);
        }
        Ok(())
    }

    /// Follows what is settled: ended where all of it is done, open again where something failed.
    pub(crate) fn follow(&mut self, now: Timestamp) -> Result<bool, CommerceError> {
        let done = self.refunded_minor + self.replaced_minor == self.accepted_minor() && !self.is_unsettled();
        let state = match (done, self.replacement.is_empty()) {
            (true, true) => ReturnState::Refunded,
            (true, false) => ReturnState::Replaced,
            (false, _) => self.settled_from(),
        };
        let open = [ReturnState::Refunded, ReturnState::Replaced, self.settled_from()].contains(&self.state);
        if !open || state == self.state {
            return Ok(false);
        }
        self.come_to(state, None, "", now)?;
        Ok(true)
    }

    pub(crate) fn moved(&self) -> ReturnMoved {
        ReturnMoved {
            return_id: self.id,
            order: self.order,
            buyer: self.buyer,
            seller: self.seller,
            kind: self.kind.to_string(),
            state: self.state.to_string(),
            reason: self.reason.to_string(),
            quantity: self.lines.iter().map(|line| line.quantity).sum(),
            amount: Money::new(self.claimed_minor(), self.currency),
            amount_usd_minor: self.lines.iter().map(|line| line.amount_usd_minor).sum(),
        }
    }
}

pub(crate) fn check_note(pointer: &str, note: &str) -> Result<(), CommerceError> {
    check_text(pointer, note, 0..=RETURN_NOTE_BYTES_MAX)
}

/// Checks references of evidence that come to `kept` ones.
pub(crate) fn check_evidence(evidence: &[String], kept: usize) -> Result<(), CommerceError> {
    if kept + evidence.len() > EVIDENCE_MAX {
        let message = format!("makes {} references; at most {EVIDENCE_MAX} are kept", kept + evidence.len());
        return Err(CommerceError::invalid("/evidence", message));
    }
    for (number, reference) in evidence.iter().enumerate() {
        check_text(&format!("/evidence/{number}"), reference, 1..=EVIDENCE_BYTES_MAX)?;
    }
    Ok(())
}

pub(crate) fn check_timeline(timeline: &[TimelineLine]) -> Result<(), CommerceError> {
    if timeline.len() < TIMELINE_MAX {
        return Ok(());
    }
    Err(CommerceError::invalid("", format!("has {TIMELINE_MAX} steps in its timeline, the most that are kept")))
}
