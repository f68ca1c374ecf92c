//! One half of `make bench-sharp` (benches/compare): renders one file and says what that took, or scores renditions.
//!
//! ```text
//! measure render FILE reference|default THREADS [DIR]   files go to DIR; CPU, wall time and memory as JSON
//! measure score ORIGINAL.ppm RENDITION.ppm...           SSIMULACRA2 against a linear-light downscale, as JSON
//! ```

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use std::{env, fs, io};

use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};
use rustix::time::{ClockId, clock_gettime};
use tintype_model::{Color, Fit, Format, Gravity, Limits, Quality, Recipe, Variant};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = match *arguments.as_slice() {
        ["render", file, recipe, threads] => render(file, recipe, threads, None)?,
        ["render", file, recipe, threads, folder] => render(file, recipe, threads, Some(folder))?,
        ["score", original, ref renditions @ ..] => score(original, renditions)?,
        _ => {
            return Err(
                "usage: measure render FILE reference|default THREADS [DIR] | score PPM PPM...".into(),
            );
        }
    };
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

/// The three outputs of the reference handler.
fn reference_recipe() -> Recipe {
    let variant = |name: &str, side: Option<(u32, u32)>, format, quality| Variant {
        animation: true,
        name: name.to_owned(),
        width: side.map(|(width, _)| width),
        height: side.map(|(_, height)| height),
        fit: Fit::Inside,
        gravity: Gravity::Center,
        color: Color::Srgb,
        formats: vec![format],
        quality: [(format, Quality::Fixed(quality))].into(),
    };
    Recipe {
        variants: vec![
            variant("original", None, Format::Webp, 80),
            variant("medium", Some((800, 600)), Format::Jpeg, 85),
            variant("thumbnail", Some((300, 300)), Format::Jpeg, 80),
        ],
        ..Recipe::default()
    }
}

/// Rendering alone is timed; the peak of memory is that of the process, the source included.
fn render(file: &str, recipe: &str, threads: &str, folder: Option<&str>) -> Result<String> {
    let recipe = match recipe {
        "reference" => reference_recipe(),
        "default" => Recipe::default(),
        other => return Err(format!("no recipe is called {other:?}").into()),
    };
    let (threads, source) = (threads.parse()?, fs::read(file)?);
    let limits = Limits {
        max_pixels: 200_000_000,
        ..Limits::default()
    };
    let (idle_kib, cpu, wall) = (peak_kib()?, cpu_seconds(), Instant::now());
    let rendered = tintype_transcode::render(&source, &recipe, &limits, threads)?;
    let (wall, cpu, peak_kib) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu, peak_kib()?);
    let mut outputs = Vec::new();
    for output in &rendered.files {
        let name = format!("{}.{}", output.variant, output.format.extension());
        if let Some(folder) = folder {
            fs::write(Path::new(folder).join(&name), &output.bytes)?;
        }
        outputs.push(format!("\"{name}\":{}", output.bytes.len()));
    }
    Ok(format!(
        "{{\"cpu\":{cpu},\"wall\":{wall},\"peakKib\":{peak_kib},\"idleKib\":{idle_kib},\"outputs\":{{{}}}}}",
        outputs.join(",")
    ))
}

/// CPU time of all threads, those that have ended too.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that was resident at any time.
fn peak_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.ok_or("no VmHWM")?.trim().parse()?)
}

fn score(original: &str, renditions: &[&str]) -> Result<String> {
    let original = Ppm::read(original)?;
    let mut scores = Vec::new();
    for file in renditions {
        let rendition = Ppm::read(file)?;
        let (width, height) = (rendition.width, rendition.height);
        let (lanczos, area) = if (width, height) == (original.width, original.height) {
            let score = original.ssimulacra2(&rendition)?;
            (score, score)
        } else {
            let judge = |kernel| original.downscale(width, height, kernel).ssimulacra2(&rendition);
            (judge(Kernel::Lanczos3)?, judge(Kernel::Area)?)
        };
        scores.push(format!("{{\"lanczos\":{lanczos},\"area\":{area}}}"));
    }
    Ok(format!("[{}]", scores.join(",")))
}

/// 8-bit sRGB pixels.
struct Ppm {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Kernel {
    Lanczos3,
    Area,
}

impl Ppm {
    /// A binary PPM with its header on one line: `P6 width height 255`.
    fn read(file: &str) -> Result<Self> {
        let bytes = fs::read(file)?;
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("no PPM")?;
        let header = str::from_utf8(&bytes[..end])?;
        let ["P6", width, height, "255"] = *header.split(' ').collect::<Vec<_>>().as_slice() else {
            return Err(format!("{file}: not a PPM as written here: {header:?}").into());
        };
        let (width, height) = (width.parse()?, height.parse()?);
        let data = bytes[end + 1..].to_vec();
        if data.len() != width * height * 3 {
            return Err(format!("{file}: {} bytes of pixels", data.len()).into());
        }
        Ok(Self { width, height, data })
    }

    fn ssimulacra2(&self, other: &Self) -> Result<f64> {
        if (self.width, self.height) != (other.width, other.height) {
            return Err("the pictures have different sizes".into());
        }
        let (width, height) = (u32::try_from(self.width)?, u32::try_from(self.height)?);
        let view = |data| PixelSlice::new(data, width, height, self.width * 3, PixelDescriptor::RGB8_SRGB);
        Ok(compute_ssimulacra2(&view(&self.data)?, &view(&other.data)?)?)
    }

    /// In 64-bit floating point and linear light; shares no code with the engine.
    fn downscale(&self, width: usize, height: usize, kernel: Kernel) -> Self {
        let linear: Vec<f64> = (0..=255u8)
            .map(|sample| {
                let encoded = f64::from(sample) / 255.0;
                if encoded <= 0.040_45 {
                    encoded / 12.92
                } else {
                    ((encoded + 0.055) / 1.055).powf(2.4)
                }
            })
            .collect();
        let columns = weights(self.width, width, kernel);
        let rows = weights(self.height, height, kernel);
        let mut narrow = vec![0.0; width * self.height * 3];
        for (to, from) in narrow
            .chunks_exact_mut(width * 3)
            .zip(self.data.chunks_exact(self.width * 3))
        {
            for (pixel, (first, shares)) in to.chunks_exact_mut(3).zip(&columns) {
                for (share, source) in shares.iter().zip(from[first * 3..].chunks_exact(3)) {
                    for channel in 0..3 {
                        pixel[channel] += share * linear[usize::from(source[channel])];
                    }
                }
            }
        }
        let mut data = Vec::with_capacity(width * height * 3);
        for (first, shares) in &rows {
            let mut row = vec![0.0; width * 3];
            for (share, source) in shares
                .iter()
                .zip(narrow[first * width * 3..].chunks_exact(width * 3))
            {
                for (to, from) in row.iter_mut().zip(source) {
                    *to += share * from;
                }
            }
            data.extend(row.into_iter().map(encoded));
        }
        Self { width, height, data }
    }
}

/// For each sample of the smaller line: the first sample of the larger one that it depends on, and the shares.
fn weights(from: usize, to: usize, kernel: Kernel) -> Vec<(usize, Vec<f64>)> {
    let ratio = from as f64 / to as f64;
    let reach = match kernel {
        Kernel::Lanczos3 => 3.0 * ratio,
        Kernel::Area => ratio / 2.0,
    };
    (0..to)
        .map(|at| {
            let centre = (at as f64 + 0.5) * ratio;
            let (left, right) = ((centre - reach).max(0.0), (centre + reach).min(from as f64));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "both are from 0 to the length of a side"
            )]
            let (first, last) = (left.floor() as usize, (right.ceil() as usize).min(from));
            let mut shares: Vec<f64> = (first..last)
                .map(|sample| match kernel {
                    Kernel::Lanczos3 => lanczos3((sample as f64 + 0.5 - centre) / ratio),
                    Kernel::Area => (right.min(sample as f64 + 1.0) - left.max(sample as f64)).max(0.0),
                })
                .collect();
            let sum: f64 = shares.iter().sum();
            shares.iter_mut().for_each(|share| *share /= sum);
            (first, shares)
        })
        .collect()
}

fn lanczos3(at: f64) -> f64 {
    if at == 0.0 {
        1.0
    } else if at.abs() >= 3.0 {
        0.0
    } else {
        let angle = std::f64::consts::PI * at;
        angle.sin() / angle * (angle / 3.0).sin() / (angle / 3.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and 255"
)]
fn encoded(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let encoded = if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    };
    (encoded * 255.0).round() as u8
}
