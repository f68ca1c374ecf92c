//! The pipeline over memory stores that reorder, repeat and fail.

mod history;
mod process;
mod world;
