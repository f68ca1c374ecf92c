use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    time::Duration,
};

use rustix::time::ClockId;
use tintype_model::{ImageInfo, Limits, error_chain, panic_message};
use tintype_transcode::{self as transcode, EncodeError};

use crate::{
    confine,
    wire::{self, Body, FileHead, Greeting, Operation, Reply, Request, Setup},
};

/// `aom/aom_codec.h`
const AOM_CODEC_MEM_ERROR: u32 = 2;

/// `webp/encode.h`
const VP8_ENC_ERROR_OUT_OF_MEMORY: u32 = 1;

/// `webp/encode.h`
const VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY: u32 = 2;

/// The whole `main` of a worker process: confines itself, then serves requests until standard input closes.
///
/// Call it first in `main`, before an async runtime is built: confinement needs a process that has one thread and no
/// open file but its three pipes. A limit that cannot be set is reported to the parent and ends the process.
#[must_use]
pub fn worker_main() -> ExitCode {
    worker_main_with(|_| {})
}

/// [`worker_main`] for tests: calls `before` with each source, when every limit is in force and nothing was decoded.
#[doc(hidden)]
#[must_use]
pub fn worker_main_with(before: impl Fn(&[u8])) -> ExitCode {
    match serve(&mut io::stdin().lock(), &mut Pipe, before) {
        Ok(code) => code,
        Err(error) => {
            // Standard error is a pipe that the parent reads; when it is closed nobody can be told.
            drop(writeln!(io::stderr(), "render worker: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Standard output without the line buffer of [`io::Stdout`], which would search renditions for line ends.
struct Pipe;

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout().as_fd(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn serve(from: &mut impl Read, to: &mut impl Write, before: impl Fn(&[u8])) -> io::Result<ExitCode> {
    let Some(setup) = wire::read_head::<Setup>(from)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let refusal = if setup.protocol == wire::PROTOCOL {
        match confine::confine(&setup) {
            Ok(steps) => {
                let protocol = wire::PROTOCOL;
                wire::write_head(to, &Greeting::Ready { protocol, steps })?;
                None
            }
            Err(error) => Some(error.to_string()),
        }
    } else {
        Some(format!(
            "its protocol is {} instead of {}",
            wire::PROTOCOL,
            setup.protocol
        ))
    };
    if let Some(detail) = refusal {
        wire::write_head(to, &Greeting::Refused { detail })?;
        return Ok(ExitCode::FAILURE);
    }
    while let Some((request, source)) = receive(from, &setup.limits)? {
        answer(&setup, &request, &source, to, &before)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a request and its source; `None` when the parent closed the pipe.
pub(crate) fn receive(from: &mut impl Read, limits: &Limits) -> io::Result<Option<(Request, Vec<u8>)>> {
    let Some(request) = wire::read_head::<Request>(from)? else {
        return Ok(None);
    };
    if request.source_bytes > limits.max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "a source of {} bytes was announced, the limit is {}",
                request.source_bytes, limits.max_bytes
            ),
        ));
    }
    let mut source = Vec::new();
    let expected = usize::try_from(request.source_bytes).map_err(io::Error::other)?;
    source.try_reserve_exact(expected).map_err(io::Error::other)?;
    from.take(request.source_bytes).read_to_end(&mut source)?;
    if source.len() != expected {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((request, source)))
}

fn answer(
    setup: &Setup,
    request: &Request,
    source: &[u8],
    to: &mut impl Write,
    before: impl Fn(&[u8]),
) -> io::Result<()> {
    confine::allow_cpu_for_one_source(setup.cpu_seconds)?;
    // A panic leaves nothing behind that is used again: the parent ends a worker that reports one.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        before(source);
        run(setup, &request.operation, source)
    }));
    let (body, files) = outcome.unwrap_or_else(|panic| {
        let detail = panic_message(panic.as_ref()).to_owned();
        (Body::Panicked { detail }, Vec::new())
    });
    wire::write_head(to, &Reply { id: request.id, body })?;
    for file in files {
        to.write_all(&file.bytes)?;
    }
    Ok(())
}

fn run(setup: &Setup, operation: &Operation, source: &[u8]) -> (Body, Vec<tintype_model::RenderedFile>) {
    match operation {
        Operation::Probe => {
            let probed = transcode::probe(source, &setup.limits);
            let body = probed.map_or_else(fault, |image| Body::Probed(located(image, source, setup)));
            (body, Vec::new())
        }
        Operation::Render(recipe) => {
            match transcode::render_timed(source, recipe, &setup.limits, setup.threads, &cpu_time) {
                Ok(rendered) => {
                    let body = Body::Rendered {
                        files: rendered.files.iter().map(head).collect(),
                        image: located(rendered.image, source, setup),
                        engine: rendered.engine,
                    };
                    (body, rendered.files)
                }
                Err(error) => (fault(error), Vec::new()),
            }
        }
    }
}

/// Adds the place where the picture was taken, if the settings allow that.
fn located(mut image: ImageInfo, source: &[u8], setup: &Setup) -> ImageInfo {
    if setup.metadata.gps
        && let Some(location) = transcode::location(source, &setup.limits)
    {
        image.capture.get_or_insert_default().location = Some(location);
    }
    image
}

/// The answer to an error of the engine. C encoders report that memory ran out, where Rust ends the process; the parent
/// treats both alike.
fn fault(error: transcode::Error) -> Body {
    let detail = error_chain(&error);
    match error {
        transcode::Error::Rejected(rejection) => Body::Rejected(rejection),
        transcode::Error::Encode { source, .. } => match source {
            EncodeError::Aom {
                code: AOM_CODEC_MEM_ERROR,
                ..
            }
            | EncodeError::Webp {
                code: VP8_ENC_ERROR_OUT_OF_MEMORY | VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY,
                ..
            } => Body::OutOfMemory { detail },
            EncodeError::Panicked => Body::Panicked { detail },
            _ => Body::Failed { detail },
        },
    }
}

/// CPU time of the calling thread.
fn cpu_time() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(ClockId::ThreadCPUTime)).ok()
}

fn head(file: &tintype_model::RenderedFile) -> FileHead {
    FileHead {
        variant: file.variant.clone(),
        format: file.format,
        dimensions: file.dimensions,
        size_bytes: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
        encoding: file.encoding.clone(),
        cpu: file.cpu,
    }
}
