//! The AWS shape.

pub mod functions;
