//! Writes one small source of each kind that is read into a folder for each format: `FOLDER/picture_FORMAT/NAME`. Fuzzing
//! starts from them (`scripts/fuzz`).
//!
//! ```text
//! cargo run -p tintype-transcode --example specimens -- FOLDER
//! ```
#![expect(clippy::unwrap_used, reason = "the specimens are shared with tests")]

#[path = "../tests/it/container.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod container;
#[path = "../tests/it/fixtures.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod fixtures;
#[path = "../tests/it/specimens.rs"]
mod specimens;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use self::specimens::{Specimen, specimens};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name the folder to write to")?;
    for Specimen { format, name, bytes } in specimens() {
        let folder = PathBuf::from(&folder).join(format!("picture_{format}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
