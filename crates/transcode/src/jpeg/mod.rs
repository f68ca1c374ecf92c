//! JPEG (ITU-T T.81): its segments, the headers and the bits of its scans, and the Huffman tables that they are coded with.
//!
//! The parsing of headers, decoding and encoding use this; nothing here handles pixels.

pub(crate) mod bits;
pub(crate) mod headers;
pub(crate) mod plain;
pub(crate) mod table;

use crate::Error;
use crate::syntax::reader::Reader;

pub(crate) const TEM: u8 = 0x01;
pub(crate) const SOF0: u8 = 0xC0;
pub(crate) const SOF1: u8 = 0xC1;
pub(crate) const SOF2: u8 = 0xC2;
pub(crate) const DHT: u8 = 0xC4;
pub(crate) const RST0: u8 = 0xD0;
pub(crate) const RST7: u8 = 0xD7;
pub(crate) const SOI: u8 = 0xD8;
pub(crate) const EOI: u8 = 0xD9;
pub(crate) const SOS: u8 = 0xDA;
pub(crate) const DQT: u8 = 0xDB;
pub(crate) const DRI: u8 = 0xDD;
pub(crate) const APP0: u8 = 0xE0;
pub(crate) const APP2: u8 = 0xE2;
pub(crate) const APP14: u8 = 0xEE;
pub(crate) const APP15: u8 = 0xEF;
pub(crate) const COM: u8 = 0xFE;

/// The most scans that are read. Encoders write about ten. Each one costs a pass over all coefficients, so a small file
/// with thousands of them would keep a core busy for minutes.
pub(crate) const MAX_SCANS: usize = 100;

/// The rejection of a JPEG that ends before its first scan.
pub(crate) fn cut() -> Error {
    Error::corrupt("the JPEG is cut off before its first scan")
}

/// The next marker code; bytes that belong to no segment are passed over, as every decoder does.
pub(crate) fn next_marker(reader: &mut Reader<'_>) -> Option<u8> {
    loop {
        let gap = reader.rest().iter().position(|&byte| byte == 0xFF)?;
        reader.skip(gap)?;
        while reader.rest().first() == Some(&0xFF) {
            reader.skip(1)?;
        }
        match reader.u8()? {
            0 => {}
            marker => return Some(marker),
        }
    }
}

/// The content of the segment whose marker has just been read. Fails when it is cut off, or its length is too small.
pub(crate) fn segment<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let length = reader.be16().ok_or_else(cut)?;
    let length = length.checked_sub(2).ok_or_else(|| {
        Error::corrupt(format!(
            "a JPEG segment has a length of {length} bytes; the least is 2"
        ))
    })?;
    reader.take(usize::from(length)).ok_or_else(cut)
}

/// Writes a segment of at most 65,533 bytes: one that was read, or a shorter one.
pub(crate) fn push_segment(file: &mut Vec<u8>, marker: u8, content: &[u8]) {
    let length = u16::try_from(content.len().saturating_add(2)).unwrap_or(u16::MAX);
    file.extend([0xFF, marker]);
    file.extend(length.to_be_bytes());
    file.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_bytes_and_stuffed_zeros_are_no_markers() {
        let mut reader = Reader::new(b"ab\xFF\x00cd\xFF\xFF\xFF\xD9");
        assert_eq!(next_marker(&mut reader), Some(EOI));
        assert_eq!(next_marker(&mut reader), None);
    }
}
