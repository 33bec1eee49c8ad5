//! Sessions of people who logged in: who they are, what they may do, until when; how one logs in is another crate's business.

use std::fmt;

use dhow_events::{MINUTE_MICROS, TenantId, Timestamp};

use crate::{KeyHash, Permission, Permissions, RoleName, StorageError};

/// How long a login may take, from the way to the identity provider to the way back.
pub const LOGIN_ATTEMPT_MICROS: i64 = 10 * MINUTE_MICROS;
/// Logins that may be under way at once; one more ends the oldest.
pub const LOGIN_ATTEMPTS_MAX: i64 = 10_000;
/// The most sessions of a person at once; one more ends the oldest.
pub const SESSIONS_PER_PERSON_MAX: i64 = 20;
/// The longest path that a login goes back to, in bytes.
pub const RETURN_TO_BYTES_MAX: usize = 500;

/// The secret of a session, which the browser keeps in a cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

impl SessionSecret {
    /// A new secret from 256 random bits that the caller draws from the operating system.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(random).to_hex().to_string())
    }

    /// A secret that a browser presents; anything but a known one hashes to nothing known.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text for the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored in its place.
    pub fn hash(&self) -> KeyHash {
        KeyHash(blake3::derive_key("dhow 2026 login session secret", self.0.as_bytes()))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

/// A session, as it is stored under the hash of its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSession {
    /// Whose data it opens.
    pub tenant: TenantId,
    /// The identity provider's own id of the person.
    pub subject: String,
    /// The person as the audit log names them.
    pub person: String,
    /// What the person does here, at least one.
    pub roles: Vec<RoleName>,
    /// When the person logged in.
    pub created_at: Timestamp,
    /// From when on it works no more.
    pub expires_at: Timestamp,
}

impl LoginSession {
    /// What its roles grant together, as this version has them.
    pub fn may(&self) -> Permissions {
        let granted: Vec<Permission> = self.roles.iter().flat_map(|role| role.role().permissions).collect();
        Permissions::of(&granted)
    }

    /// Whether it is in force.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// Logins under way, and sessions, in the database.
pub trait LoginStorage: Send + Sync {
    /// Writes down a login that has begun, to be taken once until `expires_at`. What expired before `now` is removed, and so
    /// is the oldest where there would be more than [`LOGIN_ATTEMPTS_MAX`].
    ///
    /// # Errors
    /// The database fails.
    fn begin_login(
        &self,
        attempt: &KeyHash,
        return_to: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Takes a login that has begun and gives where it goes back to; nothing where it was taken before, has expired, or never
    /// began. Of many who take it at once one gets it.
    ///
    /// # Errors
    /// The database fails.
    fn take_login(
        &self,
        attempt: &KeyHash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<String>, StorageError>> + Send;

    /// Stores a session. Sessions that expired are removed, and so are the person's oldest where there would be more than
    /// [`SESSIONS_PER_PERSON_MAX`].
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the hash is taken; the database fails.
    fn create_session(
        &self,
        session: &LoginSession,
        hash: &KeyHash,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The session with this hash, expired or not.
    ///
    /// # Errors
    /// The database fails.
    fn find_session(&self, hash: &KeyHash) -> impl Future<Output = Result<Option<LoginSession>, StorageError>> + Send;

    /// Ends a session; says whether there was one.
    ///
    /// # Errors
    /// The database fails.
    fn end_session(&self, hash: &KeyHash) -> impl Future<Output = Result<bool, StorageError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_grants_what_its_roles_grant_together_until_it_expires() {
        let session = |roles: &[RoleName]| LoginSession {
            tenant: TenantId::default(),
            subject: "7".to_owned(),
            person: "ada".to_owned(),
            roles: roles.to_vec(),
            created_at: Timestamp::from_micros(0),
            expires_at: Timestamp::from_micros(10),
        };
        let both = session(&[RoleName::Support, RoleName::Planner]).may();
        for role in RoleName::ALL {
            let granted = both.lacking(&role.role().permissions).is_empty();
            assert_eq!(granted, [RoleName::Support, RoleName::Planner].contains(role), "{role}");
        }
        assert_eq!(session(&[RoleName::Owner]).may(), Permissions::EVERYTHING);
        let one = session(&[RoleName::Support]);
        assert!(one.is_in_force(Timestamp::from_micros(9)) && !one.is_in_force(Timestamp::from_micros(10)));
    }

    #[test]
    fn a_secret_shows_itself_nowhere_but_where_it_is_asked_to() {
        let secret = SessionSecret::from_random([7; 32]);
        assert_eq!(secret.reveal().len(), 64);
        assert_eq!(SessionSecret::presented(secret.reveal()).hash(), secret.hash());
        assert!(!format!("{secret:?}").contains("07"));
        assert_ne!(SessionSecret::from_random([8; 32]).hash(), secret.hash());
    }
}
