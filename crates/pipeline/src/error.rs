use tintype_model::StoreError;

/// The result of processing a job; an error asks for another delivery.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a job could not be finished. Every one of these means "try again later"; a bad image is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store of sources did not answer.
    #[error("could not read the source")]
    Source(#[source] StoreError),
    /// The store of renditions did not answer.
    #[error("could not store the renditions")]
    Renditions(#[source] StoreError),
    /// The store of records did not answer.
    #[error("could not read or write the record")]
    Record(#[source] StoreError),
    /// The renderer failed for a reason that is not in the source.
    #[error("could not render")]
    Render(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The renderer left out renditions of the recipe.
    #[error("the renderer made {made} renditions of {wanted}")]
    Incomplete {
        /// The number that it made.
        made: usize,
        /// The number that the recipe has.
        wanted: usize,
    },
    /// A tombstone was to be forgotten, and the picture is not removed yet, or something else changed its record.
    #[error("the picture is not removed yet: its removal comes first, then its tombstone can be forgotten")]
    NotRemoved,
    /// Others kept changing the renditions of the same key.
    #[error("the renditions did not settle")]
    Unsettled,
}
