//! Windows of event time and the durations they are written in; what is done with the events inside stands in `aggregate`.

use std::fmt;
use std::str::FromStr;

use dhow_events::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, Timestamp};

use crate::DefinitionError;

/// The longest duration that a definition may name: 100 years of 365 days.
pub const MAX_DURATION_MICROS: i64 = 100 * 365 * DAY_MICROS;

/// Units from the longest, with their microseconds.
const UNITS: [(char, i64); 4] = [('d', DAY_MICROS), ('h', HOUR_MICROS), ('m', MINUTE_MICROS), ('s', SECOND_MICROS)];

/// A length of time in whole seconds, written `90s`, `15m`, `1h` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(i64);

impl Span {
    /// A span of `micros` microseconds.
    ///
    /// # Errors
    /// Not a positive whole number of seconds, or above [`MAX_DURATION_MICROS`].
    pub fn from_micros(micros: i64) -> Result<Self, DefinitionError> {
        if micros <= 0 || micros % SECOND_MICROS != 0 || micros > MAX_DURATION_MICROS {
            let message =
                format!("a span of {micros} microseconds is not a whole number of seconds from 1 s to 36500 days");
            return Err(DefinitionError::Meaning(message));
        }
        Ok(Self(micros))
    }

    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = DefinitionError;
    fn from_str(text: &str) -> Result<Self, DefinitionError> {
        let refused = || {
            DefinitionError::Meaning(format!(
                "`{text}` is not a span of time such as `90s`, `15m`, `1h` or `30d` (at most 36500d)"
            ))
        };
        let unit = text.chars().last().ok_or_else(refused)?;
        let (_, unit_micros) = UNITS.iter().find(|(letter, _)| *letter == unit).ok_or_else(refused)?;
        let digits = &text[..text.len() - unit.len_utf8()];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        let amount: i64 = digits.parse().map_err(|_| refused())?;
        let micros = amount.checked_mul(*unit_micros).ok_or_else(refused)?;
        Self::from_micros(micros).map_err(|_| refused())
    }
}

impl fmt::Display for Span {
    /// In the longest unit that divides it, except that a day stays `1d` and 24 hours read the same as `1d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, micros) =
            UNITS.into_iter().find(|(_, micros)| self.0 % micros == 0).unwrap_or(('s', SECOND_MICROS));
        write!(f, "{}{letter}", self.0 / micros)
    }
}

/// Which events count at an instant `t`: `start <= event_time < t - delay` and `known_time <= t`, where
/// `start = floor((t - delay - length) / hop) * hop`. Without a length every event before `t - delay` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    length: Option<Span>,
    hop: Option<Span>,
    delay: Option<Span>,
}

impl Window {
    /// The exact window of `length`: hop of one microsecond, no delay.
    pub const fn exact(length: Span) -> Self {
        Self { length: Some(length), hop: None, delay: None }
    }

    /// Everything since the beginning.
    pub const fn ever() -> Self {
        Self { length: None, hop: None, delay: None }
    }

    /// A window whose start is rounded down to a multiple of `hop` (nothing: one microsecond, exact) and whose end lies
    /// `delay` in the past, for labels that mature late.
    ///
    /// # Errors
    /// A hop without a length has no meaning.
    pub fn new(length: Option<Span>, hop: Option<Span>, delay: Option<Span>) -> Result<Self, DefinitionError> {
        if length.is_none() && hop.is_some() {
            return Err(DefinitionError::Meaning("a window `ever` has no start, so it cannot have a hop".to_owned()));
        }
        Ok(Self { length, hop, delay })
    }

    /// Length in microseconds; nothing means since the beginning.
    pub fn length_micros(&self) -> Option<i64> {
        self.length.map(Span::micros)
    }

    /// Hop in microseconds; 1 is exact.
    pub fn hop_micros(&self) -> i64 {
        self.hop.map_or(1, Span::micros)
    }

    /// Delay in microseconds.
    pub fn delay_micros(&self) -> i64 {
        self.delay.map_or(0, Span::micros)
    }

    /// First instant inside and first instant after, for a read at `at`; both saturate at the ends of time.
    pub fn bounds(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let end = at - self.delay_micros();
        let start = match self.length_micros() {
            None => Timestamp::MIN,
            Some(length) => {
                let hop = self.hop_micros();
                Timestamp::from_micros((end - length).micros().div_euclid(hop).saturating_mul(hop))
            }
        };
        (start, end)
    }

    /// How far before `at` an event can lie and still count, in microseconds; for a window `ever`, its delay: events
    /// older than that count at every later instant.
    pub fn reach_micros(&self) -> i64 {
        self.length_micros().map_or(0, |length| length + self.hop_micros()) + self.delay_micros()
    }
}

impl fmt::Display for Window {
    /// The last part of a feature's name: `30d`, `ever`, `1d_hop_1h`, `30d_delay_7d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            Some(length) => write!(f, "{length}")?,
            None => write!(f, "ever")?,
        }
        if let Some(hop) = self.hop {
            write!(f, "_hop_{hop}")?;
        }
        if let Some(delay) = self.delay {
            write!(f, "_delay_{delay}")?;
        }
        Ok(())
    }
}
