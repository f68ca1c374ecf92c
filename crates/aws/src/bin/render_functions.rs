//! Build tool: writes the CloudFront Functions for a recipe.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use tintype_aws::config::Config;
use tintype_aws::functions::{MAX_BYTES, render};
use tintype_model::Format;

const USAGE: &str = "\
Writes the CloudFront Functions of deploy/functions, with the recipe filled in.

Usage: tintype-render-functions [--config tintype.toml] [--hold-back FORMAT]... --out DIR

  --config FILE        what will lie in the package: checked, and its recipe used; without it, the default one
  --hold-back FORMAT   jxl, avif, webp, jpeg or png: serve it under its own URL, do not negotiate it yet
  --out DIR            where the functions go; made when it is missing";

#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    config: Option<PathBuf>,
    held_back: Vec<Format>,
    out: PathBuf,
}

impl Arguments {
    fn parse(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut words = words.into_iter();
        let (mut config, mut held_back, mut out) = (None, Vec::new(), None);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match &*word {
                "--config" => config = Some(value()?.into()),
                "--hold-back" => held_back.push(format(&value()?)?),
                "--out" => out = Some(value()?.into()),
                _ => bail!("unknown argument {word:?}"),
            }
        }
        Ok(Self {
            config,
            held_back,
            out: out.context("--out is missing")?,
        })
    }
}

fn format(name: &str) -> anyhow::Result<Format> {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == name)
        .with_context(|| format!("--hold-back {name:?} is none of jxl, avif, webp, jpeg and png"))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = match &arguments.config {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    let functions = render(&config.recipe(), &arguments.held_back)?;
    fs::create_dir_all(&arguments.out).with_context(|| format!("cannot make {}", arguments.out.display()))?;
    for function in functions {
        let path = arguments.out.join(function.file_name);
        fs::write(&path, &function.code).with_context(|| format!("cannot write {}", path.display()))?;
        let size = function.code.len();
        writeln!(io::stdout(), "{}: {size} of {MAX_BYTES} bytes", path.display())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| matches!(&**word, "-h" | "--help")) {
        return match writeln!(io::stdout(), "{USAGE}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let complain = |error: &anyhow::Error| {
        // A failure to write to standard error cannot be reported.
        let _ = writeln!(io::stderr(), "tintype-render-functions: {error:#}");
    };
    match Arguments::parse(words) {
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
        Ok(arguments) => match run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(line: &str) -> anyhow::Result<Arguments> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read() {
        let arguments = parse("--config a.toml --hold-back avif --hold-back png --out b").unwrap();
        assert_eq!(arguments.config, Some("a.toml".into()));
        assert_eq!(arguments.held_back, [Format::Avif, Format::Png]);
        assert_eq!(arguments.out, Path::new("b"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |line| format!("{:#}", parse(line).unwrap_err());
        assert!(error("").contains("--out is missing"));
        assert!(error("--out").contains("--out needs a value"));
        assert!(error("--out b --hold-back gif").contains("\"gif\" is none of"));
        assert!(error("--out b --colour").contains("unknown argument \"--colour\""));
    }
}
