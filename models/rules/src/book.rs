//! The published versions of a tenant's rules, which of them is in force, and who made it so and when; storage is the caller's.

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::backtest::BacktestReport;
use crate::card_numbers::contains_card_number;
use crate::outcome::Hash;
use crate::rule::{Rule, version_of};
use crate::set::RuleSet;

/// The longest author or reason in the log.
pub const MAX_WORDS_BYTES: usize = 1_000;

/// A version that was in force at some time. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedVersion {
    /// The hash over its rules.
    pub version: Hash,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// What it would have done, as known when it was published first.
    pub backtest: BacktestReport,
}

/// How a version came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Published after a backtest.
    Published {
        /// Decisions of the backtest; 0 where there were none yet.
        decisions: u64,
        /// How many of them changed.
        changed: u64,
        /// The hash over its outcomes.
        hash: Hash,
    },
    /// Taken up again.
    RolledBack {
        /// Why.
        reason: String,
    },
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub author: String,
    /// The version in force from then on.
    pub version: Hash,
    /// The one in force before.
    pub replaced: Option<Hash>,
    /// How.
    pub event: Event,
}

/// Why the version in force was not changed, or a stored book cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BookError {
    /// The backtest is of another set.
    #[error("the backtest is of version {backtest}, not of version {version} that is to be published; run it again")]
    BacktestOfAnother {
        /// The version to publish.
        version: Hash,
        /// The version of the backtest.
        backtest: Hash,
    },
    /// It is in force already.
    #[error("version {0} is in force already")]
    InForce(Hash),
    /// It was never published.
    #[error("version {0} was never published, so nothing can be rolled back to it")]
    NeverPublished(Hash),
    /// An author or a reason is empty, too long, or holds what looks like a card's number.
    #[error("the {field} must have 1 to {MAX_WORDS_BYTES} bytes and no card number")]
    BadWords {
        /// `author` or `reason`.
        field: &'static str,
    },
    /// An earlier time than the last line's.
    #[error("the change is dated {at}, before the last one at {last}")]
    BeforeTheLast {
        /// Its time.
        at: Timestamp,
        /// That of the last line.
        last: Timestamp,
    },
    /// The stored rules of a version are not those that were published.
    #[error("the rules stored as version {stored} have the hash {found}: they were changed since they were published")]
    Changed {
        /// The version.
        stored: Hash,
        /// The hash over what is stored.
        found: Hash,
    },
    /// The log names a version that the book does not have.
    #[error("the log names version {0}, which is not stored")]
    NotStored(Hash),
}

/// All published versions and the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleBook {
    versions: Vec<PublishedVersion>,
    log: Vec<Entry>,
}

impl RuleBook {
    /// A book from storage: versions in any order, the log in its own.
    ///
    /// # Errors
    /// Rules that do not have their version's hash, or a log that does not go with the versions.
    pub fn load(versions: Vec<PublishedVersion>, log: Vec<Entry>) -> Result<Self, BookError> {
        for stored in &versions {
            let found = version_of(&stored.rules);
            if found != stored.version {
                return Err(BookError::Changed { stored: stored.version, found });
            }
        }
        let book = Self { versions, log };
        for (number, entry) in book.log.iter().enumerate() {
            book.version(entry.version).ok_or(BookError::NotStored(entry.version))?;
            if let Some(last) = number.checked_sub(1).map(|last| book.log[last].at).filter(|last| *last > entry.at) {
                return Err(BookError::BeforeTheLast { at: entry.at, last });
            }
        }
        Ok(book)
    }

    /// The version in force; none before the first is published.
    pub fn current(&self) -> Option<&PublishedVersion> {
        self.version(self.log.last()?.version)
    }

    /// One version.
    pub fn version(&self, version: Hash) -> Option<&PublishedVersion> {
        self.versions.iter().find(|published| published.version == version)
    }

    /// All versions, in the order in which they were first published.
    pub fn versions(&self) -> &[PublishedVersion] {
        &self.versions
    }

    /// Who changed what and when, oldest first.
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// Puts a set into force. That it was compiled shows that it type-checks; the backtest shows what it would have done.
    /// Returns the line of the log.
    ///
    /// # Errors
    /// Why the version in force stays as it is.
    pub fn publish(
        &mut self,
        set: &RuleSet,
        backtest: &BacktestReport,
        author: &str,
        at: Timestamp,
    ) -> Result<&Entry, BookError> {
        let version = set.version();
        if backtest.version != version {
            return Err(BookError::BacktestOfAnother { version, backtest: backtest.version });
        }
        let event =
            Event::Published { decisions: backtest.decisions, changed: backtest.changed(), hash: backtest.hash };
        self.check(version, author, at)?;
        if self.version(version).is_none() {
            let rules = set.rules().to_vec();
            self.versions.push(PublishedVersion { version, rules, backtest: backtest.clone() });
        }
        Ok(self.write(version, author, at, event))
    }

    /// Puts an earlier version into force again. Returns the line of the log.
    ///
    /// # Errors
    /// Why the version in force stays as it is.
    pub fn roll_back(&mut self, version: Hash, author: &str, reason: &str, at: Timestamp) -> Result<&Entry, BookError> {
        self.version(version).ok_or(BookError::NeverPublished(version))?;
        check_words("reason", reason)?;
        self.check(version, author, at)?;
        Ok(self.write(version, author, at, Event::RolledBack { reason: reason.to_owned() }))
    }

    fn check(&self, version: Hash, author: &str, at: Timestamp) -> Result<(), BookError> {
        check_words("author", author)?;
        match self.log.last() {
            Some(last) if last.version == version => Err(BookError::InForce(version)),
            Some(last) if last.at > at => Err(BookError::BeforeTheLast { at, last: last.at }),
            _ => Ok(()),
        }
    }

    fn write(&mut self, version: Hash, author: &str, at: Timestamp, event: Event) -> &Entry {
        let replaced = self.log.last().map(|last| last.version);
        let place = self.log.len();
        self.log.push(Entry { at, author: author.to_owned(), version, replaced, event });
        &self.log[place]
    }
}

fn check_words(field: &'static str, text: &str) -> Result<(), BookError> {
    let good = !text.trim().is_empty() && text.len() <= MAX_WORDS_BYTES && !contains_card_number(text);
    if good { Ok(()) } else { Err(BookError::BadWords { field }) }
}
