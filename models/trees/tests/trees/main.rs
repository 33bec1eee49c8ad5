//! Tests of what users of trees rely on.

mod forests;
mod formats;
mod learning;
mod losses;
mod ordered;
mod prediction;
mod reasons;
mod refusals;
