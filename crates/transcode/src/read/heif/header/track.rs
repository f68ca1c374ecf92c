//! The tracks of an AVIF image sequence (AVIF 1.1 section 3): their samples, with durations and the places of their bytes
//! (ISO/IEC 14496-12 section 8).

use tintype_model::{Dimensions, Limits};

use super::boxes::{self, Box};
use super::meta::Property;
use super::properties::Properties;
use super::{Codec, CodedImage, Layer, Tile, still};
use crate::Error;
use crate::color::cicp::Cicp;
use crate::header::{check_frames, check_size};
use crate::syntax::reader::Reader;

/// The fields of a visual sample entry before its boxes.
const SAMPLE_ENTRY_BYTES: usize = 78;

/// One track: its identity, its relations to other tracks, and its samples.
struct Track<'a> {
    id: u32,
    handler: [u8; 4],
    /// The tracks that this one is an auxiliary of.
    auxiliary_of: Vec<u32>,
    premultiplied_by: Vec<u32>,
    time_scale: u32,
    table: Table<'a>,
}

/// The sample table.
struct Table<'a> {
    size: Dimensions,
    properties: Properties<'a>,
    durations: Reader<'a>,
    duration_runs: u32,
    /// 0 when each sample has its own size.
    common_size: u32,
    sizes: Reader<'a>,
    count: u32,
    chunk_offsets: Reader<'a>,
    has_wide_offsets: bool,
}

pub(super) fn coded_image<'a>(
    source: &'a [u8],
    moov: Box<'a>,
    limits: &Limits,
) -> Result<CodedImage<'a>, Error> {
    let mut tracks = Vec::new();
    for part in boxes::children(moov.body)? {
        if &part.kind == b"trak"
            && let Some(track) = track(part)?
        {
            tracks.push(track);
        }
    }
    let main = tracks
        .iter()
        .find(|track| &track.handler == b"pict")
        .ok_or_else(|| {
            Error::unsupported("the sequence has no track of AV1 pictures; others are not read")
        })?;
    check_frames(main.table.count, limits)?;
    let (color, cicp) = first_layer(source, main, limits)?;
    let aux = tracks
        .iter()
        .find(|track| track.auxiliary_of.contains(&main.id) && still::is_alpha(track.table.properties.role));
    let alpha = aux.map(|track| first_layer(source, track, limits)).transpose()?;
    if alpha.as_ref().is_some_and(|(alpha, _)| alpha.size != color.size) {
        return Err(Error::corrupt("alpha has another size than the picture"));
    }
    let properties = &main.table.properties;
    let crop = properties.crop(color.size)?;
    Ok(CodedImage {
        color,
        alpha: alpha.map(|(alpha, _)| alpha),
        is_premultiplied: aux.is_some_and(|aux| main.premultiplied_by.contains(&aux.id)),
        crop,
        orientation: properties.orientation,
        cicp,
        icc: properties.icc,
        peak: properties.peak,
        exif: None,
        has_gain_map: false,
        frames: main.table.count,
        duration_ms: main.duration_ms(),
    })
}

/// The first frame of a track. Further ones follow it in the same manner: [`Table`] tells where they are, and a
/// decoder that keeps its state takes them in turn.
fn first_layer<'a>(source: &'a [u8], track: &Track<'a>, limits: &Limits) -> Result<(Layer<'a>, Cicp), Error> {
    let table = &track.table;
    let size = check_size(table.size.width, table.size.height, limits)?;
    let tile = Tile {
        codec: Codec::Av1,
        parts: vec![table.first_sample(source)?],
        config: table.properties.config.unwrap_or_default(),
        operating_point: table.properties.operating_point,
    };
    let coded = still::checked(&tile, size)?;
    // The numbers of the file count before those of the stream.
    let cicp = table.properties.cicp.unwrap_or(coded.cicp);
    Ok((still::single(tile, size, coded, cicp), cicp))
}

fn need<'a>(boxes: &[Box<'a>], kind: &[u8; 4]) -> Result<Box<'a>, Error> {
    boxes::find(boxes, kind).ok_or_else(|| {
        Error::corrupt(format!(
            "the sequence has no box {}",
            String::from_utf8_lossy(kind)
        ))
    })
}

/// The number behind the times of creation and modification, which version 1 gives 64 bits each.
fn after_times(found: Box<'_>) -> Result<u32, Error> {
    let (version, _, mut reader) = found.full()?;
    let times = if version == 1 { 16 } else { 8 };
    reader
        .skip(times)
        .and_then(|()| reader.be32())
        .ok_or_else(|| found.cut())
}

/// A track of AV1 pictures; `None` for any other.
fn track(trak: Box<'_>) -> Result<Option<Track<'_>>, Error> {
    let parts = boxes::children(trak.body)?;
    let id = after_times(need(&parts, b"tkhd")?)?;
    let media = boxes::children(need(&parts, b"mdia")?.body)?;
    let hdlr = need(&media, b"hdlr")?;
    let (_, _, mut reader) = hdlr.full()?;
    let handler = reader
        .skip(4)
        .and_then(|()| reader.four())
        .ok_or_else(|| hdlr.cut())?;
    if !matches!(&handler, b"pict" | b"auxv") {
        return Ok(None);
    }
    let time_scale = after_times(need(&media, b"mdhd")?)?;
    let info = boxes::children(need(&media, b"minf")?.body)?;
    let table = boxes::children(need(&info, b"stbl")?.body)?;
    let Some(table) = sample_table(&table)? else {
        return Ok(None);
    };
    let references = match boxes::find(&parts, b"tref") {
        Some(tref) => boxes::children(tref.body)?,
        None => Vec::new(),
    };
    let referred = |kind: &[u8; 4]| {
        let list = boxes::find(&references, kind).map_or(&[][..], |list| list.body);
        list.as_chunks::<4>()
            .0
            .iter()
            .map(|&id| u32::from_be_bytes(id))
            .collect()
    };
    Ok(Some(Track {
        id,
        handler,
        auxiliary_of: referred(b"auxl"),
        premultiplied_by: referred(b"prem"),
        time_scale,
        table,
    }))
}

fn sample_table<'a>(parts: &[Box<'a>]) -> Result<Option<Table<'a>>, Error> {
    let stsd = need(parts, b"stsd")?;
    let (_, _, mut reader) = stsd.full()?;
    reader.skip(4).ok_or_else(|| stsd.cut())?;
    let entries = boxes::children(reader.rest())?;
    let Some(entry) = boxes::find(&entries, b"av01") else {
        return Ok(None);
    };
    let mut fields = Reader::new(entry.body);
    let size = fields
        .skip(24)
        .and_then(|()| Some((fields.be16()?, fields.be16()?)));
    let (width, height) = size.ok_or_else(|| entry.cut())?;
    let inside = boxes::children(entry.body.get(SAMPLE_ENTRY_BYTES..).ok_or_else(|| entry.cut())?)?;
    let properties = inside.into_iter().map(|mut found| {
        // The same content under another name (ISO/IEC 23008-12 section 7.5.3).
        if &found.kind == b"auxi" {
            found.kind = *b"auxC";
        }
        Property {
            found,
            is_essential: false,
        }
    });
    let stts = need(parts, b"stts")?;
    let (_, _, mut durations) = stts.full()?;
    let duration_runs = durations.be32().ok_or_else(|| stts.cut())?;
    let stsz = need(parts, b"stsz")?;
    let (_, _, mut sizes) = stsz.full()?;
    let head = sizes.be32().and_then(|common| Some((common, sizes.be32()?)));
    let (common_size, count) = head.ok_or_else(|| stsz.cut())?;
    let listed = u64::try_from(sizes.rest().len() / 4).unwrap_or(u64::MAX);
    if common_size == 0 && u64::from(count) > listed {
        return Err(stsz.cut());
    }
    let (offsets, has_wide_offsets) = match boxes::find(parts, b"co64") {
        Some(co64) => (co64, true),
        None => (need(parts, b"stco")?, false),
    };
    let (_, _, mut chunk_offsets) = offsets.full()?;
    chunk_offsets.skip(4).ok_or_else(|| offsets.cut())?;
    Ok(Some(Table {
        size: Dimensions {
            width: width.into(),
            height: height.into(),
        },
        properties: Properties::read(properties)?,
        durations,
        duration_runs,
        common_size,
        sizes,
        count,
        chunk_offsets,
        has_wide_offsets,
    }))
}

impl<'a> Table<'a> {
    /// The first sample is at the beginning of the first chunk.
    fn first_sample(&self, source: &'a [u8]) -> Result<&'a [u8], Error> {
        let (mut sizes, mut offsets) = (self.sizes, self.chunk_offsets);
        let find = || {
            let size = match self.common_size {
                0 => sizes.be32()?,
                size => size,
            };
            let offset = if self.has_wide_offsets {
                offsets.be64()?
            } else {
                offsets.be32()?.into()
            };
            let mut reader = Reader::new(source);
            reader.skip(usize::try_from(offset).ok()?)?;
            reader.take(usize::try_from(size).ok()?)
        };
        let sample = Some(find).filter(|_| self.count > 0).and_then(|mut find| find());
        sample.ok_or_else(|| Error::corrupt("the first frame of the sequence lies outside of the file"))
    }
}

impl Track<'_> {
    /// The duration of all samples together, in milliseconds.
    fn duration_ms(&self) -> Option<u64> {
        let mut runs = self.table.durations;
        let mut total = 0u64;
        for _ in 0..self.table.duration_runs {
            let (count, delta) = (runs.be32()?, runs.be32()?);
            total = total.checked_add(u64::from(count).checked_mul(delta.into())?)?;
        }
        total.checked_mul(1000)?.checked_div(self.time_scale.into())
    }
}
