//! What trainers, analysts and data scientists rely on offline; one binary, a module for each promise.

mod backfill;
mod compute;
mod lake;
