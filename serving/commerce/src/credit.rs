//! Who may pay later: plans, the limit of a buyer with its reasons, and the agreement that a checkout proposes; what is paid of it stands in `instalments`.

use dhow_credit::{Instalment, PlanRefusal, PlanTerms, Score, ScoreCard, Standing};
use dhow_events::{AgreementId, BuyerId, DecisionId, Money, PaymentId, TenantId, Timestamp};
use dhow_ledger::divide::{Rounding, ratio};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::checkout::Attempt;
use crate::{
    Agreement, AgreementState, CheckoutRequest, Commerce, CommerceError, CreditTransaction, DecisionKind,
    DecisionOutcome, DecisionRecord, ExpectedVersion, FeatureValue, FieldProblem, FraudDecision, PaymentRail, Reason,
    Storage, StorageError, StorageTransaction,
};

/// The most plans of a tenant.
pub const PAY_LATER_PLANS_MAX: i64 = 50;
/// The longest name of a plan, in bytes.
pub const PLAN_NAME_BYTES_MAX: usize = 40;

/// The database's rule that no buyer owes more than the limit.
pub(crate) const LIMIT_RULE: &str = "pay_later_open_within_limit";

/// A plan of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayLaterPlan {
    /// Whose.
    pub tenant: TenantId,
    /// Its name, as checkouts ask for it.
    pub name: String,
    /// Its terms.
    #[serde(flatten)]
    pub terms: PlanTerms,
    /// Counts its changes from 1; its ETag. Agreements keep the version that they were made of.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a buyer owes and has paid over all agreements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreditHistory {
    /// What is open, in US cents: outstanding, or proposed by a checkout that has not ended.
    pub open_usd_minor: i64,
    /// Instalments paid.
    pub paid_count: i64,
    /// Agreements that were late.
    pub late_count: i64,
    /// Agreements that were written off.
    pub defaulted_count: i64,
}

/// What changes of it; below zero takes off.
pub type CreditChange = CreditHistory;

/// What a checkout's answer says of the decision about its credit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreditSummary {
    /// The recorded decision.
    pub decision: DecisionId,
    /// The agreement; none where it was refused.
    pub agreement: Option<AgreementId>,
    /// Whether the buyer may pay later.
    pub approved: bool,
    /// The score.
    pub score: i64,
    /// The most that may be open at once, in US cents.
    pub limit_usd_minor: i64,
    /// What was open before, in US cents.
    pub open_usd_minor: i64,
    /// What this purchase adds with its fee, in US cents.
    pub asked_usd_minor: i64,
    /// Why, the weightiest first; the contributions and the card's base sum to the score.
    pub reasons: Vec<Reason>,
    /// The score card and its version.
    pub model: String,
    /// Whether a fallback stood behind the fraud model's part.
    pub degraded: bool,
}

/// What a buyer could agree to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Eligibility {
    /// The decision.
    #[serde(flatten)]
    pub credit: CreditSummary,
    /// What is bought.
    pub principal: Money,
    /// What it costs to pay later.
    pub fee: Money,
    /// What is to be paid by when, were it bought now.
    pub schedule: Vec<Instalment>,
}

/// A decision about credit with what it would agree.
#[derive(Debug, Clone)]
pub(crate) struct Considered {
    pub summary: CreditSummary,
    pub plan: PayLaterPlan,
    pub schedule: Vec<Instalment>,
    pub features: Vec<FeatureValue>,
}

impl Considered {
    fn fee_minor(&self) -> i64 {
        self.schedule.iter().map(|line| line.fee_minor).sum()
    }

    /// It was approved, and another checkout came first.
    pub(crate) fn overtaken(&mut self) {
        self.summary.reasons.insert(0, over_limit(&self.summary));
        (self.summary.approved, self.summary.agreement) = (false, None);
    }

    pub(crate) fn record(&self, attempt: &Attempt<'_>, subject: String, outcome: DecisionOutcome) -> DecisionRecord {
        let CreditSummary { decision, approved, score, limit_usd_minor, open_usd_minor, .. } = &self.summary;
        DecisionRecord {
            tenant: attempt.tenant,
            id: *decision,
            kind: DecisionKind::Credit,
            subject,
            model: self.summary.model.clone(),
            request: json!({
                "buyer": attempt.request.buyer, "plan": self.plan.name, "plan_version": self.plan.version,
                "amount": attempt.quote.total, "asked_usd_minor": self.summary.asked_usd_minor,
            }),
            answer: json!({
                "approved": approved, "score": score, "limit_usd_minor": limit_usd_minor, "open_usd_minor": open_usd_minor,
            }),
            reasons: self.summary.reasons.clone(),
            features: self.features.clone(),
            applied_offsets: attempt.fraud.applied_offsets.clone(),
            degraded: self.summary.degraded,
            latency_us: 0,
            outcome,
            created_at: attempt.now,
        }
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// The tenant's plans by name.
    ///
    /// # Errors
    /// The database fails.
    pub async fn pay_later_plans(&self, tenant: TenantId) -> Result<Vec<PayLaterPlan>, CommerceError> {
        Ok(self.storage.pay_later_plans(tenant).await?)
    }

    /// Writes a plan. Agreements that were made keep the terms that they were made with.
    ///
    /// # Errors
    /// Wrong fields, a stale version, as many plans as may be; the database fails.
    pub async fn put_pay_later_plan(
        &self,
        tenant: TenantId,
        name: &str,
        terms: &PlanTerms,
        expected: ExpectedVersion,
    ) -> Result<PayLaterPlan, CommerceError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !(1..=PLAN_NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(plain) {
            let message = format!("must have 1 to {PLAN_NAME_BYTES_MAX} small letters, digits, `_` or `-`");
            return Err(CommerceError::invalid("/name", message));
        }
        let problems = terms.problems();
        if !problems.is_empty() {
            let problem = |wrong: dhow_credit::PlanProblem| FieldProblem::new(wrong.pointer, wrong.message);
            return Err(CommerceError::Invalid(problems.into_iter().map(problem).collect()));
        }
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let found = transaction.pay_later_plan(tenant, name).await?;
        let version = found.as_ref().map(|plan| plan.version);
        expected.check(version)?;
        if found.is_none() && transaction.count_pay_later_plans(tenant).await? >= PAY_LATER_PLANS_MAX {
            let message = format!("there are {PAY_LATER_PLANS_MAX} plans, the most of a tenant");
            return Err(CommerceError::CreditRefused(message));
        }
        let plan = PayLaterPlan {
            tenant,
            name: name.to_owned(),
            terms: terms.clone(),
            version: version.unwrap_or(0) + 1,
            created_at: found.map_or(now, |plan| plan.created_at),
            updated_at: now,
        };
        if !transaction.put_pay_later_plan(&plan).await? {
            return Err(CommerceError::StaleVersion { expected: (plan.version - 1).to_string(), found: version });
        }
        transaction.commit().await?;
        Ok(plan)
    }

    /// Says whether and how a buyer may pay a cart later, as a checkout would: the decision is recorded, nothing is reserved.
    ///
    /// # Errors
    /// A wrong request, an unknown plan, what the plan does not finance, no score; the database fails.
    pub async fn pay_later_eligibility(
        &self,
        tenant: TenantId,
        request: &CheckoutRequest,
    ) -> Result<Eligibility, CommerceError> {
        request.check().map_err(CommerceError::Invalid)?;
        let Some(name) = request.pay_later_plan.as_deref() else {
            return Err(CommerceError::invalid("/payment_method", "must be `pay_later`"));
        };
        let quote = self.quote(tenant, &request.lines, Some(request.delivery_region), request.currency).await?;
        let attempt = self.score(tenant, request, None, quote, self.clock.now())?;
        let mut transaction = self.storage.begin().await?;
        let considered = self.consider(&mut transaction, &attempt, name).await?;
        let record = considered.record(&attempt, request.buyer.to_string(), DecisionOutcome::Answered);
        transaction.insert_decisions(&[&record]).await?;
        transaction.commit().await?;
        let fee = Money::new(considered.fee_minor(), attempt.quote.total.currency);
        let Considered { summary, schedule, .. } = considered;
        let credit = CreditSummary { agreement: None, ..summary };
        Ok(Eligibility { credit, principal: attempt.quote.total, fee, schedule })
    }

    /// Decides about the credit of an attempt; the buyer's history is held against other writers.
    pub(crate) async fn consider(
        &self,
        transaction: &mut S::Transaction,
        attempt: &Attempt<'_>,
        name: &str,
    ) -> Result<Considered, CommerceError> {
        let (tenant, now, total) = (attempt.tenant, attempt.now, attempt.quote.total);
        let unknown = || CommerceError::invalid("/pay_later_plan", format!("`{name}` is no plan"));
        let plan = transaction.pay_later_plan(tenant, name).await?.ok_or_else(unknown)?;
        let schedule = plan.terms.schedule(total, now).map_err(|refusal| not_financed(&refusal))?;
        let history = transaction.credit_history(tenant, attempt.request.buyer).await?;
        let fee: i64 = schedule.iter().map(|line| line.fee_minor).sum();
        let cents = attempt.quote.total_usd_minor.unsigned_abs();
        let asked_usd_minor = ratio(total.amount_minor + fee, cents, total.amount_minor.unsigned_abs(), Rounding::Up)?;
        let (card, score) = self.card_score(&attempt.fraud, &history)?;
        let feature = |points: &dhow_credit::Points| FeatureValue { name: points.reads.clone(), value: points.value };
        let features = score.points.iter().map(feature).collect();
        let mut summary = CreditSummary {
            decision: DecisionId::at(now, self.ids.random()),
            agreement: None,
            approved: false,
            score: score.score,
            limit_usd_minor: score.limit_usd_minor,
            open_usd_minor: history.open_usd_minor,
            asked_usd_minor,
            reasons: reasons(&score),
            model: card,
            degraded: attempt.fraud.degraded,
        };
        let open_usd_minor = history.open_usd_minor.saturating_add(asked_usd_minor);
        if open_usd_minor <= score.limit_usd_minor {
            summary.approved = true;
            summary.agreement = Some(AgreementId::at(now, self.ids.random()));
        } else {
            summary.reasons.insert(0, over_limit(&summary));
        }
        Ok(Considered { summary, plan, schedule, features })
    }

    fn card_score(&self, fraud: &FraudDecision, history: &CreditHistory) -> Result<(String, Score), CommerceError> {
        let card = ScoreCard::built_in()
            .map_err(|error| StorageError::Corrupt { what: "the score card", detail: error.to_string() })?;
        let number = |name: &str| match name {
            "fraud_probability" => Some(fraud.probability),
            "history_paid" => Some(history.paid_count as f64),
            "history_late" => Some(history.late_count as f64),
            "history_defaulted" => Some(history.defaulted_count as f64),
            feature => fraud.features.iter().find(|value| value.name == feature).and_then(|found| found.value),
        };
        Ok((card.label(), card.score(number)))
    }

    /// The agreement that an approved attempt proposes.
    pub(crate) fn proposed(
        &self,
        attempt: &Attempt<'_>,
        considered: &Considered,
        (id, payment): (AgreementId, PaymentId),
    ) -> Agreement {
        let (now, total) = (attempt.now, attempt.quote.total);
        Agreement {
            tenant: attempt.tenant,
            id,
            buyer: attempt.request.buyer,
            checkout: attempt.id,
            payment,
            plan: considered.plan.name.clone(),
            plan_version: considered.plan.version,
            terms: considered.plan.terms.clone(),
            decision: considered.summary.decision,
            state: AgreementState::Proposed,
            currency: total.currency,
            standing: Standing::new(total.amount_minor, considered.fee_minor()),
            schedule: considered.schedule.clone(),
            principal_usd_minor: attempt.quote.total_usd_minor,
            open_usd_minor: considered.summary.asked_usd_minor,
            charging: None,
            waivers: Vec::new(),
            failures: 0,
            retry_at: None,
            late_at: None,
            next_at: None,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Takes the credit of an approved attempt off the buyer's limit; `false` where others came first.
    pub(crate) async fn take_credit(
        &self,
        transaction: &mut S::Transaction,
        tenant: TenantId,
        buyer: BuyerId,
        summary: &CreditSummary,
    ) -> Result<bool, CommerceError> {
        let (limit, asked) = (summary.limit_usd_minor, summary.asked_usd_minor);
        match transaction.grant_credit(tenant, buyer, limit, asked).await {
            Ok(()) => Ok(true),
            Err(StorageError::Rule { rule }) if rule == LIMIT_RULE => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

fn reasons(score: &Score) -> Vec<Reason> {
    let reason = |points: &dhow_credit::Points| Reason {
        code: points.code.clone(),
        text: points.text.clone(),
        contribution: points.points as f64,
    };
    score.points.iter().map(reason).collect()
}

/// Beside the score: it moves no points, so its contribution is 0.
fn over_limit(summary: &CreditSummary) -> Reason {
    let (asked, limit) = (summary.asked_usd_minor, summary.limit_usd_minor);
    let text = format!("{asked} US cents and what is open already are more than the limit of {limit}");
    Reason { code: "over_limit".to_owned(), text, contribution: 0.0 }
}

fn not_financed(refusal: &PlanRefusal) -> CommerceError {
    CommerceError::invalid("/pay_later_plan", refusal.to_string())
}
