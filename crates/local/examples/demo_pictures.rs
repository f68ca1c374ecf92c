//! Writes the pictures that `make demo` uploads: `demo_pictures DIR`.
//!
//! They are computed, not stored: fractal landscapes with the noise, gradients and fine detail that make
//! photographs hard to compress. The same build writes the same bytes every time.
#![expect(
    clippy::cast_possible_truncation,
    reason = "noise floors coordinates to lattice cells and the last step quantizes to bytes"
)]

use std::{fs, io, path::Path};

use anyhow::{Context, Result};

type Colour = [f32; 3];

/// The features that distinguish one landscape from another. Colours are linear light.
#[derive(Clone, Copy)]
struct Scene {
    seed: u32,
    zenith: Colour,
    horizon: Colour,
    sun: Colour,
    sun_at: (f32, f32),
    rock: Colour,
    cloud_cover: f32,
    /// Height of the water line, 0 at the top of the picture, 1 at its bottom.
    water_line: f32,
}

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).context("usage: demo_pictures DIR")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;

    let morning = Scene {
        seed: 11,
        zenith: [0.09, 0.22, 0.52],
        horizon: [0.62, 0.70, 0.78],
        sun: [1.0, 0.93, 0.78],
        sun_at: (0.78, 0.16),
        rock: [0.20, 0.19, 0.19],
        cloud_cover: 0.52,
        water_line: 0.68,
    };
    let dusk = Scene {
        seed: 29,
        zenith: [0.035, 0.06, 0.19],
        horizon: [0.92, 0.42, 0.20],
        sun: [1.0, 0.55, 0.22],
        sun_at: (0.36, 0.26),
        rock: [0.13, 0.10, 0.13],
        cloud_cover: 0.62,
        water_line: 0.70,
    };
    let noon = Scene {
        seed: 5,
        zenith: [0.05, 0.18, 0.50],
        horizon: [0.50, 0.66, 0.82],
        sun: [1.0, 0.98, 0.92],
        sun_at: (0.24, 0.10),
        rock: [0.27, 0.23, 0.19],
        cloud_cover: 0.44,
        water_line: 0.74,
    };

    write_jpeg(
        &directory.join("lake.jpg"),
        (2400, 1600),
        &landscape(&morning, 2400, 1600),
        None,
    )?;
    write_jpeg(
        &directory.join("mountains-12mp.jpg"),
        (4000, 3000),
        &landscape(&noon, 4000, 3000),
        None,
    )?;
    // Held upright, a phone stores the sensor's sideways picture and says so in EXIF.
    let upright = landscape(&dusk, 1512, 2016);
    write_jpeg(
        &directory.join("phone-upright.jpg"),
        (2016, 1512),
        &turned_left(&upright, 1512, 2016),
        Some(6),
    )?;
    write_png(&directory.join("balloon.png"), (1000, 1200), &balloon(1000, 1200))?;
    Ok(())
}

const RIDGES: usize = 5;

/// RGB pixels, top row first.
fn landscape(scene: &Scene, width: usize, height: usize) -> Vec<u8> {
    let unit = height as f32;
    let view = View {
        scene,
        aspect: width as f32 / unit,
        pixel: 1.0 / unit,
        ridges: (0..width)
            .map(|x| scene.ridges((x as f32 + 0.5) / unit))
            .collect(),
    };
    paint::<3>(width, height, |x, y| {
        let (u, v) = (
            (x as f32 + random(x, y, 1)) / unit,
            (y as f32 + random(x, y, 2)) / unit,
        );
        let light = view.light(u, v);
        let corner = ((u / view.aspect - 0.5).powi(2) + (v - 0.5).powi(2)) * 0.5;
        let grain = (random(x, y, 3) + random(x, y, 4) + random(x, y, 5) - 1.5) * 0.045;
        light.map(|channel| developed(channel * (1.0 - corner) * 1.2, grain))
    })
}

/// Far to near: `0` to `1`.
fn nearness(ridge: usize) -> f32 {
    ridge as f32 / (RIDGES - 1) as f32
}

impl Scene {
    fn ridge_seed(&self, ridge: usize) -> u32 {
        self.seed.wrapping_mul(31).wrapping_add(ridge as u32)
    }

    /// The heights of the ridge lines at `u`; far ridges are high and bare, near ones low and wooded.
    fn ridges(&self, u: f32) -> [f32; RIDGES] {
        std::array::from_fn(|ridge| {
            let (near, seed) = (nearness(ridge), self.ridge_seed(ridge));
            let base = self.water_line * (0.66 + 0.33 * near);
            let tall = 0.40 - 0.30 * near;
            let trees = if near > 0.6 { pines(u, near, seed) } else { 0.0 };
            base + 0.04 - tall * ridged(u * (1.3 + 1.6 * near) + near * 7.0, seed) - trees
        })
    }
}

/// A scene from where the picture is taken. Coordinates count in heights of the picture: `v` runs from 0 to 1
/// downwards, `u` from 0 to `aspect`.
struct View<'a> {
    scene: &'a Scene,
    aspect: f32,
    pixel: f32,
    /// Ridge lines of each column of pixels.
    ridges: Vec<[f32; RIDGES]>,
}

impl View<'_> {
    fn light(&self, u: f32, v: f32) -> Colour {
        let (seed, water_line) = (self.scene.seed, self.scene.water_line);
        if v < water_line {
            return self.land_or_sky(u, v);
        }
        let depth = (v - water_line) / (1.0 - water_line);
        let scale = 1.0 / (depth + 0.04);
        let swell = fbm(u * 5.0 * scale.sqrt(), scale * 9.0, seed ^ 0x51, 3) - 0.5;
        let ripple = fbm(u * 34.0 * scale.sqrt(), scale * 46.0, seed ^ 0x77, 4) - 0.5;
        let tilt = (swell * 0.10 + ripple * 0.06) * (0.25 + depth);
        let mirrored = (2.0 * water_line - v + tilt).clamp(0.0, water_line - 0.002);
        let reflection = self.land_or_sky(u + ripple * 0.012, mirrored);
        let deep = mix([0.006, 0.022, 0.03], self.scene.zenith, 0.10);
        let water = mix(
            deep,
            reflection,
            (0.88 - 0.30 * depth + ripple * 0.5).clamp(0.0, 0.95),
        );
        let under_sun =
            1.0 - ((u - self.scene.sun_at.0 * self.aspect).abs() / (0.05 + 0.16 * depth)).min(1.0);
        let glitter = smooth(0.10, 0.28, ripple) * under_sun * under_sun;
        add(water, self.scene.sun, glitter * 1.1)
    }

    fn land_or_sky(&self, u: f32, v: f32) -> Colour {
        let last = self.ridges.len() - 1;
        let column = (u / self.pixel).clamp(0.0, last as f32) as usize;
        let mut light = [0.0; 3];
        let mut open = 1.0;
        for ridge in (0..RIDGES).rev() {
            let top = self.ridges[column][ridge];
            let cover = ((v - top) / (2.0 * self.pixel) + 0.5).clamp(0.0, 1.0);
            if cover > 0.0 {
                light = add(light, self.slope(u, v, top, ridge), open * cover);
                open *= 1.0 - cover;
            }
            if open <= 0.0 {
                return light;
            }
        }
        add(light, self.sky(u, v), open)
    }

    fn slope(&self, u: f32, v: f32, top: f32, ridge: usize) -> Colour {
        let Scene {
            zenith,
            horizon,
            sun,
            sun_at,
            rock,
            water_line,
            ..
        } = *self.scene;
        let (near, seed) = (nearness(ridge), self.scene.ridge_seed(ridge));
        let (x, y) = (u * 7.0, (v - top) * 9.0 + top * 3.0);
        // Light from the sun's side: the difference of the relief over a short step is its slope.
        let side = if sun_at.0 > 0.5 { 0.02 } else { -0.02 };
        let relief = fbm(x, y, seed ^ 0xA5, 6) - fbm(x + side, y - 0.012, seed ^ 0xA5, 6);
        let lit = (0.46 + relief * 19.0).clamp(0.03, 1.4);
        let texture = fbm(u * 170.0, v * 170.0, seed ^ 0x3C, 3);
        let fine = fbm(u * 900.0, v * 900.0, seed ^ 0x71, 2);

        let drifts = fbm(u * 5.0, v * 5.0, seed ^ 0x9, 5) - 0.5;
        let snow_line = water_line * 0.50 + drifts * 0.42 + (texture - 0.5) * 0.05 - relief * 1.6;
        let snow = (1.0 - smooth(snow_line - 0.03, snow_line + 0.04, v)) * (1.0 - near);
        let wood = smooth(
            0.35,
            0.75,
            near + (fbm(u * 4.0, v * 9.0, seed ^ 0x1F, 3) - 0.5) * 0.7,
        );
        let forest = mix([0.004, 0.014, 0.007], [0.065, 0.100, 0.030], texture * fine * 2.0);
        let ground = mix(mix(rock, [0.09, 0.11, 0.05], texture * 0.7), forest, wood);
        let surface = mix(ground, [0.82, 0.86, 0.93], snow);

        let daylight = mix(horizon, sun, 0.6);
        let rough = (0.55 + 0.9 * fine) * (0.75 + 0.5 * texture);
        let surfaced: Colour = std::array::from_fn(|channel| {
            let direct = daylight[channel] * lit * 1.5;
            let from_sky = (zenith[channel] * 0.5 + horizon[channel] * 0.35) * 0.8;
            surface[channel] * (direct + from_sky) * rough
        });
        let haze = (1.0 - near).powf(1.4) * 0.50 + smooth(top, water_line, v) * (1.0 - near) * 0.30;
        let air = add(mix(zenith, horizon, 0.72), sun, self.glow(u, v) * 0.25);
        mix(surfaced, air, haze.min(0.93))
    }

    fn glow(&self, u: f32, v: f32) -> f32 {
        let away = self.distance_from_sun(u, v);
        1.0 / (1.0 + 55.0 * away * away)
    }

    fn distance_from_sun(&self, u: f32, v: f32) -> f32 {
        let (x, y) = self.scene.sun_at;
        (u - x * self.aspect).hypot(v - y)
    }

    fn sky(&self, u: f32, v: f32) -> Colour {
        let Scene {
            seed,
            zenith,
            horizon,
            sun,
            cloud_cover,
            water_line,
            ..
        } = *self.scene;
        let height = (1.0 - v / water_line).clamp(0.0, 1.0);
        let glow = self.glow(u, v);
        let clear = add(mix(horizon, zenith, height.powf(0.62)), sun, glow * 0.55);

        // Clouds lie on a plane above: they shrink and crowd towards the horizon.
        let far = 1.0 / (height + 0.22);
        let (x, y) = ((u - 0.5 * self.aspect) * far * 1.5, far * 2.6);
        let x = x + 0.9 * fbm(x * 1.7, y * 1.7, seed ^ 0xE1, 3);
        let y = y + 0.9 * fbm(x * 1.7 + 9.0, y * 1.7, seed ^ 0xE1, 3);
        let density = fbm(x, y, seed ^ 0xC1, 8);
        let cover = smooth(1.0 - cloud_cover, 1.22 - cloud_cover, density);
        let bright = if cover > 0.0 {
            let behind = fbm(x + 0.09, y - 0.06, seed ^ 0xC1, 6);
            (0.68 + (density - behind) * 2.4 + glow * 0.5).clamp(0.25, 1.35)
        } else {
            0.0
        };
        let white = mix(horizon, sun, 0.55).map(|channel| channel * 0.95 * bright + 0.02);
        let clouded = mix(clear, white, cover * (0.35 + 1.1 * height.min(0.5)));
        let disc = 1.0 - smooth(0.0205, 0.0225, self.distance_from_sun(u, v));
        add(clouded, sun, disc * 2.5 * (1.0 - cover * 0.7))
    }
}

/// A hot-air balloon, cut out: RGBA with soft edges, most of the picture transparent.
fn balloon(width: usize, height: usize) -> Vec<u8> {
    paint::<4>(width, height, |x, y| {
        let unit = width as f32 / 2.0;
        let (u, v) = ((x as f32 - unit) / unit, (y as f32 - unit * 0.95) / unit);
        let grain = (random(x, y, 7) - 0.5) * 0.02;
        let soft = 3.0 / unit;

        // The envelope is a sphere that narrows downwards.
        let narrow = 1.0 + 0.55 * smooth(0.0, 1.05, v);
        let radius = ((u * narrow).powi(2) + v.powi(2)).sqrt() / 0.84;
        if radius < 1.0 + soft {
            let depth = (1.0 - radius.min(1.0).powi(2)).sqrt();
            let gore = (u * narrow / (0.84_f32.powi(2) - v.powi(2)).max(0.002).sqrt())
                .clamp(-1.0, 1.0)
                .asin();
            let stripe = (gore * 16.0 / std::f32::consts::PI).floor() as i32;
            let dye = match stripe.rem_euclid(4) {
                0 => [0.72, 0.05, 0.03],
                1 => [0.90, 0.42, 0.03],
                2 => [0.92, 0.80, 0.45],
                _ => [0.05, 0.16, 0.42],
            };
            let seam = (gore * 16.0 / std::f32::consts::PI).fract().abs();
            let crease = 1.0 - 0.28 * (1.0 - smooth(0.0, 0.16, seam.min(1.0 - seam)));
            let sun = (0.55 * depth - 0.55 * u - 0.62 * v).max(0.0);
            let fabric = 0.94 + 0.12 * fbm(u * 40.0, v * 40.0, 3, 4);
            let shine = sun.powi(14) * 0.5;
            let light = dye.map(|channel| (channel * (0.16 + 1.15 * sun) + shine) * crease * fabric);
            let [r, g, b] = light.map(|channel| developed(channel, grain));
            return [r, g, b, byte(1.0 - smooth(1.0 - soft, 1.0 + soft, radius))];
        }

        let basket = (u.abs() - 0.10).max((v - 1.22).abs() - 0.085);
        let rope = if (0.70..1.16).contains(&v) {
            (u.abs() - 0.30 + (v - 0.70) * 0.435).abs() - 0.004
        } else {
            1.0
        };
        let cover = 1.0 - smooth(0.0, soft, basket.min(rope));
        let weave =
            0.65 + 0.35 * ((u * 190.0).sin() * (v * 190.0).sin()).signum() * fbm(u * 60.0, v * 60.0, 8, 3);
        let [r, g, b] = [0.30, 0.16, 0.06].map(|channel: f32| developed(channel * weave, grain));
        // A faint shadow far below, blurred into nothing: the softest alpha an encoder meets.
        let fall = (u / 0.55).powi(2) + ((v - 1.37) / 0.06).powi(2);
        let shadow = 0.45 * (-fall).exp();
        if cover > shadow {
            [r, g, b, byte(cover)]
        } else {
            [0, 0, 0, byte(shadow)]
        }
    })
}

/// Paints rows on all cores.
fn paint<const N: usize>(
    width: usize,
    height: usize,
    pixel: impl Fn(usize, usize) -> [u8; N] + Sync,
) -> Vec<u8> {
    let mut pixels = vec![0; width * height * N];
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let rows = height.div_ceil(threads);
    std::thread::scope(|scope| {
        for (band, rows_of_band) in pixels.chunks_mut(rows * width * N).enumerate() {
            let pixel = &pixel;
            scope.spawn(move || {
                for (row, line) in rows_of_band.chunks_exact_mut(width * N).enumerate() {
                    for (x, out) in line.chunks_exact_mut(N).enumerate() {
                        out.copy_from_slice(&pixel(x, band * rows + row));
                    }
                }
            });
        }
    });
    pixels
}

/// Turns RGB pixels a quarter to the left: what a sensor sees of a scene that EXIF orientation 6 puts upright.
fn turned_left(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut turned = Vec::with_capacity(pixels.len());
    for x in (0..width).rev() {
        for y in 0..height {
            let at = (y * width + x) * 3;
            turned.extend_from_slice(&pixels[at..at + 3]);
        }
    }
    turned
}

fn write_jpeg(
    path: &Path,
    (width, height): (usize, usize),
    pixels: &[u8],
    orientation: Option<u8>,
) -> Result<()> {
    let mut compress = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    compress.set_size(width, height);
    compress.set_fastest_defaults();
    compress.set_quality(92.0);
    let mut compress = compress.start_compress(io::BufWriter::new(fs::File::create(path)?))?;
    if let Some(orientation) = orientation {
        // TIFF header, one IFD with one SHORT: tag 0x0112 (Exif 2.32 section 4.6.4).
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
        compress.write_marker(mozjpeg::Marker::APP(1), &exif);
    }
    compress.write_scanlines(pixels)?;
    compress.finish()?;
    Ok(())
}

fn write_png(path: &Path, (width, height): (u32, u32), pixels: &[u8]) -> Result<()> {
    let mut encoder = png::Encoder::new(io::BufWriter::new(fs::File::create(path)?), width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}

/// Tone curve, sRGB transfer and grain: linear light to a byte.
fn developed(light: f32, grain: f32) -> u8 {
    let light = light.max(0.0);
    let toned = light * (1.0 + light * 0.35) / (1.0 + light * 0.75);
    let encoded = if toned <= 0.003_130_8 {
        toned * 12.92
    } else {
        1.055 * toned.powf(1.0 / 2.4) - 0.055
    };
    byte(encoded + grain * (1.15 - encoded))
}

fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| a[channel] + (b[channel] - a[channel]) * share)
}

fn add(a: Colour, b: Colour, amount: f32) -> Colour {
    std::array::from_fn(|channel| a[channel] + b[channel] * amount)
}

fn smooth(from: f32, to: f32, value: f32) -> f32 {
    let at = ((value - from) / (to - from)).clamp(0.0, 1.0);
    at * at * (3.0 - 2.0 * at)
}

/// A row of pine tops: how far they rise above the ridge at `u`.
fn pines(u: f32, near: f32, seed: u32) -> f32 {
    let mut tallest = 0.0_f32;
    for layer in 0..3_u32 {
        let spacing = (0.010 + 0.012 * near) * (1.0 + layer as f32 * 0.37);
        let cell = (u / spacing).floor();
        for neighbour in [-1.0, 0.0, 1.0] {
            let index = (cell + neighbour) as i32;
            let hash = |salt: u32| lattice(index, layer as i32, seed ^ salt);
            let centre = (cell + neighbour + 0.3 + 0.4 * hash(0x10)) * spacing;
            let height = (0.016 + 0.030 * near) * (0.35 + 0.65 * hash(0x20)) * smooth(0.25, 0.45, hash(0x30));
            let from_trunk = (u - centre).abs() / (spacing * 0.62);
            let jagged = from_trunk + 0.12 * ((from_trunk * 24.0).sin() * hash(0x40)).abs();
            tallest = tallest.max(height * (1.0 - jagged));
        }
    }
    tallest
}

/// Fractal ridges in one dimension: sharp crests, 0 to about 1.
fn ridged(x: f32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..8 {
        let crest = 1.0 - (2.0 * noise(x * scale, 0.5, seed.wrapping_add(octave)) - 1.0).abs();
        sum += weight * crest * crest;
        weight *= 0.48;
        scale *= 2.1;
    }
    sum
}

/// Fractal noise in two dimensions, 0 to 1 around 0.5.
fn fbm(mut x: f32, mut y: f32, seed: u32, octaves: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 0.5, 0.0);
    for octave in 0..octaves {
        sum += weight * noise(x, y, seed.wrapping_add(octave * 101));
        total += weight;
        weight *= 0.5;
        // Turned a little each time, so that the lattices do not line up.
        (x, y) = (x * 1.6 + y * 1.2 + 3.1, y * 1.6 - x * 1.2 + 1.7);
    }
    sum / total
}

/// Value noise, 0 to 1.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (cell_x, cell_y) = (x.floor(), y.floor());
    let (fx, fy) = (smooth(0.0, 1.0, x - cell_x), smooth(0.0, 1.0, y - cell_y));
    let (column, row) = (cell_x as i32, cell_y as i32);
    let at = |dx: i32, dy: i32| lattice(column.wrapping_add(dx), row.wrapping_add(dy), seed);
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
    top + (bottom - top) * fy
}

fn random(x: usize, y: usize, seed: u32) -> f32 {
    lattice(x as i32, y as i32, seed.wrapping_mul(0x9E37_79B9))
}

/// A fixed random number from 0 to 1 for a lattice point.
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut hash =
        seed ^ x.cast_unsigned().wrapping_mul(0x27D4_EB2D) ^ y.cast_unsigned().wrapping_mul(0x1656_67B1);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    hash ^= hash >> 16;
    (hash >> 8) as f32 / 16_777_216.0
}
