//! What users of the recommender rely on, against slow oracles, random requests, bad input and public sessions.

mod bad_input;
mod chain;
mod evaluation;
mod live;
mod oracle;
mod public_sessions;
mod ranked;
mod world;
