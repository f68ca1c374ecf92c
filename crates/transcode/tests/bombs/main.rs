//! Files that cost little to send and are meant to cost much to read. Each is refused, or shown without what makes it a
//! bomb, and takes little memory. `make bombs` writes the table of them.
//!
//! A program of its own, with one test: memory is counted for the whole process, because drawings and AV1 are decoded on
//! other threads.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../it/allocator.rs"]
mod allocator;
#[path = "../it/container.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod container;
mod families;
#[path = "../it/fixtures.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod fixtures;
mod measure;

use self::measure::measured;

#[test]
fn no_bomb_goes_off() {
    let families = families::all();
    assert!(families.len() >= 40, "{} families", families.len());
    let mut wrong = Vec::new();
    for family in families {
        let measured = measured(&family);
        let is_expected = match (family.refused, &measured.rejection) {
            (Some(code), Some((found, _))) => code == *found,
            (None, None) => true,
            _ => false,
        };
        if !is_expected || measured.peak > family.memory {
            wrong.push(format!(
                "{}: expected {:?}, found {:?}, {} bytes of memory",
                family.name, family.refused, measured.rejection, measured.peak
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
