/// The keys that the renditions of an image are kept under, which decides how they are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Under a set name of their own that is never used twice; the record names the set. Every URL of an image flips
    /// at once, with the record. For a store that is read through the record.
    RandomSets,
    /// At `{key}/{variant}.{ext}`, so that a CDN finds them without reading the record. Each URL flips by itself, from
    /// the old picture to the new one. For a store that others serve from.
    InPlace,
}
