//! Reorder proposals as people handle them: approved within budgets, ordered, received into stock; what to propose is computed elsewhere.
//!
//! ```text
//! proposed ─► approved ─► ordered ─► received
//!    │ │          └► rejected ◄──┐ (called off)
//!    │ └► rejected    ordered ───┘
//!    └► superseded (by a newer proposal for the product)
//! ```
//! A proposal whose cost takes several people stays proposed until enough of them agreed.

use std::collections::BTreeMap;

use dhow_events::facts::StockChanged;
use dhow_events::{DAY_MICROS, Money, ProductId, ReorderId, TenantId, Timestamp};
use dhow_reorder::Proposal;
use serde::{Deserialize, Serialize};

use crate::approvals::{agree, check_levels};
use crate::texts::check_text;
use crate::words::worded;
use crate::{
    Approval, ApprovalLevel, Commerce, CommerceError, PaymentRail, States, Step, Storage, StorageTransaction,
    transition,
};

/// The longest name of a person, in bytes.
pub const PERSON_BYTES_MAX: usize = 100;
/// The longest note, in bytes.
pub const REORDER_NOTE_BYTES_MAX: usize = 1_000;
/// Most proposals that are made at once.
pub const REORDERS_MAX: usize = 1_000;

worded! {
    /// Where a proposal stands.
    ReorderState {
        /// Waits for a person.
        Proposed = "proposed",
        /// A newer proposal took its place.
        Superseded = "superseded",
        /// A person said no, or called it off.
        Rejected = "rejected",
        /// A person said yes; its cost counts against the budgets.
        Approved = "approved",
        /// It was sent to the supplier.
        Ordered = "ordered",
        /// It arrived, and is in stock.
        Received = "received",
    }
}

impl States for ReorderState {
    const SUBJECT: &'static str = "reorder proposal";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Proposed, &[Self::Superseded, Self::Rejected, Self::Approved]),
        (Self::Approved, &[Self::Rejected, Self::Ordered]),
        (Self::Ordered, &[Self::Rejected, Self::Received]),
    ];
}

/// A line of a proposal's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReorderLine {
    /// When.
    pub at: Timestamp,
    /// The state that it came to.
    pub state: ReorderState,
    /// Who did it; nothing where the platform did.
    pub person: Option<String>,
    /// The words that go with it; may be empty.
    pub note: String,
}

/// A proposal to order a product, with what it was made of and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReorderProposal {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: ReorderId,
    /// The product.
    pub product: ProductId,
    /// Where it stands.
    pub state: ReorderState,
    /// Units to order: as proposed, or as approved.
    pub units: i64,
    /// What a unit costs.
    pub unit_cost: Money,
    /// What the units cost, in cents.
    pub cost_usd_minor: i64,
    /// Days between order and arrival.
    pub lead_days: u32,
    /// Days until stock is looked at again.
    pub review_days: u32,
    /// The forecast model that it rests on.
    pub model: String,
    /// Why so many.
    pub reasons: Proposal,
    /// Who agreed to it.
    #[serde(default)]
    pub approvals: Vec<Approval>,
    /// When its cost began to count against the budgets.
    pub approved_at: Option<Timestamp>,
    /// What happened, oldest first.
    pub history: Vec<ReorderLine>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What may be spent on approved proposals in a UTC day, a week from Monday and a month; nothing means no bound. And who is to agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReorderBudgets {
    /// Cents a day.
    pub day_usd_minor: Option<i64>,
    /// Cents a week.
    pub week_usd_minor: Option<i64>,
    /// Cents a month.
    pub month_usd_minor: Option<i64>,
    /// What approvals a proposal takes, by rising cost; one person's where no level counts.
    pub approval_levels: Vec<ApprovalLevel>,
}

impl ReorderBudgets {
    /// The bounds that there are, each with the beginning of its period at `now` and the period's name.
    fn bounds(&self, now: Timestamp) -> impl Iterator<Item = (i64, Timestamp, &'static str)> {
        let day = now.day();
        // 1970-01-01 was a Thursday, so that Mondays are the days with (day + 3) mod 7 = 0.
        let monday = day - (day + 3).rem_euclid(7);
        [
            (self.day_usd_minor, day, "day"),
            (self.week_usd_minor, monday, "week"),
            (self.month_usd_minor, now.first_day_of_month(), "month"),
        ]
        .into_iter()
        .filter_map(|(minor, day, name)| Some((minor?, Timestamp::from_micros(day * DAY_MICROS), name)))
    }
}

/// A person's decision on a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReorderChange {
    /// The state that it is to come to.
    pub to: ReorderState,
    /// Who says so.
    pub person: String,
    /// Words that go with it.
    pub note: String,
    /// With an approval, other units than proposed; the units that arrived with a receipt.
    pub units: Option<i64>,
}

impl ReorderProposal {
    fn change(
        &mut self,
        change: &ReorderChange,
        levels: &[ApprovalLevel],
        now: Timestamp,
    ) -> Result<Step, CommerceError> {
        let step = transition(self.state, change.to)?;
        if step == Step::AlreadyThere {
            return Ok(step);
        }
        if let Some(units) = change.units {
            if !matches!(change.to, ReorderState::Approved | ReorderState::Received) {
                return Err(CommerceError::invalid("/units", "can be given with an approval or a receipt only"));
            }
            if !(1..=ON_ORDER_MAX).contains(&units) {
                let message = format!("is {units}; it must be from 1 to {ON_ORDER_MAX}");
                return Err(CommerceError::invalid("/units", message));
            }
            let cost = i128::from(self.cost_usd_minor) * i128::from(units) / i128::from(self.units.max(1));
            if units != self.units {
                // Who agreed before agreed to another order.
                self.approvals.clear();
            }
            self.cost_usd_minor = i64::try_from(cost).unwrap_or(i64::MAX);
            self.units = units;
        }
        let mut to = change.to;
        if to == ReorderState::Approved
            && !agree(&mut self.approvals, &change.person, levels, self.cost_usd_minor, now)?
        {
            to = ReorderState::Proposed;
        }
        match to {
            ReorderState::Approved => self.approved_at = Some(now),
            ReorderState::Rejected => self.approved_at = None,
            _ => {}
        }
        (self.state, self.updated_at) = (to, now);
        let (person, note) = (Some(change.person.clone()), change.note.clone());
        self.history.push(ReorderLine { at: now, state: to, person, note });
        Ok(step)
    }
}

/// Most units of one order.
const ON_ORDER_MAX: i64 = 1_000_000_000;

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Sets what may be spent.
    ///
    /// # Errors
    /// A negative bound, levels of approval that are wrong; the database fails.
    pub async fn set_reorder_budgets(&self, tenant: TenantId, budgets: &ReorderBudgets) -> Result<(), CommerceError> {
        let given = [
            ("/day_usd_minor", budgets.day_usd_minor),
            ("/week_usd_minor", budgets.week_usd_minor),
            ("/month_usd_minor", budgets.month_usd_minor),
        ];
        if let Some((pointer, minor)) =
            given.iter().find_map(|(pointer, minor)| Some((*pointer, (*minor)?)).filter(|g| g.1 < 0))
        {
            return Err(CommerceError::invalid(pointer, format!("is {minor}; it must be 0 or more, or null")));
        }
        let problems = check_levels(&budgets.approval_levels);
        if !problems.is_empty() {
            return Err(CommerceError::Invalid(problems));
        }
        let mut transaction = self.storage.begin().await?;
        transaction.put_reorder_budgets(tenant, budgets).await?;
        Ok(transaction.commit().await?)
    }

    /// Cents that the tightest budget leaves at this moment; nothing where there is none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn reorder_budget_left(&self, tenant: TenantId) -> Result<Option<i64>, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let budgets = transaction.reorder_budgets(tenant).await?;
        let mut least = None;
        for (minor, from, _) in budgets.bounds(now) {
            let left = minor - transaction.approved_reorder_cost(tenant, from).await?;
            least = Some(least.map_or(left, |least: i64| least.min(left)).max(0));
        }
        transaction.rollback().await?;
        Ok(least)
    }

    /// Stores proposals; an earlier one of the same product that still waits for a person is superseded.
    ///
    /// # Errors
    /// More than [`REORDERS_MAX`]; the database fails. Nothing is stored then.
    pub async fn propose_reorders(&self, proposals: &[ReorderProposal]) -> Result<(), CommerceError> {
        if proposals.len() > REORDERS_MAX {
            let message = format!("has {}; at most {REORDERS_MAX} are taken at once", proposals.len());
            return Err(CommerceError::invalid("/items", message));
        }
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        for proposal in proposals {
            if let Some(mut earlier) = transaction.waiting_reorder(proposal.tenant, proposal.product).await? {
                transition(earlier.state, ReorderState::Superseded)?;
                (earlier.state, earlier.updated_at) = (ReorderState::Superseded, now);
                let note = format!("superseded by {}", proposal.id);
                earlier.history.push(ReorderLine { at: now, state: earlier.state, person: None, note });
                transaction.put_reorder(&earlier).await?;
            }
            transaction.put_reorder(proposal).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Moves a proposal on. Where its cost takes more people than agreed so far, an approval leaves it proposed; other units
    /// than those before take back who agreed to them. An approval is refused where it would go beyond a budget; a receipt puts the units into stock,
    /// with the event, in the same transaction. To a state that it is in already nothing is done.
    ///
    /// # Errors
    /// No such proposal, a transition that is not allowed, a person who agreed before, a budget that does not suffice, words or units out of their
    /// bounds; the database fails.
    pub async fn change_reorder(
        &self,
        tenant: TenantId,
        id: ReorderId,
        change: &ReorderChange,
    ) -> Result<ReorderProposal, CommerceError> {
        check_text("/person", &change.person, 1..=PERSON_BYTES_MAX)?;
        check_text("/note", &change.note, 0..=REORDER_NOTE_BYTES_MAX)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        // The budgets before the proposal: approvals wait for each other here, so that two never pass one bound together.
        let budgets = transaction.reorder_budgets(tenant).await?;
        let found = transaction.reorder(tenant, id).await?;
        let mut proposal = found.ok_or_else(|| CommerceError::NotFound(format!("reorder proposal {id}")))?;
        if proposal.change(change, &budgets.approval_levels, now)? == Step::AlreadyThere {
            return Ok(proposal);
        }
        if proposal.state == ReorderState::Approved {
            for (minor, from, period) in budgets.bounds(now) {
                let spent = transaction.approved_reorder_cost(tenant, from).await?;
                if spent.saturating_add(proposal.cost_usd_minor) > minor {
                    let left = (minor - spent).max(0);
                    return Err(CommerceError::BudgetSpent { period, cost_usd_minor: proposal.cost_usd_minor, left });
                }
            }
        }
        if change.to == ReorderState::Received {
            let level = transaction.add_stock(tenant, proposal.product, proposal.units).await?;
            let fact =
                StockChanged { product: proposal.product, quantity_change: proposal.units, on_hand: level.on_hand };
            let event = self.event(tenant, proposal.product.to_string(), now, fact);
            transaction.append_events(&[event], now).await?;
        }
        transaction.put_reorder(&proposal).await?;
        transaction.commit().await?;
        Ok(proposal)
    }
}

/// Units of each product that are approved or ordered and have not arrived.
pub type UnitsOnTheirWay = BTreeMap<ProductId, i64>;
