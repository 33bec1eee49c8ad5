//! What a user of the links relies on: rings seen as they form, nobody else flagged, nothing read from the future.

mod behaviour;
mod oracle;
mod rings;
mod world;
