//! The AWS shape.
