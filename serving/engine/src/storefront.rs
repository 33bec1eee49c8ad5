//! What the operator decides about slates: their policy, the campaigns that pay, and the experiment that runs; how slates are filled is the model's.

use std::sync::atomic::{AtomicI64, Ordering};

use dhow_events::ProductId;
use dhow_experiments::{Arm, Experiment, TestSettings};
use dhow_ranking::Policy;
use dhow_recommend::SponsoredOffer;
use serde::Deserialize;

use crate::EngineError;
use crate::error::failed;

/// The most campaigns at once.
pub const MAX_CAMPAIGNS: usize = 200;

/// How slates are arranged, who pays for places, and which experiment runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorefrontSettings {
    /// Variety, fairness, sponsored places, exploration.
    pub policy: Policy,
    /// Who pays for showings.
    pub campaigns: Vec<Campaign>,
    /// What is tried on a part of the shoppers.
    pub experiment: Option<ExperimentSettings>,
}

/// A product for whose showings somebody pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// The product.
    pub product: ProductId,
    /// What one showing costs, in US cents, at least 0.
    pub bid_usd_minor: i64,
    /// What the campaign may spend in all from the server's start, in US cents, at least 0.
    pub budget_usd_minor: i64,
}

/// An experiment over shoppers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentSettings {
    /// Its name; another name deals the shoppers out anew.
    pub name: String,
    /// The share of the shoppers that take part, 0 to 1; all where it is absent.
    #[serde(default = "everybody")]
    pub share: f64,
    /// What is compared; the first arm is the control.
    pub arms: Vec<ArmSettings>,
    /// When the test gives a verdict.
    #[serde(default)]
    pub test: TestSettings,
}

fn everybody() -> f64 {
    1.0
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmSettings {
    /// Its name.
    pub name: String,
    /// Its share of the shoppers, relative to the other arms', above 0.
    pub weight: f64,
    /// Who fills its slates.
    #[serde(default)]
    pub recommender: ArmRecommender,
    /// Another policy than the storefront's.
    pub policy: Option<Policy>,
}

/// Who fills the slates of an arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmRecommender {
    /// The champion.
    #[default]
    Champion,
    /// What is popular where the shopper is, whoever asks.
    Popular,
}

/// The settings in force, with what campaigns have left.
pub(crate) struct Storefront {
    settings: StorefrontSettings,
    experiment: Option<Experiment>,
    left_usd_minor: Vec<AtomicI64>,
}

/// What holds for one shopper.
pub(crate) struct Treatment<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) recommender: ArmRecommender,
    /// `experiment/arm`, where one runs.
    pub(crate) arm: Option<String>,
}

impl Storefront {
    pub(crate) fn open(settings: StorefrontSettings) -> Result<Self, EngineError> {
        let refused = |reason: String| failed("storefront settings")(reason);
        settings.policy.check().map_err(failed("storefront settings"))?;
        if settings.campaigns.len() > MAX_CAMPAIGNS {
            return Err(refused(format!("{} campaigns; at most {MAX_CAMPAIGNS}", settings.campaigns.len())));
        }
        let negative = |campaign: &&Campaign| campaign.bid_usd_minor < 0 || campaign.budget_usd_minor < 0;
        if let Some(campaign) = settings.campaigns.iter().find(negative) {
            let product = campaign.product;
            return Err(refused(format!("the campaign for {product} has a negative bid or budget; give 0 or more")));
        }
        let experiment = settings.experiment.as_ref().map(experiment).transpose()?;
        let left_usd_minor = settings.campaigns.iter().map(|campaign| campaign.budget_usd_minor.into()).collect();
        Ok(Self { settings, experiment, left_usd_minor })
    }

    /// What holds for the shopper with this id, a buyer's or a session's.
    pub(crate) fn treatment(&self, shopper: Option<u128>) -> Treatment<'_> {
        let plain = Treatment { policy: &self.settings.policy, recommender: ArmRecommender::Champion, arm: None };
        let Some((experiment, settings)) = self.experiment() else { return plain };
        let Some(arm) = shopper.and_then(|shopper| experiment.assign(shopper)) else { return plain };
        let arm = &settings.arms[arm];
        Treatment {
            policy: arm.policy.as_ref().unwrap_or(plain.policy),
            recommender: arm.recommender,
            arm: Some(format!("{}/{}", settings.name, arm.name)),
        }
    }

    /// The experiment that runs, with its settings.
    pub(crate) fn experiment(&self) -> Option<(&Experiment, &ExperimentSettings)> {
        self.experiment.as_ref().zip(self.settings.experiment.as_ref())
    }

    /// What campaigns offer now.
    pub(crate) fn offers(&self) -> Vec<SponsoredOffer> {
        let left = |at: usize| self.left_usd_minor[at].load(Ordering::Relaxed);
        let offer = |(at, campaign): (usize, &Campaign)| SponsoredOffer {
            product: campaign.product,
            campaign: at as u32,
            bid_minor: campaign.bid_usd_minor,
            budget_minor: left(at),
        };
        let can_pay = |offer: &SponsoredOffer| offer.budget_minor >= offer.bid_minor;
        self.settings.campaigns.iter().enumerate().map(offer).filter(can_pay).collect()
    }

    /// Books what a showing costs. False where another slate took the rest of the budget meanwhile.
    pub(crate) fn charge(&self, campaign: u32, cost_usd_minor: i64) -> bool {
        let left = &self.left_usd_minor[campaign as usize];
        let rest = |left: i64| (left >= cost_usd_minor).then(|| left - cost_usd_minor);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).is_ok()
    }
}

fn experiment(settings: &ExperimentSettings) -> Result<Experiment, EngineError> {
    let arms = settings.arms.iter().map(|arm| Arm { name: arm.name.clone(), weight: arm.weight }).collect();
    for policy in settings.arms.iter().filter_map(|arm| arm.policy.as_ref()) {
        policy.check().map_err(failed("storefront settings"))?;
    }
    Experiment::new(settings.name.clone(), settings.share, arms).map_err(failed("storefront settings"))
}
