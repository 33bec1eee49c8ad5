//! Tests of what users of trees rely on.

mod formats;
