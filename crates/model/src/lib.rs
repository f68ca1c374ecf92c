//! The words of Tintype (source, key, variant, rendition, recipe, record, version, outcome) and its ports.
//!
//! This crate performs no I/O and knows no storage, no codec and no HTTP library. Types that are stored or sent
//! (records, jobs, recipes) derive `serde`; their JSON form is a contract between releases, so fields are only
//! ever added, with defaults.

mod attempt;
mod color;
mod config;
mod dead;
mod error;
mod event;
mod format;
mod gravity;
mod key;
mod order;
mod port;
mod quality;
mod recipe;
mod record;
mod render;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod url;

pub use attempt::{Attempt, AttemptResult, Succession};
pub use color::Color;
pub use config::{ConfigError, PictureConfig};
pub use dead::{DeadLetter, DeadLetters};
pub use error::{error_chain, panic_message};
pub use event::{Job, Work};
pub use format::Format;
pub use gravity::{Focus, FocusError, Gravity};
pub use key::{KeyError, ObjectKey, Unservable};
pub use order::{Order, Sequencer, SequencerError};
pub use port::{
    Entry, GetOptions, JobQueue, MetadataStore, Object, ObjectMeta, ObjectStore, Page, Precondition,
    PutOptions, PutRecord, RecordFilter, Result, StatusCounts, StoreError,
};
pub use quality::Quality;
pub use recipe::{Fit, Recipe, RecipeError, Rgb, Variant};
pub use record::{
    Appearance, Capture, Dimensions, Encoding, Failure, ImageInfo, Location, Outcome, Record, Rejection,
    RejectionCode, Rendition, Skip, SourceInfo, Status, Tiles, UnixMillis, Version,
};
pub use render::{Limits, MetadataPolicy, RenderError, Rendered, RenderedFile, Renderer};
pub use status::{StatusKind, StatusKindError};
pub use url::{CachePolicy, DeliveryPath, PathError, decode_component, encode_component, encode_path};
