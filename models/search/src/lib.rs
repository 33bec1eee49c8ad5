//! Product search: words, typos, filters, facets, nearest neighbours in meaning, and their fusion; it reads no database and runs no model.
//!
//! [`SearchIndex`] keeps the products of one catalogue in memory. [`SearchIndex::apply`] takes a batch of changes, which are
//! visible at once when it returns; [`SearchIndex::search`] answers a [`SearchRequest`]:
//!
//! 1. [`text`] makes words of the query as it made words of the products: folded, stemmed lightly, in pairs of characters
//!    where a script has no spaces.
//! 2. Each word is looked up as it stands; the last one also as a beginning, where somebody is still typing. A word that no
//!    product has is replaced by the nearest ones that products have.
//! 3. Filters become a set of products, and nothing outside of it is scored, counted or answered.
//! 4. BM25F scores each product (see [`KeywordSettings`]); with a vector of the query, cosines and what texts share below
//!    whole words join by a weighted sum (see [`FusionSettings`]).
//! 5. The order is by score, then by id; a page ends in a cursor.
//!
//! Scores are sums in f64 in a fixed order from exact counts of the products that are there, so an index that was changed a
//! thousand times answers bit for bit as one that was built anew. tantivy keeps dictionary and postings and finds near words;
//! its own scores are not used, since they count deleted documents and round lengths.
//!
//! [`SavedQueries`] turn it round: which of many questions one product answers.
//!
//! Vectors come from outside as `&[f32]` of unit length; which model made them is not known here.

mod bits;
mod cursor;
mod document;
mod error;
mod facets;
mod filter;
mod fusion;
mod index;
mod meaning;
mod measures;
mod query;
mod saved;
mod schema;
mod settings;
pub mod text;
mod traces;
mod variants;
mod words;

pub use document::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, CATEGORY_BYTES_MAX, DESCRIPTION_BYTES_MAX, ProductDocument, TITLE_BYTES_MAX,
};
pub use error::{SearchError, SearchProblem};
pub use facets::{FACET_VALUES_MAX, FacetCount, Facets, FacetsAsked};
pub use filter::{FILTER_VALUES_MAX, Filters};
pub use index::{CHANGES_MAX, Change, PRODUCTS_MAX, SearchIndex};
pub use meaning::{DIMENSIONS_MAX, MEANINGS_MAX};
pub use measures::{Estimate, RESAMPLES_MAX, RankingQuality, difference, lift, mean, ranking_quality};
pub use query::{Correction, Hit, LIMIT_MAX, Mode, QUERY_BYTES_MAX, QUERY_WORDS_MAX, SearchAnswer, SearchRequest};
pub use saved::{ProductWords, SavedQueries, SavedQuery};
pub use settings::{Field, FieldSettings, FusionSettings, KeywordSettings, SearchSettings};
