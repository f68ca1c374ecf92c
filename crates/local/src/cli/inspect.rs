use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use futures::{StreamExt, stream};
use indicatif::HumanBytes;
use tintype_jail::Jail;
use tintype_model::{
    Appearance, Capture, Color, Fit, Format, Gravity, ImageInfo, Limits, Recipe, Renderer, Rgb, Variant,
};

use super::{
    engine,
    outcome::{Outcome, Report},
    progress::Progress,
    table,
};

/// Arguments of `tintype inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows the facts that the pipeline would record of each file, or the reason why it would reject it. Files are decoded \
whole, in processes of their own with limits on memory and time; nothing is written.

Exit codes: 0 all files would be taken, 1 some would be rejected or could not be read, 2 bad usage.")]
pub(crate) struct InspectArgs {
    /// Pictures: JPEG, PNG, GIF, WebP, AVIF, HEIC, JPEG XL, TIFF, SVG, BMP or ICO, told by content
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Configuration with the limits [default: the built-in limits]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object for each file, one per line
    #[arg(long)]
    json: bool,
}

/// Prints the facts that the pipeline would record.
///
/// # Errors
/// On bad usage, and when no rendering process can be started; a fault of one file is reported and counted.
pub(crate) async fn inspect(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let config = engine::load(args.config.as_deref())?;
    let limits = config.limits();
    let jail = engine::start(&config, None, args.files.len()).await?;
    let mut progress = Progress::new(args.files.len(), args.json);
    let recipe = small_recipe();
    let work = args
        .files
        .iter()
        .map(|file| inspect_one(&jail, &recipe, limits, file.clone()));
    let mut reports = stream::iter(work).buffered(2 * jail.workers().len());
    while let Some(report) = reports.next().await {
        progress.report(&report, || facts(&report))?;
    }
    drop(reports);
    jail.shutdown().await;
    Ok(progress.finish()?)
}

/// A recipe for one small picture. Only decoding shows whether the pipeline would take a file, and rendering a small
/// picture decodes all of it.
fn small_recipe() -> Recipe {
    Recipe {
        variants: vec![Variant {
            name: "inspect".to_owned(),
            width: Some(128),
            height: Some(128),
            fit: Fit::Inside,
            color: Color::Srgb,
            gravity: Gravity::Center,
            // Rendering one of them decodes all frames of an animation.
            formats: vec![Format::Webp, Format::Jpeg],
            quality: BTreeMap::new(),
            animation: true,
        }],
        background: Rgb::default(),
        scores: false,
    }
}

async fn inspect_one(jail: &Jail, recipe: &Recipe, limits: Limits, file: PathBuf) -> Report {
    let render = async |source| match jail.render(source, recipe).await {
        Ok(rendered) => Outcome::Accepted {
            image: rendered.image,
        },
        Err(error) => error.into(),
    };
    engine::report_on(&file, limits, render).await
}

type Row = (&'static str, String);

fn taken(capture: &Capture) -> impl Iterator<Item = Row> {
    let Capture {
        taken_at,
        make,
        model,
        lens,
        location,
    } = capture.clone();
    let camera: Vec<String> = [make, model].into_iter().flatten().collect();
    let camera = (!camera.is_empty()).then(|| camera.join(" "));
    let place = location.map(|place| format!("{}, {}", place.latitude, place.longitude));
    let rows = [
        ("taken", taken_at),
        ("camera", camera),
        ("lens", lens),
        ("place", place),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

fn look(appearance: &Appearance) -> [Row; 5] {
    let palette: Vec<String> = appearance.palette.iter().copied().map(String::from).collect();
    [
        ("ThumbHash", appearance.thumbhash.clone()),
        ("BlurHash", appearance.blurhash.clone()),
        ("main color", appearance.dominant_color.into()),
        ("palette", palette.join(" ")),
        ("perceptual hash", appearance.perceptual_hash.clone()),
    ]
}

fn facts(report: &Report) -> String {
    let (Outcome::Accepted { image } | Outcome::Processed { image, .. }) = &report.outcome else {
        return String::new();
    };
    let ImageInfo {
        format,
        dimensions,
        orientation,
        has_alpha,
        frames,
        bit_depth,
        color_space,
        icc_description,
        duration_ms,
        has_gain_map,
        is_truncated,
        capture,
        appearance,
    } = image;
    let mut rows = vec![
        ("format", format.clone()),
        (
            "size",
            format!("{}×{} pixels", dimensions.width, dimensions.height),
        ),
        (
            "orientation",
            match orientation {
                1 => "1 (upright)".to_owned(),
                other => format!("{other} (applied to the size)"),
            },
        ),
        ("alpha", if *has_alpha { "yes" } else { "no" }.to_owned()),
        ("frames", frames.to_string()),
    ];
    if let Some(duration) = duration_ms {
        rows.push(("duration", format!("{duration} ms")));
    }
    rows.extend([
        ("bit depth", bit_depth.to_string()),
        ("color space", color_space.clone()),
    ]);
    if let Some(description) = icc_description {
        rows.push(("ICC profile", description.clone()));
    }
    if *has_gain_map {
        rows.push(("gain map", "yes (left out of renditions)".to_owned()));
    }
    if *is_truncated {
        rows.push(("truncated", "yes (a part of the picture is missing)".to_owned()));
    }
    if let Some(capture) = capture {
        rows.extend(taken(capture));
    }
    if let Some(appearance) = appearance {
        rows.extend(look(appearance));
    }
    if let Some(bytes) = report.bytes {
        rows.push(("bytes", format!("{bytes} ({})", HumanBytes(bytes))));
    }
    if let Some(digest) = &report.sha256 {
        rows.push(("SHA-256", digest.clone()));
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    table::align(&rows)
}
