//! A person's ids and words in facts and in texts, replaced by those of a pseudonym; it keeps no list of persons and does no IO.
//!
//! An erased person's facts stay, because the sums of others are made of them; what leads to the person goes. In every fact
//! about the person, and in those of the person's visits that name nobody else, the person becomes the pseudonym, visits,
//! devices, cards and addresses become ids that nobody else has, and words that the person wrote become dashes. Where the
//! person's orders were delivered to is rounded to whole degrees. All of this keeps the length of a record in the log.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::ids::{AddressId, BuyerId, CardId, DeviceId, IdKind, OrderId, SessionId, uuid_of_reference};
use crate::{Column, ColumnType, Event, FactKind, TenantId, Value};

/// The most visits and orders of one person that are known.
pub const ERASED_THINGS_MAX: usize = 1_000_000;
/// The length of an id's text: three letters, an underscore, a UUID.
const ID_TEXT_BYTES: usize = 40;
/// What stands in the place of each byte of erased words.
const BLANK: u8 = b'-';

/// Why a record could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum ErasureError {
    /// A record does not hold what its event says.
    #[error("the field `{field}` of {kind} {id} is not in its record")]
    Missing {
        /// The field.
        field: &'static str,
        /// The kind of the fact.
        kind: &'static str,
        /// The event.
        id: crate::EventId,
    },
    /// A record that was rewritten is no event any more.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The person has more visits and orders than can be known.
    #[error("the person has more than {ERASED_THINGS_MAX} visits and orders")]
    TooMany,
}

/// What a column has to do with a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonalColumn {
    /// It names a person.
    Person,
    /// It names a visit.
    Visit,
    /// It names a device, a card or an address.
    Thing(IdKind),
    /// It names an order.
    Order,
    /// A coordinate of the place of delivery, in degrees.
    Place,
    /// Words that a person wrote.
    Words,
}

impl PersonalColumn {
    /// What `column` of a fact of `kind` has to do with a person; nothing for most.
    pub fn of(kind: FactKind, column: &Column) -> Option<Self> {
        match column.column_type {
            ColumnType::Id(id) if id == BuyerId::KIND => Some(Self::Person),
            ColumnType::Id(id) if id == SessionId::KIND => Some(Self::Visit),
            ColumnType::Id(id) if [DeviceId::KIND, CardId::KIND, AddressId::KIND].contains(&id) => {
                Some(Self::Thing(id))
            }
            ColumnType::Id(id) if id == OrderId::KIND => Some(Self::Order),
            ColumnType::Float if ["latitude", "longitude"].contains(&column.name) => Some(Self::Place),
            ColumnType::Text => match (kind, column.name) {
                (FactKind::SearchPerformed, "query") | (FactKind::ReviewPosted, "text") => Some(Self::Words),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What is known to be a person's beside the id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonThings {
    /// Visits.
    pub sessions: BTreeSet<SessionId>,
    /// Orders.
    pub orders: BTreeSet<OrderId>,
}

/// A person, and who stands in the person's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose person it is.
    pub tenant: TenantId,
    /// The person.
    pub person: BuyerId,
    /// Who stands in the person's place.
    pub pseudonym: BuyerId,
    /// What is known to be the person's.
    pub things: PersonThings,
}

impl Erasure {
    /// The mark by which an erased person is known again, from which nobody can tell the person.
    pub fn mark(tenant: TenantId, person: BuyerId) -> String {
        format!("{:032x}", uuid_of_reference(&tenant, "erased", &person.to_string()))
    }

    /// The persons that an event names, some perhaps more than once.
    pub fn persons(event: &Event) -> impl Iterator<Item = BuyerId> {
        persons(event).map(BuyerId::from_u128)
    }

    /// Whether `event` names the person.
    pub fn names(&self, event: &Event) -> bool {
        event.tenant == self.tenant && persons(event).any(|person| person == self.person.as_u128())
    }

    /// Notes the visits and orders of the person that `event` tells of.
    ///
    /// # Errors
    /// There are more than [`ERASED_THINGS_MAX`].
    pub fn learn(&mut self, event: &Event) -> Result<(), ErasureError> {
        if !self.names(event) || names_others(event, self.person) {
            return Ok(());
        }
        for (column, value) in personal(event) {
            match (column, value) {
                (PersonalColumn::Visit, Value::Id(id)) => {
                    self.things.sessions.insert(SessionId::from_u128(id));
                }
                (PersonalColumn::Order, Value::Id(id)) => {
                    self.things.orders.insert(OrderId::from_u128(id));
                }
                _ => {}
            }
        }
        match self.things.sessions.len() + self.things.orders.len() > ERASED_THINGS_MAX {
            true => Err(ErasureError::TooMany),
            false => Ok(()),
        }
    }

    /// Whether `event` is about the person: it names the person, or it is of the person's visit and names nobody else.
    pub fn is_about(&self, event: &Event) -> bool {
        let of_a_visit = |(column, value): (PersonalColumn, Value<'_>)| {
            matches!((column, value), (PersonalColumn::Visit, Value::Id(id))
                if self.things.sessions.contains(&SessionId::from_u128(id)))
        };
        event.tenant == self.tenant
            && (self.names(event) || (persons(event).next().is_none() && personal(event).any(of_a_visit)))
    }

    /// Whether `event` tells where an order of the person goes.
    fn tells_place(&self, event: &Event) -> bool {
        event.tenant == self.tenant
            && personal(event).any(|(column, value)| {
                matches!((column, value), (PersonalColumn::Order, Value::Id(id))
                    if self.things.orders.contains(&OrderId::from_u128(id)))
            })
    }

    /// The id that stands in the place of `id` in a fact about the person.
    pub fn id(&self, kind: IdKind, id: u128) -> u128 {
        if kind == BuyerId::KIND {
            return if id == self.person.as_u128() { self.pseudonym.as_u128() } else { id };
        }
        uuid_of_reference(&self.tenant, kind.prefix, &format!("{}/{id:032x}", self.pseudonym))
    }

    /// Rewrites the record of `event` in place; says whether anything of it changed.
    ///
    /// # Errors
    /// The record is not that of the event.
    pub fn rewrite(&self, event: &Event, record: &mut [u8]) -> Result<bool, ErasureError> {
        let (about, place) = (self.is_about(event), self.tells_place(event));
        if !about && !place {
            return Ok(false);
        }
        let envelope = postcard::to_allocvec(&(event.id, event.tenant, event.event_time)).map_err(CodecError::from)?;
        // Behind the version's byte.
        let (mut at, mut changed) = (1 + envelope.len(), false);
        let kind = event.fact.kind();
        for (index, column) in kind.columns().iter().enumerate() {
            let value = event.fact.value(index);
            let role = PersonalColumn::of(kind, column);
            let Some((old, new)) = self.bytes(role, column, value, (about, place)) else { continue };
            let found = record.get(at..).and_then(|rest| position(rest, &old));
            let found = found.ok_or(ErasureError::Missing { field: column.name, kind: kind.name(), id: event.id })?;
            let end = at + found + old.len();
            record[at + found..end].copy_from_slice(&new);
            changed |= old != new;
            at = end;
        }
        if changed {
            codec::decode(record)?;
        }
        Ok(changed)
    }

    /// The event as it stands in the log once the person is erased.
    ///
    /// # Errors
    /// None in practice: an event's record is that of the event.
    pub fn rewritten(&self, event: Event) -> Result<Event, ErasureError> {
        if !self.is_about(&event) && !self.tells_place(&event) {
            return Ok(event);
        }
        let mut record = codec::encode(&event, Vec::new())?;
        self.rewrite(&event, &mut record)?;
        Ok(codec::decode(&record)?)
    }

    /// A value's bytes in a record, and those that take their place; nothing for a value that is passed over.
    fn bytes(
        &self,
        role: Option<PersonalColumn>,
        column: &Column,
        value: Value<'_>,
        (about, place): (bool, bool),
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        match (value, column.column_type, role) {
            (Value::Id(id), ColumnType::Id(kind), role) => {
                let leads =
                    matches!(role, Some(PersonalColumn::Person | PersonalColumn::Visit | PersonalColumn::Thing(_)));
                let new = if about && leads { self.id(kind, id) } else { id };
                Some((id_bytes(id), id_bytes(new)))
            }
            (Value::Text(text), _, Some(PersonalColumn::Words)) if about && !text.is_empty() => {
                let length = varint(text.len());
                let blank = vec![BLANK; text.len()];
                Some(([length.as_slice(), text.as_bytes()].concat(), [length, blank].concat()))
            }
            (Value::Float(degrees), _, Some(PersonalColumn::Place)) if place => {
                Some((degrees.to_le_bytes().to_vec(), degrees.round().to_le_bytes().to_vec()))
            }
            _ => None,
        }
    }

    /// `text` with the ids in it replaced, where it names the person, or a visit of the person and nobody else; otherwise
    /// nothing.
    pub fn in_text(&self, text: &str) -> Option<String> {
        let ids: Vec<(usize, IdKind, u128)> = ids_in(text).collect();
        let is_person = |(_, kind, id): &(usize, IdKind, u128)| *kind == BuyerId::KIND && *id == self.person.as_u128();
        let is_other = |(_, kind, id): &(usize, IdKind, u128)| *kind == BuyerId::KIND && *id != self.person.as_u128();
        let is_visit = |(_, kind, id): &(usize, IdKind, u128)| {
            *kind == SessionId::KIND && self.things.sessions.contains(&SessionId::from_u128(*id))
        };
        if !ids.iter().any(is_person) && (ids.iter().any(is_other) || !ids.iter().any(is_visit)) {
            return None;
        }
        let mut replaced = text.to_owned();
        for (at, kind, id) in ids {
            replaced.replace_range(at..at + ID_TEXT_BYTES, &kind.format(self.id(kind, id)));
        }
        (replaced != text).then_some(replaced)
    }
}

/// The values of an event that have to do with a person.
fn personal(event: &Event) -> impl Iterator<Item = (PersonalColumn, Value<'_>)> {
    let kind = event.fact.kind();
    let columns = kind.columns().into_iter().enumerate();
    columns.filter_map(move |(index, column)| Some((PersonalColumn::of(kind, &column)?, event.fact.value(index))))
}

/// The persons that an event names.
fn persons(event: &Event) -> impl Iterator<Item = u128> {
    personal(event).filter_map(|named| match named {
        (PersonalColumn::Person, Value::Id(id)) => Some(id),
        _ => None,
    })
}

fn names_others(event: &Event, person: BuyerId) -> bool {
    persons(event).any(|id| id != person.as_u128())
}

/// An id as a record holds it: its length and its bytes.
fn id_bytes(id: u128) -> Vec<u8> {
    let mut bytes = vec![16];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes
}

/// A length as a record holds it: seven bits a byte, the lowest first.
fn varint(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The ids of persons, visits, devices, cards and addresses in a text, each with its place.
fn ids_in(text: &str) -> impl Iterator<Item = (usize, IdKind, u128)> {
    const KINDS: [IdKind; 5] = [BuyerId::KIND, SessionId::KIND, DeviceId::KIND, CardId::KIND, AddressId::KIND];
    text.match_indices('_').filter_map(move |(underscore, _)| {
        let at = underscore.checked_sub(3)?;
        let token = text.get(at..at + ID_TEXT_BYTES)?;
        let kind = KINDS.into_iter().find(|kind| token.starts_with(kind.prefix))?;
        Some((at, kind, kind.parse(token).ok()?))
    })
}
