//! From a condition's text to a checked program: parsed by `cel`, then every name, type and number of arguments is settled.

use cel::ParseErrors;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::parser::Parser;

use crate::lists::ListKind;
use crate::nearest::nearest;
use crate::problem::{ExpressionError, Problem};
use crate::program::{Arithmetic, Boolean, Comparison, Double, Integer, ListSide, Text, TextTest};
use crate::schema::{FieldType, Schema, Slot};

/// The longest condition.
pub const MAX_EXPRESSION_BYTES: usize = 2_000;
/// How deep conditions nest at most; a chain of operators of one kind of arithmetic counts each.
pub const MAX_NESTING: usize = 48;

/// How deep the parser nests parentheses, lists and calls before it gives up; it stays within a small stack.
const MAX_PARSER_NESTING: u16 = 32;
/// After so many syntax errors the parser gives up.
const MAX_PARSER_RECOVERIES: u32 = 4;

const FUNCTIONS: [(&str, &str); 5] = [
    ("has", "has(features.name)"),
    ("double", "double(number)"),
    ("startsWith", "text.startsWith(text)"),
    ("endsWith", "text.endsWith(text)"),
    ("contains", "text.contains(text)"),
];

/// A checked expression of any type.
enum Typed {
    Boolean(Boolean),
    Integer(Integer),
    Double(Double),
    Text(Text),
}

impl Typed {
    fn word(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "bool",
            Self::Integer(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
        }
    }
}

type Checked<T> = Result<T, ExpressionError>;

impl Schema {
    /// Checks a condition without keeping it, as an editor does while a rule is being written.
    ///
    /// # Errors
    /// The first problem, with its place.
    pub fn check_condition(&self, condition: &str) -> Result<(), ExpressionError> {
        compile(condition, self).map(drop)
    }
}

/// The program of a condition.
pub(crate) fn compile(condition: &str, schema: &Schema) -> Checked<Boolean> {
    if condition.len() > MAX_EXPRESSION_BYTES {
        return Err(ExpressionError { line: 1, column: 1, problem: Problem::TooLong { found: condition.len() } });
    }
    let parser = Parser::new()
        .max_recursion_depth(MAX_PARSER_NESTING)
        .error_recovery_limit(MAX_PARSER_RECOVERIES)
        .enable_ident_escape_syntax(true);
    let (parsed, source) = parser.parse_with_source_info(condition).map_err(|errors| syntax_error(&errors))?;
    let checker = Checker { schema, source };
    checker.boolean(&parsed, 0, "a rule's condition")
}

/// The first of the parser's errors.
fn syntax_error(errors: &ParseErrors) -> ExpressionError {
    let ((line, column), message) = match errors.errors.first() {
        // The parser expands `has(…)` itself and does not say what is right.
        Some(error) if error.msg.contains("has() macro") => (
            error.pos,
            "`has` asks for a feature or a field; write `has(features.name)` or `has(request.name)`".to_owned(),
        ),
        Some(error) => (error.pos, error.msg.replace("'<EOF>'", "the end")),
        None => ((1, 1), "the parser gives no reason".to_owned()),
    };
    let from_one = |place: isize| usize::try_from(place).unwrap_or_default().max(1);
    ExpressionError { line: from_one(line), column: from_one(column), problem: Problem::Syntax { message } }
}

struct Checker<'a> {
    schema: &'a Schema,
    source: SourceInfo,
}

impl Checker<'_> {
    fn typed(&self, expression: &IdedExpr, depth: usize) -> Checked<Typed> {
        if depth > MAX_NESTING {
            return Err(self.error(expression, Problem::TooDeep));
        }
        match &expression.expr {
            Expr::Literal(literal) => self.literal(expression, literal),
            Expr::Ident(name) if name == "score" => Ok(Typed::Double(Double::Score)),
            Expr::Ident(name) if ["features", "request", "lists"].contains(&name.as_str()) => {
                Err(self.unsupported(expression, &format!("`{name}` alone"), &format!("write `{name}.name`")))
            }
            Expr::Ident(name) => Err(self.unknown(expression, name)),
            Expr::Select(select) if select.test => {
                self.slot(expression, select).map(|(slot, _)| Typed::Boolean(Boolean::Has(slot)))
            }
            Expr::Select(select) => self.slot(expression, select).map(read),
            Expr::Call(call) => self.call(expression, call, depth),
            Expr::List(_) => Err(self.unsupported(expression, "a list", "lists stand only right of `in`")),
            Expr::Comprehension(_) => {
                let advice = "there is nothing to repeat over; use `in`, or several rules";
                Err(self.unsupported(expression, "a loop (`all`, `exists`, `exists_one`, `map`, `filter`)", advice))
            }
            Expr::Map(_) | Expr::Struct(_) => {
                Err(self.unsupported(expression, "a map or message", "compare single values"))
            }
            Expr::Unspecified => {
                Err(self.error(expression, Problem::Syntax { message: "an expression is missing".to_owned() }))
            }
        }
    }

    fn literal(&self, expression: &IdedExpr, literal: &LiteralValue) -> Checked<Typed> {
        match literal {
            LiteralValue::Boolean(value) => Ok(Typed::Boolean(Boolean::Constant(*value.inner()))),
            LiteralValue::Int(value) => Ok(Typed::Integer(Integer::Constant(*value.inner()))),
            LiteralValue::Double(value) => Ok(Typed::Double(Double::Constant(*value.inner()))),
            LiteralValue::String(value) => Ok(Typed::Text(Text::Constant(value.inner().into()))),
            LiteralValue::Null => Err(self.unsupported(expression, "`null`", "ask `has(…)` whether a value is there")),
            LiteralValue::UInt(_) => Err(self.unsupported(expression, "an unsigned number", "leave out the `u`")),
            LiteralValue::Bytes(_) => Err(self.unsupported(expression, "a text of bytes", "leave out the `b`")),
        }
    }

    /// The place of `features.x` or `request.x`.
    fn slot(&self, expression: &IdedExpr, select: &SelectExpr) -> Checked<(Slot, FieldType)> {
        let Expr::Ident(group) = &select.operand.expr else {
            let advice = "values are called `features.name` and `request.name`";
            return Err(self.unsupported(expression, "a field of a value", advice));
        };
        let found = match group.as_str() {
            "features" => self.schema.feature(&select.field).map(|place| (Slot::Feature(place), FieldType::Double)),
            "request" => self.schema.field(&select.field).map(|(place, kind)| (Slot::Field(place), kind)),
            "lists" => {
                let advice = format!("write `request.name in lists.{}`", select.field);
                return Err(self.unsupported(expression, "a list as a value", &advice));
            }
            _ => None,
        };
        found.ok_or_else(|| self.unknown(expression, &format!("{group}.{}", select.field)))
    }

    fn call(&self, expression: &IdedExpr, call: &CallExpr, depth: usize) -> Checked<Typed> {
        let depth = depth + 1;
        let name = call.func_name.as_str();
        match (name, &call.target, call.args.as_slice()) {
            (operators::LOGICAL_AND, None, [left, right]) => {
                let sides = self.booleans(left, right, "`&&`", depth)?;
                Ok(Typed::Boolean(Boolean::And(Box::new(sides))))
            }
            (operators::LOGICAL_OR, None, [left, right]) => {
                let sides = self.booleans(left, right, "`||`", depth)?;
                Ok(Typed::Boolean(Boolean::Or(Box::new(sides))))
            }
            (operators::LOGICAL_NOT, None, [inner]) => {
                Ok(Typed::Boolean(Boolean::Not(Box::new(self.boolean(inner, depth, "the operand of `!`")?))))
            }
            (operators::NEGATE, None, [inner]) => match self.typed(inner, depth)? {
                Typed::Integer(inner) => Ok(Typed::Integer(Integer::Negate(Box::new(inner)))),
                Typed::Double(inner) => Ok(Typed::Double(Double::Negate(Box::new(inner)))),
                other => Err(self.wrong_type(inner, "the operand of `-`", other.word(), "int or double")),
            },
            (operators::CONDITIONAL, None, [condition, one, other]) => {
                self.choice(expression, condition, one, other, depth)
            }
            (operators::IN, None, [item, list]) => self.membership(item, list, depth).map(Typed::Boolean),
            ("double", None, [number]) => match self.typed(number, depth)? {
                Typed::Integer(number) => Ok(Typed::Double(Double::FromInteger(number))),
                Typed::Double(number) => Ok(Typed::Double(number)),
                other => Err(self.wrong_type(number, "the argument of `double`", other.word(), "int or double")),
            },
            ("startsWith" | "endsWith" | "contains", Some(text), [part]) => {
                let test = match name {
                    "startsWith" => TextTest::StartsWith,
                    "endsWith" => TextTest::EndsWith,
                    _ => TextTest::Contains,
                };
                let text = self.text(text, depth, &format!("what `{name}` is asked of"))?;
                let part = self.text(part, depth, &format!("the argument of `{name}`"))?;
                Ok(Typed::Boolean(Boolean::TestText(test, text, part)))
            }
            (_, None, [left, right]) => match (comparison(name), arithmetic(name)) {
                (Some(comparison), _) => self.compare(expression, comparison, left, right, depth).map(Typed::Boolean),
                (_, Some(operation)) => self.compute(expression, operation, left, right, depth),
                _ => Err(self.bad_call(expression, call)),
            },
            _ => Err(self.bad_call(expression, call)),
        }
    }

    fn choice(
        &self,
        expression: &IdedExpr,
        condition: &IdedExpr,
        one: &IdedExpr,
        other: &IdedExpr,
        depth: usize,
    ) -> Checked<Typed> {
        let condition = self.boolean(condition, depth, "the condition of `? :`")?;
        match (self.typed(one, depth)?, self.typed(other, depth)?) {
            (Typed::Boolean(one), Typed::Boolean(other)) => {
                Ok(Typed::Boolean(Boolean::If(Box::new((condition, one, other)))))
            }
            (Typed::Integer(one), Typed::Integer(other)) => {
                Ok(Typed::Integer(Integer::If(Box::new((condition, one, other)))))
            }
            (Typed::Double(one), Typed::Double(other)) => {
                Ok(Typed::Double(Double::If(Box::new((condition, one, other)))))
            }
            (Typed::Text(one), Typed::Text(other)) => Ok(Typed::Text(Text::If(Box::new((condition, one, other))))),
            (one, other) => Err(self.mismatch(expression, "? :", &one, &other)),
        }
    }

    fn compare(
        &self,
        expression: &IdedExpr,
        comparison: Comparison,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Checked<Boolean> {
        let negate = |same: Boolean| match comparison {
            Comparison::NotEqual => Boolean::Not(Box::new(same)),
            _ => same,
        };
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        match (self.typed(left, depth)?, self.typed(right, depth)?) {
            (Typed::Integer(left), Typed::Integer(right)) => Ok(Boolean::CompareIntegers(comparison, left, right)),
            (Typed::Double(left), Typed::Double(right)) => Ok(Boolean::CompareDoubles(comparison, left, right)),
            (Typed::Double(left), Typed::Integer(right)) => {
                Ok(Boolean::CompareDoubles(comparison, left, Double::FromInteger(right)))
            }
            (Typed::Integer(left), Typed::Double(right)) => {
                Ok(Boolean::CompareDoubles(comparison, Double::FromInteger(left), right))
            }
            (Typed::Text(left), Typed::Text(right)) if equality => Ok(negate(Boolean::TextsEqual(left, right))),
            (Typed::Boolean(left), Typed::Boolean(right)) if equality => {
                Ok(negate(Boolean::BooleansEqual(Box::new((left, right)))))
            }
            (left, right) => Err(self.mismatch(expression, sign(comparison), &left, &right)),
        }
    }

    fn compute(
        &self,
        expression: &IdedExpr,
        operation: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Checked<Typed> {
        match (self.typed(left, depth)?, self.typed(right, depth)?) {
            (Typed::Integer(left), Typed::Integer(right)) => {
                Ok(Typed::Integer(Integer::Arithmetic(operation, Box::new((left, right)))))
            }
            (Typed::Double(left), Typed::Double(right)) if operation != Arithmetic::Remainder => {
                Ok(Typed::Double(Double::Arithmetic(operation, Box::new((left, right)))))
            }
            (left, right) => Err(self.mismatch(expression, arithmetic_sign(operation), &left, &right)),
        }
    }

    fn membership(&self, item: &IdedExpr, list: &IdedExpr, depth: usize) -> Checked<Boolean> {
        match &list.expr {
            Expr::List(literal) => self.among(item, list, &literal.elements, depth),
            Expr::Select(select) if matches!(&select.operand.expr, Expr::Ident(group) if group == "lists") => {
                self.listed(item, list, &select.field)
            }
            _ => {
                let message = "right of `in` stands a list of literals, such as [\"NG\", \"GH\"], or `lists.name`";
                Err(self.error(list, Problem::BadMembership { message: message.to_owned() }))
            }
        }
    }

    /// `x in [literals]`.
    fn among(&self, item: &IdedExpr, list: &IdedExpr, elements: &[IdedExpr], depth: usize) -> Checked<Boolean> {
        let elements: Vec<Typed> = elements.iter().map(|element| self.typed(element, depth)).collect::<Checked<_>>()?;
        let item = self.typed(item, depth)?;
        let word = item.word();
        let among = match item {
            Typed::Text(text) => all(elements, |element| match element {
                Typed::Text(Text::Constant(value)) => Some(value),
                _ => None,
            })
            .map(|among| Boolean::TextAmong(text, among)),
            Typed::Integer(number) => all(elements, |element| match element {
                Typed::Integer(number) => constant_integer(&number),
                _ => None,
            })
            .map(|among| Boolean::IntegerAmong(number, among)),
            Typed::Double(number) => all(elements, |element| match element {
                Typed::Double(number) => constant_double(&number),
                Typed::Integer(number) => constant_integer(&number).map(|number| number as f64),
                _ => None,
            })
            .map(|among| Boolean::DoubleAmong(number, among)),
            Typed::Boolean(_) => None,
        };
        let message = match word {
            "bool" => "left of `in` is bool, but must be int, double or string".to_owned(),
            _ => format!("left of `in` is {word}, so the list must hold literals of that type"),
        };
        among.ok_or_else(|| self.error(list, Problem::BadMembership { message }))
    }

    /// `request.x in lists.blocked_…`.
    fn listed(&self, item: &IdedExpr, list: &IdedExpr, name: &str) -> Checked<Boolean> {
        let Some((side, kind)) = list_named(name) else {
            return Err(self.unknown(list, &format!("lists.{name}")));
        };
        let bad = |message| Err(self.error(item, Problem::BadMembership { message }));
        let Expr::Select(select) = &item.expr else {
            return bad(format!("left of `in lists.{name}` stands a field of the request"));
        };
        match self.slot(item, select)? {
            (Slot::Field(place), FieldType::Key(of)) if of == kind => Ok(Boolean::Listed(side, place)),
            _ => {
                let fields = self.schema.fields().iter().filter(|field| field.field_type == FieldType::Key(kind));
                let right: Vec<String> = fields.map(|field| format!("`request.{}`", field.name)).collect();
                let right = if right.is_empty() { "no field of the request".to_owned() } else { right.join(" or ") };
                bad(format!("`lists.{name}` holds keys of the kind {}; {right} can be on it", kind.name()))
            }
        }
    }

    fn booleans(&self, left: &IdedExpr, right: &IdedExpr, operator: &str, depth: usize) -> Checked<(Boolean, Boolean)> {
        let left = self.boolean(left, depth, &format!("the left side of {operator}"))?;
        Ok((left, self.boolean(right, depth, &format!("the right side of {operator}"))?))
    }

    fn boolean(&self, expression: &IdedExpr, depth: usize, place: &str) -> Checked<Boolean> {
        match self.typed(expression, depth)? {
            Typed::Boolean(condition) => Ok(condition),
            other => Err(self.wrong_type(expression, place, other.word(), "bool")),
        }
    }

    fn text(&self, expression: &IdedExpr, depth: usize, place: &str) -> Checked<Text> {
        match self.typed(expression, depth)? {
            Typed::Text(text) => Ok(text),
            other => Err(self.wrong_type(expression, place, other.word(), "string")),
        }
    }

    fn error(&self, expression: &IdedExpr, problem: Problem) -> ExpressionError {
        self.error_at(self.start(expression), problem)
    }

    /// An error at a place counted in characters.
    fn error_at(&self, offset: Option<u32>, problem: Problem) -> ExpressionError {
        let (mut line, mut column) = (1, 1);
        for letter in self.source.source.chars().take(offset.unwrap_or_default() as usize) {
            (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        ExpressionError { line, column, problem }
    }

    /// Where an operator, a literal or a name stands; of a call, where its parenthesis does.
    fn offset(&self, expression: &IdedExpr) -> Option<u32> {
        self.source.offset_for(expression.id).map(|(start, _)| start)
    }

    /// Where an expression begins, of which an operator is in the middle and a parenthesis behind the name.
    fn start(&self, expression: &IdedExpr) -> Option<u32> {
        let own = self.offset(expression);
        match &expression.expr {
            Expr::Select(select) => self.start(&select.operand),
            Expr::Call(CallExpr { target: Some(target), .. }) => self.start(target),
            Expr::Call(call) if call.func_name.starts_with(char::is_alphabetic) => {
                own.map(|own| own.saturating_sub(call.func_name.chars().count() as u32))
            }
            Expr::Call(call) => own.into_iter().chain(call.args.first().and_then(|first| self.start(first))).min(),
            Expr::Comprehension(repeated) => self.start(&repeated.iter_range),
            _ => own,
        }
    }

    fn wrong_type(&self, expression: &IdedExpr, place: &str, found: &str, wanted: &str) -> ExpressionError {
        let problem =
            Problem::WrongType { place: place.to_owned(), found: found.to_owned(), wanted: wanted.to_owned() };
        self.error(expression, problem)
    }

    fn unsupported(&self, expression: &IdedExpr, what: &str, advice: &str) -> ExpressionError {
        self.error(expression, Problem::Unsupported { what: what.to_owned(), advice: advice.to_owned() })
    }

    fn mismatch(&self, expression: &IdedExpr, operator: &str, left: &Typed, right: &Typed) -> ExpressionError {
        let advice = match (left, right) {
            (Typed::Double(_), Typed::Double(_)) => "it divides int by int",
            (Typed::Integer(Integer::Constant(_)), Typed::Double(_))
            | (Typed::Double(_), Typed::Integer(Integer::Constant(_))) => {
                "write the whole number with a point, such as 3.0"
            }
            (Typed::Integer(_), Typed::Double(_)) | (Typed::Double(_), Typed::Integer(_)) => {
                "make the int a double by `double(…)`"
            }
            (Typed::Text(_), Typed::Text(_)) => {
                "strings are compared by `==`, `!=`, `in`, `startsWith`, `endsWith`, `contains`"
            }
            (Typed::Boolean(_), Typed::Boolean(_)) => "conditions are joined by `&&`, `||`, `==`, `!=`",
            _ => "both sides must have one type",
        };
        let (operator, advice) = (operator.to_owned(), advice.to_owned());
        let (left, right) = (left.word().to_owned(), right.word().to_owned());
        self.error_at(self.offset(expression), Problem::Mismatch { operator, left, right, advice })
    }

    fn unknown(&self, expression: &IdedExpr, name: &str) -> ExpressionError {
        let features = self.schema.features().iter().map(|feature| format!("features.{feature}"));
        let fields = self.schema.fields().iter().map(|field| format!("request.{}", field.name));
        let lists = ListKind::ALL.into_iter().flat_map(|kind| {
            [ListSide::Blocked, ListSide::Allowed].map(|side| format!("lists.{}", list_name(side, kind)))
        });
        let nearest = nearest(name, std::iter::once("score".to_owned()).chain(fields).chain(features).chain(lists));
        self.error(expression, Problem::UnknownName { name: name.to_owned(), nearest })
    }

    /// A call that is none of the above: of a known function in the wrong form, or of an unknown one.
    fn bad_call(&self, expression: &IdedExpr, call: &CallExpr) -> ExpressionError {
        let function = call.func_name.clone();
        if function.contains('_') && !function.contains(char::is_alphanumeric) {
            return self.unsupported(expression, "an index", "values are called `features.name` and `request.name`");
        }
        let problem = match FUNCTIONS.iter().find(|(name, _)| *name == function) {
            Some((_, usage)) => Problem::WrongArity { function, usage: (*usage).to_owned(), found: call.args.len() },
            None => {
                let nearest = nearest(&function, FUNCTIONS.iter().map(|(name, _)| (*name).to_owned()));
                Problem::UnknownFunction { name: function, nearest }
            }
        };
        self.error(expression, problem)
    }
}

/// The program that reads a place.
fn read((slot, field_type): (Slot, FieldType)) -> Typed {
    match (slot, field_type) {
        (Slot::Feature(place), _) => Typed::Double(Double::Feature(place)),
        (Slot::Field(place), FieldType::Boolean) => Typed::Boolean(Boolean::Field(place)),
        (Slot::Field(place), FieldType::Integer) => Typed::Integer(Integer::Field(place)),
        (Slot::Field(place), FieldType::Double) => Typed::Double(Double::Field(place)),
        (Slot::Field(place), FieldType::Text | FieldType::Key(_)) => Typed::Text(Text::Field(place)),
    }
}

fn all<T>(elements: Vec<Typed>, constant: impl FnMut(Typed) -> Option<T>) -> Option<Vec<T>> {
    elements.into_iter().map(constant).collect()
}

fn constant_integer(number: &Integer) -> Option<i64> {
    match number {
        Integer::Constant(value) => Some(*value),
        Integer::Negate(inner) => constant_integer(inner)?.checked_neg(),
        _ => None,
    }
}

fn constant_double(number: &Double) -> Option<f64> {
    match number {
        Double::Constant(value) => Some(*value),
        Double::Negate(inner) => constant_double(inner).map(|value| -value),
        _ => None,
    }
}

fn list_named(name: &str) -> Option<(ListSide, ListKind)> {
    let sides = [ListSide::Blocked, ListSide::Allowed];
    let mut lists = sides.into_iter().flat_map(|side| ListKind::ALL.map(|kind| (side, kind)));
    lists.find(|(side, kind)| list_name(*side, *kind) == name)
}

fn list_name(side: ListSide, kind: ListKind) -> String {
    let side = match side {
        ListSide::Blocked => "blocked",
        ListSide::Allowed => "allowed",
    };
    format!("{side}_{}", kind.plural())
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn arithmetic(operator: &str) -> Option<Arithmetic> {
    Some(match operator {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}

fn arithmetic_sign(operation: Arithmetic) -> &'static str {
    match operation {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Remainder => "%",
    }
}
