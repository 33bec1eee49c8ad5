//! The rules and lists in force, by tenant: loaded at the start, written to the database first and to memory then, followed where other servers write.

use std::sync::Arc;

use dhow_commerce::{DeskHeads, FieldProblem, ListChange, RuleDraft, RuleStorage, RulesRecord, StorageError};
use dhow_events::facts::CheckoutSubmitted;
use dhow_events::{DAY_MICROS, HOUR_MICROS, TenantId, Timestamp};
use dhow_rules::{
    Action, BookEntry, BookError, Effect, EntryRefused, Facts, Field, FieldType, FieldValue, Hash, ListEntry, ListKind,
    Lists, MAX_ENTRIES, Removal, RemoveError, Rule, RuleBook, RuleError, RuleFault, RuleSet, RuleSetError, Schema,
};
use dhow_store::Store;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::error::failed;
use crate::{Engine, EngineError};

/// The part of the platform that errors name.
const PART: &str = "fraud rules";

/// What is in force for one tenant.
struct TenantRules {
    book: RuleBook,
    set: Arc<RuleSet>,
    lists: Lists,
    /// The last line of the lists' log that is in `lists`.
    lists_number: i64,
}

/// Every tenant's rules and lists.
pub(crate) struct FraudRules {
    schema: Arc<Schema>,
    empty: Arc<RuleSet>,
    no_lists: Lists,
    tenants: RwLock<FxHashMap<TenantId, TenantRules>>,
    /// Held by whoever changes what is in force.
    turn: tokio::sync::Mutex<()>,
}

impl FraudRules {
    /// Loads what the database holds; `features` are the names of the vector that decisions are made of.
    pub(crate) async fn open(store: &Store, features: &[String]) -> Result<Self, EngineError> {
        let schema = Schema::new(features.iter().map(String::as_str), request_fields()).map_err(failed(PART))?;
        let schema = Arc::new(schema);
        let empty = Arc::new(RuleSet::compile(Vec::new(), schema.clone()).map_err(failed(PART))?);
        let (tenants, turn) = (RwLock::default(), tokio::sync::Mutex::default());
        let rules = Self { schema, empty, no_lists: Lists::new(), tenants, turn };
        rules.follow(store).await?;
        Ok(rules)
    }

    /// Takes up what was written since the last time, by this server or another.
    pub(crate) async fn follow(&self, store: &Store) -> Result<(), EngineError> {
        let _turn = self.turn.lock().await;
        self.catch_up(store).await
    }

    async fn catch_up(&self, store: &Store) -> Result<(), EngineError> {
        for heads in store.desk_heads().await? {
            self.catch_up_tenant(store, heads).await?;
        }
        Ok(())
    }

    async fn catch_up_tenant(&self, store: &Store, heads: DeskHeads) -> Result<(), EngineError> {
        let tenant = heads.tenant;
        let known = |rules: &TenantRules| (rules.book.log().len() as i64, rules.lists_number);
        let (rules_known, lists_known) = self.tenants.read().get(&tenant).map_or((0, 0), known);
        if heads.rules > rules_known {
            let (versions, log) = tokio::try_join!(store.rule_versions(tenant), store.rule_log(tenant))?;
            let book = RuleBook::load(versions, log).map_err(failed(PART))?;
            let set = match book.current() {
                Some(current) => self.compile(current.rules.clone()).map_err(failed(PART))?,
                None => self.empty.clone(),
            };
            self.change(tenant, |rules| (rules.book, rules.set) = (book, set));
        }
        if heads.lists > lists_known {
            let changes = store.list_log(tenant, lists_known).await?;
            self.change(tenant, |rules| changes.into_iter().try_for_each(|change| rules.apply(change)))?;
        }
        Ok(())
    }

    fn change<T>(&self, tenant: TenantId, change: impl FnOnce(&mut TenantRules) -> T) -> T {
        let fresh =
            || TenantRules { book: RuleBook::default(), set: self.empty.clone(), lists: Lists::new(), lists_number: 0 };
        change(self.tenants.write().entry(tenant).or_insert_with(fresh))
    }

    fn compile(&self, rules: Vec<Rule>) -> Result<Arc<RuleSet>, RuleSetError> {
        RuleSet::compile(rules, self.schema.clone()).map(Arc::new)
    }

    fn book(&self, tenant: TenantId) -> RuleBook {
        self.tenants.read().get(&tenant).map(|rules| rules.book.clone()).unwrap_or_default()
    }

    /// The set in force.
    pub(crate) fn set(&self, tenant: TenantId) -> Arc<RuleSet> {
        self.tenants.read().get(&tenant).map_or_else(|| self.empty.clone(), |rules| rules.set.clone())
    }

    /// What the rules and lists in force make of a checkout that the model scored, and the set that said it.
    pub(crate) fn judge(
        &self,
        tenant: TenantId,
        checkout: &CheckoutSubmitted,
        now: Timestamp,
        features: &[f64],
        judged: (f64, Action),
    ) -> Result<(RulesRecord, Arc<RuleSet>), EngineError> {
        let set = self.set(tenant);
        let record = self.record(tenant, &set, request_values(checkout, now).into(), now, features, judged)?;
        Ok((record, set))
    }

    /// What the lists in force make of a payment, an account or a return; rules are written about checkouts. The question
    /// looks like `checkout`, of which it names the fields `named` alone.
    pub(crate) fn judge_by_lists(
        &self,
        tenant: TenantId,
        (checkout, named): (&CheckoutSubmitted, &[&str]),
        now: Timestamp,
        features: &[f64],
        judged: (f64, Action),
    ) -> Result<(RulesRecord, Arc<RuleSet>), EngineError> {
        let given = request_values(checkout, now).into_iter().zip(REQUEST_FIELDS);
        let fields =
            given.map(|(value, (name, _))| if named.contains(&name) { value } else { FieldValue::Missing }).collect();
        let record = self.record(tenant, &self.empty, fields, now, features, judged)?;
        Ok((record, self.empty.clone()))
    }

    fn record(
        &self,
        tenant: TenantId,
        set: &RuleSet,
        fields: Vec<FieldValue>,
        now: Timestamp,
        features: &[f64],
        (score, band): (f64, Action),
    ) -> Result<RulesRecord, EngineError> {
        let listed = {
            let tenants = self.tenants.read();
            let lists = tenants.get(&tenant).map_or(&self.no_lists, |rules| &rules.lists);
            lists.listed(&self.schema, &fields, now).map_err(failed(PART))?
        };
        let known: Vec<f64> = features.iter().map(|value| if value.is_finite() { *value } else { f64::NAN }).collect();
        let facts = Facts { features: &known, fields: &fields, listed, score, band };
        let outcome = set.evaluate(&facts).map_err(failed(PART))?;
        Ok(RulesRecord { score, band, fields, listed, outcome })
    }
}

impl TenantRules {
    fn apply(&mut self, (number, change): (i64, ListChange)) -> Result<(), EngineError> {
        match change {
            ListChange::Added { entry } => {
                self.lists.add(entry).map_err(failed(PART))?;
            }
            ListChange::Removed { kind, effect, value, removal } => {
                match self.lists.remove(kind, effect, &value, &removal) {
                    // Two servers may have removed it at once.
                    Ok(_) | Err(RemoveError::NotListed(_)) => {}
                    Err(error) => return Err(failed(PART)(error)),
                }
            }
        }
        self.lists_number = number;
        Ok(())
    }
}

/// The fields of a request that rules may name beside the features; [`request_values`] has their order.
const REQUEST_FIELDS: [(&str, FieldType); 15] = [
    ("amount_usd_minor", FieldType::Integer),
    ("amount_minor", FieldType::Integer),
    ("currency", FieldType::Text),
    ("region", FieldType::Text),
    ("country", FieldType::Key(ListKind::Country)),
    ("delivery_region", FieldType::Text),
    ("delivery_country", FieldType::Key(ListKind::Country)),
    ("payment_method", FieldType::Text),
    ("line_count", FieldType::Integer),
    ("quantity", FieldType::Integer),
    ("hour", FieldType::Integer),
    ("buyer", FieldType::Key(ListKind::Buyer)),
    ("card", FieldType::Key(ListKind::Card)),
    ("device", FieldType::Key(ListKind::Device)),
    ("address", FieldType::Key(ListKind::Address)),
];

fn request_fields() -> Vec<Field> {
    REQUEST_FIELDS.into_iter().map(|(name, field_type)| Field::new(name, field_type)).collect()
}

fn request_values(checkout: &CheckoutSubmitted, now: Timestamp) -> [FieldValue; REQUEST_FIELDS.len()] {
    let text = |text: &dyn std::fmt::Display| FieldValue::Text(text.to_string().into());
    fn id<T: std::fmt::Display>(id: Option<T>) -> FieldValue {
        id.map_or(FieldValue::Missing, |id| FieldValue::Text(id.to_string().into()))
    }
    [
        FieldValue::Integer(checkout.total_usd_minor),
        FieldValue::Integer(checkout.total.amount_minor),
        text(&checkout.total.currency),
        text(&checkout.region),
        country(checkout.region.as_str()),
        text(&checkout.delivery_region),
        country(checkout.delivery_region.as_str()),
        text(&checkout.payment_method),
        FieldValue::Integer(checkout.line_count),
        FieldValue::Integer(checkout.quantity),
        FieldValue::Integer(now.micros().rem_euclid(DAY_MICROS) / HOUR_MICROS),
        id(Some(checkout.buyer)),
        id(checkout.card),
        id(checkout.device),
        id(checkout.address),
    ]
}

/// The country of a region such as `NG-LA`; missing where it does not begin with two letters.
fn country(region: &str) -> FieldValue {
    let country = region.split('-').next().unwrap_or_default();
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_country { FieldValue::Text(country.into()) } else { FieldValue::Missing }
}

/// The rules of a tenant as they stand.
#[derive(Debug, Clone)]
pub struct RulesInForce {
    /// The version in force; that of the empty set where nothing was published.
    pub version: Hash,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What is being written, with the version that it would have.
    pub draft: Option<(Hash, RuleDraft)>,
    /// Who put what into force and when, oldest first.
    pub log: Vec<BookEntry>,
}

impl Engine {
    /// The rules in force, the draft and the log.
    ///
    /// # Errors
    /// The database fails, or the stored draft no longer goes with the feature definitions.
    pub async fn fraud_rules(&self, tenant: TenantId) -> Result<RulesInForce, EngineError> {
        let set = self.rules().set(tenant);
        let draft = match self.store().rule_draft(tenant).await? {
            Some(draft) => {
                let compiled = self.rules().compile(draft.rules.clone()).map_err(failed(PART))?;
                Some((compiled.version(), draft))
            }
            None => None,
        };
        let log = self.rules().book(tenant).log().to_vec();
        Ok(RulesInForce { version: set.version(), rules: set.rules().to_vec(), draft, log })
    }

    /// Checks rules and keeps them as the draft; gives the version that they would have.
    ///
    /// # Errors
    /// Rules that do not type-check, each with its place; the database fails.
    pub async fn draft_fraud_rules(&self, tenant: TenantId, rules: Vec<Rule>) -> Result<Hash, EngineError> {
        let set = self.rules().compile(rules.clone()).map_err(|error| wrong_rules(&rules, error))?;
        let draft = RuleDraft { rules, saved_at: self.clock().now() };
        self.store().put_rule_draft(tenant, &draft).await?;
        Ok(set.version())
    }

    /// The set of a version: the one in force, an earlier one or the draft's; the draft's where no version is named.
    ///
    /// # Errors
    /// No such version; the database fails.
    pub(crate) async fn rule_set(&self, tenant: TenantId, version: Option<Hash>) -> Result<Arc<RuleSet>, EngineError> {
        let in_force = self.rules().set(tenant);
        if version == Some(in_force.version()) {
            return Ok(in_force);
        }
        let book = self.rules().book(tenant);
        if let Some(published) = version.and_then(|version| book.version(version)) {
            return self.rules().compile(published.rules.clone()).map_err(failed(PART));
        }
        let draft = self.store().rule_draft(tenant).await?;
        let draft = draft.ok_or_else(|| EngineError::NotFound("draft of rules".to_owned()))?;
        let set = self.rules().compile(draft.rules).map_err(failed(PART))?;
        match version.filter(|version| *version != set.version()) {
            Some(version) => Err(EngineError::NotFound(format!("version {version}, published or as the draft"))),
            None => Ok(set),
        }
    }

    /// Puts a version that a backtest tried into force.
    ///
    /// # Errors
    /// No such finished backtest, or it is of another version; the draft has changed since; it is in force already; an author that cannot be stored;
    /// another server changed the rules at the same time; the database fails.
    pub async fn publish_fraud_rules(
        &self,
        tenant: TenantId,
        version: Hash,
        backtest: u64,
        author: &str,
    ) -> Result<BookEntry, EngineError> {
        let (tried, report) = self.finished_backtest(tenant, backtest).await?;
        if tried != version {
            return Err(refused(BookError::BacktestOfAnother { version, backtest: tried }));
        }
        let set = self.rule_set(tenant, Some(version)).await?;
        let at = self.clock().now();
        self.change_book(tenant, |book| book.publish(&set, &report, author, at).cloned()).await
    }

    /// Puts an earlier version into force again.
    ///
    /// # Errors
    /// It was never published, or is in force already; an author or a reason that cannot be stored; another server changed
    /// the rules at the same time; the database fails.
    pub async fn roll_back_fraud_rules(
        &self,
        tenant: TenantId,
        version: Hash,
        author: &str,
        reason: &str,
    ) -> Result<BookEntry, EngineError> {
        let at = self.clock().now();
        self.change_book(tenant, |book| book.roll_back(version, author, reason, at).cloned()).await
    }

    async fn change_book(
        &self,
        tenant: TenantId,
        change: impl FnOnce(&mut RuleBook) -> Result<BookEntry, BookError>,
    ) -> Result<BookEntry, EngineError> {
        let rules = self.rules();
        let _turn = rules.turn.lock().await;
        rules.catch_up(self.store()).await?;
        let mut book = rules.book(tenant);
        let entry = change(&mut book).map_err(refused)?;
        let version = book.version(entry.version).ok_or_else(|| refused(BookError::NotStored(entry.version)))?;
        let number = book.log().len() as i64;
        self.store().write_rule_log(tenant, number, &entry, version).await.map_err(|error| match error {
            StorageError::Exists(_) => EngineError::Conflict(
                "another server changed the rules at the same time; look at them again".to_owned(),
            ),
            other => other.into(),
        })?;
        rules.catch_up(self.store()).await?;
        Ok(entry)
    }

    /// The entries of a list that count now, oldest first, from place `from` of all entries on, at most `limit`; with each
    /// its place.
    pub fn list_entries(
        &self,
        tenant: TenantId,
        (kind, effect): (ListKind, Effect),
        from: usize,
        limit: usize,
    ) -> Vec<(usize, ListEntry)> {
        let now = self.clock().now();
        let tenants = self.rules().tenants.read();
        let entries = tenants.get(&tenant).map_or(&[][..], |rules| rules.lists.entries());
        let of_list = |entry: &ListEntry| entry.kind == kind && entry.effect == effect && counts(entry, now);
        let found = entries.iter().enumerate().skip(from).filter(|(_, entry)| of_list(entry));
        found.take(limit).map(|(place, entry)| (place, entry.clone())).collect()
    }

    /// Puts a key on a list. Gives the entry as it is kept.
    ///
    /// # Errors
    /// A key or words that cannot be stored, such as a card's number; the lists are full; the database fails.
    pub async fn add_list_entry(&self, tenant: TenantId, entry: ListEntry) -> Result<ListEntry, EngineError> {
        let entry = Lists::new().add(entry).map_err(wrong_entry)?.clone();
        let held = self.rules().tenants.read().get(&tenant).map_or(0, |rules| rules.lists.entries().len());
        if held >= MAX_ENTRIES {
            return Err(EngineError::Conflict(EntryRefused::Full.to_string()));
        }
        self.change_lists(tenant, ListChange::Added { entry: entry.clone() }).await?;
        Ok(entry)
    }

    /// Takes a key off a list; its entries are kept for the record.
    ///
    /// # Errors
    /// It is not on the list as written, or an author that cannot be stored; the database fails.
    pub async fn remove_list_entry(
        &self,
        tenant: TenantId,
        (kind, effect): (ListKind, Effect),
        value: &str,
        author: &str,
    ) -> Result<(), EngineError> {
        let listed = self.list_entries(tenant, (kind, effect), 0, usize::MAX);
        let found = listed.into_iter().find(|(_, entry)| entry.value == value);
        let (_, mut entry) = found.ok_or_else(|| EngineError::NotFound("such key on the list".to_owned()))?;
        let removal = Removal { at: self.clock().now(), author: author.to_owned() };
        entry.removed = Some(removal.clone());
        Lists::new().add(entry).map_err(wrong_entry)?;
        self.change_lists(tenant, ListChange::Removed { kind, effect, value: value.to_owned(), removal }).await
    }

    async fn change_lists(&self, tenant: TenantId, change: ListChange) -> Result<(), EngineError> {
        self.store().append_list_change(tenant, &change, self.clock().now()).await?;
        self.rules().follow(self.store()).await
    }
}

fn counts(entry: &ListEntry, now: Timestamp) -> bool {
    let ended = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
    !ended(entry.expires) && !ended(entry.removed.as_ref().map(|removal| removal.at))
}

/// Every wrong rule with its place in the request.
fn wrong_rules(rules: &[Rule], error: RuleSetError) -> EngineError {
    let wrong = match error {
        RuleSetError::TooMany { .. } => return EngineError::invalid("/rules", error.to_string()),
        RuleSetError::Rules(wrong) => wrong,
    };
    let problem = |RuleError { rule, fault }: RuleError| {
        let place = rules.iter().rposition(|one| one.id == rule).unwrap_or_default();
        let field = match &fault {
            RuleFault::Condition(_) => "when",
            RuleFault::NameLength { .. } => "name",
            RuleFault::DuplicateId => "id",
            RuleFault::CardNumberRefused { field } => match field.as_str() {
                "condition" => "when",
                "reason" => "then/code",
                other => other,
            },
        };
        FieldProblem::new(format!("/rules/{place}/{field}"), fault.to_string())
    };
    EngineError::Invalid(wrong.into_iter().map(problem).collect())
}

fn wrong_entry(error: EntryRefused) -> EngineError {
    let field = match &error {
        EntryRefused::CardNumberRefused { field }
        | EntryRefused::Empty { field }
        | EntryRefused::TooLong { field, .. } => field.split(' ').next().unwrap_or("value"),
        EntryRefused::Key(_) => "value",
        EntryRefused::NeverCounts { .. } => "expires",
        EntryRefused::Full => return EngineError::Conflict(error.to_string()),
    };
    EngineError::invalid(format!("/{field}"), error.to_string())
}

fn refused(error: BookError) -> EngineError {
    match error {
        BookError::BadWords { field } => EngineError::invalid(format!("/{field}"), error.to_string()),
        BookError::NeverPublished(version) => EngineError::NotFound(format!("published version {version}")),
        BookError::BacktestOfAnother { .. } | BookError::InForce(_) | BookError::BeforeTheLast { .. } => {
            EngineError::Conflict(error.to_string())
        }
        BookError::Changed { .. } | BookError::NotStored(_) => failed(PART)(error),
    }
}
