//! Tests of what users of links rely on.
