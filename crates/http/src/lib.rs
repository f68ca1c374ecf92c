#![doc = include_str!("../README.md")]

mod refusal;

pub use refusal::{Peer, Refused};
