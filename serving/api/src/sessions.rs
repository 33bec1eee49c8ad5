//! Callers who logged in: the cookies of a browser, sessions and how long they are remembered, and where changes may come from.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use dhow_commerce::{KeyHash, LoginSession, LoginStorage, Permissions, SessionSecret};
use dhow_events::Timestamp;
use dhow_login::Login;
use dhow_store::Store;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::problem::Problem;
use crate::settings::{KEY_MEMORY_MICROS, KEYS_REMEMBERED_MAX};

/// The cookies of a browser, by their names. With TLS a name begins so that no other host and no page without TLS can set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The secret of a session.
    Session,
    /// The secret of a login under way.
    Attempt,
}

impl Cookie {
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-dhow_session",
            (Self::Session, false) => "dhow_session",
            (Self::Attempt, true) => "__Host-dhow_login",
            (Self::Attempt, false) => "dhow_login",
        }
    }

    /// Its value in a request. Of two of one name nobody knows which is ours, so neither is.
    pub(crate) fn of(self, headers: &HeaderMap, secure: bool) -> Option<&str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name(secure)).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }

    /// The header that gives it to a browser for `seconds`; 0 takes it back.
    ///
    /// # Errors
    /// The value is none of a cookie.
    pub(crate) fn given(self, value: &str, seconds: i64, secure: bool) -> Result<HeaderValue, Problem> {
        let name = self.name(secure);
        let secure = if secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).map_err(Problem::internal)
    }
}

/// A session in force, with the hash that it is known by.
#[derive(Debug, Clone)]
pub(crate) struct InForce {
    pub hash: KeyHash,
    pub session: Arc<LoginSession>,
    /// What its roles grant.
    pub may: Permissions,
}

type Known = Option<(Arc<LoginSession>, Permissions)>;

struct Remembered {
    session: Known,
    read_at: Timestamp,
}

/// Checks sessions against the database and remembers each answer for [`KEY_MEMORY_MICROS`].
#[derive(Default)]
pub(crate) struct Sessions {
    remembered: Mutex<FxHashMap<KeyHash, Remembered>>,
}

impl Sessions {
    /// The session that a browser's cookie names, if it is in force at `now`; `tick` is the clock of the memory.
    pub(crate) async fn find(
        &self,
        store: &Store,
        cookie: &str,
        (now, tick): (Timestamp, Timestamp),
    ) -> Result<Option<InForce>, Problem> {
        let hash = SessionSecret::presented(cookie).hash();
        let session = match self.remembered(&hash, tick) {
            Some(session) => session,
            None => {
                let found = store.find_session(&hash).await?;
                let session = found.map(|session| (Arc::new(session.clone()), session.may()));
                self.remember(hash, session.clone(), tick);
                session
            }
        };
        let in_force = session.filter(|(session, _)| session.is_in_force(now));
        Ok(in_force.map(|(session, may)| InForce { hash, session, may }))
    }

    fn remembered(&self, hash: &KeyHash, tick: Timestamp) -> Option<Known> {
        let remembered = self.remembered.lock();
        let known = remembered.get(hash)?;
        (tick.micros_since(known.read_at) < KEY_MEMORY_MICROS).then(|| known.session.clone())
    }

    fn remember(&self, hash: KeyHash, session: Known, read_at: Timestamp) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= KEYS_REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, Remembered { session, read_at });
    }

    /// Forgets what is remembered, so that a logout works at once.
    pub(crate) fn forget(&self) {
        self.remembered.lock().clear();
    }
}

/// Refuses a change that a browser sends with its cookie from a page of another site. A browser says in `Origin` where a
/// request that may change something comes from; who does not say it is no page of ours.
pub(crate) fn check_origin(login: &Login, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    let refuse = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail));
    let own = login.origin();
    match headers.get(header::ORIGIN).map(HeaderValue::as_bytes) {
        Some(origin) if origin == own.as_bytes() => Ok(()),
        Some(origin) => {
            let origin: String = String::from_utf8_lossy(origin).chars().take(100).collect();
            refuse(format!("a session changes things from pages of {own} alone, and this comes from {origin:?}"))
        }
        None => refuse(format!("a change by a session must say in `Origin` that it comes from {own}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_by_its_whole_name_and_two_of_one_name_are_none() {
        let of = |lines: &[&'static str], secure: bool| {
            let lines = lines.iter().map(|line| (header::COOKIE, HeaderValue::from_static(line)));
            let headers: HeaderMap = lines.collect();
            Cookie::Session.of(&headers, secure).map(str::to_owned)
        };
        assert_eq!(of(&["a=b; dhow_session=abc;c=d"], false).as_deref(), Some("abc"));
        assert_eq!(of(&["a=b", "dhow_session=abc"], false).as_deref(), Some("abc"));
        assert_eq!(of(&["dhow_session=abc"], true), None, "with TLS it has another name");
        assert_eq!(of(&["__Host-dhow_session=abc"], true).as_deref(), Some("abc"));
        assert_eq!(of(&["xdhow_session=abc; dhow_sessions=abc; dhow_session"], false), None);
        assert_eq!(of(&["dhow_session=abc; dhow_session=def"], false), None);
        assert_eq!(of(&["dhow_session=abc", "dhow_session=abc"], false), None);
    }

    #[test]
    fn a_cookie_is_closed_to_scripts_and_other_sites_and_to_plain_http_but_on_this_machine() {
        let given = |secure| Cookie::Session.given("abc", 60, secure).expect("a header").to_str().map(str::to_owned);
        let plain = given(false).expect("it is text");
        assert_eq!(plain, "dhow_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        let secure = given(true).expect("it is text");
        assert_eq!(secure, "__Host-dhow_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(Cookie::Attempt.given("a\nb", 0, true).is_err());
    }
}
