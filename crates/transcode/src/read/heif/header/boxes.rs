//! The boxes of the ISO base media file format (ISO/IEC 14496-12 section 4): a size, a type, a body.

use crate::Error;
use crate::syntax::bmff;
use crate::syntax::reader::Reader;

/// More boxes than this side by side are refused. A photo of 48 megapixels in tiles has some thirty properties.
const MAX_SIBLINGS: usize = 16_384;

#[derive(Clone, Copy, Debug)]
pub(super) struct Box<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
}

impl<'a> Box<'a> {
    /// Version, flags and the rest, of a box that has them (a `FullBox`).
    pub(super) fn full(self) -> Result<(u8, u32, Reader<'a>), Error> {
        let mut reader = Reader::new(self.body);
        let word = reader.be32().ok_or_else(|| self.cut())?;
        let [version, flags @ ..] = word.to_be_bytes();
        let [a, b, c] = flags;
        Ok((version, u32::from_be_bytes([0, a, b, c]), reader))
    }

    pub(super) fn cut(self) -> Error {
        Error::corrupt(format!("the box {} is cut off", self.name()))
    }

    pub(super) fn name(self) -> String {
        String::from_utf8_lossy(&self.kind).escape_default().to_string()
    }
}

/// The boxes that `data` consists of. One that ends behind `data` is an error, and so is anything that is no box.
pub(super) fn children(data: &[u8]) -> Result<Vec<Box<'_>>, Error> {
    let (boxes, rest) = whole_boxes(data)?;
    if rest.is_empty() {
        Ok(boxes)
    } else {
        Err(Error::corrupt(
            "a box ends behind the end of the box or file that holds it",
        ))
    }
}

/// The same for a file: a box that is cut off ends the list, because what is cut off may not be needed.
pub(super) fn of_file(source: &[u8]) -> Result<Vec<Box<'_>>, Error> {
    Ok(whole_boxes(source)?.0)
}

fn whole_boxes(data: &[u8]) -> Result<(Vec<Box<'_>>, &[u8]), Error> {
    let mut boxes = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let Some((kind, body, behind)) = bmff::first(rest) else {
            break;
        };
        if boxes.len() == MAX_SIBLINGS {
            return Err(Error::corrupt(format!(
                "there are more than {MAX_SIBLINGS} boxes side by side"
            )));
        }
        boxes.push(Box { kind, body });
        rest = behind;
    }
    Ok((boxes, rest))
}

/// The only box of `kind` that is wanted: the first.
pub(super) fn find<'a>(boxes: &[Box<'a>], kind: &[u8; 4]) -> Option<Box<'a>> {
    boxes.iter().copied().find(|found| &found.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_every_kind_are_read_and_wild_ones_are_not_followed() {
        let mut data = vec![0, 0, 0, 9, b'a', b'b', b'c', b'd', 7];
        data.extend([0, 0, 0, 1, b'w', b'i', b'd', b'e', 0, 0, 0, 0, 0, 0, 0, 18, 1, 2]);
        data.extend([0, 0, 0, 0, b'l', b'a', b's', b't', 3, 4, 5]);
        let boxes = children(&data).unwrap();
        let bodies: Vec<&[u8]> = boxes.iter().map(|found| found.body).collect();
        assert_eq!(bodies, [&[7][..], &[1, 2], &[3, 4, 5]]);
        assert_eq!(find(&boxes, b"wide").unwrap().body, [1, 2]);
        for bad in [
            &[0, 0, 0, 7, b'a', b'b', b'c', b'd', 7][..],
            &[0, 0, 0, 10, b'a', b'b', b'c', b'd', 7],
            &[
                0, 0, 0, 1, b'a', b'b', b'c', b'd', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
            ],
            &[0, 0, 0, 1, b'a', b'b', b'c', b'd', 0, 0, 0, 0, 0, 0, 0, 15],
            &[0, 0, 0],
        ] {
            assert!(children(bad).is_err(), "{bad:?}");
            assert!(of_file(bad).unwrap().is_empty(), "{bad:?}");
        }
    }
}
