//! The category tree of a marketplace: paths, their names, and which attributes products of a category have; where products are found by a
//! category and those below it is search's.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::{Category, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::words::worded;
use crate::{
    CategoryTransaction, Commerce, CommerceError, ExpectedVersion, FieldProblem, PaymentRail, ProductInput, Storage,
    StorageTransaction,
};

/// The most categories of a tree.
pub const CATEGORIES_MAX: usize = 2_000;
/// The longest name of a category, a unit or a value, in bytes of UTF-8.
pub const CATEGORY_TEXT_BYTES_MAX: usize = 100;
/// The most attributes that one category declares.
pub const CATEGORY_ATTRIBUTES_MAX: usize = 30;
/// The most values that an attribute chooses from.
pub const ATTRIBUTE_VALUES_MAX: usize = 200;
/// The most attributes of a product.
pub const PRODUCT_ATTRIBUTES_MAX: usize = 100;
/// The longest text of an attribute, in bytes of UTF-8.
pub const ATTRIBUTE_TEXT_BYTES_MAX: usize = 500;
/// The longest key of an attribute, in bytes.
const KEY_BYTES_MAX: usize = 40;
/// How many categories, or keys, an error names at most.
const NAMED_MAX: usize = 10;

worded! {
    /// What an attribute's value is.
    AttributeKind {
        /// Any text.
        Text = "text",
        /// A number, in the declared unit.
        Number = "number",
        /// True or false.
        YesNo = "yes_no",
        /// One of the declared values.
        OneOf = "one_of",
    }
}

/// An attribute that products of a category, and of those below it, have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeDeclaration {
    /// Its name in products: small letters, digits and `_`.
    pub key: String,
    /// What its value is.
    pub kind: AttributeKind,
    /// The unit of a number; may be empty.
    #[serde(default)]
    pub unit: String,
    /// What one is chosen from.
    #[serde(default)]
    pub values: Vec<String>,
    /// A product must have it.
    #[serde(default)]
    pub required: bool,
}

/// A category of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryNode {
    /// From the general to the special, parts separated by `/`; the category above must be declared, too.
    pub path: Category,
    /// What people read.
    pub name: String,
    /// Attributes that it adds to those of the categories above.
    #[serde(default)]
    pub attributes: Vec<AttributeDeclaration>,
}

/// A tenant's categories. Without any, products name what they like and have no attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryTree {
    /// Whose it is.
    pub tenant: TenantId,
    /// Sorted by path.
    pub categories: Vec<CategoryNode>,
    /// Grows by one with every change, from 1; its ETag.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Writes the whole tree; one that is written already keeps its version.
    ///
    /// # Errors
    /// Wrong categories, each pointed at; a stale version; a category goes that products are in; the database fails.
    pub async fn put_categories(
        &self,
        tenant: TenantId,
        mut categories: Vec<CategoryNode>,
        expected: ExpectedVersion,
    ) -> Result<CategoryTree, CommerceError> {
        check_tree(&categories)?;
        categories.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        let mut transaction = self.storage.begin().await?;
        let stored = transaction.hold_categories(tenant).await?;
        expected.check(stored.as_ref().map(|tree| tree.version))?;
        if let Some(stored) = stored.as_ref().filter(|stored| stored.categories == categories) {
            return Ok(stored.clone());
        }
        if !categories.is_empty() {
            let used = transaction.used_categories(tenant).await?;
            let gone = used.iter().filter(|used| !categories.iter().any(|node| node.path == **used));
            let gone: Vec<&str> = gone.map(Category::as_str).take(NAMED_MAX).collect();
            if !gone.is_empty() {
                let message = format!("products are in categories that are not declared: {}", gone.join(", "));
                return Err(CommerceError::CategoryInUse(message));
            }
        }
        let version = stored.map_or(1, |stored| stored.version + 1);
        let tree = CategoryTree { tenant, categories, version, updated_at: self.clock.now() };
        if !transaction.put_categories(&tree).await? {
            return Err(CommerceError::StaleVersion { expected: (version - 1).to_string(), found: None });
        }
        transaction.commit().await?;
        Ok(tree)
    }
}

/// Whether products may be in their categories with their attributes.
pub(crate) async fn check_categories<X: StorageTransaction>(
    transaction: &mut X,
    tenant: TenantId,
    inputs: impl IntoIterator<Item = &ProductInput>,
) -> Result<(), CommerceError> {
    let tree = transaction.categories(tenant).await?;
    let problems: Vec<FieldProblem> =
        inputs.into_iter().flat_map(|input| wrong_categories(tree.as_ref(), input)).collect();
    if problems.is_empty() { Ok(()) } else { Err(CommerceError::Invalid(problems)) }
}

/// What is wrong with a product's category and attributes, where there is a tree and where there is none.
pub(crate) fn wrong_categories(tree: Option<&CategoryTree>, input: &ProductInput) -> Vec<FieldProblem> {
    tree.map_or_else(|| undeclared(input), |tree| tree.check(input))
}

impl CategoryTree {
    /// What is wrong with a product's category and attributes.
    fn check(&self, input: &ProductInput) -> Vec<FieldProblem> {
        let path = input.category.as_str();
        if self.categories.is_empty() {
            return undeclared(input);
        }
        if !self.categories.iter().any(|node| node.path == input.category) {
            let near: Vec<&str> = self.near(path);
            let message = format!("is `{path}`, which is not declared; near it there are {}", near.join(", "));
            return vec![FieldProblem::new("/category", message)];
        }
        let declared = self.declared(path);
        let mut problems = Vec::new();
        for (key, value) in &input.attributes {
            match declared.get(key.as_str()) {
                None => {
                    let known: Vec<&str> = declared.keys().copied().take(NAMED_MAX).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    problems.push(at(key, format!("is no attribute of `{path}`; it has {known}")));
                }
                Some(declaration) => problems.extend(declaration.check(value).err().map(|wrong| at(key, wrong))),
            }
        }
        let lacks = declared.values().filter(|declaration| declaration.required);
        let lacks = lacks.filter(|declaration| !input.attributes.contains_key(&declaration.key));
        problems.extend(lacks.map(|declaration| at(&declaration.key, format!("is needed in `{path}`"))));
        problems
    }

    /// Attributes of a category and of those above it.
    fn declared(&self, path: &str) -> BTreeMap<&str, &AttributeDeclaration> {
        let is_above =
            |above: &str| path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        let nodes = self.categories.iter().filter(|node| is_above(node.path.as_str()));
        nodes.flat_map(|node| &node.attributes).map(|declaration| (declaration.key.as_str(), declaration)).collect()
    }

    /// Declared categories beside or below one that is not, or the uppermost ones.
    fn near(&self, path: &str) -> Vec<&str> {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        let beside = self.categories.iter().map(|node| node.path.as_str());
        let beside: Vec<&str> = beside
            .filter(|other| other.rsplit_once('/').map_or("", |(above, _)| above) == above)
            .take(NAMED_MAX)
            .collect();
        if !beside.is_empty() {
            return beside;
        }
        let all = self.categories.iter().map(|node| node.path.as_str());
        all.filter(|path| !path.contains('/')).take(NAMED_MAX).collect()
    }
}

impl AttributeDeclaration {
    fn check(&self, value: &Value) -> Result<(), String> {
        let shown = || value.to_string().chars().take(CATEGORY_TEXT_BYTES_MAX).collect::<String>();
        let unit = if self.unit.is_empty() { String::new() } else { format!(" of {}", self.unit) };
        match (self.kind, value) {
            (AttributeKind::Text, Value::String(text))
                if (1..=ATTRIBUTE_TEXT_BYTES_MAX).contains(&text.trim().len()) =>
            {
                Ok(())
            }
            (AttributeKind::Text, _) => Err(format!("must be a text of 1 to {ATTRIBUTE_TEXT_BYTES_MAX} bytes")),
            (AttributeKind::Number, Value::Number(_)) => Ok(()),
            (AttributeKind::Number, _) => Err(format!("is {}; it must be a number{unit}", shown())),
            (AttributeKind::YesNo, Value::Bool(_)) => Ok(()),
            (AttributeKind::YesNo, _) => Err(format!("is {}; it must be true or false", shown())),
            (AttributeKind::OneOf, Value::String(text)) if self.values.contains(text) => Ok(()),
            (AttributeKind::OneOf, _) => {
                let values: Vec<&str> = self.values.iter().map(String::as_str).take(NAMED_MAX).collect();
                let more = if self.values.len() > NAMED_MAX { " …" } else { "" };
                Err(format!("is {}; it must be one of {}{more}", shown(), values.join(", ")))
            }
        }
    }
}

/// Where no category is declared, no attribute is.
fn undeclared(input: &ProductInput) -> Vec<FieldProblem> {
    let problem = |key: &String| at(key, "is declared by no category; PUT /v1/categories declares them");
    input.attributes.keys().take(NAMED_MAX).map(problem).collect()
}

/// A problem with an attribute; its key is escaped as JSON Pointers ask for.
fn at(key: &str, message: impl Into<String>) -> FieldProblem {
    FieldProblem::new(format!("/attributes/{}", key.replace('~', "~0").replace('/', "~1")), message)
}

fn check_tree(categories: &[CategoryNode]) -> Result<(), CommerceError> {
    if categories.len() > CATEGORIES_MAX {
        let message = format!("has {} entries; at most {CATEGORIES_MAX} are taken", categories.len());
        return Err(CommerceError::invalid("/categories", message));
    }
    let declared: BTreeMap<&str, &CategoryNode> = categories.iter().map(|node| (node.path.as_str(), node)).collect();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, node) in categories.iter().enumerate() {
        let mut wrong = |field: &str, message: String| {
            problems.push(FieldProblem::new(format!("/categories/{index}{field}"), message));
        };
        let path = node.path.as_str();
        if path.split('/').any(|part| part.trim().is_empty()) {
            wrong("/path", format!("is `{path}`; its parts, which `/` separates, must not be empty"));
        } else if !seen.insert(path) {
            wrong("/path", format!("is `{path}`, which is declared twice"));
        } else if let Some(above) =
            path.rsplit_once('/').map(|(above, _)| above).filter(|above| !declared.contains_key(above))
        {
            wrong("/path", format!("is `{path}`; `{above}` must be declared, too"));
        }
        check_text(&node.name, 1, |message| wrong("/name", message));
        check_attributes(node, &declared, &mut wrong);
    }
    if problems.is_empty() { Ok(()) } else { Err(CommerceError::Invalid(problems)) }
}

fn check_attributes(
    node: &CategoryNode,
    declared: &BTreeMap<&str, &CategoryNode>,
    wrong: &mut impl FnMut(&str, String),
) {
    if node.attributes.len() > CATEGORY_ATTRIBUTES_MAX {
        let message = format!("has {} entries; at most {CATEGORY_ATTRIBUTES_MAX} are taken", node.attributes.len());
        return wrong("/attributes", message);
    }
    let path = node.path.as_str();
    let above = path.match_indices('/').filter_map(|(end, _)| declared.get(&path[..end]));
    let mut keys: BTreeSet<&str> = above.flat_map(|node| &node.attributes).map(|of| of.key.as_str()).collect();
    for (index, AttributeDeclaration { key, kind, unit, values, .. }) in node.attributes.iter().enumerate() {
        let mut wrong = |field: &str, message: String| wrong(&format!("/attributes/{index}/{field}"), message);
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=KEY_BYTES_MAX).contains(&key.len()) || !key.bytes().all(is_plain) {
            wrong("key", format!("must have 1 to {KEY_BYTES_MAX} small letters, digits and `_`"));
        } else if !keys.insert(key) {
            wrong("key", format!("is `{key}`, which this category or one above it declares already"));
        }
        check_text(unit, 0, |message| wrong("unit", message));
        let least = usize::from(*kind == AttributeKind::OneOf);
        let most = if *kind == AttributeKind::OneOf { ATTRIBUTE_VALUES_MAX } else { 0 };
        let different: BTreeSet<&String> = values.iter().collect();
        if !(least..=most).contains(&values.len()) || different.len() < values.len() {
            wrong("values", format!("must be from {least} to {most} different texts where the kind is `{kind}`"));
        }
        values.iter().for_each(|value| check_text(value, 1, |message| wrong("values", message)));
        if !unit.is_empty() && *kind != AttributeKind::Number {
            wrong("unit", "stands with numbers alone".to_owned());
        }
    }
}

fn check_text(text: &str, least: usize, mut wrong: impl FnMut(String)) {
    if text.trim().len() < least || text.len() > CATEGORY_TEXT_BYTES_MAX {
        wrong(format!("must have from {least} to {CATEGORY_TEXT_BYTES_MAX} bytes"));
    }
}
