#![doc = include_str!("../README.md")]

mod ascii_json;
mod conditional;
mod credential;
mod date;
mod entity_tag;
mod header;
pub mod post_policy;
mod range;
mod refusal;
#[cfg(feature = "testing")]
pub mod testing;

pub use ascii_json::ascii_json;
pub use conditional::{Validators, Verdict, evaluate};
pub use credential::{ALGORITHM, Credential, amz_date, parse_amz_date};
pub use date::{date_header, last_modified, parse_date};
pub use entity_tag::{EntityTag, TagSyntax};
pub use range::{ByteRange, content_range, requested_range, unsatisfied_range};
pub use refusal::{Peer, Refused};
