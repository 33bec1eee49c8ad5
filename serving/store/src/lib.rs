//! The commerce database on SQLite or PostgreSQL, chosen by URL: it implements the storage traits of `dhow-commerce`.
//!
//! The same SQL runs on both; [`Store::connect`] brings the schema up to date. SQLite runs in WAL mode with foreign keys
//! on: one connection writes, in the order in which transactions ask for it, others read. Rules that must hold whatever
//! the code does (stock is never oversold, no refund exceeds its capture) are constraints of the schema; breaking one is
//! a [`StorageError::Rule`](dhow_commerce::StorageError::Rule) that names it.

mod access;
mod agreements;
mod at_once;
mod auctions;
mod audit;
mod backtests;
mod billing;
mod cases;
mod categories;
mod checkout_writes;
mod checkouts;
mod connect;
mod credit;
mod decisions;
mod declarations;
mod disputes;
mod erasures;
mod feature_lists;
mod feed;
mod fraud_rules;
mod idempotency;
mod ledger;
mod migrations;
mod models;
mod named_models;
mod outbox;
mod pages;
mod persons;
mod products;
mod reorders;
mod reservations;
mod returns;
mod route_plans;
mod rows;
mod sealing;
mod secret_keys;
mod sellers;
mod sessions;
mod shipments;
mod statements;
mod storage;
mod suppliers;
mod transaction;
mod transfers;
mod watches;
mod webhook_deliveries;
mod webhooks;
mod write_points;

pub use audit::audited;
pub use connect::{DatabaseKind, Store, StoreError, StoreSettings, sqlite_url};
pub use named_models::model_ids_in;
pub use secret_keys::{SECRET_KEYS_MAX, SecretKey, SecretKeyError, SecretKeys};
pub use transaction::StoreTransaction;
pub use write_points::WritePoints;
