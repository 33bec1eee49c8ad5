//! A shipment's tracker: append-only events of a carrier and the status that follows from them; it checks no signature.
//!
//! Before an end the status is a function of the set of events, in whatever order they came: of the events in the carrier's own
//! time (then by status, then by reference), each that may follow moves the status on. The end that came first stands: what
//! contradicts it later is kept and told as such, for a person to look at.

use std::fmt;

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

/// The most events of a tracker.
pub const TRACKER_EVENTS_MAX: usize = 200;
/// The longest reference of an event, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 100;
/// The longest place of an event, in bytes.
const PLACE_BYTES_MAX: usize = 200;

/// What a carrier says of a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackerStatus {
    /// There is a label, and no parcel yet.
    LabelMade,
    /// The carrier has it.
    HandedOver,
    /// On its way.
    InTransit,
    /// Something is in the way: nobody at home, a wrong address, customs.
    Exception,
    /// On the last vehicle.
    OutForDelivery,
    /// With the buyer.
    Delivered,
    /// Back with the seller.
    Returned,
}

impl TrackerStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::LabelMade,
        Self::HandedOver,
        Self::InTransit,
        Self::Exception,
        Self::OutForDelivery,
        Self::Delivered,
        Self::Returned,
    ];

    /// Each status with those that may follow; a status that is missing is an end. Carriers leave out what they like.
    pub const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (
            Self::LabelMade,
            &[
                Self::HandedOver,
                Self::InTransit,
                Self::Exception,
                Self::OutForDelivery,
                Self::Delivered,
                Self::Returned,
            ],
        ),
        (Self::HandedOver, &[Self::InTransit, Self::Exception, Self::OutForDelivery, Self::Delivered, Self::Returned]),
        (Self::InTransit, &[Self::Exception, Self::OutForDelivery, Self::Delivered, Self::Returned]),
        (Self::Exception, &[Self::InTransit, Self::OutForDelivery, Self::Delivered, Self::Returned]),
        (Self::OutForDelivery, &[Self::InTransit, Self::Exception, Self::Delivered, Self::Returned]),
    ];

    /// Whether `to` may follow.
    pub fn leads_to(self, to: Self) -> bool {
        Self::TRANSITIONS.iter().any(|(from, following)| *from == self && following.contains(&to))
    }

    /// Whether nothing follows.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Delivered | Self::Returned)
    }
}

impl fmt::Display for TrackerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LabelMade => "label_made",
            Self::HandedOver => "handed_over",
            Self::InTransit => "in_transit",
            Self::Exception => "exception",
            Self::OutForDelivery => "out_for_delivery",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
        })
    }
}

/// An event of a carrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackerEvent {
    /// The carrier's own name for it; an event that comes again has the same.
    pub reference: String,
    /// What it says.
    pub status: TrackerStatus,
    /// When it happened, by the carrier's clock.
    pub occurred_at: Timestamp,
    /// Where, in words; may be empty.
    #[serde(default)]
    pub place: String,
}

/// What an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It was there already; nothing changed.
    Known,
    /// It is kept; the status is as it was.
    Kept,
    /// It is kept; the status changed from the first to the second.
    Moved(Option<TrackerStatus>, TrackerStatus),
    /// It is kept, and names another end than the one that came first, which stands.
    Contradicts(TrackerStatus),
}

/// Why an event was refused; the tracker stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackerError {
    /// An event under the reference of another.
    #[error("event {0} came before with other content")]
    Differs(String),
    /// A reference or place of a wrong length.
    #[error("an event has a reference of 1 to {REFERENCE_BYTES_MAX} bytes and a place of at most {PLACE_BYTES_MAX}")]
    Text,
    /// Too many events.
    #[error("the tracker has {TRACKER_EVENTS_MAX} events, the most that are kept")]
    Full,
}

/// Events in the order in which they came, and the status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tracker {
    events: Vec<TrackerEvent>,
    status: Option<TrackerStatus>,
}

impl Tracker {
    /// The events, in the order in which they came.
    pub fn events(&self) -> &[TrackerEvent] {
        &self.events
    }

    /// The status; nothing before the first event.
    pub const fn status(&self) -> Option<TrackerStatus> {
        self.status
    }

    /// When the end that stands happened, by the carrier's clock.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let end = self.status.filter(|status| status.is_end())?;
        self.events.iter().find(|event| event.status == end).map(|event| event.occurred_at)
    }

    /// Takes an event. An end is taken even where the tracker is full, once.
    ///
    /// # Errors
    /// An event that differs from the one of its reference, wrong lengths, too many events.
    pub fn append(&mut self, event: TrackerEvent) -> Result<Appended, TrackerError> {
        if let Some(known) = self.events.iter().find(|known| known.reference == event.reference) {
            let same = *known == event;
            return if same { Ok(Appended::Known) } else { Err(TrackerError::Differs(event.reference)) };
        }
        let fits = (1..=REFERENCE_BYTES_MAX).contains(&event.reference.len()) && event.place.len() <= PLACE_BYTES_MAX;
        if !fits {
            return Err(TrackerError::Text);
        }
        let before = self.status;
        let has_ended = before.is_some_and(TrackerStatus::is_end);
        if self.events.len() >= TRACKER_EVENTS_MAX && (has_ended || !event.status.is_end()) {
            return Err(TrackerError::Full);
        }
        let status = event.status;
        self.events.push(event);
        if has_ended {
            let contradicts = status.is_end() && before != Some(status);
            return Ok(before.filter(|_| contradicts).map_or(Appended::Kept, Appended::Contradicts));
        }
        self.status = if status.is_end() { Some(status) } else { self.derived() };
        Ok(match self.status {
            Some(now) if before != Some(now) => Appended::Moved(before, now),
            _ => Appended::Kept,
        })
    }

    /// The status that follows from the set of events, none of which is an end.
    fn derived(&self) -> Option<TrackerStatus> {
        let mut events: Vec<&TrackerEvent> = self.events.iter().collect();
        events.sort_by_key(|event| (event.occurred_at, event.status, event.reference.as_str()));
        events.into_iter().map(|event| event.status).reduce(|status, next| {
            let follows = status.leads_to(next);
            if follows { next } else { status }
        })
    }
}
