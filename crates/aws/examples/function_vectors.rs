//! Random requests and what the edge's rules make of them, as JSON lines for `tests/functions/fuzz.test.js`.
//!
//! `function_vectors COUNT SEED`: a line per recipe, with the rendered function, then COUNT cases.

use std::io::{self, BufWriter, Write};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tintype_aws::functions::{Offer, Rewrite, render, rewrite};
use tintype_model::{Format, Recipe};

/// Bits of servable keys.
const KEY_PIECES: &[&str] = &[
    "a",
    "b.jpg",
    "photo",
    "Z",
    "0",
    "-",
    "_",
    "~",
    "...",
    "a/b",
    "x/y/z",
    "+",
    "%2B",
    "%20",
    "%25",
    "%2525",
    "%c3%a9",
    "%C3%A9",
    "%E2%82%AC",
    "%F0%9F%90%8C",
    "%EF%BF%BF",
    "!",
    "'",
    "(",
    ")",
    "*",
    "&",
    "=",
    ":",
    "@",
    "$",
    ",",
    ";",
    "%3F",
    "%23",
    "[",
    "]",
    "|",
    "é",
    "日本",
    "🐌",
    "medium",
    "thumbnail",
    "__proto__",
    "img",
    "v",
    "%6D",
];
/// Bits that make most paths bad: escapes and UTF-8 that are none, and what CDNs rewrite.
const ODD_PIECES: &[&str] = &[
    ".",
    "..",
    "/",
    "//",
    "%2F",
    "%2f",
    "%2E",
    "%2e%2e",
    "%00",
    "%0A",
    "%1f",
    "%7F",
    "%C2%85",
    "%C3",
    "%A9",
    "%C0%AF",
    "%ED%A0%80",
    "%F4%90%80%80",
    "%FF",
    "%",
    "%2",
    "%zz",
    "%%",
];
const VARIANTS: &[&str] = &[
    "medium",
    "medium",
    "medium",
    "original",
    "medium",
    "thumbnail",
    "%6Dedium",
    "medium%20",
    "Medium",
    "",
    "huge",
    "__proto__",
    "constructor",
    "snail%20%F0%9F%90%8C",
    "snail 🐌",
    "both",
    "plain",
];
const EXTENSIONS: &[&str] = &[
    "",
    "",
    "",
    "",
    ".avif",
    ".jxl",
    ".webp",
    ".jpg",
    ".png",
    ".jpeg",
    ".AVIF",
    ".",
    ".avif.jpg",
    "%2Eavif",
    ".avif%0A",
];
const VERSIONS: &[&str] = &[
    "0123456789abcdef0123456789abcdef",
    "fedcba98765432100123456789abcdef",
    "",
    "x",
    "a%2Fb",
    "%0A",
    "0123%0A",
    "~",
    "%E2%82%AC",
    "%ZZ",
    "..",
];
const RANGES: &[&str] = &[
    "image/jxl",
    "image/avif",
    "image/webp",
    "image/jpeg",
    "image/png",
    "image/*",
    "*/*",
    "IMAGE/AVIF",
    "Image/*",
    "text/html",
    "*/avif",
    "image",
    "image/avif x",
    "",
    "image/jpg",
    "__proto__",
    "image/avıf",
    "é",
];
/// Headers of clients that take more than one format.
const CLIENTS: &[&str] = &[
    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
    "image/jxl,image/avif;q=0.9,image/webp;q=0.9,image/jpeg;q=0",
    "image/png,*/*;q=0.1",
];
const PARAMETERS: &[&str] = &[
    "",
    "",
    "",
    ";q=0",
    ";q=1",
    ";q=0.5",
    "; q=0.8",
    ";q=0.80",
    " ; Q=0.9",
    ";q=0.001",
    ";q=1.001",
    ";q=2",
    ";q=",
    ";v=1",
    ";q=0.5;q=1",
    ";",
    ";;q=0.3",
    ";q=0.1234",
    ";q =0.4",
    ";q=1.000",
    ";q=0.",
    ";q=.5",
    "\t;\tq=0.7\t",
    ";v=\"1\"",
];

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

fn path(random: &mut StdRng) -> String {
    let prefixes = [
        "/img/", "/img/", "/img/", "/v/", "/v/", "/v/", "/img", "/v", "/", "", "/IMG/", "//v/",
    ];
    let prefix = pick(random, &prefixes);
    let length = if random.random_ratio(1, 50) {
        600
    } else {
        random.random_range(0..7)
    };
    let odd = random.random_ratio(1, 3);
    let mut path = prefix.to_owned();
    for _ in 0..length {
        let pieces = if odd && random.random_ratio(1, 3) {
            ODD_PIECES
        } else {
            KEY_PIECES
        };
        path.push_str(pick(random, pieces));
    }
    if random.random_ratio(9, 10) {
        if prefix == "/v/" || random.random_ratio(1, 10) {
            path.push('/');
            path.push_str(pick(random, VERSIONS));
        }
        path.push('/');
        path.push_str(pick(random, VARIANTS));
        path.push_str(pick(random, EXTENSIONS));
    }
    path
}

/// A key of exactly as many bytes as are, or are not, allowed.
fn long_path(random: &mut StdRng) -> String {
    let length = random.random_range(1000..1030);
    let filler = if random.random() {
        "k".repeat(length)
    } else {
        "%6b".repeat(length)
    };
    format!("/img/{filler}/medium")
}

fn accept(random: &mut StdRng) -> Option<Vec<String>> {
    if random.random_ratio(1, 2) {
        return Some(vec![pick(random, CLIENTS).to_owned()]);
    }
    let lines = *[0, 1, 1, 1, 1, 1, 2, 3].choose(random)?;
    let mut header = Vec::new();
    for _ in 0..lines {
        if random.random_ratio(1, 50) {
            // About as long as is still listened to.
            let filler = ",text/plain".repeat(random.random_range(350..400));
            header.push(format!("{}{filler}", pick(random, RANGES)));
            continue;
        }
        let parts: Vec<String> = (0..random.random_range(0..8))
            .map(|_| {
                let space = pick(random, &["", "", " ", "\t"]);
                format!("{space}{}{}", pick(random, RANGES), pick(random, PARAMETERS))
            })
            .collect();
        header.push(parts.join(","));
    }
    (!header.is_empty()).then_some(header)
}

fn recipes() -> anyhow::Result<Vec<(Recipe, Vec<Format>)>> {
    let odd: Recipe = serde_json::from_value(json!({
        "variant": [
            { "name": "__proto__", "formats": ["png", "webp"] },
            { "name": "snail 🐌", "formats": ["jpeg", "avif"] },
            { "name": "both", "formats": ["png", "jpeg", "webp", "avif", "jxl"] },
            { "name": "plain", "formats": ["png"] },
            { "name": "medium", "formats": ["jpeg"] },
        ],
    }))?;
    odd.validate()?;
    Ok(vec![
        (Recipe::default(), vec![]),
        (Recipe::default(), vec![Format::Avif]),
        (odd.clone(), vec![]),
        (odd, vec![Format::Webp]),
    ])
}

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut number = |name| -> anyhow::Result<u64> {
        let word = words.next().with_context(|| format!("{name} is missing"))?;
        word.parse().with_context(|| format!("{name} {word:?}"))
    };
    let (count, seed) = (number("COUNT")?, number("SEED")?);
    let mut random = StdRng::seed_from_u64(seed);
    let mut out = BufWriter::new(io::stdout().lock());
    let recipes = recipes()?;
    for (index, (recipe, held_back)) in recipes.iter().enumerate() {
        let [request, ..] = render(recipe, held_back)?;
        writeln!(out, "{}", json!({ "recipe": index, "code": request.code }))?;
    }
    for _ in 0..count {
        let index = random.random_range(0..recipes.len());
        let (recipe, held_back) = &recipes[index];
        let path = if random.random_ratio(1, 40) {
            long_path(&mut random)
        } else {
            path(&mut random)
        };
        let accept = accept(&mut random);
        let joined = accept.as_ref().map(|lines| lines.join(","));
        let expected = match rewrite(&path, joined.as_deref(), recipe, held_back) {
            Rewrite::Object { uri, version, offer } => {
                let offer = offer.map(|Offer { path, takes }| json!({ "path": path, "takes": takes }));
                json!({ "uri": uri, "version": version, "offer": offer })
            }
            Rewrite::BadEncoding => json!({ "status": 400 }),
            Rewrite::NotFound => json!({ "status": 404 }),
        };
        let case = json!({ "recipe": index, "path": path, "accept": accept, "expected": expected });
        writeln!(out, "{case}")?;
    }
    out.flush()?;
    Ok(())
}
