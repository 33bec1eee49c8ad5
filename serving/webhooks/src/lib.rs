//! Sends one signed message to a receiver's URL and says what it answered; when, how often and to whom is decided elsewhere.
//!
//! A URL comes from outside, so it must not lead into our own network: [`WebhookSender`] takes `https` only, resolves the
//! name itself, refuses it where any of its addresses is not a public one, and connects to the addresses that it checked, so
//! that a name cannot point elsewhere a moment later. It follows no redirect and uses no proxy.

mod addresses;
mod sender;

pub use addresses::is_public;
pub use sender::{
    ANSWER_BYTES_MAX, ATTEMPT_TIME_MAX, CONNECT_TIME_MAX, SendError, SignedMessage, URL_BYTES_MAX, UrlError,
    WebhookSender,
};
