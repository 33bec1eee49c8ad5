//! Chooses settings by their figures on validation sessions, one setting after another; it never sees a test part.

use crate::evaluation::{Case, Report, evaluate};
use crate::{Session, SessionIndex, SessionsError, Settings};

/// The rank beyond which an answer counts as a miss while settings are compared.
const CUTOFF: usize = 20;
/// A hit anywhere counts so much beside its reciprocal rank.
const HIT_SHARE: f64 = 0.1;
/// The first step of each setting; it grows when it helped and halves when it did not.
const FIRST_STEP: f64 = 0.5;
const STEP_GROWTH: f64 = 1.2;

/// How a setting is moved by a step of either sign.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// The distance of a decay from 1 on a logarithmic scale is multiplied.
    Decay,
    /// An exponent is added to.
    Exponent,
    /// A weight is multiplied.
    Weight,
}

/// A setting that is searched: its scale and where it stands.
type Axis = (Scale, fn(&mut Settings) -> &mut f64);

/// In the order of searching.
const AXES: [Axis; 12] = [
    (Scale::Decay, |s| &mut s.query_decay),
    (Scale::Exponent, |s| &mut s.query_rarity),
    (Scale::Exponent, |s| &mut s.length_discount),
    (Scale::Weight, |s| &mut s.half_life),
    (Scale::Decay, |s| &mut s.forward_decay),
    (Scale::Decay, |s| &mut s.backward_decay),
    (Scale::Weight, |s| &mut s.backward_share),
    (Scale::Exponent, |s| &mut s.popularity_discount),
    (Scale::Weight, |s| &mut s.rule_weight),
    (Scale::Weight, |s| &mut s.keep_weight),
    (Scale::Weight, |s| &mut s.revisit_weight),
    (Scale::Weight, |s| &mut s.keep_evidence),
];

/// Settings that were tried and what they reached on the validation cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The settings.
    pub settings: Settings,
    /// The mean over both rules, current item never and allowed, of MRR@20 + 0.1 × HR@20.
    pub goal: f64,
}

/// The outcome of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The trial of the highest goal; the earlier one of a tie.
    pub best: Trial,
    /// All trials in order; the first is the start.
    pub trials: Vec<Trial>,
}

/// Cuts the last `share` of the sessions by time, 0 to 1, off for validation: the rest and the part cut off.
pub fn split_validation<'a>(sessions: &[Session<'a>], share: f64) -> (Vec<Session<'a>>, Vec<Session<'a>>) {
    let mut ordered = sessions.to_vec();
    ordered.sort_by_key(|session| session.time);
    let cut = (ordered.len() as f64 * (1.0 - share.clamp(0.0, 1.0))).round() as usize;
    let validation = ordered.split_off(cut);
    (ordered, validation)
}

/// Coordinate search (Hooke and Jeeves, "Direct search", JACM 1961) from `start`: each round tries every real-valued setting
/// a step up and a step down and keeps what improves. The whole-numbered settings, which trade time for quality, stay.
/// `validation` holds cases of sessions later than `train`.
///
/// # Errors
/// What [`SessionIndex::build`] and [`evaluate`] refuse.
pub fn choose_settings(
    train: &[Session<'_>],
    validation: &[Case<'_>],
    start: &Settings,
    rounds: usize,
) -> Result<Choice, SessionsError> {
    let index = SessionIndex::build(train, start)?;
    let attempt = |settings: &Settings| -> Result<Trial, SessionsError> {
        let report = evaluate(&index.with_settings(settings)?, validation, CUTOFF)?;
        Ok(Trial { settings: *settings, goal: goal(&report) })
    };
    let mut best = attempt(start)?;
    let mut trials = vec![best];
    let mut steps = [FIRST_STEP; AXES.len()];
    for _ in 0..rounds {
        for (axis, step) in AXES.iter().zip(&mut steps) {
            let before = best.goal;
            for direction in [1.0, -1.0] {
                let settings = moved(&best.settings, axis, direction * *step);
                if best.goal > before || settings.check().is_err() {
                    continue;
                }
                let trial = attempt(&settings)?;
                trials.push(trial);
                if trial.goal > best.goal {
                    best = trial;
                }
            }
            *step *= if best.goal > before { STEP_GROWTH } else { 0.5 };
        }
    }
    Ok(Choice { best, trials })
}

fn goal(report: &Report) -> f64 {
    let rules = [&report.never_current, &report.current_allowed];
    rules.iter().map(|rule| rule.mrr + HIT_SHARE * rule.hit_rate).sum::<f64>() / rules.len() as f64
}

/// `start` with one setting moved.
fn moved(start: &Settings, (scale, setting): &Axis, step: f64) -> Settings {
    let mut settings = *start;
    let value = setting(&mut settings);
    let factor = (1.0 + step.abs()).powf(step.signum());
    *value = match scale {
        Scale::Decay => value.powf(1.0 / factor),
        Scale::Exponent => *value + step / 2.0,
        Scale::Weight => *value * factor,
    };
    settings
}
