//! Reads LightGBM's text models (`save_model`, versions 3 and 4) so that margins are bit-equal to its own raw scores; it does not write them.

use std::collections::HashMap;
use std::str::FromStr;

use super::{FormatError, MAX_CATEGORIES, MAX_DEPTH, MAX_NODES, MAX_TREES, add_up_covers, check_size};
use crate::forest::{Forest, Missing, Node, Output, Rule, Tree};
use crate::walk::ZERO_REACH;

/// Reads a model of one output.
///
/// A row's margin equals LightGBM's `predict(raw_score=True)` bit for bit, with two exceptions, which agree to rounding:
/// forests that average (`boosting=rf`), whose raw scores are sums and whose margin here is the average, and logistic
/// models with a `sigmoid` other than 1, whose margin here is the raw score times that number. Predictions are the same.
///
/// A split's cover is what its leaves' `leaf_count` add up to. A leaf that no training row reached counts as one row.
///
/// # Errors
/// Says the line and what was expected there. Refused by name: several classes, linear leaves, objectives whose
/// predictions are neither the margin nor its logistic nor its exponential, files that are cut off, and files beyond the
/// bounds of [`super`].
pub fn import(text: &str) -> Result<Forest, FormatError> {
    check_size(text.len())?;
    let file = File::read(text)?;
    let features = features(&file.header)?;
    let (output, sigmoid) = output(&file.header)?;
    let averaged = if file.header.values.contains_key("average_output") { file.trees.len().max(1) as f64 } else { 1.0 };
    let mut reader = TreeReader { features: features.len(), sigmoid, averaged, nodes: 0, categories: 0 };
    let trees = file.trees.iter().map(|section| reader.tree(section)).collect::<Result<_, _>>()?;
    Ok(Forest { features, base_margin: 0.0, output, trees })
}

/// The parts of a model file that matter here.
struct File<'a> {
    header: Section<'a>,
    trees: Vec<Section<'a>>,
}

/// Lines of `key=value` under one heading.
struct Section<'a> {
    /// The heading's line, counted from 1.
    line: usize,
    values: HashMap<&'a str, (usize, &'a str)>,
}

impl<'a> File<'a> {
    fn read(text: &'a str) -> Result<Self, FormatError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
        match lines.next() {
            Some((_, "tree")) => {}
            _ => return Err(FormatError::line(1, "a LightGBM text model starts with the line `tree`")),
        }
        let mut header = Section { line: 1, values: HashMap::new() };
        let mut trees: Vec<Section> = Vec::new();
        let mut last = 1;
        for (line, words) in lines {
            last = line;
            if words == "end of trees" {
                return Ok(Self { header, trees });
            }
            if let Some(number) = words.strip_prefix("Tree=") {
                if number.parse() != Ok(trees.len()) {
                    return Err(FormatError::line(
                        line,
                        format!("`Tree={}` would be next, here is `{words}`", trees.len()),
                    ));
                }
                if trees.len() == MAX_TREES {
                    return Err(FormatError::line(line, format!("at most {MAX_TREES} trees are read")));
                }
                trees.push(Section { line, values: HashMap::new() });
            } else if !words.is_empty() {
                let section = trees.last_mut().unwrap_or(&mut header);
                let (key, value) = words.split_once('=').unwrap_or((words, ""));
                if section.values.insert(key, (line, value)).is_some() {
                    return Err(FormatError::line(line, format!("`{key}` stands twice in this section")));
                }
            }
        }
        Err(FormatError::line(last, "the file ends before `end of trees`; it seems cut off"))
    }
}

impl<'a> Section<'a> {
    fn get(&self, key: &str) -> Result<(usize, &'a str), FormatError> {
        let absent = || FormatError::line(self.line, format!("the section that starts here has no line `{key}=`"));
        self.values.get(key).copied().ok_or_else(absent)
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T, FormatError> {
        let (line, word) = self.get(key)?;
        parse(line, key, word)
    }

    /// The values of a key that has exactly `length`.
    fn list<T: FromStr>(&self, key: &str, length: usize) -> Result<Vec<T>, FormatError> {
        let (line, words) = self.get(key)?;
        let values: Vec<T> = words.split_whitespace().map(|word| parse(line, key, word)).collect::<Result<_, _>>()?;
        if values.len() != length {
            let problem = format!("`{key}` has {} values where the tree needs {length}", values.len());
            return Err(FormatError::line(line, problem));
        }
        Ok(values)
    }

    /// Like [`Section::list`], refusing what is infinite or no number.
    fn finite(&self, key: &str, length: usize) -> Result<Vec<f64>, FormatError> {
        let values: Vec<f64> = self.list(key, length)?;
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => {
                Err(FormatError::line(self.get(key)?.0, format!("`{key}` holds {value}; it must be finite")))
            }
            None => Ok(values),
        }
    }
}

fn parse<T: FromStr>(line: usize, key: &str, word: &str) -> Result<T, FormatError> {
    let what = std::any::type_name::<T>();
    word.parse().map_err(|_| FormatError::line(line, format!("`{key}` holds `{word}`, which is no {what}")))
}

/// The features' names, after checks of what the header says about the whole.
fn features(header: &Section) -> Result<Vec<String>, FormatError> {
    let (line, version) = header.get("version")?;
    if !matches!(version, "v3" | "v4") {
        return Err(FormatError::line(line, format!("version `{version}` is not known; v3 and v4 are read")));
    }
    for key in ["num_class", "num_tree_per_iteration"] {
        let (line, count) = header.get(key)?;
        if count != "1" {
            let problem = format!("`{key}={count}`: models of several classes are not read; one output is");
            return Err(FormatError::line(line, problem));
        }
    }
    let (line, names) = header.get("feature_names")?;
    let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    let highest: usize = header.number("max_feature_idx")?;
    if Some(names.len()) != highest.checked_add(1) {
        let problem = format!("{} names where `max_feature_idx={highest}` needs one more than that", names.len());
        return Err(FormatError::line(line, problem));
    }
    Ok(names)
}

/// How margins become predictions, and what LightGBM's raw scores are multiplied by to be such margins.
fn output(header: &Section) -> Result<(Output, f64), FormatError> {
    // A model trained with the user's own objective has no such line, and its predictions are its raw scores.
    let Some(&(line, objective)) = header.values.get("objective") else { return Ok((Output::Identity, 1.0)) };
    let mut words = objective.split_whitespace();
    let name = words.next().unwrap_or_default();
    let output = match name {
        "binary" | "cross_entropy" | "xentropy" => Output::Logistic,
        "poisson" | "gamma" | "tweedie" => Output::Exponential,
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank" | "rank_xendcg" => {
            Output::Identity
        }
        _ => {
            let problem =
                format!("objective `{name}` is not read: its predictions are no margin, logistic or exponential");
            return Err(FormatError::line(line, problem));
        }
    };
    let mut sigmoid = 1.0;
    for word in words {
        match word.strip_prefix("sigmoid:") {
            Some(number) if name == "binary" => sigmoid = parse(line, "objective", number)?,
            _ => return Err(FormatError::line(line, format!("objective `{name}` with `{word}` is not read"))),
        }
    }
    if !(f64::is_finite(sigmoid) && sigmoid > 0.0) {
        return Err(FormatError::line(line, format!("`sigmoid:{sigmoid}` must be finite and above 0")));
    }
    Ok((output, sigmoid))
}

/// Bits of `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;

/// Reads trees, counting what they need together.
struct TreeReader {
    features: usize,
    /// What leaf values are multiplied by.
    sigmoid: f64,
    /// What leaf values are divided by.
    averaged: f64,
    nodes: usize,
    categories: usize,
}

impl TreeReader {
    fn tree(&mut self, section: &Section) -> Result<Tree, FormatError> {
        if let Some(&(line, linear)) = section.values.get("is_linear")
            && linear != "0"
        {
            return Err(FormatError::line(
                line,
                "trees with linear models in their leaves (`linear_tree`) are not read",
            ));
        }
        let leaves: usize = section.number("num_leaves")?;
        self.nodes = self.nodes.saturating_add(leaves.saturating_mul(2));
        if leaves == 0 || self.nodes > MAX_NODES {
            let problem = format!("{leaves} leaves: a tree has at least one, a forest at most {MAX_NODES} nodes");
            return Err(FormatError::line(section.get("num_leaves")?.0, problem));
        }
        let mut nodes = self.splits(section, leaves - 1)?;
        nodes.extend(self.leaves(section, leaves)?);
        add_up_covers(&mut nodes);
        Ok(Tree { nodes })
    }

    fn leaves(&self, section: &Section, leaves: usize) -> Result<Vec<Node>, FormatError> {
        let values = section.finite("leaf_value", leaves)?;
        // Old versions leave the count of a tree of one leaf out.
        let counts = if leaves == 1 { vec![1.0] } else { section.finite("leaf_count", leaves)? };
        let leaf = |(value, count): (f64, f64)| Node::Leaf {
            value: value * self.sigmoid / self.averaged,
            cover: count.max(1.0),
        };
        Ok(values.into_iter().zip(counts).map(leaf).collect())
    }

    /// The splits, whose children are numbered as in the finished tree: first all splits, then all leaves.
    fn splits(&mut self, section: &Section, splits: usize) -> Result<Vec<Node>, FormatError> {
        if splits == 0 {
            return Ok(Vec::new());
        }
        let features: Vec<u32> = section.list("split_feature", splits)?;
        if let Some(feature) = features.iter().find(|&&feature| feature as usize >= self.features) {
            let problem = format!("feature {feature} of a model with {} features", self.features);
            return Err(FormatError::line(section.get("split_feature")?.0, problem));
        }
        // An infinite threshold parts missing values from all others.
        let thresholds: Vec<f64> = section.list("threshold", splits)?;
        if thresholds.iter().any(|threshold| threshold.is_nan()) {
            return Err(FormatError::line(section.get("threshold")?.0, "a threshold is no number"));
        }
        let decisions: Vec<u8> = section.list("decision_type", splits)?;
        let gains: Vec<f64> = section.list("split_gain", splits)?;
        let left = children(section, "left_child", splits)?;
        let right = children(section, "right_child", splits)?;
        check_shape(section, &left, &right)?;
        let bitsets = Bitsets::read(section)?;
        let mut nodes = Vec::with_capacity(2 * splits + 1);
        for split in 0..splits {
            let (rule, missing) = self.rule(section, decisions[split], thresholds[split], &bitsets)?;
            nodes.push(Node::Split {
                feature: features[split],
                rule,
                missing,
                left: left[split],
                right: right[split],
                gain: if gains[split].is_finite() { gains[split] } else { 0.0 },
                cover: 0.0,
            });
        }
        Ok(nodes)
    }

    fn rule(
        &mut self,
        section: &Section,
        decision: u8,
        threshold: f64,
        bitsets: &Bitsets,
    ) -> Result<(Rule, Missing), FormatError> {
        let line = section.get("decision_type")?.0;
        let kind = decision >> 2;
        if kind > 2 {
            return Err(FormatError::line(line, format!("decision type {decision} is not known; 0 to 11 are")));
        }
        if decision & CATEGORICAL != 0 {
            let categories = bitsets.categories(section, threshold)?;
            self.categories = self.categories.saturating_add(categories.len());
            if self.categories > MAX_CATEGORIES {
                return Err(FormatError::line(
                    line,
                    format!("at most {MAX_CATEGORIES} categories are read, over all nodes"),
                ));
            }
            // LightGBM sends a missing category right whatever the kind of missing values says.
            return Ok((Rule::OneOf(categories), Missing::Right));
        }
        let default_left = decision & DEFAULT_LEFT != 0;
        Ok(match (kind, default_left) {
            (0, _) => (Rule::AtMost(as_lightgbm_reads_zeros(threshold)), Missing::AsZero),
            (1, true) => (Rule::AtMost(threshold), Missing::ZeroLeft),
            (1, false) => (Rule::AtMost(threshold), Missing::ZeroRight),
            (_, true) => (Rule::AtMost(as_lightgbm_reads_zeros(threshold)), Missing::Left),
            (_, false) => (Rule::AtMost(as_lightgbm_reads_zeros(threshold)), Missing::Right),
        })
    }
}

/// LightGBM takes values within [`ZERO_REACH`] of 0 for 0 before it asks. A threshold within that reach is moved to its
/// end, so that the plain comparison answers the same for all of them.
fn as_lightgbm_reads_zeros(threshold: f64) -> f64 {
    if (-ZERO_REACH..0.0).contains(&threshold) {
        (-ZERO_REACH).next_down()
    } else if (0.0..ZERO_REACH).contains(&threshold) {
        ZERO_REACH
    } else {
        threshold
    }
}

/// Children as indices into the finished tree; LightGBM writes leaf `n` as `-1 - n`.
fn children(section: &Section, key: &str, splits: usize) -> Result<Vec<u32>, FormatError> {
    let line = section.get(key)?.0;
    let place = |child: i32| {
        let child = i64::from(child);
        let index = if child < 0 { splits as i64 - 1 - child } else { child };
        // A split may not stand at or after the leaves.
        let inside = (child < 0 || child < splits as i64) && (0..=2 * splits as i64).contains(&index);
        let index = u32::try_from(index).ok().filter(|_| inside);
        index.ok_or_else(|| {
            FormatError::line(line, format!("`{key}` names node {child} of a tree with {splits} splits"))
        })
    };
    section.list::<i32>(key, splits)?.into_iter().map(place).collect()
}

/// Checks that every node but the root has one parent, which stands before it, and that no way is longer than [`MAX_DEPTH`].
fn check_shape(section: &Section, left: &[u32], right: &[u32]) -> Result<(), FormatError> {
    let mut depths = vec![None; 2 * left.len() + 1];
    depths[0] = Some(0);
    for (split, (&left, &right)) in left.iter().zip(right).enumerate() {
        for (key, child) in [("left_child", left), ("right_child", right)] {
            let problem = match depths[split] {
                None => format!("split {split} has no parent before it"),
                Some(_) if child as usize <= split => format!("split {split} leads back to split {child}"),
                Some(_) if depths[child as usize].is_some() => format!("a child of split {split} has a second parent"),
                Some(MAX_DEPTH) => format!("split {split} is deeper than {MAX_DEPTH}, the most that is read"),
                Some(depth) => {
                    depths[child as usize] = Some(depth + 1);
                    continue;
                }
            };
            return Err(FormatError::line(section.get(key)?.0, problem));
        }
    }
    Ok(())
}

/// The most words of all bitsets of a tree: as many as LightGBM's categories, which stay below 2^31, can fill.
const MAX_BITSET_WORDS: usize = 1 << 26;

/// The sets of categories of a tree, as bits.
struct Bitsets {
    /// Where each set starts in `words`, and at last where the last ends.
    bounds: Vec<usize>,
    words: Vec<u32>,
}

impl Bitsets {
    fn read(section: &Section) -> Result<Self, FormatError> {
        let sets: usize = section.number("num_cat")?;
        if sets == 0 {
            return Ok(Self { bounds: vec![0], words: Vec::new() });
        }
        let line = section.get("cat_boundaries")?.0;
        let bounds: Vec<usize> = section.list("cat_boundaries", sets.saturating_add(1))?;
        if bounds[0] != 0 || bounds.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(FormatError::line(line, "`cat_boundaries` must start at 0 and never fall"));
        }
        if bounds[sets] > MAX_BITSET_WORDS {
            return Err(FormatError::line(line, format!("at most {MAX_BITSET_WORDS} words of categories are read")));
        }
        let words = section.list("cat_threshold", bounds[sets])?;
        Ok(Self { bounds, words })
    }

    /// The categories of the set that a threshold names, rising.
    fn categories(&self, section: &Section, threshold: f64) -> Result<Vec<u32>, FormatError> {
        let sets = self.bounds.len() - 1;
        if threshold.fract() != 0.0 || !(0.0..sets as f64).contains(&threshold) {
            let problem = format!("a categorical split names set {threshold} of {sets}");
            return Err(FormatError::line(section.get("threshold")?.0, problem));
        }
        let set = threshold as usize;
        let words = &self.words[self.bounds[set]..self.bounds[set + 1]];
        let bits = |(place, &word): (usize, &u32)| {
            (0..u32::BITS).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place as u32 * u32::BITS + bit)
        };
        Ok(words.iter().enumerate().flat_map(bits).collect())
    }
}
