//! Login of people at an identity provider that speaks OpenID Connect: the authorization code flow with PKCE (RFC 7636); it keeps
//! no session and knows no route.
//!
//! [`Login::discover`] reads what the provider says of itself. [`Login::authorization_url`] is where a browser is sent,
//! with a [`LoginAttempt`] whose secret the browser keeps; [`Login::identify`] exchanges the code that it brings back for an
//! identity token, believes it only where signature, issuer, audience, times and nonce are right, and gives the [`Identity`]
//! with the roles that the configuration gives its claims.

mod attempt;
mod keys;
mod provider;
mod settings;
mod token;

pub use attempt::LoginAttempt;
pub use provider::{
    ANSWER_BYTES_MAX, CONNECT_TIME_MAX, EXCHANGE_TIME_MAX, KEYS_AGE_MAX_MICROS, KEYS_PAUSE_MICROS, Login, LoginError,
    PROVIDER_KEYS_MAX,
};
pub use settings::{LOGIN_ROLES_MAX, LoginSettings, SESSION_HOURS_MAX};
pub use token::{CLOCK_SKEW_SECONDS, Identity, TOKEN_BYTES_MAX};
