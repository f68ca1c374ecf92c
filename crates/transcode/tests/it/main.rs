//! The engine through its public door: sources in, renditions out, judged by other decoders.

mod corpus;
