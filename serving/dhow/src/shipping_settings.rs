//! Reads which carriers, and which chart of the sea, the configuration names; it ships nothing.

use std::path::PathBuf;

use dhow_commerce::signing_secret;
use dhow_engine::{CarrierSettings, SeaChart};
use serde::Deserialize;

use crate::failure::Failure;
use crate::sea_files::sea_chart;

/// `[shipping]` of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShippingSection {
    carriers: Option<Vec<CarrierEntry>>,
    sea_legs: Option<PathBuf>,
    sea_ports: Option<PathBuf>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarrierEntry {
    name: String,
    webhook_secret: Option<String>,
}

impl ShippingSection {
    /// The carriers; the simulated ones where none are named.
    ///
    /// # Errors
    /// A secret that is none.
    pub fn carriers(&self) -> Result<Vec<CarrierSettings>, Failure> {
        let Some(entries) = &self.carriers else { return Ok(CarrierSettings::simulated()) };
        entries.iter().map(CarrierEntry::settings).collect()
    }

    /// The chart of the sea; an empty one where no files are named.
    ///
    /// # Errors
    /// A file that cannot be read or is wrong.
    pub fn sea(&self) -> Result<SeaChart, Failure> {
        sea_chart(self.sea_legs.as_deref(), self.sea_ports.as_deref())
    }
}

/// Without the secret.
impl std::fmt::Debug for CarrierEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CarrierEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CarrierEntry {
    fn settings(&self) -> Result<CarrierSettings, Failure> {
        let secret = |text: &String| {
            signing_secret(text).ok_or_else(|| {
                let name = &self.name;
                let words = format!(
                    "shipping.carriers: the webhook_secret of {name} must be `whsec_` and at least 16 bytes in base64"
                );
                Failure::Input(words)
            })
        };
        let secret = self.webhook_secret.as_ref().map(secret).transpose()?;
        Ok(CarrierSettings { name: self.name.clone(), secret })
    }
}
