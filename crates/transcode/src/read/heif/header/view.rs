//! The part of a picture that is shown, through derivations that each crop and turn what they are given.

use tintype_model::Dimensions;

use super::properties::{Crop, Properties, mirrored, turned_left};
use crate::Error;
use crate::geometry::orient::Orientation;

/// A part of a picture, and how it is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// In the pixels of the picture itself.
    pub(super) crop: Crop,
    /// As the EXIF orientation that asks for the same.
    pub(super) orientation: u8,
}

impl View {
    /// All of a picture, upright.
    pub(super) const fn whole(size: Dimensions) -> Self {
        Self {
            crop: Crop {
                left: 0,
                top: 0,
                size,
            },
            orientation: 1,
        }
    }

    /// The size of what is shown.
    pub(super) fn size(self) -> Dimensions {
        self.turned(self.crop.size)
    }

    /// The size of a part after turning, or before it: the sides change places or they do not.
    fn turned(self, size: Dimensions) -> Dimensions {
        Orientation::from_exif(Some(self.orientation)).apply_to_size(size)
    }

    /// The view through an item that shows what is shown so far, cropped and then turned.
    pub(super) fn then(self, item: &Properties<'_>) -> Result<Self, Error> {
        let crop = match item.crop(self.size())? {
            Some(part) => self
                .part(part)
                .ok_or_else(|| Error::corrupt("the aperture is not within the picture"))?,
            None => self.crop,
        };
        let (turns, is_mirrored) = steps(item.orientation);
        let mut orientation = self.orientation;
        for _ in 0..turns {
            orientation = turned_left(orientation);
        }
        if is_mirrored {
            orientation = mirrored(orientation, true);
        }
        Ok(Self { crop, orientation })
    }

    /// The part of the picture that is seen as `part` of what is shown.
    fn part(self, part: Crop) -> Option<Crop> {
        let (whole, size) = (self.size(), part.size);
        let right = whole.width.checked_sub(part.left.checked_add(size.width)?)?;
        let bottom = whole.height.checked_sub(part.top.checked_add(size.height)?)?;
        // The distances of the part from the left and from the top edge of what is stored.
        let (left, top) = match self.orientation {
            2 => (right, part.top),
            3 => (right, bottom),
            4 => (part.left, bottom),
            5 => (part.top, part.left),
            6 => (part.top, right),
            7 => (bottom, right),
            8 => (bottom, part.left),
            _ => (part.left, part.top),
        };
        let size = self.turned(size);
        Some(Crop {
            left: self.crop.left.checked_add(left)?,
            top: self.crop.top.checked_add(top)?,
            size,
        })
    }
}

/// An orientation as quarter turns to the left, and whether left and right are exchanged then.
const fn steps(orientation: u8) -> (u8, bool) {
    match orientation {
        2 => (0, true),
        3 => (2, false),
        4 => (2, true),
        5 => (3, true),
        6 => (3, false),
        7 => (1, true),
        8 => (1, false),
        _ => (0, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_what_they_stand_for() {
        for orientation in 1..=8 {
            let (turns, is_mirrored) = steps(orientation);
            let turned = (0..turns).fold(1, |orientation, _| turned_left(orientation));
            let found = if is_mirrored {
                mirrored(turned, true)
            } else {
                turned
            };
            assert_eq!(found, orientation);
        }
    }

    #[test]
    fn parts_of_what_is_turned_are_found_in_what_is_stored() {
        use crate::picture::Picture;

        let (width, height) = (7u8, 5u8);
        let stored = Picture {
            size: Dimensions { width: 7, height: 5 },
            has_alpha: false,
            space: crate::picture::Space::Srgb,
            data: (0..width * height).flat_map(|place| [place; 3]).collect(),
        };
        for orientation in 1..=8 {
            let turned = Orientation::from_exif(Some(orientation)).apply(stored.clone(), 1);
            let view = View {
                orientation,
                ..View::whole(stored.size)
            };
            assert_eq!(view.size(), turned.size);
            let part = Crop {
                left: 1,
                top: 2,
                size: Dimensions { width: 3, height: 2 },
            };
            let found = view.part(part).unwrap();
            let places = |picture: &Picture, part: Crop| {
                let rows = part.top..part.top + part.size.height;
                let columns = part.left..part.left + part.size.width;
                let place = |x: u32, y: u32| picture.data[(y * picture.size.width + x) as usize * 3];
                let mut all: Vec<u8> = rows
                    .flat_map(|y| columns.clone().map(move |x| (x, y)))
                    .map(|(x, y)| place(x, y))
                    .collect();
                all.sort_unstable();
                all
            };
            assert_eq!(places(&stored, found), places(&turned, part), "{orientation}");
        }
    }
}
