//! Tells the program which commit it is built from, for `tintype --version`: `TINTYPE_COMMIT` where that is set, else
//! the commit that is checked out. Sources without either are normal and build as an unknown commit.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TINTYPE_COMMIT");
    let given = env::var_os("TINTYPE_COMMIT").and_then(|commit| commit.into_string().ok());
    let commit = given.filter(|commit| !commit.is_empty()).or_else(checked_out);
    if let Some(commit) = commit.filter(|commit| is_commit(commit)) {
        // A name of its own, so that a value that is no commit cannot bypass the check.
        println!("cargo:rustc-env=TINTYPE_BUILT_FROM={commit}");
    }
}

/// The commit of the checkout that this package is a part of, and a rerun when another one is checked out or made.
fn checked_out() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)?
        .canonicalize()
        .ok()?;
    // Sources inside of another project's checkout are not at that project's commit.
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root {
        return None;
    }
    // Files that are not there must not be named: cargo would run this again for every build. The reflog changes with
    // every commit also where the branch is packed and has no file of its own; the branch's file where reflogs are off.
    let branch = git(&root, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        if let Some(path) = git(&root, &["rev-parse", "--git-path", name]) {
            let path = root.join(path);
            if path.exists() {
                println!("cargo:rerun-if-changed={}", path.display());
            }
        }
    }
    git(&root, &["rev-parse", "--verify", "HEAD"])
}

/// The first line that a git command prints, if git is there and the command succeeds.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        // Set in git's hooks, where they may name another repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?;
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// Tells whether `text` can be the name of a commit; no other text is built into the program.
fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
