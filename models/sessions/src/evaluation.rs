//! How good the answers are: next-item hit rate and reciprocal rank, and the interval of a difference; it reads no files.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{Exclude, Request, Scratch, Session, SessionIndex, SessionsError};

/// Resamples behind an interval.
const RESAMPLES: usize = 1_000;

/// One next item to predict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case<'a> {
    /// The session so far, the current item last.
    pub prefix: &'a [u32],
    /// The item that came next.
    pub next: u32,
    /// Which session it is; its cases stand together and are resampled together.
    pub session: u32,
}

/// All cases of whole sessions: every item but the first, from those before it.
pub fn cases_of<'a>(sessions: &[Session<'a>]) -> Vec<Case<'a>> {
    let of_session = |(number, session): (usize, &Session<'a>)| {
        let items = session.items;
        (1..items.len()).map(move |next| Case { prefix: &items[..next], next: items[next], session: number as u32 })
    };
    sessions.iter().enumerate().flat_map(of_session).collect()
}

/// Something that says what comes next.
pub trait Predictor: Sync {
    /// What one thread reuses from request to request.
    type Memory: Default;

    /// Fills `out` with distinct items and their scores, best first.
    ///
    /// # Errors
    /// A request that it does not serve.
    fn predict(
        &self,
        memory: &mut Self::Memory,
        request: &Request<'_>,
        out: &mut Vec<(u32, f32)>,
    ) -> Result<(), SessionsError>;
}

impl Predictor for SessionIndex {
    type Memory = Scratch;

    fn predict(
        &self,
        memory: &mut Scratch,
        request: &Request<'_>,
        out: &mut Vec<(u32, f32)>,
    ) -> Result<(), SessionsError> {
        self.predict(memory, request, |_| true, out)
    }
}

/// Figures under one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// HR@cut-off: the share of cases whose next item is in the answer, 0 to 1.
    pub hit_rate: f64,
    /// MRR@cut-off: the mean of 1 / rank of the next item, 0 where the answer lacks it.
    pub mrr: f64,
    /// Of each case: 1 / rank, or 0.
    pub reciprocal_ranks: Vec<f32>,
}

/// The figures of a predictor.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Cases.
    pub predictions: usize,
    /// Ranks beyond this are misses.
    pub cutoff: usize,
    /// The current item is never answered: a case in which it comes next is a miss.
    pub never_current: Accuracy,
    /// The current item may be answered.
    pub current_allowed: Accuracy,
}

/// Asks for every case's next item, once, for one answer more than the cut-off: without the current item it is the answer
/// under the other rule. Figures do not depend on the number of threads.
///
/// # Errors
/// [`SessionsError::NoCases`], [`SessionsError::Count`] for a cut-off that is not served, and what the predictor refuses.
pub fn evaluate<P: Predictor>(predictor: &P, cases: &[Case<'_>], cutoff: usize) -> Result<Report, SessionsError> {
    if cases.is_empty() {
        return Err(SessionsError::NoCases);
    }
    let ask = |memory: &mut (P::Memory, Vec<(u32, f32)>), case: &Case<'_>| {
        let request = Request { session: case.prefix, exclude: Exclude::Nothing, count: cutoff + 1 };
        let (memory, out) = memory;
        predictor.predict(memory, &request, out)?;
        Ok(reciprocal_ranks(out, case, cutoff))
    };
    let ranks: Vec<(f32, f32)> =
        cases.par_iter().map_init(Default::default, ask).collect::<Result<_, SessionsError>>()?;
    let (never, allowed) = ranks.into_iter().unzip();
    Ok(Report { predictions: cases.len(), cutoff, never_current: accuracy(never), current_allowed: accuracy(allowed) })
}

/// 1 / rank of the next item, or 0, without the current item and with it.
fn reciprocal_ranks(answer: &[(u32, f32)], case: &Case<'_>, cutoff: usize) -> (f32, f32) {
    let current = case.prefix.last().copied();
    let Some(rank) = answer.iter().position(|(item, _)| *item == case.next) else { return (0.0, 0.0) };
    let after_current = answer[..rank].iter().any(|(item, _)| Some(*item) == current);
    let reciprocal = |rank: usize| if rank < cutoff { 1.0 / (rank + 1) as f32 } else { 0.0 };
    let never = if current == Some(case.next) { 0.0 } else { reciprocal(rank - usize::from(after_current)) };
    (never, reciprocal(rank))
}

fn accuracy(reciprocal_ranks: Vec<f32>) -> Accuracy {
    let cases = reciprocal_ranks.len() as f64;
    let hits = reciprocal_ranks.iter().filter(|reciprocal| **reciprocal > 0.0).count() as f64;
    let sum: f64 = reciprocal_ranks.iter().map(|reciprocal| f64::from(*reciprocal)).sum();
    Accuracy { hit_rate: hits / cases, mrr: sum / cases, reciprocal_ranks }
}

/// A ratio with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The 2.5 % quantile of the resamples.
    pub low: f64,
    /// On all cases.
    pub mean: f64,
    /// The 97.5 % quantile of the resamples.
    pub high: f64,
}

/// By how much the MRR of `better` exceeds that of `base` on the same cases: their ratio less 1, with a percentile bootstrap
/// over whole sessions (Efron and Tibshirani, "An introduction to the bootstrap", 1993), since cases of one session are
/// not independent.
///
/// # Errors
/// [`SessionsError::NoCases`] without cases, when the lists are not one entry for each case, or when `base` has no hit.
pub fn mrr_gain(better: &Accuracy, base: &Accuracy, cases: &[Case<'_>], seed: u64) -> Result<Interval, SessionsError> {
    let (better, base) = (&better.reciprocal_ranks, &base.reciprocal_ranks);
    if cases.is_empty() || better.len() != cases.len() || base.len() != cases.len() {
        return Err(SessionsError::NoCases);
    }
    let mut sessions: Vec<(f64, f64)> = Vec::new();
    let mut from = 0;
    for session in cases.chunk_by(|a, b| a.session == b.session) {
        let sum = |ranks: &[f32]| ranks[from..from + session.len()].iter().map(|r| f64::from(*r)).sum::<f64>();
        sessions.push((sum(better), sum(base)));
        from += session.len();
    }
    let gain = |(better, base): (f64, f64)| better / base - 1.0;
    let add = |sum: (f64, f64), of: (f64, f64)| (sum.0 + of.0, sum.1 + of.1);
    let mean = gain(sessions.iter().copied().fold((0.0, 0.0), add));
    if !mean.is_finite() {
        return Err(SessionsError::NoCases);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut resample = || {
        let draws = (0..sessions.len()).map(|_| sessions[random.random_range(0..sessions.len())]);
        gain(draws.fold((0.0, 0.0), add))
    };
    let mut gains: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    gains.sort_unstable_by(f64::total_cmp);
    Ok(Interval { low: gains[RESAMPLES * 25 / 1000], mean, high: gains[RESAMPLES * 975 / 1000] })
}
