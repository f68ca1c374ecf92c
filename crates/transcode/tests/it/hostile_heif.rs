//! Hostile AVIF and HEIC files, and files that refer to items that are missing.

use tintype_model::{Limits, Recipe};
use tintype_transcode::{Error, probe, render};

use crate::container::{self, Heif, Item, boxed, full, streams};
use crate::fixtures::photo;
use crate::judge::rejection;
use crate::memory::asked_for;

fn stream(width: u32, height: u32) -> Vec<u8> {
    streams(width, height, &photo(width, height)).remove(0)
}

fn picture(width: u32, height: u32) -> Item {
    Item::picture((width, height), &stream(width, height), &[])
}

/// More bytes than any header here takes, and fewer than one row of the pictures that they announce.
const HEADER_BYTES: usize = 64 << 10;

/// Probing and rendering come to the same rejection, from the header: no memory is asked for that could hold pixels.
fn refused(source: &[u8], code: &str, word: &str) {
    let (probed, for_probe) = asked_for(|| match probe(source, &Limits::default()) {
        Err(Error::Rejected(rejection)) => (rejection.code.name(), rejection.detail),
        other => panic!("{word}: {other:?}"),
    });
    let (rendered, for_render) = asked_for(|| rejection(source));
    assert_eq!(rendered, probed);
    for bytes in [for_probe, for_render] {
        assert!(bytes < HEADER_BYTES, "{word}: {bytes} bytes were asked for");
    }
    assert_eq!(probed.0, code, "{word}: {}", probed.1);
    assert!(probed.1.contains(word), "{}", probed.1);
}

#[test]
fn sizes_are_refused_before_anything_is_decoded() {
    for (width, height) in [(17_000, 17_000), (u32::MAX, u32::MAX)] {
        let item = Item::picture((width, height), &stream(16, 16), &[]);
        refused(&Heif::avif(vec![item]).file(), "too_many_pixels", "pixels");
    }
    let empty = Item::picture((0, 16), &stream(16, 16), &[]);
    refused(&Heif::avif(vec![empty]).file(), "corrupt_image", "0x16");
    // A file with wrong facts about its stream; the decoder would allocate what the stream says.
    let small = Item::picture((16, 16), &stream(640, 480), &[]);
    refused(&Heif::avif(vec![small]).file(), "corrupt_image", "640x480");
}

fn grid(rows: u8, columns: u8, size: (u16, u16), tiles: usize, tile: (u32, u32)) -> Vec<u8> {
    let payload = container::grid(rows, columns, size.0, size.1);
    let size = container::ispe(size.0.into(), size.1.into());
    let mut items = vec![Item::new(b"grid", &[size], &payload)];
    items.extend(std::iter::repeat_n(picture(tile.0, tile.1), tiles));
    let ids: Vec<u16> = (2..).take(tiles).collect();
    Heif::avif(items).refer(b"dimg", 1, &ids).file()
}

#[test]
fn grids_have_to_add_up() {
    assert!(probe(&grid(1, 2, (100, 64), 2, (64, 64)), &Limits::default()).is_ok());
    refused(
        &grid(1, 2, (60_000, 60_000), 2, (64, 64)),
        "too_many_pixels",
        "60000x60000",
    );
    refused(
        &grid(1, 2, (100, 64), 1, (64, 64)),
        "corrupt_image",
        "1 tiles for 2x1 places",
    );
    refused(
        &grid(1, 2, (200, 64), 2, (64, 64)),
        "corrupt_image",
        "do not make",
    );
    // A tile that lies outside of the picture would be decoded for nothing.
    refused(&grid(2, 2, (64, 64), 4, (64, 64)), "corrupt_image", "do not make");
}

#[test]
fn derivations_that_go_in_circles_end() {
    let size = [container::ispe(64, 64)];
    let circle = Heif::avif(vec![Item::new(b"iden", &size, &[])]).refer(b"dimg", 1, &[1]);
    refused(&circle.file(), "unsupported_format", "iden");
    let grid = Item::new(b"grid", &size, &container::grid(1, 1, 64, 64));
    let circle = Heif::avif(vec![grid]).refer(b"dimg", 1, &[1]);
    refused(&circle.file(), "corrupt_image", "not a coded picture");
    let nested = Heif::avif(vec![Item::new(b"iden", &size, &[]), picture(64, 64)]);
    assert!(probe(&nested.refer(b"dimg", 1, &[2]).file(), &Limits::default()).is_ok());
}

#[test]
fn bytes_outside_of_the_file_are_not_read() {
    let whole = Heif::avif(vec![picture(64, 64)]).file();
    let iloc = whole.windows(4).position(|name| name == b"iloc").unwrap();
    // Offset and length of the only extent.
    for (at, value) in [
        (iloc + 18, u32::MAX),
        (iloc + 22, u32::MAX),
        (iloc + 18, 0x7FFF_FFFF),
    ] {
        let mut broken = whole.clone();
        broken[at..at + 4].copy_from_slice(&value.to_be_bytes());
        refused(&broken, "corrupt_image", "outside of the file");
    }
    let mut sizes = whole.clone();
    sizes[iloc + 8] = 0x55;
    refused(&sizes, "corrupt_image", "impossible size");
    // A thousand parts without a single byte to describe them.
    let mut parts = whole.clone();
    parts[iloc + 8] = 0;
    parts[iloc + 16..iloc + 18].copy_from_slice(&1000u16.to_be_bytes());
    refused(&parts, "corrupt_image", "");
}

#[test]
fn boxes_that_end_nowhere_are_refused() {
    let whole = Heif::avif(vec![picture(64, 64)]).file();
    let meta = whole.windows(4).position(|name| name == b"meta").unwrap() - 4;
    let mut wide = whole[..meta].to_vec();
    wide.extend([0, 0, 0, 1]);
    wide.extend(b"meta");
    wide.extend((1u64 << 63).to_be_bytes());
    wide.extend(&whole[meta + 8..]);
    refused(&wide, "corrupt_image", "meta is missing");
    let mut inner = whole;
    inner[meta + 12..meta + 16].fill(0xFF);
    refused(
        &inner,
        "corrupt_image",
        "behind the end of the box or file that holds it",
    );
}

#[test]
fn an_essential_property_that_is_not_known_is_named() {
    let picture = |more: &[Vec<u8>]| Heif::avif(vec![Item::picture((64, 64), &stream(64, 64), more)]).file();
    refused(&picture(&[boxed(b"wxyz", &[0; 4])]), "unsupported_format", "wxyz");
    refused(
        &picture(&[boxed(b"lsel", &[0, 1])]),
        "unsupported_format",
        "layer",
    );
    let aperture = [100u32, 1, 64, 1, 0, 1, 0, 1].map(u32::to_be_bytes).concat();
    refused(
        &picture(&[boxed(b"clap", &aperture)]),
        "corrupt_image",
        "aperture",
    );
    let overlay = Item::new(b"iovl", &[container::ispe(64, 64)], &[0; 16]);
    refused(&Heif::avif(vec![overlay]).file(), "unsupported_format", "iovl");
}

#[test]
fn colours_that_cannot_be_converted_are_refused() {
    let with = |matrix| {
        let property = container::nclx(9, 16, matrix);
        let file = Heif::avif(vec![Item::picture((64, 64), &stream(64, 64), &[property])]).file();
        rejection(&file)
    };
    let (code, detail) = with(14);
    assert_eq!(code, "unsupported_format", "{detail}");
    let (code, detail) = with(0);
    assert_eq!(code, "corrupt_image", "{detail}");
}

#[test]
fn films_are_no_pictures() {
    let mut film = boxed(b"ftyp", b"isom\0\0\x02\0isomiso2avc1mp41");
    film.extend(boxed(b"moov", &[0; 64]));
    refused(&film, "unsupported_format", "MP4");
}

#[test]
fn a_file_without_its_parts_is_refused() {
    let ftyp = boxed(b"ftyp", b"avif\0\0\0\0avifmif1");
    refused(&ftyp, "corrupt_image", "meta is missing");
    let empty = [ftyp.clone(), full(b"meta", &[])].concat();
    refused(&empty, "corrupt_image", "names no primary item");
    let nowhere = Heif::avif(vec![Item::new(
        b"av01",
        &[container::ispe(64, 64), container::av1c()],
        &[],
    )]);
    refused(&nowhere.file(), "corrupt_image", "");
}

#[test]
fn frames_of_a_sequence_are_limited() {
    let frame = stream(16, 16);
    let source = container::sequence((16, 16), &vec![frame; 5], 40);
    let limits = |max_frames| Limits {
        max_frames,
        ..Limits::default()
    };
    assert_eq!(probe(&source, &limits(5)).unwrap().frames, 5);
    match render(&source, &Recipe::default(), &limits(4), 1) {
        Err(Error::Rejected(rejection)) => assert_eq!(rejection.code.name(), "too_many_frames"),
        other => panic!("{other:?}"),
    }
}
