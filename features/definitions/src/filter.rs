//! Filters: a small typed expression over one row's columns, parsed from text and bound to column numbers once.

use std::cmp::Ordering;
use std::fmt;

use dhow_events::{ColumnType, Value};

use crate::{DefinitionError, Row, Source};

/// How deeply parentheses may be nested.
const MAX_DEPTH: usize = 16;

/// A condition on one row, such as `fraud == true and amount_usd_minor >= 10000` or `region != delivery_region`.
///
/// A comparison with a missing value does not hold, whatever the operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// A column against a literal or another column of the same type.
    Compare {
        /// The column's name.
        column: String,
        /// How the two are compared.
        operator: Operator,
        /// What it is compared with.
        operand: Operand,
    },
    /// All must hold.
    And(Vec<Filter>),
    /// At least one must hold.
    Or(Vec<Filter>),
}

/// How two values are compared. Texts, booleans and ids know only equal and not equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Another column of the same row.
    Column(String),
    /// A whole number.
    Integer(i64),
    /// A number with a decimal point.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A text in single quotes.
    Text(String),
}

impl Operator {
    const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// Whether values in this order satisfy the operator.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

/// A filter's text that cannot be read, and the byte where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilterProblem {
    pub(crate) offset: usize,
    pub(crate) message: String,
}

impl Filter {
    /// Reads a filter's text: comparisons joined by `and`, `or` and parentheses; `and` binds more tightly.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterProblem> {
        let mut parser = Parser { text, offset: 0 };
        let filter = parser.alternatives(0)?;
        parser.skip_space();
        match parser.rest() {
            "" => Ok(filter),
            _ => Err(parser.problem("expected `and`, `or` or the end of the filter")),
        }
    }

    /// Finds the columns of `source` and checks the types of what is compared.
    pub(crate) fn bind(&self, source: &Source) -> Result<BoundFilter, DefinitionError> {
        match self {
            Self::And(parts) => {
                Ok(BoundFilter::And(parts.iter().map(|part| part.bind(source)).collect::<Result<_, _>>()?))
            }
            Self::Or(parts) => {
                Ok(BoundFilter::Or(parts.iter().map(|part| part.bind(source)).collect::<Result<_, _>>()?))
            }
            Self::Compare { column, operator, operand } => {
                let (index, left) = source.find(column)?;
                let (operand, right) = match operand {
                    Operand::Column(name) => {
                        let (index, right) = source.find(name)?;
                        (BoundOperand::Column(index), right)
                    }
                    Operand::Integer(number) => (BoundOperand::Integer(*number), ColumnType::Int),
                    Operand::Float(number) => (BoundOperand::Float(*number), ColumnType::Float),
                    Operand::Bool(flag) => (BoundOperand::Bool(*flag), ColumnType::Bool),
                    Operand::Text(text) => (BoundOperand::Text(text.clone()), ColumnType::Text),
                };
                let numbers = |kind: ColumnType| matches!(kind, ColumnType::Int | ColumnType::Float);
                if left != right && !(numbers(left) && numbers(right)) {
                    return Err(DefinitionError::Meaning(format!("`{self}` compares {left:?} with {right:?}")));
                }
                let ordered = matches!(left, ColumnType::Int | ColumnType::Float | ColumnType::Time);
                if !ordered && !matches!(operator, Operator::Equal | Operator::NotEqual) {
                    return Err(DefinitionError::Meaning(format!(
                        "`{self}`: a column of {left:?} can only be compared by == and !="
                    )));
                }
                Ok(BoundFilter::Compare { column: index, operator: *operator, operand })
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Filter], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::Compare { .. } => write!(f, "{part}")?,
                    _ => write!(f, "({part})")?,
                }
            }
            Ok(())
        };
        match self {
            Self::And(parts) => join(f, parts, "and"),
            Self::Or(parts) => join(f, parts, "or"),
            Self::Compare { column, operator, operand } => {
                let sign = Operator::ALL.iter().find(|(_, known)| known == operator).map_or("", |(sign, _)| sign);
                write!(f, "{column} {sign} ")?;
                match operand {
                    Operand::Column(name) => f.write_str(name),
                    Operand::Integer(number) => write!(f, "{number}"),
                    Operand::Float(number) => write!(f, "{number:?}"),
                    Operand::Bool(flag) => write!(f, "{flag}"),
                    Operand::Text(text) => write!(f, "'{text}'"),
                }
            }
        }
    }
}

/// A filter whose columns are numbers, ready to be asked millions of times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BoundFilter {
    Compare { column: usize, operator: Operator, operand: BoundOperand },
    And(Vec<BoundFilter>),
    Or(Vec<BoundFilter>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BoundOperand {
    Column(usize),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(String),
}

impl BoundFilter {
    pub(crate) fn holds<R: Row>(&self, row: &R) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Compare { column, operator, operand } => {
                let right = match operand {
                    BoundOperand::Column(index) => row.value(*index),
                    BoundOperand::Integer(number) => Value::Int(*number),
                    BoundOperand::Float(number) => Value::Float(*number),
                    BoundOperand::Bool(flag) => Value::Bool(*flag),
                    BoundOperand::Text(text) => Value::Text(text),
                };
                compare(row.value(*column), right).is_some_and(|order| operator.holds(order))
            }
        }
    }
}

fn compare(left: Value<'_>, right: Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(&right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(&right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Id(left), Value::Id(right)) => Some(left.cmp(&right)),
        (left, right) => left.as_number()?.partial_cmp(&right.as_number()?),
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn problem(&self, message: impl Into<String>) -> FilterProblem {
        FilterProblem { offset: self.offset, message: message.into() }
    }

    fn skip_space(&mut self) {
        self.offset += self.rest().len() - self.rest().trim_start().len();
    }

    fn accept(&mut self, sign: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(sign);
        self.offset += if found { sign.len() } else { 0 };
        found
    }

    /// The next word, which is only taken if it is `word`.
    fn accept_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.peek_word() == word;
        self.offset += if found { word.len() } else { 0 };
        found
    }

    fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    }

    fn alternatives(&mut self, depth: usize) -> Result<Filter, FilterProblem> {
        let mut parts = vec![self.conjunction(depth)?];
        while self.accept_word("or") {
            parts.push(self.conjunction(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Or(parts) })
    }

    fn conjunction(&mut self, depth: usize) -> Result<Filter, FilterProblem> {
        let mut parts = vec![self.comparison(depth)?];
        while self.accept_word("and") {
            parts.push(self.comparison(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn comparison(&mut self, depth: usize) -> Result<Filter, FilterProblem> {
        if self.accept("(") {
            if depth == MAX_DEPTH {
                return Err(self.problem(format!("parentheses are nested more than {MAX_DEPTH} deep")));
            }
            let filter = self.alternatives(depth + 1)?;
            return if self.accept(")") { Ok(filter) } else { Err(self.problem("expected `)`")) };
        }
        let column = self.column()?;
        self.skip_space();
        let Some((_, operator)) = Operator::ALL.into_iter().find(|(sign, _)| self.accept(sign)) else {
            return Err(self.problem("expected one of == != < <= > >="));
        };
        Ok(Filter::Compare { column, operator, operand: self.operand()? })
    }

    fn column(&mut self) -> Result<String, FilterProblem> {
        self.skip_space();
        let word = self.peek_word();
        if word.is_empty()
            || word.starts_with(|c: char| c.is_ascii_digit())
            || ["and", "or", "true", "false"].contains(&word)
        {
            return Err(self.problem("expected the name of a column"));
        }
        self.offset += word.len();
        Ok(word.to_owned())
    }

    fn operand(&mut self) -> Result<Operand, FilterProblem> {
        if self.accept("'") {
            let Some(end) = self.rest().find('\'') else { return Err(self.problem("the text has no closing quote")) };
            let text = self.rest()[..end].to_owned();
            self.offset += end + 1;
            return Ok(Operand::Text(text));
        }
        if self.accept_word("true") {
            return Ok(Operand::Bool(true));
        }
        if self.accept_word("false") {
            return Ok(Operand::Bool(false));
        }
        let rest = self.rest();
        if !rest.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            let message = "expected a column, a number, true, false or a text in single quotes";
            return self.column().map(Operand::Column).map_err(|_| self.problem(message));
        }
        let end = rest.find(|c: char| c != '-' && c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = &rest[..end];
        let operand = number.parse().map(Operand::Integer).or_else(|_| number.parse().map(Operand::Float));
        let operand = operand.map_err(|_| self.problem(format!("`{number}` is not a number")))?;
        self.offset += end;
        Ok(operand)
    }
}
