//! Disputes of payments, chargebacks: told by the rail or opened by hand, answered with evidence, won or lost; what they do to money and labels.
//!
//! ```text
//! needs_response ─► under_review ─► won ◄─► lost (the rail may take its word back)
//!        └──────────────────────────▲────────▲
//! ```
//! The rail takes the amount when a dispute opens, and gives it back when it is won. What is disputed cannot be refunded
//! besides. A lost dispute about fraud is a fraud label of its checkout; a won one takes the label back.

use dhow_events::facts::{DisputeMoved, FraudLabelled};
use dhow_events::{BuyerId, CheckoutId, DisputeId, Money, PaymentId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::idempotency::{claim, save_answer};
use crate::returns::{check_evidence, check_note, check_timeline};
use crate::texts::check_text;
use crate::transfers::{held, usd_of_step};
use crate::words::worded;
use crate::{
    AfterSaleTransaction, Answered, Checkout, Commerce, CommerceError, ExpectedVersion, Idempotency, PERSON_BYTES_MAX,
    PaymentRail, States, Step, Storage, StorageTransaction, TimelineLine, bookings, transition,
};

/// The most disputes of one payment.
pub const DISPUTES_PER_PAYMENT_MAX: usize = 20;
/// The longest name that a rail gives a dispute, in bytes.
pub const DISPUTE_CASE_BYTES_MAX: usize = 100;

worded! {
    /// What the card's holder says.
    DisputeReason {
        /// It was somebody else: the only reason that labels the checkout.
        Fraudulent = "fraudulent",
        /// The goods never came.
        NotReceived = "not_received",
        /// The goods are not what was described.
        NotAsDescribed = "not_as_described",
        /// It was paid twice.
        Duplicate = "duplicate",
        /// A refund was promised and did not come.
        RefundNotProcessed = "refund_not_processed",
        /// Something else.
        Other = "other",
    }
}

worded! {
    /// Where a dispute stands.
    DisputeState {
        /// Evidence can be sent, until its deadline.
        NeedsResponse = "needs_response",
        /// Evidence was sent.
        UnderReview = "under_review",
        /// The money came back.
        Won = "won",
        /// The money is gone: decided, accepted, or not answered in time.
        Lost = "lost",
    }
}

impl States for DisputeState {
    const SUBJECT: &'static str = "dispute";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::NeedsResponse, &[Self::UnderReview, Self::Won, Self::Lost]),
        (Self::UnderReview, &[Self::Won, Self::Lost]),
        (Self::Won, &[Self::Lost]),
        (Self::Lost, &[Self::Won]),
    ];
}

/// A dispute as the rail tells it, or as it is opened by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisputeInput {
    /// The payment.
    pub payment: PaymentId,
    /// The rail's own name for the dispute; a payment has one of each name.
    pub case: String,
    /// How much.
    pub amount: Money,
    /// What the card's holder says.
    pub reason: DisputeReason,
    /// Until when evidence is taken.
    pub respond_by: Timestamp,
}

/// What a rail tells of a dispute. The first message of one opens it, whatever it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeNews {
    /// The rail's own name for the dispute.
    pub case: String,
    /// Where it stands.
    pub state: DisputeState,
    /// How much.
    pub amount: Money,
    /// What the card's holder says.
    pub dispute_reason: DisputeReason,
    /// Until when evidence is taken.
    pub respond_by: Timestamp,
}

/// What is done with a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisputeChange {
    /// The state that it comes to: `under_review` with the evidence that is sent, `won`, or `lost`, also where it is accepted.
    pub to: DisputeState,
    /// Who does it.
    pub by: String,
    /// In words.
    #[serde(default)]
    pub note: String,
    /// References of evidence; at least one where evidence is sent.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// A dispute of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: DisputeId,
    /// The payment.
    pub payment: PaymentId,
    /// Its checkout.
    pub checkout: CheckoutId,
    /// Who bought.
    pub buyer: BuyerId,
    /// The rail.
    pub rail: String,
    /// The rail's own name for it.
    pub case: String,
    /// How much.
    pub amount: Money,
    /// The same in cents, at the checkout's rate.
    pub amount_usd_minor: i64,
    /// What of the payment's refundable amount it takes up; nothing where it is won.
    pub held_minor: i64,
    /// What the card's holder says.
    pub reason: DisputeReason,
    /// Where it stands.
    pub state: DisputeState,
    /// Until when evidence is taken.
    pub respond_by: Timestamp,
    /// References of evidence.
    pub evidence: Vec<String>,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineLine>,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Dispute {
    /// Notes a state that it comes to; `false` where it is there already.
    fn come_to(
        &mut self,
        state: DisputeState,
        by: Option<&str>,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, CommerceError> {
        if transition(self.state, state)? == Step::AlreadyThere {
            return Ok(false);
        }
        self.state = state;
        self.timeline.push(TimelineLine {
            at: now,
            what: state.to_string(),
            by: by.map(str::to_owned),
            note: note.to_owned(),
        });
        (self.version, self.updated_at) = (self.version + 1, now);
        Ok(true)
    }

    fn moved(&self) -> DisputeMoved {
        DisputeMoved {
            dispute: self.id,
            payment: self.payment,
            checkout: self.checkout,
            buyer: self.buyer,
            state: self.state.to_string(),
            reason: self.reason.to_string(),
            amount: self.amount,
            amount_usd_minor: self.amount_usd_minor,
            respond_by: self.respond_by,
        }
    }

    /// The label that its end is.
    fn labelled(&self, checkout: &Checkout) -> FraudLabelled {
        let request = &checkout.request;
        FraudLabelled {
            buyer: request.buyer,
            checkout: checkout.id,
            card: request.card,
            device: request.device,
            address: request.address,
            occurred_at: checkout.created_at,
            amount_usd_minor: checkout.total_usd_minor,
            fraud: self.state == DisputeState::Lost,
            source: "chargeback".to_owned(),
            kind: None,
        }
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Opens a dispute by hand; the rail's messages open them too. One of the same payment and name is given as it is.
    ///
    /// # Errors
    /// Wrong fields, a payment that is not there or of which nothing was captured, as many disputes as a payment has; the
    /// database fails.
    pub async fn open_dispute(
        &self,
        tenant: TenantId,
        input: &DisputeInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<Dispute>, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<DisputeId> = claim(&mut transaction, tenant, key, now).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.find_dispute(tenant, id).await?, replayed: true });
        }
        let checkout = held(&mut transaction, tenant, input.payment).await?;
        let dispute = self.dispute_of(&mut transaction, &checkout, input, now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &dispute.id).await?;
        transaction.commit().await?;
        Ok(Answered { value: dispute, replayed: false })
    }

    /// A dispute.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn find_dispute(&self, tenant: TenantId, id: DisputeId) -> Result<Dispute, CommerceError> {
        self.storage.find_dispute(tenant, id).await?.ok_or_else(|| missing(id))
    }

    /// Sends evidence, or writes how a dispute ended. One that is there already stays as it is.
    ///
    /// # Errors
    /// No such dispute, a stale version, a step that does not follow, evidence after its deadline; the database fails.
    pub async fn move_dispute(
        &self,
        tenant: TenantId,
        id: DisputeId,
        expected: ExpectedVersion,
        change: &DisputeChange,
    ) -> Result<Dispute, CommerceError> {
        check_text("/by", &change.by, 1..=PERSON_BYTES_MAX)?;
        check_note("/note", &change.note)?;
        let payment = self.find_dispute(tenant, id).await?.payment;
        let mut transaction = self.storage.begin().await?;
        let checkout = held(&mut transaction, tenant, payment).await?;
        let mut dispute = transaction.find_dispute(tenant, id).await?.ok_or_else(|| missing(id))?;
        if dispute.state == change.to {
            transaction.rollback().await?;
            return Ok(dispute);
        }
        expected.check(Some(dispute.version))?;
        check_timeline(&dispute.timeline)?;
        check_evidence(&change.evidence, dispute.evidence.len())?;
        let now = self.clock.now();
        if change.to == DisputeState::UnderReview {
            if change.evidence.is_empty() {
                return Err(CommerceError::invalid("/evidence", "must name what is sent"));
            }
            if now > dispute.respond_by {
                let message = format!("evidence was taken until {}", dispute.respond_by);
                return Err(CommerceError::AfterSaleRefused(message));
            }
        }
        dispute.evidence.extend(change.evidence.iter().cloned());
        self.bring_dispute_on(
            &mut transaction,
            &checkout,
            &mut dispute,
            (change.to, Some(&change.by), &change.note),
            now,
        )
        .await?;
        transaction.commit().await?;
        Ok(dispute)
    }

    /// What a rail tells of a dispute, however often and in whatever order it comes.
    pub(crate) async fn take_dispute(
        &self,
        tenant: TenantId,
        payment: PaymentId,
        news: &DisputeNews,
    ) -> Result<(), CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let checkout = held(&mut transaction, tenant, payment).await?;
        let input = DisputeInput {
            payment,
            case: news.case.clone(),
            amount: news.amount,
            reason: news.dispute_reason,
            respond_by: news.respond_by,
        };
        let mut dispute = self.dispute_of(&mut transaction, &checkout, &input, now).await?;
        // What is older than what was told before changes nothing; only an end follows an end.
        let known = [DisputeState::Won, DisputeState::Lost].contains(&dispute.state);
        let open = [DisputeState::NeedsResponse, DisputeState::UnderReview].contains(&news.state);
        if news.state != DisputeState::NeedsResponse && !(known && open) {
            self.bring_dispute_on(
                &mut transaction,
                &checkout,
                &mut dispute,
                (news.state, None, "told by the rail"),
                now,
            )
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The dispute of the payment and name, opened where there is none. The payment is held.
    async fn dispute_of(
        &self,
        transaction: &mut S::Transaction,
        checkout: &Checkout,
        input: &DisputeInput,
        now: Timestamp,
    ) -> Result<Dispute, CommerceError> {
        let visible = input.case.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=DISPUTE_CASE_BYTES_MAX).contains(&input.case.len()) {
            let message = format!("must have 1 to {DISPUTE_CASE_BYTES_MAX} visible ASCII characters");
            return Err(CommerceError::invalid("/case", message));
        }
        let disputes = transaction.disputes_of(checkout.tenant, input.payment).await?;
        if let Some(known) = disputes.iter().find(|dispute| dispute.case == input.case) {
            return Ok(known.clone());
        }
        if disputes.len() >= DISPUTES_PER_PAYMENT_MAX {
            let message = format!("{} has {DISPUTES_PER_PAYMENT_MAX} disputes, the most of a payment", input.payment);
            return Err(CommerceError::AfterSaleRefused(message));
        }
        let captured_minor = checkout.payment.as_ref().map_or(0, |payment| payment.amounts.captured_minor);
        let (amount, currency) = (input.amount, checkout.total.currency);
        if amount.currency != currency || !(1..=captured_minor).contains(&amount.amount_minor) {
            let message =
                format!("must be from 1 to the {captured_minor} minor units of {currency} that were captured");
            return Err(CommerceError::invalid("/amount", message));
        }
        let whole = checkout.total.amount_minor;
        let first = TimelineLine {
            at: now,
            what: DisputeState::NeedsResponse.to_string(),
            by: None,
            note: input.reason.to_string(),
        };
        let mut dispute = Dispute {
            tenant: checkout.tenant,
            id: DisputeId::at(now, self.ids.random()),
            payment: input.payment,
            checkout: checkout.id,
            buyer: checkout.request.buyer,
            rail: self.rail.name().to_owned(),
            case: input.case.clone(),
            amount,
            amount_usd_minor: usd_of_step(checkout.total_usd_minor, 0, amount.amount_minor, whole)?,
            held_minor: 0,
            reason: input.reason,
            state: DisputeState::NeedsResponse,
            respond_by: input.respond_by,
            evidence: Vec::new(),
            timeline: vec![first],
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.hold_back(transaction, checkout, &disputes, &mut dispute).await?;
        transaction.write_batch(&bookings::disputed(&dispute, now)?).await?;
        self.write_dispute(transaction, &dispute, now).await?;
        Ok(dispute)
    }

    /// Takes up what of the payment can still be refunded, up to the dispute's amount.
    async fn hold_back(
        &self,
        transaction: &mut S::Transaction,
        checkout: &Checkout,
        disputes: &[Dispute],
        dispute: &mut Dispute,
    ) -> Result<(), CommerceError> {
        let amounts = checkout.payment.as_ref().map(|payment| payment.amounts).unwrap_or_default();
        let others: i64 = disputes.iter().filter(|other| other.id != dispute.id).map(|other| other.held_minor).sum();
        let free = amounts.captured_minor - amounts.refund_asked_minor - others;
        dispute.held_minor = dispute.amount.amount_minor.min(free).max(0);
        Ok(transaction.add_disputed(dispute.tenant, dispute.payment, dispute.held_minor).await?)
    }

    /// Writes a dispute's next state with its money, its label and its event.
    async fn bring_dispute_on(
        &self,
        transaction: &mut S::Transaction,
        checkout: &Checkout,
        dispute: &mut Dispute,
        (state, by, note): (DisputeState, Option<&str>, &str),
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let before = dispute.state;
        if !dispute.come_to(state, by, note, now)? {
            return Ok(());
        }
        if state == DisputeState::Won {
            transaction.add_disputed(dispute.tenant, dispute.payment, -dispute.held_minor).await?;
            dispute.held_minor = 0;
            transaction.write_batch(&bookings::disputed(dispute, now)?).await?;
        }
        if before == DisputeState::Won {
            let disputes = transaction.disputes_of(dispute.tenant, dispute.payment).await?;
            self.hold_back(transaction, checkout, &disputes, dispute).await?;
            transaction.write_batch(&bookings::disputed(dispute, now)?).await?;
        }
        let ended = matches!(state, DisputeState::Won | DisputeState::Lost);
        if ended && dispute.reason == DisputeReason::Fraudulent {
            let event = self.event(dispute.tenant, dispute.id.to_string(), now, dispute.labelled(checkout));
            transaction.append_events(&[event], now).await?;
        }
        self.write_dispute(transaction, dispute, now).await
    }

    async fn write_dispute(
        &self,
        transaction: &mut S::Transaction,
        dispute: &Dispute,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        transaction.put_dispute(dispute).await?;
        let event = self.event(dispute.tenant, dispute.id.to_string(), now, dispute.moved());
        Ok(transaction.append_events(&[event], now).await?)
    }
}

fn missing(id: DisputeId) -> CommerceError {
    CommerceError::NotFound(format!("dispute {id}"))
}
