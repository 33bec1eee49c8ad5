//! Forests in the files of other systems: LightGBM's text and ONNX; what a file holds beside one forest of one output is refused by name.

pub mod lightgbm;
pub mod onnx;

use crate::forest::Node;

/// The largest file that is read.
pub const MAX_FILE_BYTES: usize = 1 << 27;
/// The most trees of a forest that is read or written.
pub const MAX_TREES: usize = 1 << 17;
/// The most nodes, over all trees, of a forest that is read or written.
pub const MAX_NODES: usize = 1 << 22;
/// The most splits from a root to a leaf, so that reasons can be told in bounded time.
pub const MAX_DEPTH: u32 = 1 << 10;
/// The most categories in the rules of a forest, over all nodes.
pub const MAX_CATEGORIES: usize = 1 << 22;
/// The most columns that an ONNX forest reads.
pub const MAX_FEATURES: usize = 1 << 16;

/// Why a file is not read as a forest, or a forest not written as a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("the file has {bytes} bytes; at most {MAX_FILE_BYTES} are read")]
    TooLarge {
        /// The file's size.
        bytes: usize,
    },
    /// A line of a text file says what cannot be.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What was wrong and what would be right.
        problem: String,
    },
    /// The bytes are no ONNX model.
    #[error("the bytes are no ONNX model: {0}")]
    NotOnnx(String),
    /// A node of a tree cannot be read or written.
    #[error("tree {tree}, node {node}: {problem}")]
    Node {
        /// The tree as the file numbers it, or its place in the forest.
        tree: i64,
        /// The node as the file numbers it, or its place in the tree.
        node: i64,
        /// What was wrong and what would be right.
        problem: String,
    },
    /// The whole is of a kind that is not read or written.
    #[error("{0}")]
    Refused(String),
}

impl FormatError {
    fn line(line: usize, problem: impl Into<String>) -> Self {
        FormatError::Line { line, problem: problem.into() }
    }

    fn node((tree, node): (i64, i64), problem: impl Into<String>) -> Self {
        FormatError::Node { tree, node, problem: problem.into() }
    }

    fn refused(problem: impl Into<String>) -> Self {
        FormatError::Refused(problem.into())
    }
}

/// Refuses what is longer than [`MAX_FILE_BYTES`].
fn check_size(bytes: usize) -> Result<(), FormatError> {
    if bytes > MAX_FILE_BYTES { Err(FormatError::TooLarge { bytes }) } else { Ok(()) }
}

/// Sets the cover of every split to what its children's add up to.
fn add_up_covers(nodes: &mut [Node]) {
    let mut covers = vec![0.0; nodes.len()];
    for place in (0..nodes.len()).rev() {
        match &mut nodes[place] {
            Node::Leaf { cover, .. } => covers[place] = *cover,
            Node::Split { left, right, cover, .. } => {
                *cover = covers[*left as usize] + covers[*right as usize];
                covers[place] = *cover;
            }
        }
    }
}
