//! From the items of a file to the plan for its primary picture.

use std::borrow::Cow;

use tintype_model::{Dimensions, Limits};

use super::meta::{Item, Meta};
use super::properties::Properties;
use super::{Codec, Coded, Layer, Plan, Tile, av1, hevc};
use crate::Error;
use crate::cicp::Cicp;
use crate::exif::unboxed;
use crate::header::check_size;
use crate::reader::Reader;

/// Larger EXIF blocks are ignored. Makers' notes can hold a preview picture.
const MAX_EXIF_BYTES: usize = 1 << 20;
/// Tiles together may have this many times the pixels of the limit: they may reach over the edge of the picture.
const TILE_MARGIN: u64 = 4;
/// Derivations of derivations are followed no deeper.
const MAX_DEPTH: u32 = 4;

pub(super) fn plan<'a>(meta: &Meta<'a>, limits: &Limits) -> Result<Plan<'a>, Error> {
    let primary = meta
        .primary()
        .ok_or_else(|| Error::corrupt("no item is named as the picture"))?;
    let own = Properties::read(meta.properties(primary.id))?;
    let (mut color, inner) = layer(meta, primary, limits, 0)?;
    let mut has_gain_map = meta.has_kind(b"tmap");
    let mut alpha = None;
    let mut is_premultiplied = false;
    for aux in meta.referring(*b"auxl", primary.id) {
        let properties = Properties::read(meta.properties(aux.id))?;
        if is_alpha(properties.role) && alpha.is_none() {
            let (found, _) = layer(meta, aux, limits, 0)?;
            if found.size != color.size {
                return Err(Error::corrupt("alpha has another size than the picture"));
            }
            is_premultiplied = meta.referred(*b"prem", primary.id).contains(&aux.id);
            alpha = Some(found);
        }
        has_gain_map |= properties.role.ends_with(b":hdrgainmap");
    }
    let crop = own.crop(color.size)?;
    if let Some(cicp) = own.cicp {
        color.is_full_range = cicp.is_full_range;
    }
    Ok(Plan {
        color,
        alpha,
        is_premultiplied,
        crop,
        orientation: own.orientation,
        cicp: own.cicp.unwrap_or(inner.cicp),
        icc: own.icc.or(inner.icc),
        peak: own.peak.or(inner.peak),
        exif: exif(meta),
        has_gain_map,
        frames: 1,
        duration_ms: None,
    })
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

/// What the pictures inside a derived item say, for what that item leaves open.
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

fn layer<'a>(
    meta: &Meta<'a>,
    item: Item,
    limits: &Limits,
    depth: u32,
) -> Result<(Layer<'a>, Inner<'a>), Error> {
    match &item.kind {
        b"av01" | b"hvc1" => {
            let (tile, size, properties) = tile(meta, item, limits)?;
            let coded = checked(&tile, size)?;
            let inner = Inner::of(&properties, &coded);
            Ok((single(tile, size, coded, inner.cicp), inner))
        }
        b"grid" => grid(meta, item, limits),
        b"iden" if depth < MAX_DEPTH => {
            let base = meta
                .referred(*b"dimg", item.id)
                .first()
                .and_then(|&id| meta.item(id))
                .ok_or_else(|| Error::corrupt("a derived picture has no base"))?;
            layer(meta, base, limits, depth.saturating_add(1))
        }
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
) -> Result<(Tile<'a>, Dimensions, Properties<'a>), Error> {
    let codec = codec(item.kind)?;
    let properties = Properties::read(meta.properties(item.id))?;
    let size = properties
        .size
        .ok_or_else(|| Error::corrupt("nothing tells how large the picture is"))?;
    let size = check_size(size.width, size.height, limits)?;
    let config = properties
        .config
        .ok_or_else(|| Error::corrupt("nothing tells how the picture is coded"))?;
    let tile = Tile {
        codec,
        parts: meta.data(item.id)?,
        config,
        operating_point: properties.operating_point,
    };
    Ok((tile, size, properties))
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
    let coded = match tile.codec {
        Codec::Av1 => av1::coded(&tile.parts)?,
        Codec::Hevc => hvc(tile.config)?,
    };
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

fn hvc(config: &[u8]) -> Result<Coded, Error> {
    hevc::Config::read(config)?.coded()
}

fn grid<'a>(meta: &Meta<'a>, item: Item, limits: &Limits) -> Result<(Layer<'a>, Inner<'a>), Error> {
    let data = joined(&meta.data(item.id)?, 64).ok_or_else(|| Error::corrupt("the grid is no grid"))?;
    let (rows, columns, size) = grid_layout(&data).ok_or_else(|| Error::corrupt("the grid is cut off"))?;
    let size = check_size(size.width, size.height, limits)?;
    let parts = meta.referred(*b"dimg", item.id);
    if u64::try_from(parts.len()).ok() != u64::from(rows).checked_mul(columns.into()) {
        return Err(Error::corrupt(format!(
            "the grid has {} tiles for {columns}x{rows} places",
            parts.len()
        )));
    }
    let mut first: Option<(Layer<'a>, Inner<'a>)> = None;
    for id in parts {
        let part = meta
            .item(id)
            .ok_or_else(|| Error::corrupt("a tile of the picture is missing"))?;
        let (tile, tile_size, properties) = tile(meta, part, limits)?;
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
fn grid_layout(data: &[u8]) -> Option<(u32, u32, Dimensions)> {
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
    let (width, height) = (side()?, side()?);
    Some((rows, columns, Dimensions { width, height }))
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
