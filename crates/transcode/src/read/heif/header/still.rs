//! From the items of a file to the coded image of its primary picture.

use std::borrow::Cow;

use tintype_model::{Dimensions, Limits};

use super::meta::{Item, Meta};
use super::properties::Properties;
use super::view::View;
use super::{Codec, Coded, CodedImage, Layer, Tile, hevc};
use crate::Error;
use crate::av1::sequence::SequenceHeader;
use crate::av1::units;
use crate::color::cicp::Cicp;
use crate::header::check_size;
use crate::metadata::exif::unboxed;
use crate::syntax::reader::Reader;

/// Larger EXIF blocks are ignored. Makers' notes can hold a preview picture.
const MAX_EXIF_BYTES: usize = 1 << 20;
/// Tiles together may have this many times the pixels of the limit: they may reach over the edge of the picture.
const TILE_MARGIN: u64 = 4;
/// Derivations of derivations are followed no deeper.
const MAX_DEPTH: usize = 4;

pub(super) fn coded_image<'a>(meta: &Meta<'a>, limits: &Limits) -> Result<CodedImage<'a>, Error> {
    let primary = meta
        .primary()
        .ok_or_else(|| Error::corrupt("the file names no primary item (pitm)"))?;
    let items = derivations(meta, primary)?;
    let base = items.last().copied().unwrap_or(primary);
    let (mut color, inner) = layer(meta, base, limits, Purpose::Color)?;
    let mut has_gain_map = meta.has_kind(b"tmap");
    let mut view = View::whole(color.size);
    let mut alpha = None;
    let mut said = Said::default();
    // From the picture that is coded to the one that is derived from it last.
    for &item in items.iter().rev() {
        let properties = Properties::read(meta.properties(item.id))?;
        has_gain_map |= auxiliary(meta, item.id, |role| role.ends_with(b":hdrgainmap"))?.is_some();
        if let Some(found) = transparency(meta, item, limits)? {
            if view != View::whole(color.size) {
                return Err(Error::unsupported(
                    "the picture's alpha belongs to what is cropped or turned before, which is not read",
                ));
            }
            alpha = Some(found);
        }
        view = view.then(&properties)?;
        said = said.or_of(&properties);
    }
    if alpha.as_ref().is_some_and(|(alpha, _)| alpha.size != color.size) {
        return Err(Error::corrupt("alpha has another size than the picture"));
    }
    if let Some(cicp) = said.cicp {
        color.is_full_range = cicp.is_full_range;
    }
    let is_premultiplied = alpha
        .as_ref()
        .is_some_and(|(_, is_premultiplied)| *is_premultiplied);
    Ok(CodedImage {
        crop: Some(view.crop).filter(|crop| crop.size != color.size),
        color,
        alpha: alpha.map(|(alpha, _)| alpha),
        is_premultiplied,
        orientation: view.orientation,
        cicp: said.cicp.unwrap_or(inner.cicp),
        icc: said.icc.or(inner.icc),
        peak: said.peak.or(inner.peak),
        exif: exif(meta),
        has_gain_map,
        frames: 1,
        duration_ms: None,
    })
}

/// The colours that derived items tell: the last word counts.
#[derive(Default)]
struct Said<'a> {
    cicp: Option<Cicp>,
    icc: Option<&'a [u8]>,
    peak: Option<u16>,
}

impl<'a> Said<'a> {
    fn or_of(self, properties: &Properties<'a>) -> Self {
        Self {
            cicp: properties.cicp.or(self.cicp),
            icc: properties.icc.or(self.icc),
            peak: properties.peak.or(self.peak),
        }
    }
}

/// An item, the one that it shows as it is (`iden`), and so on.
fn derivations(meta: &Meta<'_>, primary: Item) -> Result<Vec<Item>, Error> {
    let mut items = vec![primary];
    while let Some(item) = items.last().filter(|item| &item.kind == b"iden") {
        if items.len() > MAX_DEPTH {
            return Err(Error::unsupported(format!(
                "the picture is derived (iden) more than {MAX_DEPTH} times, which is not read"
            )));
        }
        let base = meta
            .referred(*b"dimg", item.id)
            .first()
            .and_then(|&id| meta.item(id));
        items.push(base.ok_or_else(|| Error::corrupt("a derived picture has no base"))?);
    }
    Ok(items)
}

/// The alpha of an item, and whether the colours were multiplied with it.
fn transparency<'a>(
    meta: &Meta<'a>,
    item: Item,
    limits: &Limits,
) -> Result<Option<(Layer<'a>, bool)>, Error> {
    if let Some(aux) = auxiliary(meta, item.id, is_alpha)? {
        let (found, _) = layer(meta, aux, limits, Purpose::Alpha)?;
        let is_premultiplied = meta.referred(*b"prem", item.id).contains(&aux.id);
        return Ok(Some((found, is_premultiplied)));
    }
    if &item.kind != b"grid" {
        return Ok(None);
    }
    let cells = meta.referred(*b"dimg", item.id);
    let mut parts = Vec::new();
    let mut premultiplied = Vec::new();
    for &cell in &cells {
        if let Some(aux) = auxiliary(meta, cell, is_alpha)? {
            parts.push(aux.id);
            if meta.referred(*b"prem", cell).contains(&aux.id) {
                premultiplied.push(aux.id);
            }
        }
    }
    if parts.is_empty() {
        return Ok(None);
    }
    if parts.len() != cells.len() || ![0, cells.len()].contains(&premultiplied.len()) {
        return Err(Error::unsupported(
            "some tiles of the picture have alpha and others none, or another kind, which is not read",
        ));
    }
    let (found, _) = tiles(meta, grid_of(meta, item)?, &parts, limits, Purpose::Alpha)?;
    Ok(Some((found, !premultiplied.is_empty())))
}

/// The first picture that belongs to an item in such a role.
fn auxiliary(meta: &Meta<'_>, id: u32, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Item>, Error> {
    for aux in meta.referring(*b"auxl", id) {
        if is_wanted(Properties::read(meta.properties(aux.id))?.role) {
            return Ok(Some(aux));
        }
    }
    Ok(None)
}

/// The URNs of AVIF, and of HEIF with HEVC.
pub(super) fn is_alpha(role: &[u8]) -> bool {
    matches!(
        role,
        b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha" | b"urn:mpeg:hevc:2015:auxid:1"
    )
}

/// The EXIF block of the primary picture, from its TIFF header on.
pub(super) fn exif<'a>(meta: &Meta<'a>) -> Option<Cow<'a, [u8]>> {
    let primary = meta.primary()?;
    let item = meta
        .referring(*b"cdsc", primary.id)
        .find(|item| &item.kind == b"Exif")?;
    let data = joined(&meta.data(item.id).ok()?, MAX_EXIF_BYTES)?;
    match data {
        Cow::Borrowed(data) => unboxed(data).map(Cow::Borrowed),
        Cow::Owned(data) => unboxed(&data).map(|exif| Cow::Owned(exif.to_vec())),
    }
}

/// Parts as a whole; `None` when that has more than `limit` bytes.
fn joined<'a>(parts: &[&'a [u8]], limit: usize) -> Option<Cow<'a, [u8]>> {
    let total = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    if total > limit {
        return None;
    }
    Some(match parts {
        [part] => Cow::Borrowed(*part),
        parts => Cow::Owned(parts.concat()),
    })
}

/// The properties of the pictures inside a derived item, for those that the item leaves open.
struct Inner<'a> {
    cicp: Cicp,
    icc: Option<&'a [u8]>,
    peak: Option<u16>,
}

impl<'a> Inner<'a> {
    /// The file's word counts before the stream's.
    fn of(properties: &Properties<'a>, coded: &Coded) -> Self {
        Self {
            cicp: properties.cicp.unwrap_or(coded.cicp),
            icc: properties.icc,
            peak: properties.peak,
        }
    }
}

/// The use of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Color,
    /// Older encoders did not write its size.
    Alpha,
}

fn layer<'a>(
    meta: &Meta<'a>,
    item: Item,
    limits: &Limits,
    purpose: Purpose,
) -> Result<(Layer<'a>, Inner<'a>), Error> {
    match &item.kind {
        b"av01" | b"hvc1" => {
            let (tile, size, properties) = tile(meta, item, limits, purpose)?;
            let coded = checked(&tile, size)?;
            let inner = Inner::of(&properties, &coded);
            Ok((single(tile, size, coded, inner.cicp), inner))
        }
        b"grid" => tiles(
            meta,
            grid_of(meta, item)?,
            &meta.referred(*b"dimg", item.id),
            limits,
            purpose,
        ),
        kind => {
            let kind = String::from_utf8_lossy(kind).escape_default().to_string();
            Err(Error::unsupported(format!(
                "the picture is an item of type {kind}, which is not read"
            )))
        }
    }
}

/// A picture of one tile.
pub(super) fn single<'a>(tile: Tile<'a>, size: Dimensions, coded: Coded, cicp: Cicp) -> Layer<'a> {
    Layer {
        size,
        tile: size,
        columns: 1,
        tiles: vec![tile],
        depth: coded.depth,
        chroma: coded.chroma,
        is_full_range: cicp.is_full_range,
    }
}

/// One coded item, with the size that the file announces.
fn tile<'a>(
    meta: &Meta<'a>,
    item: Item,
    limits: &Limits,
    purpose: Purpose,
) -> Result<(Tile<'a>, Dimensions, Properties<'a>), Error> {
    let codec = codec(item.kind)?;
    let properties = Properties::read(meta.properties(item.id))?;
    let config = properties
        .config
        .ok_or_else(|| Error::corrupt("the picture has no decoder configuration (av1C or hvcC)"))?;
    let tile = Tile {
        codec,
        parts: meta.data(item.id)?,
        config,
        operating_point: properties.operating_point,
    };
    let size = match (properties.size, purpose) {
        (Some(size), _) => size,
        (None, Purpose::Alpha) => headers(&tile)?.size,
        (None, Purpose::Color) => return Err(Error::corrupt("the picture has no size (ispe)")),
    };
    Ok((tile, check_size(size.width, size.height, limits)?, properties))
}

fn codec(kind: [u8; 4]) -> Result<Codec, Error> {
    match &kind {
        b"av01" => Ok(Codec::Av1),
        b"hvc1" if cfg!(feature = "heic") => Ok(Codec::Hevc),
        b"hvc1" => Err(Error::unsupported("this build does not read HEIC")),
        _ => Err(Error::corrupt("a tile of the picture is not a coded picture")),
    }
}

/// Reads the headers of a stream, and compares the size there with `size`: the decoder would allocate what its stream
/// asks for.
pub(super) fn checked(tile: &Tile<'_>, size: Dimensions) -> Result<Coded, Error> {
    let coded = headers(tile)?;
    if tile.codec == Codec::Hevc {
        check_hevc(&coded)?;
    }
    if !matches!(coded.depth, 8 | 10 | 12) {
        return Err(Error::unsupported(format!(
            "the picture has {} bits per sample, which is not read",
            coded.depth
        )));
    }
    if coded.size != size {
        return Err(Error::corrupt(format!(
            "the file says {}x{} pixels, the picture in it {}x{}",
            size.width, size.height, coded.size.width, coded.size.height
        )));
    }
    Ok(coded)
}

fn headers(tile: &Tile<'_>) -> Result<Coded, Error> {
    match tile.codec {
        Codec::Av1 => {
            let stream = tile.stream();
            let header = units::find(&stream, units::SEQUENCE_HEADER)
                .ok_or_else(|| Error::corrupt("the AV1 stream has no sequence header"))?;
            SequenceHeader::read(header)
                .map(Coded::from)
                .ok_or_else(|| Error::corrupt("the AV1 sequence header is cut off"))
        }
        Codec::Hevc => hevc::Config::read(tile.config)?.coded(),
    }
}

/// Lets pass what the decoders were compared with another one for (docs/formats.md).
fn check_hevc(coded: &Coded) -> Result<(), Error> {
    if coded.has_separate_planes {
        return Err(Error::unsupported(
            "the HEIC has its colours in 4:4:4 as three pictures without colour, which is not read",
        ));
    }
    match coded.depth {
        8 | 10 => Ok(()),
        depth => Err(Error::unsupported(format!(
            "the HEIC has {depth} bits per sample; 8 and 10 are read"
        ))),
    }
}

/// The arrangement of the tiles that make up a picture.
#[derive(Clone, Copy)]
struct Grid {
    rows: u32,
    columns: u32,
    size: Dimensions,
}

fn grid_of(meta: &Meta<'_>, item: Item) -> Result<Grid, Error> {
    let data = joined(&meta.data(item.id)?, 64)
        .ok_or_else(|| Error::corrupt("the grid item has more than 64 bytes"))?;
    grid_layout(&data).ok_or_else(|| Error::corrupt("the grid is cut off"))
}

/// The layer that the items `parts` make up in a grid.
fn tiles<'a>(
    meta: &Meta<'a>,
    grid: Grid,
    parts: &[u32],
    limits: &Limits,
    purpose: Purpose,
) -> Result<(Layer<'a>, Inner<'a>), Error> {
    let Grid { rows, columns, size } = grid;
    let size = check_size(size.width, size.height, limits)?;
    if u64::try_from(parts.len()).ok() != u64::from(rows).checked_mul(columns.into()) {
        return Err(Error::corrupt(format!(
            "the grid has {} tiles for {columns}x{rows} places",
            parts.len()
        )));
    }
    let mut first: Option<(Layer<'a>, Inner<'a>)> = None;
    for &id in parts {
        let part = meta
            .item(id)
            .ok_or_else(|| Error::corrupt("a tile of the picture is missing"))?;
        let (tile, tile_size, properties) = tile(meta, part, limits, purpose)?;
        let coded = checked(&tile, tile_size)?;
        match &mut first {
            None => {
                check_grid((rows, columns), size, tile_size, limits)?;
                let inner = Inner::of(&properties, &coded);
                let layer = Layer {
                    size,
                    columns: usize::try_from(columns).unwrap_or(1),
                    ..single(tile, tile_size, coded, inner.cicp)
                };
                first = Some((layer, inner));
            }
            Some((layer, _)) => {
                if layer.tile != tile_size || layer.depth != coded.depth || layer.chroma != coded.chroma {
                    return Err(Error::corrupt("the tiles of the picture are of several kinds"));
                }
                layer.tiles.push(tile);
            }
        }
    }
    first.ok_or_else(|| Error::corrupt("the grid has no tiles"))
}

/// Rows, columns and the size of what the tiles make up (ISO/IEC 23008-12 section 6.6.2.3.2).
fn grid_layout(data: &[u8]) -> Option<Grid> {
    let mut reader = Reader::new(data);
    if reader.u8()? != 0 {
        return None;
    }
    let is_wide = reader.u8()? & 1 != 0;
    let rows = u32::from(reader.u8()?).saturating_add(1);
    let columns = u32::from(reader.u8()?).saturating_add(1);
    let mut side = || {
        if is_wide {
            reader.be32()
        } else {
            reader.be16().map(u32::from)
        }
    };
    let size = Dimensions {
        width: side()?,
        height: side()?,
    };
    Some(Grid { rows, columns, size })
}

/// Every place of the picture is covered, no tile lies outside of it, and the tiles together are bounded.
fn check_grid(
    (rows, columns): (u32, u32),
    size: Dimensions,
    tile: Dimensions,
    limits: &Limits,
) -> Result<(), Error> {
    let along = |count: u32, side: u32| u64::from(count).saturating_mul(side.into());
    let fits = |count: u32, side: u32, whole: u32| {
        along(count, side) >= u64::from(whole) && along(count.saturating_sub(1), side) < u64::from(whole)
    };
    if !fits(columns, tile.width, size.width) || !fits(rows, tile.height, size.height) {
        return Err(Error::corrupt(format!(
            "{columns}x{rows} tiles of {}x{} pixels do not make {}x{}",
            tile.width, tile.height, size.width, size.height
        )));
    }
    let pixels = along(columns, tile.width).saturating_mul(along(rows, tile.height));
    if pixels > limits.max_pixels.saturating_mul(TILE_MARGIN) {
        return Err(Error::corrupt("the tiles are far larger than the picture"));
    }
    Ok(())
}
