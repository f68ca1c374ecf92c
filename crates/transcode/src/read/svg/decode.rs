use resvg::tiny_skia::{PathSegment, Pixmap, Point, Transform};
use resvg::usvg::{Group, Node, Paint, Path, Tree, filter};
use tintype_model::Dimensions;

use super::header::{Drawing, on_large_stack};
use crate::Error;
use crate::header::{CHECKED, Header};
use crate::picture::{Layout, Samples};

/// Draws at the size that the header has found.
pub(super) fn decode(source: &[u8], header: &Header) -> Result<Samples, Error> {
    on_large_stack(|| {
        // The pictures inside have passed the limits with the header.
        let drawing = Drawing::load(source, &CHECKED)?;
        draw(&drawing.tree, header.size)
    })
}

fn draw(tree: &Tree, size: Dimensions) -> Result<Samples, Error> {
    let Dimensions { width, height } = size;
    #[expect(clippy::cast_precision_loss, reason = "a side has at most eight digits")]
    let scale = (
        width as f32 / tree.size().width(),
        height as f32 / tree.size().height(),
    );
    Effort::of(tree, size, scale)?;
    let mut pixmap =
        Pixmap::new(width, height).ok_or_else(|| Error::corrupt("the SVG's size cannot be drawn"))?;
    resvg::render(
        tree,
        Transform::from_scale(scale.0, scale.1),
        &mut pixmap.as_mut(),
    );
    Ok(Samples {
        size,
        layout: Layout::Rgba,
        is_deep: false,
        data: pixmap.take_demultiplied(),
    })
}

/// Most pixels that are touched, counted with what is done to each: some seconds on one core.
const MAX_WORK: f64 = 4e9;
/// Most pixels of layers that exist at the same time, beside two of the whole picture.
const MAX_LAYERS: f64 = 32e6;
/// Most dashes, each of which becomes a path.
const MAX_DASHES: f64 = 200_000.0;
const MAX_DEPTH: u32 = 512;

/// The cost of drawing. The parser bounds the elements, not the work that they ask for: one filter or one dashed line
/// can keep a core busy for hours.
struct Effort {
    canvas: (f64, f64),
    /// Pixels for each unit of the drawing, in each direction.
    scale: (f64, f64),
    work: f64,
    dashes: f64,
}

impl Effort {
    fn of(tree: &Tree, size: Dimensions, scale: (f32, f32)) -> Result<(), Error> {
        let mut effort = Self {
            canvas: (size.width.into(), size.height.into()),
            scale: (scale.0.into(), scale.1.into()),
            work: 0.0,
            dashes: 0.0,
        };
        effort.group(tree.root(), 0.0, 0)
    }

    /// `layers` counts the pixels of the layers around the group.
    fn group(&mut self, group: &Group, layers: f64, depth: u32) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::unsupported(format!(
                "the SVG is nested deeper than {MAX_DEPTH} groups once its references are followed"
            )));
        }
        self.add(100.0)?;
        let mut layers = layers;
        if group.should_isolate() {
            let bounds = group.abs_layer_bounding_box();
            let area = self.area(bounds.width(), bounds.height());
            let filters = group.filters().iter().flat_map(|filter| filter.primitives());
            let (mut count, mut cost) = (0.0, 0.0);
            for primitive in filters {
                count += 1.0;
                cost += self.cost(primitive.kind());
            }
            layers += area * (1.0 + count);
            self.add(area * (2.0 + cost))?;
            if layers > MAX_LAYERS + 2.0 * self.canvas.0 * self.canvas.1 {
                return Err(Error::unsupported(
                    "the SVG needs more layers and filters at a time than are drawn",
                ));
            }
        }
        for node in group.children() {
            self.node(node, layers, depth)?;
            let outer = self.scale;
            if let Node::Image(image) = node {
                // A picture inside has units of its own.
                let (x, y) = image.abs_transform().get_scale();
                self.scale = (outer.0 * f64::from(x), outer.1 * f64::from(y));
            }
            let around = layers + self.masked(node);
            let mut result = Ok(());
            node.subroots(|group| {
                if result.is_ok() {
                    result = self.group(group, around, depth + 1);
                }
            });
            self.scale = outer;
            result?;
        }
        Ok(())
    }

    /// Pixels of the layers that exist while what masks or clips a node is drawn: its own and that of the mask.
    fn masked(&self, node: &Node) -> f64 {
        let Node::Group(group) = node else {
            return 0.0;
        };
        if group.mask().is_none() && group.clip_path().is_none() {
            return 0.0;
        }
        let bounds = group.abs_layer_bounding_box();
        2.0 * self.area(bounds.width(), bounds.height())
    }

    fn node(&mut self, node: &Node, layers: f64, depth: u32) -> Result<(), Error> {
        match node {
            Node::Group(group) => self.group(group, layers, depth + 1),
            Node::Path(path) => self.path(path),
            Node::Image(image) => {
                self.add(f64::from(image.size().width()) * f64::from(image.size().height()) * 4.0)
            }
            Node::Text(text) => self.group(text.flattened(), layers, depth + 1),
        }
    }

    fn path(&mut self, path: &Path) -> Result<(), Error> {
        let bounds = path.abs_stroke_bounding_box();
        let segments = f64::from(u32::try_from(path.data().len()).unwrap_or(u32::MAX));
        self.add(
            self.area(bounds.width(), bounds.height())
                .min(self.canvas.0 * self.canvas.1)
                + 100.0 * segments,
        )?;
        let paints = [
            path.fill().map(resvg::usvg::Fill::paint),
            path.stroke().map(resvg::usvg::Stroke::paint),
        ];
        for paint in paints.into_iter().flatten() {
            if let Paint::Pattern(pattern) = paint {
                let tile = self.area(pattern.rect().width(), pattern.rect().height());
                if tile > MAX_LAYERS + 2.0 * self.canvas.0 * self.canvas.1 {
                    return Err(Error::unsupported(
                        "the SVG has a pattern that is far larger than itself",
                    ));
                }
                self.add(tile)?;
            }
        }
        let dashes = path.stroke().and_then(resvg::usvg::Stroke::dasharray);
        if let Some(dashes) = dashes {
            let period: f64 = dashes.iter().map(|&dash| f64::from(dash)).sum();
            let count = f64::from(u32::try_from(dashes.len()).unwrap_or(u32::MAX));
            self.dashes += length(path) / period.max(1e-9) * count;
            if self.dashes > MAX_DASHES {
                return Err(Error::unsupported(format!(
                    "the SVG has more than {MAX_DASHES} dashes"
                )));
            }
        }
        Ok(())
    }

    fn add(&mut self, pixels: f64) -> Result<(), Error> {
        self.work += pixels;
        if self.work > MAX_WORK {
            return Err(Error::unsupported(
                "the SVG asks for more work than is done for one picture: large filters, layers or patterns",
            ));
        }
        Ok(())
    }

    /// Pixels of a rectangle of the drawing; layers are cut to a few times the canvas.
    fn area(&self, width: f32, height: f32) -> f64 {
        let width = (f64::from(width) * self.scale.0).clamp(0.0, 5.0 * self.canvas.0);
        let height = (f64::from(height) * self.scale.1).clamp(0.0, 5.0 * self.canvas.1);
        width * height
    }

    /// The cost of a filter for each pixel, in units of one simple operation.
    fn cost(&self, kind: &filter::Kind) -> f64 {
        match kind {
            filter::Kind::Turbulence(noise) => 40.0 * f64::from(noise.num_octaves().max(1)),
            filter::Kind::ConvolveMatrix(convolve) => {
                2.0 * f64::from(convolve.matrix().columns()) * f64::from(convolve.matrix().rows())
            }
            filter::Kind::Morphology(morphology) => {
                let (x, y) = (morphology.radius_x().get(), morphology.radius_y().get());
                let side = |radius: f32, scale: f64| (2.0 * f64::from(radius) * scale + 1.0).min(1e4);
                side(x, self.scale.0) * side(y, self.scale.1)
            }
            filter::Kind::DiffuseLighting(_) | filter::Kind::SpecularLighting(_) => 40.0,
            filter::Kind::GaussianBlur(_) | filter::Kind::DropShadow(_) => 20.0,
            filter::Kind::Blend(_)
            | filter::Kind::ColorMatrix(_)
            | filter::Kind::ComponentTransfer(_)
            | filter::Kind::Composite(_)
            | filter::Kind::DisplacementMap(_)
            | filter::Kind::Flood(_)
            | filter::Kind::Image(_)
            | filter::Kind::Merge(_)
            | filter::Kind::Offset(_)
            | filter::Kind::Tile(_) => 6.0,
        }
    }
}

/// An upper bound of the length of a path: curves are as long as the lines between their points, or shorter.
fn length(path: &Path) -> f64 {
    let distance = |a: Point, b: Point| f64::from((b.x - a.x).hypot(b.y - a.y));
    let (mut total, mut at, mut start) = (0.0, Point::zero(), Point::zero());
    for segment in path.data().segments() {
        match segment {
            PathSegment::MoveTo(to) => (at, start) = (to, to),
            PathSegment::LineTo(to) => {
                total += distance(at, to);
                at = to;
            }
            PathSegment::QuadTo(one, to) => {
                total += distance(at, one) + distance(one, to);
                at = to;
            }
            PathSegment::CubicTo(one, two, to) => {
                total += distance(at, one) + distance(one, two) + distance(two, to);
                at = to;
            }
            PathSegment::Close => {
                total += distance(at, start);
                at = start;
            }
        }
    }
    total
}
