//! Checked conditions as trees of typed nodes, and their evaluation; types were settled by the checker, so none is asked here.
//!
//! The meaning is that of CEL: an error spreads, but `&&` with a false and `||` with a true on either side absorb it.

use std::cmp::Ordering;

use crate::facts::{Facts, FieldValue};
use crate::schema::Slot;

/// Why a condition has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    Missing(Slot),
    Overflow,
    DivisionByZero,
    NotComparable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// Of two doubles: one that is no number equals nothing and has no order.
    fn holds_for_doubles(self, left: f64, right: f64) -> Result<bool, Halt> {
        match (left.partial_cmp(&right), self) {
            (Some(ordering), _) => Ok(self.holds(ordering)),
            (None, Self::Equal) => Ok(false),
            (None, Self::NotEqual) => Ok(true),
            (None, _) => Err(Halt::NotComparable),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListSide {
    Blocked,
    Allowed,
}

#[derive(Debug)]
pub(crate) enum Boolean {
    Constant(bool),
    Field(usize),
    Has(Slot),
    CompareDoubles(Comparison, Double, Double),
    CompareIntegers(Comparison, Integer, Integer),
    TextsEqual(Text, Text),
    BooleansEqual(Box<(Boolean, Boolean)>),
    TextAmong(Text, Vec<Box<str>>),
    IntegerAmong(Integer, Vec<i64>),
    DoubleAmong(Double, Vec<f64>),
    TestText(TextTest, Text, Text),
    Listed(ListSide, usize),
    Not(Box<Boolean>),
    And(Box<(Boolean, Boolean)>),
    Or(Box<(Boolean, Boolean)>),
    If(Box<(Boolean, Boolean, Boolean)>),
}

#[derive(Debug)]
pub(crate) enum Double {
    Constant(f64),
    Score,
    Feature(usize),
    Field(usize),
    FromInteger(Integer),
    Negate(Box<Double>),
    Arithmetic(Arithmetic, Box<(Double, Double)>),
    If(Box<(Boolean, Double, Double)>),
}

#[derive(Debug)]
pub(crate) enum Integer {
    Constant(i64),
    Field(usize),
    Negate(Box<Integer>),
    Arithmetic(Arithmetic, Box<(Integer, Integer)>),
    If(Box<(Boolean, Integer, Integer)>),
}

#[derive(Debug)]
pub(crate) enum Text {
    Constant(Box<str>),
    Field(usize),
    If(Box<(Boolean, Text, Text)>),
}

impl Boolean {
    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Result<bool, Halt> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Field(place) => match facts.fields[*place] {
                FieldValue::Boolean(value) => Ok(value),
                _ => Err(Halt::Missing(Slot::Field(*place))),
            },
            Self::Has(slot) => Ok(match *slot {
                Slot::Feature(place) => !facts.features[place].is_nan(),
                Slot::Field(place) => facts.fields[place] != FieldValue::Missing,
            }),
            Self::CompareDoubles(comparison, left, right) => {
                comparison.holds_for_doubles(left.evaluate(facts)?, right.evaluate(facts)?)
            }
            Self::CompareIntegers(comparison, left, right) => {
                Ok(comparison.holds(left.evaluate(facts)?.cmp(&right.evaluate(facts)?)))
            }
            Self::TextsEqual(left, right) => Ok(left.evaluate(facts)? == right.evaluate(facts)?),
            Self::BooleansEqual(sides) => Ok(sides.0.evaluate(facts)? == sides.1.evaluate(facts)?),
            Self::TextAmong(text, among) => {
                let text = text.evaluate(facts)?;
                Ok(among.iter().any(|one| **one == *text))
            }
            Self::IntegerAmong(number, among) => Ok(among.contains(&number.evaluate(facts)?)),
            Self::DoubleAmong(number, among) => Ok(among.contains(&number.evaluate(facts)?)),
            Self::TestText(test, text, part) => {
                let (text, part) = (text.evaluate(facts)?, part.evaluate(facts)?);
                Ok(match test {
                    TextTest::StartsWith => text.starts_with(part),
                    TextTest::EndsWith => text.ends_with(part),
                    TextTest::Contains => text.contains(part),
                })
            }
            Self::Listed(_, place) if facts.fields[*place] == FieldValue::Missing => {
                Err(Halt::Missing(Slot::Field(*place)))
            }
            Self::Listed(ListSide::Blocked, place) => Ok(facts.listed.blocked >> place & 1 == 1),
            Self::Listed(ListSide::Allowed, place) => Ok(facts.listed.allowed >> place & 1 == 1),
            Self::Not(inner) => inner.evaluate(facts).map(|value| !value),
            Self::And(sides) => absorbing(&sides.0, &sides.1, false, facts),
            Self::Or(sides) => absorbing(&sides.0, &sides.1, true, facts),
            Self::If(parts) => if parts.0.evaluate(facts)? { &parts.1 } else { &parts.2 }.evaluate(facts),
        }
    }
}

/// `&&` with `decisive` false, `||` with true: one decisive side is the answer, whatever the other is.
fn absorbing(left: &Boolean, right: &Boolean, decisive: bool, facts: &Facts<'_>) -> Result<bool, Halt> {
    let left = left.evaluate(facts);
    if left == Ok(decisive) {
        return left;
    }
    let right = right.evaluate(facts);
    if right == Ok(decisive) { right } else { left.and(right) }
}

impl Double {
    fn evaluate(&self, facts: &Facts<'_>) -> Result<f64, Halt> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Score => Ok(facts.score),
            Self::Feature(place) => match facts.features[*place] {
                missing if missing.is_nan() => Err(Halt::Missing(Slot::Feature(*place))),
                value => Ok(value),
            },
            Self::Field(place) => match facts.fields[*place] {
                FieldValue::Double(value) => Ok(value),
                _ => Err(Halt::Missing(Slot::Field(*place))),
            },
            Self::FromInteger(number) => number.evaluate(facts).map(|number| number as f64),
            Self::Negate(inner) => inner.evaluate(facts).map(|value| -value),
            Self::Arithmetic(operation, sides) => {
                let (left, right) = (sides.0.evaluate(facts)?, sides.1.evaluate(facts)?);
                Ok(match operation {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Remainder => left % right,
                })
            }
            Self::If(parts) => if parts.0.evaluate(facts)? { &parts.1 } else { &parts.2 }.evaluate(facts),
        }
    }
}

impl Integer {
    fn evaluate(&self, facts: &Facts<'_>) -> Result<i64, Halt> {
        match self {
            Self::Constant(value) => Ok(*value),
            Self::Field(place) => match facts.fields[*place] {
                FieldValue::Integer(value) => Ok(value),
                _ => Err(Halt::Missing(Slot::Field(*place))),
            },
            Self::Negate(inner) => inner.evaluate(facts)?.checked_neg().ok_or(Halt::Overflow),
            Self::Arithmetic(operation, sides) => {
                let (left, right) = (sides.0.evaluate(facts)?, sides.1.evaluate(facts)?);
                let result = match operation {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                    Arithmetic::Divide | Arithmetic::Remainder if right == 0 => return Err(Halt::DivisionByZero),
                    Arithmetic::Divide => left.checked_div(right),
                    Arithmetic::Remainder => left.checked_rem(right),
                };
                result.ok_or(Halt::Overflow)
            }
            Self::If(parts) => if parts.0.evaluate(facts)? { &parts.1 } else { &parts.2 }.evaluate(facts),
        }
    }
}

impl Text {
    fn evaluate<'a>(&'a self, facts: &Facts<'a>) -> Result<&'a str, Halt> {
        match self {
            Self::Constant(value) => Ok(value),
            Self::Field(place) => match &facts.fields[*place] {
                FieldValue::Text(value) => Ok(value),
                _ => Err(Halt::Missing(Slot::Field(*place))),
            },
            Self::If(parts) => if parts.0.evaluate(facts)? { &parts.1 } else { &parts.2 }.evaluate(facts),
        }
    }
}
