#![doc = include_str!("../README.md")]

mod conditional;
mod date;
mod entity_tag;
mod header;
mod range;
mod refusal;
#[cfg(feature = "testing")]
pub mod testing;

pub use conditional::{Validators, Verdict, evaluate};
pub use date::{date_header, last_modified, parse_date};
pub use entity_tag::{EntityTag, TagSyntax};
pub use range::{ByteRange, content_range, requested_range, unsatisfied_range};
pub use refusal::{Peer, Refused};
