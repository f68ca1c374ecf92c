//! The frames between a jail and its worker.
//!
//! A frame is the length of its head (4 bytes, little-endian), the head, and the bytes that the head announces. Heads
//! are JSON because that is the form the model's types are written for (skipped fields, untagged variants), and they
//! are small; pictures travel as they are.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tintype_model::{Dimensions, Encoding, Format, ImageInfo, Limits, MetadataPolicy, Recipe, Rejection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Priority, Step};

/// Changes with every change of the frames; a worker of another release is refused.
pub(crate) const PROTOCOL: u32 = 4;

/// The longest head in bytes, on both sides: many times what a recipe of a hundred variants needs.
const MAX_HEAD: usize = 1 << 20;

/// The first frame to a worker: the limits that it has to set for itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) protocol: u32,
    pub(crate) parent: u32,
    pub(crate) threads: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: u64,
    pub(crate) jobs: u32,
    pub(crate) limits: Limits,
    pub(crate) metadata: MetadataPolicy,
    pub(crate) priority: Priority,
}

/// Every later frame to a worker; `source_bytes` bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) operation: Operation,
    pub(crate) source_bytes: u64,
}

/// The operation on a source that a request asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Probe,
    Render(Recipe),
}

/// The first frame from a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Greeting {
    Ready { protocol: u32, steps: Vec<Step> },
    Refused { detail: String },
}

/// Every later frame from a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) body: Body,
}

/// The result of a request. The bytes of `files` follow, one after the other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Probed(ImageInfo),
    Rendered {
        image: ImageInfo,
        engine: String,
        files: Vec<FileHead>,
    },
    Rejected(Rejection),
    Failed {
        detail: String,
    },
    OutOfMemory {
        detail: String,
    },
    Panicked {
        detail: String,
    },
}

/// One rendition without its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FileHead {
    pub(crate) variant: String,
    pub(crate) format: Format,
    pub(crate) dimensions: Dimensions,
    pub(crate) size_bytes: u64,
    pub(crate) encoding: Encoding,
    pub(crate) cpu: Option<Duration>,
}

fn encode(head: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(head)?;
    let length = u32::try_from(json.len())
        .ok()
        .filter(|_| json.len() <= MAX_HEAD)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "head of a frame is too long"))?;
    let mut frame = Vec::with_capacity(4 + json.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&json);
    Ok(frame)
}

fn head_length(prefix: [u8; 4]) -> io::Result<usize> {
    usize::try_from(u32::from_le_bytes(prefix))
        .ok()
        .filter(|&length| length <= MAX_HEAD)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "head of a frame is too long"))
}

/// Parses a head. JSON that ends early is invalid data, and not an early end of the pipe.
fn decode<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    serde_json::from_slice(json).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a head, without the bytes that it announces.
pub(crate) fn write_head(to: &mut impl Write, head: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(head)?)
}

/// Reads a head; `None` when the other side closed the pipe between two frames.
pub(crate) fn read_head<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut prefix = [0; 4];
    match from.read(&mut prefix[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut prefix[1..])?,
    }
    let mut json = vec![0; head_length(prefix)?];
    from.read_exact(&mut json)?;
    decode(&json).map(Some)
}

/// [`write_head`] for the parent.
pub(crate) async fn send_head(
    to: &mut (impl AsyncWrite + Unpin),
    head: &(impl Serialize + Sync),
) -> io::Result<()> {
    to.write_all(&encode(head)?).await
}

/// [`read_head`] for the parent, where an early end is an error.
pub(crate) async fn receive_head<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix).await?;
    let mut json = vec![0; head_length(prefix)?];
    from.read_exact(&mut json).await?;
    decode(&json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_the_same_behind_the_pipe() {
        let request = Request {
            id: 7,
            operation: Operation::Render(Recipe::default()),
            source_bytes: 12,
        };
        let mut frame = Vec::new();
        write_head(&mut frame, &request).unwrap();
        let read: Request = read_head(&mut frame.as_slice()).unwrap().unwrap();
        assert!(matches!(read.operation, Operation::Render(recipe) if recipe == Recipe::default()));
        assert_eq!((read.id, read.source_bytes), (7, 12));
    }

    #[test]
    fn heads_beyond_the_cap_are_refused_before_they_are_read() {
        let mut frame = u32::MAX.to_le_bytes().to_vec();
        frame.extend_from_slice(b"{}");
        let error = read_head::<Reply>(&mut frame.as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_end_between_frames_is_told_from_the_end_within_one() {
        assert!(read_head::<Reply>(&mut [].as_slice()).unwrap().is_none());
        assert!(read_head::<Reply>(&mut [9, 0].as_slice()).is_err());
        assert!(read_head::<Reply>(&mut [9, 0, 0, 0, b'{'].as_slice()).is_err());
    }
}
