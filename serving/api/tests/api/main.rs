//! What the HTTP API promises its callers, over a platform on a temporary folder; what the engines answer is tested elsewhere.

mod access;
mod auctions;
mod audit;
mod billing;
mod catalogue;
mod clients;
mod commerce;
mod compatibility;
mod contract;
mod customers;
mod customs;
mod document;
mod events;
mod feed;
mod following;
mod fraud;
mod hooks;
mod inference;
mod login;
mod models;
mod monitoring;
mod operation;
mod pay_later;
mod payments;
mod persons;
mod planning;
mod product_files;
mod promises;
#[expect(dead_code, reason = "the tests of the registry use more of it")]
#[path = "../../../../models/registry/tests/registry/protobuf.rs"]
mod protobuf;
#[path = "../../../login/tests/login/provider.rs"]
mod provider;
mod returns;
mod risk;
mod routes;
mod sale_regions;
mod search;
mod shipments;
mod suppliers;
mod traces;
mod trained;
mod walk;
mod watches;
mod world;
