//! Frames laid on the canvas of their animation, one after the other.

use tintype_model::Dimensions;

use crate::geometry::Area;
use crate::header::frames::{Blend, Disposal, Placement};
use crate::picture::{Picture, Space};

/// RGBA pixels, transparent at first.
pub(super) struct Canvas {
    size: Dimensions,
    pixels: Vec<[u8; 4]>,
    /// The change to be made before the next frame, and the area that it is made to.
    pending: Option<(Area, Undo)>,
}

enum Undo {
    Clear,
    /// The rows of the area as they were.
    Restore(Vec<[u8; 4]>),
}

impl Canvas {
    pub(super) fn new(size: Dimensions) -> Self {
        Self {
            size,
            pixels: vec![[0; 4]; size.width as usize * size.height as usize],
            pending: None,
        }
    }

    /// Lays the next frame. The part of it outside the canvas is not shown.
    pub(super) fn lay(&mut self, frame: &Picture, placement: Placement) {
        match self.pending.take() {
            Some((area, Undo::Clear)) => self.rows(area).for_each(|row| row.fill([0; 4])),
            Some((area, Undo::Restore(before))) => {
                for (row, before) in self.rows(area).zip(before.chunks_exact(area.width as usize)) {
                    row.copy_from_slice(before);
                }
            }
            None => {}
        }
        let Some(area) = self.area(frame.size, placement.left, placement.top) else {
            return;
        };
        match placement.disposal {
            Disposal::Keep => {}
            Disposal::Clear => self.pending = Some((area, Undo::Clear)),
            Disposal::Restore => {
                let before = self.rows(area).flat_map(|row| row.to_vec()).collect();
                self.pending = Some((area, Undo::Restore(before)));
            }
        }
        let stride = frame.width() * frame.channels();
        for (row, from) in self.rows(area).zip(frame.data.chunks_exact(stride)) {
            lay_row(row, from, frame.has_alpha, placement.blend);
        }
    }

    /// The canvas as it is shown now.
    pub(super) fn picture(&self) -> Picture {
        Picture {
            size: self.size,
            has_alpha: true,
            space: Space::Srgb,
            data: self.pixels.as_flattened().to_vec(),
        }
    }

    /// The part of the canvas that a frame covers, `None` where it covers nothing.
    fn area(&self, frame: Dimensions, left: u32, top: u32) -> Option<Area> {
        let width = frame.width.min(self.size.width.checked_sub(left)?);
        let height = frame.height.min(self.size.height.checked_sub(top)?);
        (width > 0 && height > 0).then_some(Area {
            left,
            top,
            width,
            height,
        })
    }

    fn rows(&mut self, area: Area) -> impl Iterator<Item = &mut [[u8; 4]]> {
        self.pixels
            .chunks_exact_mut(self.size.width as usize)
            .skip(area.top as usize)
            .take(area.height as usize)
            .map(move |row| &mut row[area.left as usize..][..area.width as usize])
    }
}

/// Lays as many pixels as `row` has.
fn lay_row(row: &mut [[u8; 4]], from: &[u8], has_alpha: bool, blend: Blend) {
    if !has_alpha {
        let (from, _) = from.as_chunks::<3>();
        for (pixel, &[red, green, blue]) in row.iter_mut().zip(from) {
            *pixel = [red, green, blue, 255];
        }
        return;
    }
    let (from, _) = from.as_chunks::<4>();
    match blend {
        Blend::Replace => row.iter_mut().zip(from).for_each(|(pixel, from)| *pixel = *from),
        Blend::Over => row
            .iter_mut()
            .zip(from)
            .for_each(|(pixel, &from)| *pixel = over(from, *pixel)),
    }
}

/// Source over destination, in sRGB values that are not premultiplied, as browsers compose.
fn over(top: [u8; 4], under: [u8; 4]) -> [u8; 4] {
    match (top[3], under[3]) {
        (255, _) | (_, 0) => return top,
        (0, _) => return under,
        _ => {}
    }
    let top_weight = u32::from(top[3]) * 255;
    let under_weight = u32::from(under[3]) * (255 - u32::from(top[3]));
    let weight = top_weight + under_weight;
    let mix = |top: u8, under: u8| {
        let sum = u32::from(top) * top_weight + u32::from(under) * under_weight;
        u8::try_from((sum + weight / 2) / weight).unwrap_or(255)
    };
    [
        mix(top[0], under[0]),
        mix(top[1], under[1]),
        mix(top[2], under[2]),
        u8::try_from((weight + 127) / 255).unwrap_or(255),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: [u8; 4] = [0; 4];
    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    const HALF_BLUE: [u8; 4] = [0, 0, 255, 128];

    fn frame(width: u32, height: u32, color: [u8; 4]) -> Picture {
        Picture {
            size: Dimensions { width, height },
            has_alpha: true,
            space: Space::Srgb,
            data: color.repeat(width as usize * height as usize),
        }
    }

    const fn at(left: u32, top: u32, blend: Blend, disposal: Disposal) -> Placement {
        Placement {
            left,
            top,
            blend,
            disposal,
        }
    }

    /// A red canvas of 3x1, one pixel in its middle with `disposal`, and then another at the left.
    fn after(middle: [u8; 4], blend: Blend, disposal: Disposal) -> [Vec<[u8; 4]>; 2] {
        let mut canvas = Canvas::new(Dimensions { width: 3, height: 1 });
        canvas.lay(&frame(3, 1, RED), at(0, 0, Blend::Replace, Disposal::Keep));
        canvas.lay(&frame(1, 1, middle), at(1, 0, blend, disposal));
        let during = canvas.pixels.clone();
        canvas.lay(&frame(1, 1, BLUE), at(0, 0, Blend::Over, Disposal::Keep));
        [during, canvas.pixels]
    }

    #[test]
    fn each_disposal_leaves_what_it_says() {
        for (disposal, middle) in [
            (Disposal::Keep, BLUE),
            (Disposal::Clear, CLEAR),
            (Disposal::Restore, RED),
        ] {
            let [during, later] = after(BLUE, Blend::Over, disposal);
            assert_eq!(during, [RED, BLUE, RED], "{disposal:?}");
            assert_eq!(later, [BLUE, middle, RED], "{disposal:?}");
        }
    }

    #[test]
    fn transparent_pixels_replace_or_let_through() {
        assert_eq!(after(CLEAR, Blend::Replace, Disposal::Keep)[0][1], CLEAR);
        assert_eq!(after(CLEAR, Blend::Over, Disposal::Keep)[0][1], RED);
        assert_eq!(after(HALF_BLUE, Blend::Replace, Disposal::Keep)[0][1], HALF_BLUE);
        assert_eq!(
            after(HALF_BLUE, Blend::Over, Disposal::Keep)[0][1],
            [127, 0, 128, 255]
        );
    }

    #[test]
    fn half_transparent_pixels_add_up() {
        assert_eq!(over(HALF_BLUE, CLEAR), HALF_BLUE);
        assert_eq!(
            over([255, 255, 255, 128], [255, 255, 255, 128]),
            [255, 255, 255, 192]
        );
        assert_eq!(over([255, 0, 0, 128], [0, 255, 0, 128])[3], 192);
    }

    #[test]
    fn pixels_outside_the_canvas_are_cut_off() {
        let mut canvas = Canvas::new(Dimensions { width: 2, height: 2 });
        canvas.lay(&frame(9, 9, BLUE), at(1, 1, Blend::Over, Disposal::Clear));
        assert_eq!(canvas.pixels, [CLEAR, CLEAR, CLEAR, BLUE]);
        for (left, top) in [(2, 0), (0, 2), (u32::MAX, u32::MAX)] {
            canvas.lay(&frame(1, 1, RED), at(left, top, Blend::Over, Disposal::Restore));
            assert_eq!(canvas.pixels, [CLEAR; 4]);
        }
    }
}
