use tintype_model::{Limits, Recipe, Format};
fn main() {
    let out = std::env::args().nth(1).unwrap();
    let fmt = std::env::args().nth(2).unwrap();
    let fmt = Format::from_extension(&fmt).unwrap();
    let mut recipe = Recipe::default();
    recipe.variants.remove(0); recipe.variants.remove(0);
    recipe.variants[0].formats = if fmt == Format::Png { vec![fmt] } else { vec![fmt, Format::Png] };
    for (i, path) in std::env::args().skip(3).enumerate() {
        let source = std::fs::read(&path).unwrap();
        match tintype_transcode::render(&source, &recipe, &Limits::default(), 2) {
            Ok(r) => std::fs::write(format!("{out}/{i:03}.{}", fmt.extension()), &r.files[0].bytes).unwrap(),
            Err(e) => println!("{path}: {e}"),
        }
    }
}
