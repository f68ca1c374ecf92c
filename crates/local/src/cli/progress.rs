//! The output during the work: results on standard output; problems, a bar on a terminal and a summary on standard
//! error.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::outcome::Report;

/// Shows results as they come and counts them.
#[derive(Debug)]
pub(crate) struct Progress {
    json: bool,
    bar: ProgressBar,
    started: Instant,
    done: u64,
    failed: u64,
}

impl Progress {
    /// Expects `total` inputs. The bar is hidden when standard error is no terminal.
    pub(crate) fn new(total: usize, json: bool) -> Self {
        let bar = if io::stderr().is_terminal() && total > 1 {
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed}, about {eta} left  {wide_msg}");
            ProgressBar::new(total as u64).with_style(style.expect("the template is well formed"))
        } else {
            ProgressBar::hidden()
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            json,
            bar,
            started: Instant::now(),
            done: 0,
            failed: 0,
        }
    }

    /// Shows one result; `text` is its form for people when it is no problem.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn report(&mut self, report: &Report, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let problem = report.outcome.problem();
        match problem {
            None => self.done += 1,
            Some(_) => self.failed += 1,
        }
        let json = self.json.then(|| serde_json::to_string(report)).transpose()?;
        self.bar
            .suspend(|| match (json, problem) {
                (Some(json), _) => writeln!(io::stdout().lock(), "{json}"),
                (None, None) => write!(io::stdout().lock(), "{}\n{}", report.input, indent(&text())),
                (None, Some(problem)) => writeln!(io::stderr().lock(), "{}: {problem}", report.input),
            })
            .context("cannot write results")?;
        self.bar.set_message(report.input.clone());
        self.bar.inc(1);
        Ok(())
    }

    /// Ends with a line of numbers, and gives the command's exit code: 1 when some input was not done.
    ///
    /// # Errors
    /// When standard error cannot be written.
    pub(crate) fn finish(self) -> io::Result<ExitCode> {
        self.bar.finish_and_clear();
        if !self.json && self.done + self.failed > 1 {
            let seconds = self.started.elapsed().as_secs_f64();
            writeln!(
                io::stderr().lock(),
                "{} done, {} failed, {seconds:.1} s",
                self.done,
                self.failed
            )?;
        }
        Ok(if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
