//! AV1 bitstreams.

pub(crate) mod obu;
