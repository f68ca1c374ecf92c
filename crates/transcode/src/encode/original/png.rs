//! A PNG source as a PNG again: the same rows and filters, in chunks that are written here (PNG third edition, sections 5,
//! 9 and 11).
//!
//! The bytes are untrusted. The compressed rows are taken over when they are as many bytes as the header says, each row
//! with a filter that exists, and nothing is behind them. Metadata, chunks that are not known here and bytes behind the end
//! are left out.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::syntax::png::chunk;
use crate::syntax::reader::Reader;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The same picture in a file of our own; `None` where that cannot be made, and for an interlaced one, which is larger
/// than it has to be.
pub(super) fn rewritten(png: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(png);
    if reader.take(SIGNATURE.len())? != SIGNATURE {
        return None;
    }
    let (mut header, mut palette, mut transparency, mut rows) = (None, None, None, Vec::new());
    loop {
        let (name, body) = chunk(&mut reader)?;
        match &name {
            b"IHDR" => header = Some(body),
            b"PLTE" if rows.is_empty() => palette = Some(body),
            b"tRNS" if rows.is_empty() => transparency = Some(body),
            b"IDAT" => rows.extend_from_slice(body),
            b"IEND" => break,
            // An animation, or a chunk that changes what the others mean.
            b"acTL" | b"fcTL" | b"fdAT" => return None,
            [first, ..] if first.is_ascii_uppercase() => return None,
            _ => {}
        }
    }
    let header = header?;
    check_rows(&rows, header, palette.is_some())?;
    let mut file = SIGNATURE.to_vec();
    push(&mut file, b"IHDR", header)?;
    for (name, body) in [(b"PLTE", palette), (b"tRNS", transparency)] {
        if let Some(body) = body.filter(|body| body.len() <= 3 * 256) {
            push(&mut file, name, body)?;
        }
    }
    push(&mut file, b"IDAT", &rows)?;
    push(&mut file, b"IEND", &[])?;
    Some(file)
}

fn push(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) -> Option<()> {
    file.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
    file.extend(name);
    file.extend(body);
    let mut sum = Crc::new();
    sum.update(name);
    sum.update(body);
    file.extend(sum.sum().to_be_bytes());
    Some(())
}

/// Tells whether the compressed bytes are the rows that the header announces, and nothing else.
fn check_rows(compressed: &[u8], header: &[u8], has_palette: bool) -> Option<()> {
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, color, 0, 0, 0] = header else {
        return None;
    };
    let channels = match (color, depth) {
        (0, 1 | 2 | 4 | 8) => 1,
        (3, 1 | 2 | 4 | 8) if has_palette => 1,
        (2, 8) => 3,
        (4, 8) => 2,
        (6, 8) => 4,
        _ => return None,
    };
    let [width, height] =
        [[w3, w2, w1, w0], [h3, h2, h1, h0]].map(|side| u64::from(u32::from_be_bytes(side)));
    // With the filter.
    let row = 1 + (width * channels * u64::from(depth)).div_ceil(8);
    let expected = row * height;
    let mut inflater = Decompress::new(true);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (read, written) = (inflater.total_in(), inflater.total_out());
        let rest = compressed.get(usize::try_from(read).ok()?..)?;
        let status = inflater
            .decompress(rest, &mut buffer, FlushDecompress::None)
            .ok()?;
        let count = inflater.total_out() - written;
        let first = written.next_multiple_of(row) - written;
        let mut filters = (first..count).step_by(usize::try_from(row).ok()?);
        if inflater.total_out() > expected
            || filters.any(|at| filter(&buffer, at).is_none_or(|filter| filter > 4))
        {
            return None;
        }
        match status {
            Status::StreamEnd => break,
            _ if count == 0 && inflater.total_in() == read => return None,
            _ => {}
        }
    }
    let is_whole = inflater.total_out() == expected && inflater.total_in() == compressed.len() as u64;
    is_whole.then_some(())
}

fn filter(buffer: &[u8], at: u64) -> Option<u8> {
    buffer.get(usize::try_from(at).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use png::{BitDepth, ColorType};

    use super::*;

    fn png(color: ColorType, depth: BitDepth, pixels: &[u8], side: u32) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette((0..48).collect::<Vec<u8>>());
            encoder.set_trns(vec![0, 90]);
        }
        encoder
            .add_text_chunk("Comment".to_owned(), "secret".to_owned())
            .unwrap();
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        file
    }

    fn pixels(file: &[u8]) -> Vec<u8> {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    }

    fn sources() -> Vec<Vec<u8>> {
        // Larger than a buffer.
        let bytes = |count: usize| {
            (0..count)
                .map(|at| (at * at / 7).to_le_bytes()[0])
                .collect::<Vec<u8>>()
        };
        vec![
            png(ColorType::Grayscale, BitDepth::One, &bytes(30 * 4), 30),
            png(ColorType::Indexed, BitDepth::Four, &bytes(31 * 16), 31),
            png(
                ColorType::GrayscaleAlpha,
                BitDepth::Eight,
                &bytes(40 * 40 * 2),
                40,
            ),
            png(ColorType::Rgb, BitDepth::Eight, &bytes(300 * 300 * 3), 300),
            png(ColorType::Rgba, BitDepth::Eight, &bytes(200 * 200 * 4), 200),
        ]
    }

    #[test]
    fn pixels_stay_and_everything_else_goes() {
        for mut source in sources() {
            let expected = pixels(&source);
            source.extend(b"<script>secret</script>");
            let ours = rewritten(&source).unwrap();
            assert!(pixels(&ours) == expected);
            assert!(!ours.windows(6).any(|word| word == b"secret"));
            assert_eq!(rewritten(&ours), Some(ours));
        }
    }

    #[test]
    fn rows_that_are_not_as_announced_are_refused() {
        for source in sources() {
            let ours = rewritten(&source).unwrap();
            for length in (0..ours.len()).step_by(1 + ours.len() / 97) {
                assert_eq!(rewritten(&ours[..length]), None, "{length}");
            }
            // One row less, or one more.
            for change in [-1i32, 1] {
                let mut other = ours.clone();
                let height = u32::from_be_bytes(other[20..24].try_into().unwrap());
                let height = height.checked_add_signed(change).unwrap();
                other[20..24].copy_from_slice(&height.to_be_bytes());
                assert_eq!(rewritten(&other), None);
            }
            // Bytes behind the rows, in their own chunk.
            let end = ours.len() - 12;
            let mut longer = ours[..end].to_vec();
            push(&mut longer, b"IDAT", b"secret").unwrap();
            longer.extend_from_slice(&ours[end..]);
            assert_eq!(rewritten(&longer), None);
        }
    }
}
