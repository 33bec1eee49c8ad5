//! The feed: every committed change once, in an order that never changes; cursors, pages and the form in which an event is told.
//!
//! A place in the feed is given when the log has taken the event, by one giver at a time, for each tenant from 1 without
//! gaps. So a reader who stands at a place has seen everything before it: no change can appear behind it later, as it could
//! where the numbers were drawn inside of transactions that commit in another order. Within an aggregate the sequence rises
//! with the place.

use dhow_events::{Event, FactKind, TenantId, cloudevents};
use serde_json::Value as Json;

use crate::{Commerce, CommerceError, OutboxRecord, PaymentRail, Storage};

/// The most events of one page.
pub const FEED_PAGE_MAX: u32 = 100;
/// Places that one page looks at, at most: where few events are of the types asked for, a page may be empty and others follow.
pub const FEED_SCAN_MAX: u32 = 10_000;
/// The most types that one reader asks for.
pub const FEED_TYPES_MAX: usize = 20;
/// The cursor of the feed's end: what is told from now on.
pub const FEED_NOW: &str = "now";

/// A place in a tenant's feed: everything up to it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedCursor(pub i64);

impl FeedCursor {
    /// The opaque text.
    pub fn encode(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Reads what [`FeedCursor::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let digits =
            text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let place = digits.then(|| i64::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(place))
    }
}

/// Where a tenant's feed begins and ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedHead {
    /// The last place that was given; 0 where none was.
    pub last_place: i64,
    /// The last place whose event is no longer kept; 0 where all are.
    pub forgotten_place: i64,
}

/// An event in the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEvent {
    /// Its place.
    pub place: i64,
    /// The event, with its number among those of its aggregate.
    pub record: OutboxRecord,
}

impl FeedEvent {
    /// The cursor of whoever has read up to this event.
    pub const fn cursor(&self) -> FeedCursor {
        FeedCursor(self.place)
    }
}

/// Part of a feed, and where the feed stood when it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedPart {
    /// Beginning and end of the feed.
    pub head: FeedHead,
    /// The events, in their order.
    pub events: Vec<FeedEvent>,
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedPage {
    /// The events, in their order.
    pub events: Vec<FeedEvent>,
    /// Where the next page begins; it may be asked for again and again until there is news.
    pub next: FeedCursor,
    /// Whether the feed goes on after this page already.
    pub more: bool,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedStart {
    /// At the oldest event that is kept.
    Oldest,
    /// After the last one that there is.
    Now,
    /// After this place.
    After(FeedCursor),
}

impl FeedStart {
    /// What a reader sends: nothing, [`FEED_NOW`] or a cursor.
    ///
    /// # Errors
    /// Another text.
    pub fn parse(text: Option<&str>) -> Result<Self, CommerceError> {
        match text {
            None => Ok(Self::Oldest),
            Some(FEED_NOW) => Ok(Self::Now),
            Some(text) => FeedCursor::decode(text).map(Self::After).ok_or_else(|| unknown_cursor(text)),
        }
    }
}

fn unknown_cursor(text: &str) -> CommerceError {
    let message = format!("`{text}` is not a cursor of this feed; give back a `next`, or `{FEED_NOW}`");
    CommerceError::invalid("/after", message)
}

/// The kinds of facts that `types` name, with `dhow.` before them or without.
///
/// # Errors
/// More than [`FEED_TYPES_MAX`], or one that is no fact; `pointer` is where they stand.
pub fn event_kinds<'a>(
    types: impl IntoIterator<Item = &'a str>,
    pointer: &str,
) -> Result<Vec<&'static str>, CommerceError> {
    let mut kinds = Vec::new();
    for text in types {
        let name = text.strip_prefix(cloudevents::TYPE_PREFIX).unwrap_or(text);
        let kind = FactKind::from_name(name)
            .ok_or_else(|| CommerceError::invalid(pointer, format!("`{text}` is not the type of an event")))?;
        kinds.push(kind.name());
    }
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > FEED_TYPES_MAX {
        let message = format!("has {} types; at most {FEED_TYPES_MAX} are taken", kinds.len());
        return Err(CommerceError::invalid(pointer, message));
    }
    Ok(kinds)
}

/// The form in which an event is told, by the feed and by webhooks alike: its CloudEvent, with what it is about as `subject`,
/// its number there as `sequence`, and `timestamp` for readers of the conventions of Standard Webhooks.
pub fn told(record: &OutboxRecord) -> Json {
    told_as(&record.event, &record.aggregate, record.sequence)
}

fn told_as(event: &Event, subject: &str, sequence: i64) -> Json {
    let mut json = cloudevents::to_json(event);
    json["subject"] = subject.into();
    // The sequence extension of CloudEvents is a text.
    json["sequence"] = sequence.to_string().into();
    json["timestamp"] = json["time"].clone();
    json
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// A page of the feed: at most `limit` events of these kinds (all where none is named) among the next [`FEED_SCAN_MAX`].
    ///
    /// # Errors
    /// A limit outside 1 to [`FEED_PAGE_MAX`], a place that is no longer kept or was never given; the database fails.
    pub async fn feed_page(
        &self,
        tenant: TenantId,
        start: FeedStart,
        kinds: &[&str],
        limit: u32,
    ) -> Result<FeedPage, CommerceError> {
        if !(1..=FEED_PAGE_MAX).contains(&limit) {
            return Err(CommerceError::invalid("/limit", format!("is {limit}; it must be from 1 to {FEED_PAGE_MAX}")));
        }
        let after = match start {
            FeedStart::Oldest => None,
            FeedStart::After(cursor) => Some(cursor.0),
            FeedStart::Now => {
                let FeedHead { last_place, .. } = self.storage.feed_head(tenant).await?;
                return Ok(FeedPage { events: Vec::new(), next: FeedCursor(last_place), more: false });
            }
        };
        let FeedPart { head, events } = self.storage.feed_part(tenant, after, kinds, limit).await?;
        let after = after.unwrap_or(head.forgotten_place);
        if after > head.last_place {
            return Err(unknown_cursor(&FeedCursor(after).encode()));
        }
        if after < head.forgotten_place {
            return Err(CommerceError::CursorExpired { oldest: FeedCursor(head.forgotten_place) });
        }
        let looked_at = head.last_place.min(after.saturating_add(i64::from(FEED_SCAN_MAX)));
        let full = events.len() == limit as usize;
        let read_to = events.last().filter(|_| full).map_or(looked_at, |event| event.place);
        Ok(FeedPage { events, next: FeedCursor(read_to), more: read_to < head.last_place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_other_texts_are_none() {
        for place in [0, 1, 255, i64::MAX] {
            assert_eq!(FeedCursor::decode(&FeedCursor(place).encode()), Some(FeedCursor(place)));
        }
        for text in ["", "1", "now", "ffffffffffffffff", "+000000000000001", "00000000000000FF", "000000000000000g"] {
            assert_eq!(FeedCursor::decode(text), None, "{text}");
        }
    }

    #[test]
    fn types_are_named_with_their_prefix_or_without_and_unknown_ones_are_refused() {
        let kinds = event_kinds(["dhow.order_placed", "order_placed", "payment_captured"], "/type");
        assert_eq!(kinds.expect("they are facts"), ["order_placed", "payment_captured"]);
        assert!(event_kinds(["order_eaten"], "/type").is_err());
    }
}
