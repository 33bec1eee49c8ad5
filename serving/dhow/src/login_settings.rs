//! Reads where people log in, as the configuration names it, and asks the identity provider what it is; nobody logs in here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dhow_commerce::RoleName;
use dhow_events::TenantId;
use dhow_login::{Login, LoginError, LoginSettings};
use serde::Deserialize;

use crate::failure::Failure;
use crate::key_files;

/// How long a session lasts where the configuration does not say.
const SESSION_HOURS: u32 = 12;

/// `[login]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginSection {
    issuer: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    redirect_url: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default = "groups")]
    role_claim: String,
    #[serde(default = "subject")]
    name_claim: String,
    roles: BTreeMap<String, RoleName>,
    tenant: Option<TenantId>,
    #[serde(default = "session_hours")]
    session_hours: u32,
}

fn groups() -> String {
    "groups".to_owned()
}

fn subject() -> String {
    "sub".to_owned()
}

const fn session_hours() -> u32 {
    SESSION_HOURS
}

impl LoginSection {
    /// Where people log in, once the provider has told what it is. They see the data of `tenant` where no other is named.
    ///
    /// # Errors
    /// Wrong settings, a secret that cannot be read, a provider that does not answer or cannot do what is needed.
    pub async fn discover(&self, tenant: TenantId) -> Result<Arc<Login>, Failure> {
        let read = |path: &PathBuf| key_files::read(path, "client secret").map(|text| text.trim().to_owned());
        let settings = LoginSettings {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret_file.as_ref().map(read).transpose()?,
            redirect_url: self.redirect_url.clone(),
            scopes: self.scopes.clone(),
            role_claim: self.role_claim.clone(),
            name_claim: self.name_claim.clone(),
            roles: self.roles.iter().map(|(value, role)| (value.clone(), *role)).collect(),
            tenant: self.tenant.unwrap_or(tenant),
            session_hours: self.session_hours,
        };
        Login::discover(settings).await.map(Arc::new).map_err(|error| match error {
            LoginError::Settings(words) => Failure::Input(words),
            other => Failure::from(other),
        })
    }
}
