//! `tintype verify` and `tintype backup`, which work on the data folder without its server.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tintype_store::{Comparing, DatabaseState, Verified};

use crate::config::default_data;

/// The most keys that are named one by one.
const NAMED: usize = 20;

/// Arguments of `tintype verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the data folder itself: stop the server first. Without --rebuild nothing is changed. Exit code 1 says that
files and database do not agree, or that sources are damaged.

Every file is read and compared with the digest that it was stored with; --sizes compares sizes only, which is quick.

--rebuild makes the rows again from the files, for a database that is missing, older than the files, cut off or
damaged. The old database is kept in DATA/lost+found; files that belong to nothing are moved there.")]
pub(crate) struct VerifyArgs {
    /// Folder that the server keeps everything in
    #[arg(long, value_name = "DIR", default_value_os_t = default_data())]
    data: PathBuf,
    /// Make the database agree with the files
    #[arg(long)]
    rebuild: bool,
    /// Compare sizes only, and read no file
    #[arg(long)]
    sizes: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `tintype backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
May be taken while the server runs; it holds everything that was acknowledged before. To restore, start the server on
a copy of DIR. On the same file system as the data folder the pictures are linked, which takes no space: copy DIR to
another disk (rsync -a) to be safe from the loss of this one.")]
pub(crate) struct BackupArgs {
    /// Folder to make; it must not be there, or be empty
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Folder that the server keeps everything in
    #[arg(long, value_name = "DIR", default_value_os_t = default_data())]
    data: PathBuf,
}

/// Compares the files of a data folder with its database, or makes them agree.
pub(crate) async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let (data, is_rebuild) = (args.data.clone(), args.rebuild);
    let comparing = if args.sizes {
        Comparing::Sizes
    } else {
        Comparing::Digests
    };
    let work = move || {
        if is_rebuild {
            tintype_store::rebuild(&data, comparing)
        } else {
            tintype_store::verify(&data, comparing)
        }
    };
    let verified = tokio::task::spawn_blocking(work)
        .await?
        .with_context(|| format!("cannot verify the data folder {}", args.data.display()))?;
    let text = if args.json {
        json(&verified)
    } else {
        report(&verified, args.rebuild)
    };
    write!(std::io::stdout().lock(), "{text}").context("cannot write to standard output")?;
    let is_done = if args.rebuild {
        verified.cut.is_empty() && verified.altered.is_empty()
    } else {
        verified.is_consistent()
    };
    Ok(ExitCode::from(u8::from(!is_done)))
}

/// Copies a data folder.
pub(crate) async fn backup(args: BackupArgs) -> anyhow::Result<ExitCode> {
    let (data, target) = (args.data.clone(), args.target.clone());
    let copied = tokio::task::spawn_blocking(move || tintype_store::backup(&data, &target))
        .await?
        .with_context(|| {
            format!(
                "cannot back up the data folder {} to {}",
                args.data.display(),
                args.target.display()
            )
        })?;
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "backed up {} files, {} of them linked, to {}",
        copied.files,
        copied.linked,
        args.target.display()
    )
    .context("cannot write to standard output")?;
    for name in copied.missing.iter().take(NAMED) {
        writeln!(stdout, "missing before the backup: {name}").context("cannot write to standard output")?;
    }
    Ok(ExitCode::from(u8::from(!copied.missing.is_empty())))
}

fn state(database: &DatabaseState) -> String {
    match database {
        DatabaseState::Whole => "whole".to_owned(),
        DatabaseState::Missing => "missing".to_owned(),
        DatabaseState::Damaged(how) => format!("damaged ({how})"),
    }
}

fn report(verified: &Verified, is_rebuild: bool) -> String {
    let mut lines = vec![format!("database: {}", state(&verified.database))];
    let told = |wanted: &str, done: &str| {
        if is_rebuild {
            done.to_owned()
        } else {
            wanted.to_owned()
        }
    };
    let mut count = |number: usize, line: String| {
        if number > 0 {
            lines.push(format!("{number:>8} {line}"));
        }
    };
    count(verified.known, "sources: row and file agree".to_owned());
    count(
        verified.found,
        format!(
            "sources that no row named: {}",
            told("their rows can be made again", "their rows were made again")
        ),
    );
    count(
        verified.missing.len(),
        format!(
            "rows whose files are gone: {}",
            told("a rebuild deletes them", "deleted")
        ),
    );
    count(
        verified.cut.len(),
        "sources whose files are cut: upload them again".to_owned(),
    );
    count(
        verified.altered.len(),
        "sources whose bytes are not those that were uploaded: put their files back, or upload them again"
            .to_owned(),
    );
    count(
        verified.without_facts,
        "sources whose files do not tell any more what they are: the server writes them again".to_owned(),
    );
    count(
        verified.incomplete,
        format!(
            "pictures whose renditions are not all there and sound: {}",
            told("a rebuild queues them", "queued")
        ),
    );
    count(
        verified.unclaimed,
        format!(
            "files that belong to nothing: {}",
            told("a rebuild moves them to lost+found", "moved to lost+found")
        ),
    );
    count(
        verified.deleted,
        format!(
            "files of deleted sources: {}",
            told("a rebuild removes them", "removed at the next start")
        ),
    );
    for (what, keys) in [
        ("gone", &verified.missing),
        ("cut", &verified.cut),
        ("altered", &verified.altered),
    ] {
        lines.extend(keys.iter().take(NAMED).map(|key| format!("{what}: {key}")));
        if keys.len() > NAMED {
            lines.push(format!("{what}: and {} more", keys.len() - NAMED));
        }
    }
    if !is_rebuild && !verified.is_consistent() {
        lines.push("to make them agree: tintype verify --rebuild".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn json(verified: &Verified) -> String {
    let document = serde_json::json!({
        "database": state(&verified.database),
        "known": verified.known,
        "found": verified.found,
        "missing": verified.missing,
        "cut": verified.cut,
        "altered": verified.altered,
        "without_facts": verified.without_facts,
        "incomplete": verified.incomplete,
        "unclaimed": verified.unclaimed,
        "deleted": verified.deleted,
    });
    format!("{document:#}\n")
}
