//! The pipes between a jail and its worker.

use tintype_jail::fuzzing;
use tintype_model::Recipe;

/// What a worker is sent.
pub fn requests(data: &[u8]) {
    drop(fuzzing::requests(data));
}

/// What a worker says, to a jail that asked for a header or for the default recipe.
pub fn answer(data: &[u8]) {
    let recipe = Recipe::default();
    let most: usize = recipe.variants.iter().map(|variant| variant.formats.len()).sum();
    for recipe in [None, Some(&recipe)] {
        if let Ok(files) = crate::wait(fuzzing::answer(data, recipe)) {
            assert!(files == 0 || files == most, "{files} files of {most}");
        }
    }
}
