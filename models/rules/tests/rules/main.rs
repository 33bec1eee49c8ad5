//! Tests of what users of rules rely on.
