use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use futures::{StreamExt, stream};
use tintype_jail::Jail;
use tintype_model::{Limits, Recipe, Rendered, Renderer};
use tokio::task::spawn_blocking;

use super::{
    engine, input,
    outcome::{Outcome, Report, Written},
    output::write_file,
    plan::{self, Job},
    progress::Progress,
    report::Page,
    table,
};
use crate::usage::UsageError;

/// Arguments of `tintype transcode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each input gets a folder of its own: OUT/{input file name}/{variant}.{extension}. Files found in a folder that is \
given as INPUT keep their path relative to that folder: `tintype transcode photos --out web` turns \
photos/2024/a.jpg into web/2024/a.jpg/medium.avif and so on.

In folders, every file is an input, whatever its name; hidden files and folders, symbolic links and the output folder \
are left out. Renditions that are already there are replaced; nothing is deleted. Two inputs that would write to the \
same place are refused before any work is done.

Without --config, the default recipe is made: original (full size), medium (within 800x600) and thumbnail (within \
300x300), each in AVIF, WebP and JPEG.

Each input is decoded in a process of its own with limits on memory and time: a bad file is reported, and the others \
go on.

Exit codes: 0 all inputs done, 1 some inputs failed, 2 bad usage.")]
pub(crate) struct TranscodeArgs {
    /// Pictures, or folders of pictures: JPEG, PNG, GIF, WebP, AVIF, HEIC, JPEG XL, TIFF, SVG, BMP or ICO, told by
    /// content
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Folder that the renditions are written to; made when it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Configuration with the recipe and the limits [default: the built-in recipe]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object for each input, one per line
    #[arg(long)]
    json: bool,
    /// Write a page that shows every input beside its renditions, with bytes, scores and times, to look at in a browser
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Inputs worked on at once [default: render.workers of the configuration, else the number of processors]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
}

/// Makes every rendition of every input.
///
/// # Errors
/// On bad usage, and when no rendering process can be started; a fault of one input is reported and counted.
pub(crate) async fn transcode(args: TranscodeArgs) -> anyhow::Result<ExitCode> {
    let config = engine::load(args.config.as_deref())?;
    let recipe = config.recipe();
    let limits = config.limits();
    let (inputs, unusable) = input::collect(&args.inputs, &args.out);
    let jobs = plan::plan(inputs, &args.out, &recipe).map_err(|error| UsageError(error.to_string()))?;
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make folder {}", args.out.display()))?;
    let page = args.report.as_deref().map(Page::new).transpose();
    let mut page = page.map_err(|error| UsageError(format!("{error:#}")))?;
    let mut progress = Progress::new(jobs.len() + unusable.len(), args.json);
    for unusable in unusable {
        let report = Report::unreadable(&unusable.path, &unusable.error);
        progress.report(&report, String::new)?;
        if let Some(page) = &mut page {
            page.add(&report);
        }
    }
    if !jobs.is_empty() {
        let jail = engine::start(&config, args.jobs, jobs.len()).await?;
        let work = jobs
            .into_iter()
            .map(|job| transcode_one(&jail, &recipe, limits, job));
        let mut reports = stream::iter(work).buffered(2 * jail.workers().len());
        while let Some(report) = reports.next().await {
            let text = || match (&report.outcome, report.bytes) {
                (Outcome::Processed { image, renditions }, Some(bytes)) => {
                    table::renditions(image, bytes, renditions)
                }
                _ => String::new(),
            };
            progress.report(&report, text)?;
            if let Some(page) = &mut page {
                page.add(&report);
            }
        }
        drop(reports);
        jail.shutdown().await;
    }
    if let Some(page) = page {
        page.write()?;
    }
    Ok(progress.finish()?)
}

async fn transcode_one(jail: &Jail, recipe: &Recipe, limits: Limits, job: Job) -> Report {
    let render = async |source| match jail.render(source, recipe).await {
        Ok(rendered) => write(rendered, job.folder).await,
        Err(error) => error.into(),
    };
    engine::report_on(&job.input.path, limits, render).await
}

async fn write(rendered: Rendered, folder: PathBuf) -> Outcome {
    let image = rendered.image.clone();
    match spawn_blocking(move || write_files(&rendered, &folder)).await {
        Ok(Ok(renditions)) => Outcome::Processed { image, renditions },
        Ok(Err(error)) => Outcome::failed(&format_args!("{error:#}")),
        Err(error) => Outcome::failed(&error),
    }
}

fn write_files(rendered: &Rendered, folder: &Path) -> anyhow::Result<Vec<Written>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make folder {}", folder.display()))?;
    let mut renditions = Vec::new();
    for file in &rendered.files {
        let path = folder.join(plan::file_name(&file.variant, file.format));
        write_file(folder, &path, &file.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        renditions.push(Written {
            variant: file.variant.clone(),
            format: file.format,
            width: file.dimensions.width,
            height: file.dimensions.height,
            bytes: file.bytes.len() as u64,
            path,
            cpu_ms: file.cpu.map(|time| time.as_secs_f64() * 1000.0),
            encoding: file.encoding.clone(),
        });
    }
    Ok(renditions)
}
