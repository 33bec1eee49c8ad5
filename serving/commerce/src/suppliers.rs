//! Suppliers as the marketplace knows them: what they say of themselves, the papers that show it, and what was verified; the trust score is the engine's.
//!
//! ```text
//! supplier  unverified ─► submitted ─► verified ◄─► suspended
//!               ▲             └► rejected ─► submitted
//!               └ a profile that changes what was verified is to be submitted again
//! ```
//! What a verified supplier may show, the level, follows from the papers that were accepted and have not run out: a paper that runs
//! out takes its level with it, on the day.

use std::collections::BTreeSet;

use dhow_customs::Country;
use dhow_events::{DAY_MICROS, SellerId, TenantId, Timestamp};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::texts::check_text;
use crate::words::worded;
use crate::{
    Commerce, CommerceError, ExpectedVersion, PERSON_BYTES_MAX, PaymentRail, States, Step, Storage, StorageTransaction,
    SupplierTransaction, transition,
};

/// The most papers of a supplier.
pub const SUPPLIER_DOCUMENTS_MAX: usize = 50;
/// The most lines of a supplier's history; older ones are in the audit log.
pub const SUPPLIER_HISTORY_MAX: usize = 200;
/// The longest name, number or address of a profile or a paper, in bytes.
pub const SUPPLIER_TEXT_BYTES_MAX: usize = 200;
/// The longest note, in bytes.
pub const SUPPLIER_NOTE_BYTES_MAX: usize = 1_000;

worded! {
    /// Where a supplier stands.
    SupplierState {
        /// Nothing was submitted yet.
        Unverified = "unverified",
        /// Waits for a person.
        Submitted = "submitted",
        /// A person found it right.
        Verified = "verified",
        /// A person found it wrong; it may be submitted again.
        Rejected = "rejected",
        /// A person took the verification back for now.
        Suspended = "suspended",
    }
}

impl States for SupplierState {
    const SUBJECT: &'static str = "supplier";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Unverified, &[Self::Submitted]),
        (Self::Submitted, &[Self::Verified, Self::Rejected, Self::Unverified]),
        (Self::Rejected, &[Self::Submitted, Self::Unverified]),
        (Self::Verified, &[Self::Suspended, Self::Unverified]),
        (Self::Suspended, &[Self::Verified, Self::Unverified]),
    ];
}

worded! {
    /// What a paper shows.
    DocumentKind {
        /// That the company is registered.
        BusinessRegistration = "business_registration",
        /// That it is known to the tax office.
        TaxRegistration = "tax_registration",
        /// Who acts for it.
        Identity = "identity",
        /// Where it is.
        Address = "address",
        /// Whose the account is that it is paid to.
        BankAccount = "bank_account",
        /// That it may trade what it trades.
        Licence = "licence",
        /// That it works by a standard.
        Certificate = "certificate",
    }
}

worded! {
    /// What became of a paper.
    DocumentState {
        /// Nobody has looked at it.
        Submitted = "submitted",
        /// A person found it right.
        Accepted = "accepted",
        /// A person found it wrong.
        Rejected = "rejected",
    }
}

worded! {
    /// What a supplier may show, each level with all that the one before asks for.
    SupplierLevel {
        /// Nothing was verified.
        None = "none",
        /// The company is registered.
        Basic = "basic",
        /// And known to the tax office, with who acts for it.
        Verified = "verified",
        /// And where it is, and whose its account is.
        Premium = "premium",
    }
}

/// What each level asks for beside the level before.
const ASKED: [(SupplierLevel, &[DocumentKind]); 3] = [
    (SupplierLevel::Basic, &[DocumentKind::BusinessRegistration]),
    (SupplierLevel::Verified, &[DocumentKind::TaxRegistration, DocumentKind::Identity]),
    (SupplierLevel::Premium, &[DocumentKind::Address, DocumentKind::BankAccount]),
];

/// What a supplier says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplierProfile {
    /// The company's name as it is registered.
    pub legal_name: String,
    /// Where it is registered.
    pub country: Country,
    /// Its number in that country's register.
    pub registration_number: String,
    /// Its number at the tax office; may be empty.
    #[serde(default)]
    pub tax_number: String,
    /// What people read; may be empty.
    #[serde(default)]
    pub display_name: String,
    /// Its address on the Web; may be empty.
    #[serde(default)]
    pub website: String,
}

/// A paper that is handed in; it is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplierDocumentInput {
    /// What it shows.
    pub kind: DocumentKind,
    /// Its number or address.
    pub reference: String,
    /// The first day on which it no longer counts; nothing where it does not run out.
    #[serde(default, with = "day")]
    pub expires_on: Option<Date>,
}

/// A paper with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplierDocument {
    /// Counts the supplier's papers from 1.
    pub number: u32,
    /// What was handed in.
    #[serde(flatten)]
    pub input: SupplierDocumentInput,
    /// What became of it.
    pub state: DocumentState,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Words that went with it.
    pub note: String,
    /// When it was handed in.
    pub added_at: Timestamp,
}

/// A line of a supplier's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplierLine {
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub state: SupplierState,
    /// Who did it; nothing where the platform did.
    pub by: Option<String>,
    /// Words that go with it; may be empty.
    pub note: String,
}

/// A supplier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supplier {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which seller it is.
    pub seller: SellerId,
    /// What it says of itself.
    pub profile: SupplierProfile,
    /// Where it stands.
    pub state: SupplierState,
    /// Its papers, in the order in which they came.
    pub documents: Vec<SupplierDocument>,
    /// What happened, oldest first.
    pub history: Vec<SupplierLine>,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A step that is taken with a supplier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum SupplierChange {
    /// A paper is handed in.
    Attach {
        /// It.
        document: SupplierDocumentInput,
    },
    /// A person decides about a paper.
    Decide {
        /// Its number.
        document: u32,
        /// Accepted or rejected.
        to: DocumentState,
    },
    /// It is submitted, verified, rejected, suspended.
    Move {
        /// What it comes to.
        to: SupplierState,
    },
}

impl Supplier {
    /// What it may show at `now`: nothing unless it is verified; else the highest level all of whose papers, and of those below it,
    /// were accepted and have not run out.
    pub fn level(&self, now: Timestamp) -> SupplierLevel {
        if self.state != SupplierState::Verified {
            return SupplierLevel::None;
        }
        let shown = self.shown(now);
        let reached = ASKED.iter().take_while(|(_, kinds)| kinds.iter().all(|kind| shown.contains(kind)));
        reached.last().map_or(SupplierLevel::None, |(level, _)| *level)
    }

    /// What accepted papers show at `now`.
    fn shown(&self, now: Timestamp) -> BTreeSet<DocumentKind> {
        let counts = |document: &&SupplierDocument| {
            document.state == DocumentState::Accepted && !document.input.has_run_out(now)
        };
        self.documents.iter().filter(counts).map(|document| document.input.kind).collect()
    }

    fn take(&mut self, change: &SupplierChange, by: &str, note: &str, now: Timestamp) -> Result<Step, CommerceError> {
        match change {
            SupplierChange::Attach { document } => self.attach(document, note, now),
            SupplierChange::Decide { document, to } => self.decide(*document, *to, by, note),
            SupplierChange::Move { to } => self.move_to(*to, by, note, now),
        }
    }

    fn attach(&mut self, document: &SupplierDocumentInput, note: &str, now: Timestamp) -> Result<Step, CommerceError> {
        check_text("/document/reference", &document.reference, 1..=SUPPLIER_TEXT_BYTES_MAX)?;
        if document.has_run_out(now) {
            return Err(CommerceError::invalid("/document/expires_on", "must lie in the future"));
        }
        if self.documents.len() >= SUPPLIER_DOCUMENTS_MAX {
            return Err(refused(format!("there are {SUPPLIER_DOCUMENTS_MAX} papers already, which is the most")));
        }
        let number = self.documents.len() as u32 + 1;
        self.documents.push(SupplierDocument {
            number,
            input: document.clone(),
            state: DocumentState::Submitted,
            decided_by: None,
            note: note.to_owned(),
            added_at: now,
        });
        Ok(Step::Changes)
    }

    fn decide(&mut self, number: u32, to: DocumentState, by: &str, note: &str) -> Result<Step, CommerceError> {
        if to == DocumentState::Submitted {
            return Err(CommerceError::invalid("/to", "must be `accepted` or `rejected`"));
        }
        let found = self.documents.iter_mut().find(|document| document.number == number);
        let document =
            found.ok_or_else(|| CommerceError::invalid("/document", format!("{number} is no paper of it")))?;
        if document.state == to {
            return Ok(Step::AlreadyThere);
        }
        (document.state, document.decided_by, document.note) = (to, Some(by.to_owned()), note.to_owned());
        Ok(Step::Changes)
    }

    fn move_to(&mut self, to: SupplierState, by: &str, note: &str, now: Timestamp) -> Result<Step, CommerceError> {
        if to == SupplierState::Unverified {
            return Err(CommerceError::invalid("/to", "is what a changed profile comes to; it cannot be asked for"));
        }
        let step = transition(self.state, to)?;
        if step == Step::AlreadyThere {
            return Ok(step);
        }
        let shown = self.shown(now);
        if to == SupplierState::Verified && !ASKED[0].1.iter().all(|kind| shown.contains(kind)) {
            let message = format!("no accepted paper that has not run out shows `{}`", ASKED[0].1[0]);
            return Err(refused(message));
        }
        self.state = to;
        self.tell(Some(by), note, now);
        Ok(step)
    }

    fn tell(&mut self, by: Option<&str>, note: &str, now: Timestamp) {
        self.history.push(SupplierLine {
            at: now,
            state: self.state,
            by: by.map(str::to_owned),
            note: note.to_owned(),
        });
        let more = self.history.len().saturating_sub(SUPPLIER_HISTORY_MAX);
        self.history.drain(..more);
    }
}

impl SupplierDocumentInput {
    fn has_run_out(&self, now: Timestamp) -> bool {
        let today =
            jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(now.micros().div_euclid(DAY_MICROS)));
        self.expires_on.is_some_and(|day| today.is_ok_and(|today| day <= today))
    }
}

impl SupplierProfile {
    fn check(&self) -> Result<(), CommerceError> {
        let most = SUPPLIER_TEXT_BYTES_MAX;
        check_text("/legal_name", &self.legal_name, 1..=most)?;
        check_text("/registration_number", &self.registration_number, 1..=most)?;
        check_text("/tax_number", &self.tax_number, 0..=most)?;
        check_text("/display_name", &self.display_name, 0..=most)?;
        check_text("/website", &self.website, 0..=most)?;
        let is_web = ["https://", "http://"].iter().any(|scheme| self.website.starts_with(scheme));
        if !self.website.is_empty() && !is_web {
            return Err(CommerceError::invalid("/website", "must begin with https:// or http://"));
        }
        Ok(())
    }

    /// Whether papers that showed the other show this one too.
    fn is_the_same_company(&self, other: &Self) -> bool {
        let who = |profile: &Self| {
            (
                profile.legal_name.clone(),
                profile.country,
                profile.registration_number.clone(),
                profile.tax_number.clone(),
            )
        };
        who(self) == who(other)
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Writes what a supplier says of itself. Where that changes who the company is, what was verified is so no longer, and its papers
    /// are to be looked at again.
    ///
    /// # Errors
    /// Texts out of their bounds, a stale version; the database fails.
    pub async fn put_supplier(
        &self,
        tenant: TenantId,
        seller: SellerId,
        profile: &SupplierProfile,
        expected: ExpectedVersion,
    ) -> Result<Supplier, CommerceError> {
        profile.check()?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let kept = transaction.hold_supplier(tenant, seller).await?;
        expected.check(kept.as_ref().map(|kept| kept.version))?;
        let mut supplier = match kept {
            Some(kept) if kept.profile == *profile => {
                transaction.rollback().await?;
                return Ok(kept);
            }
            Some(kept) => kept,
            None => new_supplier(tenant, seller, profile, now),
        };
        if !supplier.profile.is_the_same_company(profile) {
            if supplier.state != SupplierState::Unverified {
                transition(supplier.state, SupplierState::Unverified)?;
                supplier.state = SupplierState::Unverified;
                supplier.tell(None, "who the company is changed", now);
            }
            for document in &mut supplier.documents {
                (document.state, document.decided_by) = (DocumentState::Submitted, None);
            }
        }
        supplier.profile = profile.clone();
        self.keep_supplier(&mut transaction, &mut supplier, now).await?;
        transaction.commit().await?;
        Ok(supplier)
    }

    /// Takes a step with a supplier. One that was taken already changes nothing.
    ///
    /// # Errors
    /// No such supplier, a stale version, a step that does not follow, a verification that no paper shows; the database fails.
    pub async fn move_supplier(
        &self,
        tenant: TenantId,
        seller: SellerId,
        expected: ExpectedVersion,
        change: &SupplierChange,
        (by, note): (&str, &str),
    ) -> Result<Supplier, CommerceError> {
        check_text("/by", by, 1..=PERSON_BYTES_MAX)?;
        check_text("/note", note, 0..=SUPPLIER_NOTE_BYTES_MAX)?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let kept = transaction.hold_supplier(tenant, seller).await?;
        let mut supplier = kept.ok_or_else(|| CommerceError::NotFound(format!("supplier {seller}")))?;
        let mut moved = supplier.clone();
        if moved.take(change, by, note, now)? == Step::AlreadyThere {
            transaction.rollback().await?;
            return Ok(supplier);
        }
        expected.check(Some(supplier.version))?;
        supplier = moved;
        self.keep_supplier(&mut transaction, &mut supplier, now).await?;
        transaction.commit().await?;
        Ok(supplier)
    }

    /// A supplier.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn find_supplier(&self, tenant: TenantId, seller: SellerId) -> Result<Supplier, CommerceError> {
        let found = self.storage.supplier(tenant, seller).await?;
        found.ok_or_else(|| CommerceError::NotFound(format!("supplier {seller}")))
    }

    async fn keep_supplier(
        &self,
        transaction: &mut S::Transaction,
        supplier: &mut Supplier,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        (supplier.version, supplier.updated_at) = (supplier.version + 1, now);
        if transaction.put_supplier(supplier).await? {
            return Ok(());
        }
        let found = transaction.hold_supplier(supplier.tenant, supplier.seller).await?.map(|found| found.version);
        Err(CommerceError::StaleVersion { expected: (supplier.version - 1).to_string(), found })
    }
}

/// A day as its text, `2027-03-31`.
mod day {
    use jiff::civil::Date;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        day.map(|day| day.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        let day = |text: String| {
            text.parse()
                .map_err(|_| D::Error::custom(format!("`{text}` is no day; write 2027-03-31 for the last of March")))
        };
        text.map(day).transpose()
    }
}

fn new_supplier(tenant: TenantId, seller: SellerId, profile: &SupplierProfile, now: Timestamp) -> Supplier {
    Supplier {
        tenant,
        seller,
        profile: profile.clone(),
        state: SupplierState::Unverified,
        documents: Vec::new(),
        history: Vec::new(),
        version: 0,
        created_at: now,
        updated_at: now,
    }
}

fn refused(message: String) -> CommerceError {
    CommerceError::SupplierRefused(message)
}
