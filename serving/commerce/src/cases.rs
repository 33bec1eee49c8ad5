//! Review cases: what a person looks at, claims and decides, with its transitions; where cases are kept is the database's business.
//!
//! ```text
//! open ─► claimed ─► decided
//!   ◄────────┘  (released, lapsed, or waiting for a second person)
//! ```

use dhow_events::facts::{CheckoutSubmitted, FraudLabelled};
use dhow_events::{AddressId, BuyerId, CardId, CheckoutId, DAY_MICROS, DecisionId, DeviceId, MINUTE_MICROS};
use dhow_events::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::texts::check_text;
use crate::words::worded;
use crate::{
    Commerce, CommerceError, DecisionKind, DecisionOutcome, DecisionRecord, FraudAction, PaymentRail, States, Storage,
    StorageError, StorageTransaction, transition,
};

/// How long a claim lasts; after it anybody may claim the case.
pub const CLAIM_MICROS: i64 = 15 * MINUTE_MICROS;
/// How long a payment rail holds an authorised amount, as far as the queue's order goes.
pub const AUTHORISATION_MICROS: i64 = 7 * DAY_MICROS;
/// To decline an amount above this, in US cents, takes a second person.
pub const FOUR_EYES_ABOVE_USD_MINOR: i64 = 100_000;
/// The longest name of a reviewer, in bytes.
pub const REVIEWER_BYTES_MAX: usize = 100;
/// The longest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_000;
/// The most lines of a case's history; notes are refused beyond it.
pub const CASE_LINES_MAX: usize = 1_000;

worded! {
    /// Where a case stands.
    CaseState {
        /// Waits for a person.
        Open = "open",
        /// A person looks at it.
        Claimed = "claimed",
        /// Its verdict is final.
        Decided = "decided",
    }
}

impl States for CaseState {
    const SUBJECT: &'static str = "case";
    const TRANSITIONS: &'static [(Self, &'static [Self])] =
        &[(Self::Open, &[Self::Claimed]), (Self::Claimed, &[Self::Open, Self::Decided])];
}

worded! {
    /// What a person says is to be done.
    Verdict {
        /// Let it pass.
        Approve = "approve",
        /// Refuse it.
        Decline = "decline",
    }
}

worded! {
    /// What a person found: models learn from it.
    FraudLabel {
        /// It was fraud.
        Fraud = "fraud",
        /// It was not.
        Genuine = "genuine",
    }
}

worded! {
    /// Which kind of fraud it was, where a person can tell.
    FraudKind {
        /// Somebody paid with a card that was stolen.
        StolenCard = "stolen_card",
        /// Somebody else used the account of a customer.
        AccountTakeover = "account_takeover",
        /// Small payments found out which stolen cards work.
        CardTesting = "card_testing",
        /// One of a group of accounts that defraud together.
        Ring = "ring",
        /// The order was made in order to be used and sent back, or claimed never to have come.
        ReturnAbuse = "return_abuse",
    }
}

/// What a person says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What is to be done.
    pub verdict: Verdict,
    /// What was found.
    pub label: FraudLabel,
    /// Which kind of fraud it was, where the person can tell.
    pub kind: Option<FraudKind>,
}

/// A finding that tells no kind.
impl From<(Verdict, FraudLabel)> for Finding {
    fn from((verdict, label): (Verdict, FraudLabel)) -> Self {
        Self { verdict, label, kind: None }
    }
}

/// A verdict with what models learn from it, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenVerdict {
    /// What is to be done.
    pub verdict: Verdict,
    /// What was found.
    pub label: FraudLabel,
    /// Which kind of fraud it was, where the person could tell.
    #[serde(default)]
    pub kind: Option<FraudKind>,
    /// Who gave it.
    pub reviewer: String,
    /// When.
    pub at: Timestamp,
}

worded! {
    /// What happened to a case.
    CaseStep {
        /// A decision opened it.
        Opened = "opened",
        /// A person took it.
        Claimed = "claimed",
        /// The person gave it back.
        Released = "released",
        /// Somebody wrote a note.
        Noted = "noted",
        /// A person gave a verdict, which a second person is to confirm.
        FirstVerdict = "first_verdict",
        /// The final verdict was given.
        Decided = "decided",
    }
}

/// A line of a case's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseLine {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub step: CaseStep,
    /// Who did it; nothing where the platform did.
    pub reviewer: Option<String>,
    /// The words that go with it; may be empty.
    pub note: String,
}

/// A decision that a person looks at. It has the id of its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FraudCase {
    /// Whose case it is.
    pub tenant: TenantId,
    /// The decision that opened it.
    pub decision: DecisionId,
    /// The checkout.
    pub checkout: CheckoutId,
    /// Who buys.
    pub buyer: BuyerId,
    /// The card, where one pays.
    pub card: Option<CardId>,
    /// The device.
    pub device: Option<DeviceId>,
    /// The delivery address.
    pub address: Option<AddressId>,
    /// What is at stake, US cents.
    pub amount_usd_minor: i64,
    /// The model's probability of fraud, 0 to 1.
    pub probability: f64,
    /// Probability times amount, US cents.
    pub expected_loss_usd_minor: i64,
    /// What the decision asked for: `review` or `step_up`.
    pub action: FraudAction,
    /// Where it stands.
    pub state: CaseState,
    /// Who looks at it.
    pub claimed_by: Option<String>,
    /// Until when.
    pub claimed_until: Option<Timestamp>,
    /// When the payment rail gives the amount free.
    pub authorisation_expires_at: Timestamp,
    /// The first person's verdict.
    pub verdict: Option<GivenVerdict>,
    /// The second person's, where two were needed; it is the final one.
    pub second_verdict: Option<GivenVerdict>,
    /// What happened, oldest first.
    pub history: Vec<CaseLine>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl FraudCase {
    /// The case that a recorded decision opens: a fraud decision that lets a checkout go on and asks a person to look.
    ///
    /// # Errors
    /// The record holds no checkout or no answer.
    pub fn opened_by(record: &DecisionRecord) -> Result<Option<Self>, StorageError> {
        let lets_go_on = matches!(record.outcome, DecisionOutcome::Applied | DecisionOutcome::Answered);
        if record.kind != DecisionKind::Fraud || !lets_go_on {
            return Ok(None);
        }
        let corrupt =
            |error: serde_json::Error| StorageError::Corrupt { what: "a fraud decision", detail: error.to_string() };
        let answer: ScoreAnswer = Deserialize::deserialize(&record.answer).map_err(corrupt)?;
        if !matches!(answer.action, FraudAction::Review | FraudAction::StepUp) {
            return Ok(None);
        }
        let checkout: CheckoutSubmitted = serde_json::from_value(record.request.clone()).map_err(corrupt)?;
        let at = record.created_at;
        Ok(Some(Self {
            tenant: record.tenant,
            decision: record.id,
            checkout: checkout.checkout,
            buyer: checkout.buyer,
            card: checkout.card,
            device: checkout.device,
            address: checkout.address,
            amount_usd_minor: checkout.total_usd_minor,
            probability: answer.probability,
            expected_loss_usd_minor: (answer.probability * checkout.total_usd_minor as f64).round() as i64,
            action: answer.action,
            state: CaseState::Open,
            claimed_by: None,
            claimed_until: None,
            authorisation_expires_at: at + AUTHORISATION_MICROS,
            verdict: None,
            second_verdict: None,
            history: vec![CaseLine { at, step: CaseStep::Opened, reviewer: None, note: String::new() }],
            created_at: at,
            updated_at: at,
        }))
    }

    /// The final verdict, where there is one.
    pub fn final_verdict(&self) -> Option<&GivenVerdict> {
        let last = self.second_verdict.as_ref().or(self.verdict.as_ref())?;
        (self.state == CaseState::Decided).then_some(last)
    }

    /// What models learn from the case; nothing before its verdict is final.
    pub fn label(&self) -> Option<FraudLabel> {
        self.final_verdict().map(|given| given.label)
    }

    /// Gives the case to `reviewer` for [`CLAIM_MICROS`]. Whoever holds it already holds it longer.
    ///
    /// # Errors
    /// Another person holds it or gave its first verdict, or it is decided.
    pub fn claim(&mut self, reviewer: &str, now: Timestamp) -> Result<(), CommerceError> {
        self.let_lapse(now);
        match &self.claimed_by {
            Some(holder) if holder == reviewer => {}
            Some(holder) => {
                return Err(CommerceError::CaseHeld { by: holder.clone(), until: self.claimed_until.unwrap_or(now) });
            }
            None => {
                transition(self.state, CaseState::Claimed)?;
                if self.verdict.as_ref().is_some_and(|first| first.reviewer == reviewer) {
                    return Err(CommerceError::SecondPersonNeeded);
                }
                self.write(CaseStep::Claimed, reviewer, "", now);
            }
        }
        (self.state, self.updated_at) = (CaseState::Claimed, now);
        (self.claimed_by, self.claimed_until) = (Some(reviewer.to_owned()), Some(now + CLAIM_MICROS));
        Ok(())
    }

    /// Gives the case back to the queue.
    ///
    /// # Errors
    /// `reviewer` does not hold it.
    pub fn release(&mut self, reviewer: &str, now: Timestamp) -> Result<(), CommerceError> {
        self.check_holder(reviewer, now)?;
        self.put_back();
        self.write(CaseStep::Released, reviewer, "", now);
        Ok(())
    }

    /// Adds a note; anybody may, at any time.
    ///
    /// # Errors
    /// The history is full.
    pub fn note(&mut self, reviewer: &str, note: &str, now: Timestamp) -> Result<(), CommerceError> {
        if self.history.len() >= CASE_LINES_MAX {
            let message = format!("the case has {CASE_LINES_MAX} lines of history, the most that it may have");
            return Err(CommerceError::invalid("/note", message));
        }
        self.write(CaseStep::Noted, reviewer, note, now);
        Ok(())
    }

    /// Gives a verdict. It is final but where an amount above [`FOUR_EYES_ABOVE_USD_MINOR`] is declined for the first time:
    /// then the case waits for a second person, whose verdict is final.
    ///
    /// # Errors
    /// `reviewer` does not hold the case.
    pub fn decide(&mut self, given: GivenVerdict, note: &str) -> Result<(), CommerceError> {
        let (reviewer, now) = (given.reviewer.clone(), given.at);
        self.check_holder(&reviewer, now)?;
        let weighty = given.verdict == Verdict::Decline && self.amount_usd_minor > FOUR_EYES_ABOVE_USD_MINOR;
        let is_first = self.verdict.is_none();
        let place = if is_first { &mut self.verdict } else { &mut self.second_verdict };
        *place = Some(given);
        self.put_back();
        if is_first && weighty {
            self.write(CaseStep::FirstVerdict, &reviewer, note, now);
        } else {
            self.state = CaseState::Decided;
            self.write(CaseStep::Decided, &reviewer, note, now);
        }
        Ok(())
    }

    fn check_holder(&mut self, reviewer: &str, now: Timestamp) -> Result<(), CommerceError> {
        self.let_lapse(now);
        match &self.claimed_by {
            Some(holder) if holder == reviewer => Ok(()),
            Some(holder) => {
                Err(CommerceError::CaseHeld { by: holder.clone(), until: self.claimed_until.unwrap_or(now) })
            }
            None => {
                // A decided case says so; an open one is to be claimed.
                transition(self.state, CaseState::Claimed)?;
                Err(CommerceError::CaseNotClaimed)
            }
        }
    }

    /// A claim that ran out is none.
    fn let_lapse(&mut self, now: Timestamp) {
        if self.claimed_until.is_some_and(|until| until <= now) {
            self.put_back();
        }
    }

    fn put_back(&mut self) {
        (self.state, self.claimed_by, self.claimed_until) = (CaseState::Open, None, None);
    }

    fn write(&mut self, step: CaseStep, reviewer: &str, note: &str, at: Timestamp) {
        self.history.push(CaseLine { at, step, reviewer: Some(reviewer.to_owned()), note: note.to_owned() });
        self.updated_at = at;
    }

    fn labelled(&self, given: &GivenVerdict) -> FraudLabelled {
        FraudLabelled {
            buyer: self.buyer,
            checkout: self.checkout,
            card: self.card,
            device: self.device,
            address: self.address,
            occurred_at: self.created_at,
            amount_usd_minor: self.amount_usd_minor,
            fraud: given.label == FraudLabel::Fraud,
            source: "review".to_owned(),
            kind: given.kind.map(|kind| kind.to_string()),
        }
    }
}

/// The part of a recorded answer that a case needs.
#[derive(Deserialize)]
struct ScoreAnswer {
    probability: f64,
    action: FraudAction,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Claims the most pressing case that `reviewer` may decide: by expected loss over the time left on the authorisation.
    /// Nothing where none waits. However many ask at once, each gets another case.
    ///
    /// # Errors
    /// A name that cannot be stored; the database fails.
    pub async fn claim_next_case(&self, tenant: TenantId, reviewer: &str) -> Result<Option<FraudCase>, CommerceError> {
        check_text("/reviewer", reviewer, 1..=REVIEWER_BYTES_MAX)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let Some(mut case) = transaction.next_case(tenant, reviewer, now).await? else { return Ok(None) };
        case.claim(reviewer, now)?;
        transaction.update_case(&case).await?;
        transaction.commit().await?;
        Ok(Some(case))
    }

    /// Claims one case.
    ///
    /// # Errors
    /// No such case, another person holds it or it is decided, a name that cannot be stored; the database fails.
    pub async fn claim_case(
        &self,
        tenant: TenantId,
        id: DecisionId,
        reviewer: &str,
    ) -> Result<FraudCase, CommerceError> {
        self.change_case(tenant, id, reviewer, |case, now| case.claim(reviewer, now)).await
    }

    /// Gives a claimed case back to the queue.
    ///
    /// # Errors
    /// No such case, or `reviewer` does not hold it; the database fails.
    pub async fn release_case(
        &self,
        tenant: TenantId,
        id: DecisionId,
        reviewer: &str,
    ) -> Result<FraudCase, CommerceError> {
        self.change_case(tenant, id, reviewer, |case, now| case.release(reviewer, now)).await
    }

    /// Adds a note to a case.
    ///
    /// # Errors
    /// No such case, a note that is empty, too long or holds what looks like a card number; the database fails.
    pub async fn note_case(
        &self,
        tenant: TenantId,
        id: DecisionId,
        reviewer: &str,
        note: &str,
    ) -> Result<FraudCase, CommerceError> {
        check_text("/note", note, 1..=NOTE_BYTES_MAX)?;
        self.change_case(tenant, id, reviewer, |case, now| case.note(reviewer, note, now)).await
    }

    /// Gives a verdict on a case that `reviewer` holds. A final one writes the label as an event in the same transaction, and
    /// moves the checkout on where it waits for it: approved, its orders are placed; declined, they are cancelled, the
    /// stock is free again and the amount at the rail is given up.
    ///
    /// # Errors
    /// No such case, `reviewer` does not hold it, a kind of what was no fraud, a note that cannot be stored; the database
    /// fails.
    pub async fn decide_case(
        &self,
        tenant: TenantId,
        id: DecisionId,
        reviewer: &str,
        finding: impl Into<Finding>,
        note: &str,
    ) -> Result<FraudCase, CommerceError> {
        check_text("/note", note, 0..=NOTE_BYTES_MAX)?;
        let Finding { verdict, label, kind } = finding.into();
        if kind.is_some() && label != FraudLabel::Fraud {
            return Err(CommerceError::invalid("/kind", "is a kind of fraud; it goes with the label `fraud` alone"));
        }
        let given = |at| GivenVerdict { verdict, label, kind, reviewer: reviewer.to_owned(), at };
        self.change_case(tenant, id, reviewer, |case, now| case.decide(given(now), note)).await
    }

    /// Reads a case, changes it and writes it in one transaction, with its label where the change made it final.
    async fn change_case(
        &self,
        tenant: TenantId,
        id: DecisionId,
        reviewer: &str,
        change: impl FnOnce(&mut FraudCase, Timestamp) -> Result<(), CommerceError>,
    ) -> Result<FraudCase, CommerceError> {
        check_text("/reviewer", reviewer, 1..=REVIEWER_BYTES_MAX)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let found = transaction.case(tenant, id).await?;
        let mut case = found.ok_or_else(|| CommerceError::NotFound(format!("case {id}")))?;
        let was_decided = case.final_verdict().is_some();
        change(&mut case, now)?;
        transaction.update_case(&case).await?;
        if let (false, Some(given)) = (was_decided, case.final_verdict()) {
            // The checkout before its events, as everywhere, so that two transactions never wait for each other.
            self.end_hold(&mut transaction, tenant, case.checkout, given.verdict, now).await?;
            let event = self.event(tenant, case.checkout.to_string(), now, case.labelled(given));
            transaction.append_events(&[event], now).await?;
        }
        transaction.commit().await?;
        Ok(case)
    }
}
