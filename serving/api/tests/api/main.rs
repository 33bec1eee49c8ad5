//! What the HTTP API promises its callers, over a platform on a temporary folder; what the engines answer is tested elsewhere.

mod access;
mod auctions;
mod audit;
mod clients;
mod commerce;
mod contract;
mod customers;
mod document;
mod events;
mod feed;
mod following;
mod fraud;
mod hooks;
mod inference;
mod models;
mod monitoring;
mod operation;
mod payments;
mod planning;
mod returns;
mod risk;
mod routes;
mod search;
mod traces;
mod trained;
mod world;
