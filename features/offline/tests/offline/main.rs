//! What trainers, analysts and data scientists rely on offline; one binary, a module for each promise.

mod backfill;
mod compute;
mod lake;
mod lake_evolution;
mod lake_files;
mod lake_objects;
mod sql;
mod table_file;
mod world;
