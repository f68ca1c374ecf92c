//! Drawn pictures, made on the spot: for tests, and for the table of `examples/drawn.rs`, which reads this file too.

use std::fmt::Write as _;

/// A drawing as it is uploaded.
pub(crate) struct Drawing {
    pub(crate) name: &'static str,
    pub(crate) source: Vec<u8>,
}

/// One of each kind.
pub(crate) fn all() -> Vec<Drawing> {
    let drawing = |name, source| Drawing { name, source };
    vec![
        drawing("QR code", qr_code(33, 10)),
        drawing("pixel art", pixel_art(64, 8)),
        drawing("line chart", chart().into_bytes()),
        drawing("logo with alpha", logo().into_bytes()),
        drawing("line art", line_art().into_bytes()),
        drawing("page of text", page(960, 1200)),
        drawing("screenshot with a photo", screenshot(1200, 750)),
        drawing(
            "blank",
            png(&vec![250; 900 * 600 * 3], 900, 600, png::ColorType::Rgb),
        ),
    ]
}

/// A linear congruential generator (Numerical Recipes).
struct Random(u32);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % limit
    }
}

fn png(pixels: &[u8], width: usize, height: usize, color: png::ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let side = |side: usize| u32::try_from(side).unwrap();
    let mut encoder = png::Encoder::new(&mut bytes, side(width), side(height));
    encoder.set_color(color);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

fn rgb_png(width: usize, height: usize, color: impl FnMut(usize) -> [u8; 3]) -> Vec<u8> {
    let pixels: Vec<u8> = (0..width * height).flat_map(color).collect();
    png(&pixels, width, height, png::ColorType::Rgb)
}

/// Black and white modules at random, with the three corners and the quiet zone of a QR code.
pub(crate) fn qr_code(modules: usize, scale: usize) -> Vec<u8> {
    let mut random = Random(5);
    let mut dark: Vec<bool> = (0..modules * modules).map(|_| random.below(2) == 0).collect();
    for (left, top) in [(0, 0), (modules - 7, 0), (0, modules - 7)] {
        for y in 0..7 {
            for x in 0..7 {
                let ring = x.min(y).min(6 - x).min(6 - y);
                dark[(top + y) * modules + left + x] = ring != 1;
            }
        }
    }
    let side = (modules + 8) * scale;
    rgb_png(side, side, |at| {
        let module = |at: usize| (at / scale).checked_sub(4).filter(|&at| at < modules);
        let is_dark = module(at % side)
            .zip(module(at / side))
            .is_some_and(|(x, y)| dark[y * modules + x]);
        [if is_dark { 0 } else { 255 }; 3]
    })
}

/// Blobs of sixteen colours, each pixel `scale` pixels large.
pub(crate) fn pixel_art(cells: usize, scale: usize) -> Vec<u8> {
    let mut random = Random(9);
    let palette: Vec<[u8; 3]> = (0..16)
        .map(|_| [0; 3].map(|_: u8| u8::try_from(random.below(8) * 36).unwrap()))
        .collect();
    let mut art = vec![0usize; cells * cells];
    for at in 0..cells * cells {
        let (left, above) = (at % cells > 0, at >= cells);
        art[at] = match random.below(10) {
            0..=3 if left => art[at - 1],
            0..=6 if above => art[at - cells],
            7 if left && above => art[at - cells - 1],
            _ => random.below(palette.len()),
        };
    }
    let side = cells * scale;
    rgb_png(side, side, |at| {
        palette[art[at / side / scale * cells + at % side / scale]]
    })
}

/// A chart of three lines with a grid and labels.
pub(crate) fn chart() -> String {
    let mut random = Random(21);
    let mut svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="900" height="500" font-family="sans-serif"><rect width="900" height="500" fill="#fff"/>"##.to_owned();
    for row in 0..9 {
        let y = 60 + row * 45;
        let _ = write!(
            svg,
            r##"<path d="M70 {y}H870" stroke="#ddd"/><text x="60" y="{}" font-size="14" text-anchor="end" fill="#444">{}</text>"##,
            y + 5,
            (8 - row) * 250
        );
    }
    for (index, color) in ["#1f77b4", "#d62728", "#2ca02c"].iter().enumerate() {
        let mut line = String::from("M");
        for step in 0..17 {
            let _ = write!(
                line,
                "{} {} ",
                70 + step * 50,
                120 + index * 90 + random.below(90)
            );
        }
        let _ = write!(
            svg,
            r#"<path d="{line}" fill="none" stroke="{color}" stroke-width="2.5"/><text x="{}" y="485" font-size="15" fill="{color}">Series {index}, thousands</text>"#,
            90 + index * 260
        );
    }
    svg + r##"<text x="450" y="32" font-size="22" text-anchor="middle" fill="#222">Uploads a month, by region</text></svg>"##
}

/// Shapes and a word on a transparent ground.
pub(crate) fn logo() -> String {
    r##"<svg xmlns="http://www.w3.org/2000/svg" width="1024" height="512"><circle cx="256" cy="256" r="200" fill="#e4572e"/><circle cx="256" cy="256" r="120" fill="#fff"/><path d="M256 96L400 400H112Z" fill="#17bebb" opacity=".8"/><text x="500" y="320" font-size="150" font-family="sans-serif" font-weight="bold" fill="#2e282a">Tintype</text></svg>"##
        .to_owned()
}

/// Thin strokes all over, as an engraving has them.
pub(crate) fn line_art() -> String {
    let mut random = Random(33);
    let mut svg = r##"<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="800" fill="none" stroke="#111"><rect width="1000" height="800" fill="#fff" stroke="none"/>"##.to_owned();
    for _ in 0..220 {
        let mut point = || format!("{} {}", random.below(1000), random.below(800));
        let _ = write!(svg, r#"<path d="M{}Q{} {}"/>"#, point(), point(), point());
    }
    svg + "</svg>"
}

/// Lines of strokes in two colours, as a page of text has them.
pub(crate) fn page(width: usize, height: usize) -> Vec<u8> {
    let mut pixels = vec![255; width * height * 3];
    write_lines(&mut pixels, width, (40, 40), (width - 80, height - 80), 3);
    png(&pixels, width, height, png::ColorType::Rgb)
}

/// Fills a part of the picture, from its corner on, with lines of strokes.
fn write_lines(
    pixels: &mut [u8],
    columns: usize,
    (left, top): (usize, usize),
    (width, height): (usize, usize),
    seed: u32,
) {
    let mut random = Random(seed);
    for line in 0..height / 16 {
        let color = if line % 9 == 0 {
            [200, 20, 40]
        } else {
            [30, 30, 35]
        };
        let mut dot = |x: usize, y: usize| {
            pixels[((top + y) * columns + left + x) * 3..][..3].copy_from_slice(&color);
        };
        let mut x = 0;
        while x + 12 < width {
            let (stroke, begin) = (1 + random.below(2), line * 16 + random.below(3));
            (begin..begin + 8).for_each(|y| (x..x + stroke).for_each(|x| dot(x, y)));
            let bar = line * 16 + random.below(10);
            (x..x + 5).for_each(|x| dot(x, bar));
            x += 4 + random.below(6);
        }
    }
}

/// Bars, boxes and text, and a picture with soft colours and noise in a quarter of it.
pub(crate) fn screenshot(width: usize, height: usize) -> Vec<u8> {
    let mut random = Random(77);
    let mut pixels = vec![244; width * height * 3];
    let mut fill = |left: usize,
                    top: usize,
                    columns: usize,
                    rows: usize,
                    color: &mut dyn FnMut(usize, usize) -> [u8; 3]| {
        for y in top..top + rows {
            for x in left..left + columns {
                pixels[(y * width + x) * 3..][..3].copy_from_slice(&color(x, y));
            }
        }
    };
    fill(0, 0, width, 48, &mut |_, _| [36, 41, 56]);
    fill(0, 48, 180, height - 48, &mut |_, _| [228, 231, 238]);
    for button in 0..12 {
        fill(16, 70 + button * 44, 148, 32, &mut |_, _| [255, 255, 255]);
    }
    let noise = &mut |x: usize, y: usize| {
        let byte = |value: usize| u8::try_from(value % 256).unwrap();
        let grain = random.below(9);
        [
            byte(60 + x / 8 + grain),
            byte(90 + y / 6 + grain),
            byte(150 + grain),
        ]
    };
    fill(width / 2, height / 3, width / 2 - 30, height / 2, noise);
    write_lines(&mut pixels, width, (210, 80), (width / 2 - 240, height - 120), 8);
    png(&pixels, width, height, png::ColorType::Rgb)
}
