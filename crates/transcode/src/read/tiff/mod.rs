pub(crate) mod decode;
pub(crate) mod directory;
mod fields;
mod raw;
mod view;
