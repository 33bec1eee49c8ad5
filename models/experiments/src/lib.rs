//! Which arm is better, and by how much: assignment, sequential statistics, off-policy estimates, bandits; keeps no data.
//!
//! - [`Experiment::assign`] gives a person an arm by a hash: always the same one, in the shares of the weights, and stable
//!   when weights or the share of people grow.
//! - [`compare`] reads what each arm's visitors brought and may be asked as often as one likes: its intervals hold at
//!   every moment at once, so that watching a test and stopping it early keeps its declared share of false alarms. It says
//!   when there is no verdict yet and about how many visitors more are needed, and gives none when the arms did not get
//!   the visitors that their weights say.
//! - [`evaluate_policy`] tells from logged choices and their propensities what another policy would have earned, and
//!   refuses a verdict where too few of the choices speak for it.
//! - [`Thompson`] and [`EpsilonGreedy`] choose arms while learning, and give the probability of every choice.
//!
//! Nothing here reads a clock, a file or the machine's entropy; equal input and seed give equal output.

mod assignment;
mod bandit;
mod error;
mod off_policy;
mod posterior;
mod sample;
mod sample_ratio;
mod sequential;
mod special;
mod verdict;

pub use assignment::{Arm, Experiment, MAX_ARMS, MAX_NAME_BYTES};
pub use bandit::{EpsilonGreedy, Thompson, draw_arm};
pub use error::ExperimentError;
pub use off_policy::{
    Estimator, MAX_BOOTSTRAP_SAMPLES, MAX_CHOICES, OffPolicyLog, OffPolicyReport, OffPolicySettings, OffPolicyVerdict,
    Predictions, Refusal, Weighting, evaluate_policy,
};
pub use posterior::{BetaPosterior, GaussianPosterior, Posterior};
pub use sample::{RatioSample, Sample, Summary};
pub use sample_ratio::{SAMPLE_RATIO_ERROR_RATE, SampleRatio};
pub use sequential::{Interval, confidence_multiplier};
pub use verdict::{Comparison, TestReport, TestSettings, Verdict, compare};
