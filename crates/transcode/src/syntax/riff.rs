//! The container of WebP (RFC 9649 section 2), as files are written in it.

use tintype_model::Dimensions;

/// Name and content.
pub(crate) type Chunk<'a> = ([u8; 4], &'a [u8]);

/// Flags of a `VP8X` chunk.
pub(crate) const ANIMATED: u8 = 0b10;
pub(crate) const ALPHA: u8 = 0b1_0000;
pub(crate) const PROFILE: u8 = 0b10_0000;

/// A file of these chunks, behind which those in `rest` stay as they are.
pub(crate) fn file(chunks: &[Chunk<'_>], rest: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    for (name, data) in chunks {
        file.extend_from_slice(name);
        file.extend(length(data.len()));
        file.extend_from_slice(data);
        // Padded to an even length.
        if data.len() % 2 == 1 {
            file.push(0);
        }
    }
    file.extend_from_slice(rest);
    let body = length(file.len() - 8);
    file[4..8].copy_from_slice(&body);
    file
}

/// The content of a `VP8X` chunk.
pub(crate) fn extended(size: Dimensions, flags: u8) -> Vec<u8> {
    let sides = [size.width, size.height];
    let [width, height] = sides.map(|side| side.saturating_sub(1).to_le_bytes());
    [&[flags, 0, 0, 0], &width[..3], &height[..3]].concat()
}

/// Chunks come from a file that counts its bytes in the same 32 bits, or from our encoder, which does.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}
