//! How people log in, as configured, checked before anybody does; it asks no provider.

use dhow_commerce::RoleName;
use dhow_events::TenantId;
use url::{Host, Url};

/// The most hours of a session.
pub const SESSION_HOURS_MAX: u32 = 24 * 30;
/// The most values of a claim that roles can be given to.
pub const LOGIN_ROLES_MAX: usize = 1_000;
/// Where a provider sends browsers back to.
const CALLBACK: &str = "/v1/login/callback";

/// How people log in. It holds a secret, so it cannot be printed.
#[derive(Clone)]
pub struct LoginSettings {
    /// The provider, by the address that its tokens name: `https://id.example/realms/shop`.
    pub issuer: String,
    /// Who we are to the provider.
    pub client_id: String,
    /// What proves it; a public client has none.
    pub client_secret: Option<String>,
    /// Where the provider sends browsers back to: the address of this server with `/v1/login/callback`.
    pub redirect_url: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim whose values are mapped to roles; with dots where it stands inside of others.
    pub role_claim: String,
    /// The claim by which the audit log names a person.
    pub name_claim: String,
    /// Which role a value of the role's claim gives.
    pub roles: Vec<(String, RoleName)>,
    /// Whose data people see.
    pub tenant: TenantId,
    /// How long a session lasts.
    pub session_hours: u32,
}

impl LoginSettings {
    /// Finds what is wrong; gives the redirect's URL.
    pub(crate) fn check(&self) -> Result<Url, String> {
        let url = checked_url("login.redirect_url", &self.redirect_url)?;
        if !url.path().ends_with(CALLBACK) || url.query().is_some() {
            return Err(format!("login.redirect_url is `{}`; it must end with `{CALLBACK}`", self.redirect_url));
        }
        checked_url("login.issuer", &self.issuer)?;
        for (name, text) in
            [("client_id", &self.client_id), ("role_claim", &self.role_claim), ("name_claim", &self.name_claim)]
        {
            if text.trim().is_empty() {
                return Err(format!("login.{name} must not be empty"));
            }
        }
        if self.client_secret.as_ref().is_some_and(|secret| secret.is_empty()) {
            return Err("login.client_secret_file is empty; leave it out for a client without a secret".to_owned());
        }
        if self.roles.is_empty() || self.roles.len() > LOGIN_ROLES_MAX {
            let count = self.roles.len();
            return Err(format!("login.roles maps {count} values to roles; it must map from 1 to {LOGIN_ROLES_MAX}"));
        }
        if !(1..=SESSION_HOURS_MAX).contains(&self.session_hours) {
            let hours = self.session_hours;
            return Err(format!("login.session_hours is {hours}; it must be from 1 to {SESSION_HOURS_MAX}"));
        }
        Ok(url)
    }
}

/// An address that secrets may be sent to: `https`, or this machine.
pub(crate) fn checked_url(name: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{name} is `{text}`, which is no URL: {error}"))?;
    let refuse = |why: &str| Err(format!("{name} is `{text}`; {why}"));
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return refuse("it must hold no user, no password and no fragment");
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => refuse("it must begin with https://; http:// does for this machine alone"),
    }
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> LoginSettings {
        LoginSettings {
            issuer: "https://id.example/realms/shop".to_owned(),
            client_id: "dhow".to_owned(),
            client_secret: None,
            redirect_url: "https://shop.example/v1/login/callback".to_owned(),
            scopes: Vec::new(),
            role_claim: "groups".to_owned(),
            name_claim: "sub".to_owned(),
            roles: vec![("admins".to_owned(), RoleName::Owner)],
            tenant: TenantId::default(),
            session_hours: 12,
        }
    }

    #[test]
    fn wrong_settings_are_refused_by_their_names() {
        assert!(settings().check().is_ok());
        let local = LoginSettings { redirect_url: "http://127.0.0.1:8080/v1/login/callback".to_owned(), ..settings() };
        assert!(local.check().is_ok());
        let none = || String::new();
        for (name, wrong) in [
            ("redirect_url", LoginSettings { redirect_url: "https://shop.example/".to_owned(), ..settings() }),
            (
                "redirect_url",
                LoginSettings { redirect_url: "http://shop.example/v1/login/callback".into(), ..settings() },
            ),
            ("redirect_url", LoginSettings { redirect_url: "/v1/login/callback".to_owned(), ..settings() }),
            ("issuer", LoginSettings { issuer: "http://id.example".to_owned(), ..settings() }),
            ("issuer", LoginSettings { issuer: "https://me:pw@id.example".to_owned(), ..settings() }),
            ("client_id", LoginSettings { client_id: none(), ..settings() }),
            ("client_secret_file", LoginSettings { client_secret: Some(none()), ..settings() }),
            ("role_claim", LoginSettings { role_claim: none(), ..settings() }),
            ("name_claim", LoginSettings { name_claim: none(), ..settings() }),
            ("roles", LoginSettings { roles: Vec::new(), ..settings() }),
            ("session_hours", LoginSettings { session_hours: 0, ..settings() }),
            ("session_hours", LoginSettings { session_hours: SESSION_HOURS_MAX + 1, ..settings() }),
        ] {
            let said = wrong.check().expect_err(name);
            assert!(said.contains(&format!("login.{name}")), "{said}");
        }
    }
}
