//! The lake: facts as Parquet tables, SQL over them, as-of joins and point-in-time training sets; it serves nothing online.
//!
//! [`LakeWriter`] is a sink of the stream worker. [`Lake`] is what was written up to its last checkpoint. [`SqlSession`]
//! answers SELECTs over one tenant's tables. [`tables`] holds the queries that trainers need; [`training_set`] replays
//! the log through the online store, so that a row holds exactly what a request at that time would have read;
//! [`backfill`] computes the same rows from the lake, here or on a cluster; [`compute_features`] computes the features of
//! any table of the user's own. No type of DataFusion or Polars leaves this crate but in [`backfill::distributed`];
//! tables leave it as Arrow batches or as rows of its own.

mod as_of;
pub mod backfill;
mod columns;
mod compute;
mod error;
mod lake;
mod lake_table;
mod outcomes;
mod parity;
mod profile;
mod sql;
mod table;
mod table_file;
pub mod tables;
mod training_set;
mod typed_table;

pub use as_of::{Changes, as_of};
pub use columns::{floats, ids, integers, texts};
pub use compute::{ComputeRequest, ComputedFeatures, compute_features};
pub use dhow_streams::Record;
pub use error::OfflineError;
pub use lake::{
    CompactionReport, DUPLICATE_HORIZON_MICROS, FILE_ROWS_FULL, FILE_ROWS_MAX, FolderStorage, Lake, LakeFile,
    LakeStorage, LakeWriter, ManifestTag, ObjectStorage, RETIRED_KEPT_MICROS, ROWS_BUFFERED_MAX, S3Settings,
    WriterLock, lake_storage,
};
pub use outcomes::{ArmOutcome, Moments, arm_outcomes};
pub use parity::{DIFFERENCES_SHOWN_MAX, ParityDifference, ParityReport, ServedCut, ServedVector, check_parity};
pub use profile::{number_columns, profile};
pub use sql::{QueryBounds, SqlSession};
pub use table::{ENVELOPE, TableBuilder, schema};
pub use table_file::{TableFormat, write_parquet, write_table};
pub use training_set::{TrainingSet, training_set};
pub use typed_table::{TABLE_ROWS_MAX, read_parquet};
