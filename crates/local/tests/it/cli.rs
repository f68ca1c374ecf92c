//! The commands that run the engine alone, as a shell sees them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes functions that tests share for production code"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

pub(crate) fn tintype(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tintype"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A picture with something to see in it: a gradient with a circle.
pub(crate) fn picture(path: &Path, width: u32, height: u32) {
    let inside =
        |x: u32, y: u32| x.abs_diff(width / 2).pow(2) + y.abs_diff(height / 2).pow(2) < (height / 3).pow(2);
    let level = |part: u32, whole: u32| u8::try_from(part * 255 / whole).unwrap();
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            level(x, width),
            level(y, height),
            if inside(x, y) { 220 } else { 40 },
        ])
    });
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.extension().unwrap() == "jpg" {
        let mut compress = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
        compress.set_size(width as usize, height as usize);
        let mut compress = compress.start_compress(Vec::new()).unwrap();
        compress.write_scanlines(picture.as_raw()).unwrap();
        fs::write(path, compress.finish().unwrap()).unwrap();
    } else {
        picture.save(path).unwrap();
    }
}

fn dimensions(path: &Path) -> (u32, u32) {
    if path.extension().unwrap() == "jpg" {
        let mut picture = mozjpeg::Decompress::new_path(path).unwrap().rgb().unwrap();
        let (width, height) = (picture.width(), picture.height());
        let pixels: Vec<[u8; 3]> = picture.read_scanlines().unwrap();
        assert_eq!(pixels.len(), width * height);
        return (u32::try_from(width).unwrap(), u32::try_from(height).unwrap());
    }
    let picture = image::ImageReader::open(path)
        .unwrap()
        .with_guessed_format()
        .unwrap()
        .decode()
        .unwrap();
    (picture.width(), picture.height())
}

pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

const SMALL: &str = r#"
[[variant]]
name = "large"
width = 200
formats = ["webp", "jpeg"]
[[variant]]
name = "square"
width = 40
height = 40
fit = "cover"
formats = ["png"]
"#;

pub(crate) fn folder_with_config() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    fs::write(path.join("small.toml"), SMALL).unwrap();
    (folder, path)
}

#[test]
fn the_version_comes_with_commit_and_codecs() {
    let folder = tempfile::tempdir().unwrap();
    let first = format!("tintype {}", env!("CARGO_PKG_VERSION"));
    let short = tintype(folder.path(), &["-V"]);
    assert_eq!((code(&short), stdout(&short)), (0, format!("{first}\n")));

    let long = tintype(folder.path(), &["--version"]);
    assert_eq!(code(&long), 0);
    let text = stdout(&long);
    let lines: Vec<&str> = text.lines().collect();
    let [version, commit, reads, writes] = lines[..] else {
        panic!("four lines are expected:\n{text}");
    };
    assert_eq!(version, first);
    let is_hash = |hash: &str| hash.len() >= 7 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(
        commit == "unknown commit" || commit.strip_prefix("commit ").is_some_and(is_hash),
        "{commit}"
    );
    let reads = reads.strip_prefix("reads ").unwrap();
    assert!(reads.starts_with("jpeg (zune-jpeg), png (png), "), "{reads}");
    let writes: Vec<&str> = writes.strip_prefix("writes ").unwrap().split(", ").collect();
    assert_eq!(writes.len(), 5, "{writes:?}");
    for library in ["avif (libaom ", "webp (libwebp "] {
        // A version that the library reports itself: three numbers.
        let version = writes
            .iter()
            .find_map(|codec| codec.strip_prefix(library))
            .unwrap();
        let numbers = version.strip_suffix(')').unwrap().split('.');
        assert_eq!(
            numbers.filter(|number| number.parse::<u32>().is_ok()).count(),
            3,
            "{version}"
        );
    }
}

#[test]
fn the_default_recipe_gives_nine_files_of_the_right_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(&root.join("photo.jpg"), 1000, 500);
    let output = tintype(root, &["transcode", "photo.jpg", "--out", "web"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let expected = [
        "medium.avif",
        "medium.jpg",
        "medium.webp",
        "original.avif",
        "original.jpg",
        "original.webp",
        "thumbnail.avif",
        "thumbnail.jpg",
        "thumbnail.webp",
    ];
    assert_eq!(files(&root.join("web/photo.jpg")), expected);
    for (variant, size) in [
        ("original", (1000, 500)),
        ("medium", (800, 400)),
        ("thumbnail", (300, 150)),
    ] {
        for extension in ["jpg", "webp"] {
            let file = root.join(format!("web/photo.jpg/{variant}.{extension}"));
            assert_eq!(dimensions(&file), size, "{}", file.display());
        }
        let avif = fs::read(root.join(format!("web/photo.jpg/{variant}.avif"))).unwrap();
        assert_eq!(&avif[4..12], b"ftypavif");
    }
    let table = stdout(&output);
    for word in [
        "photo.jpg",
        "jpeg 1000×500",
        "original",
        "800×400",
        "300×150",
        "avif",
        "%)",
    ] {
        assert!(table.contains(word), "{word} is not in:\n{table}");
    }
    let mode = fs::metadata(root.join("web/photo.jpg/medium.jpg"))
        .unwrap()
        .permissions()
        .mode();
    let made_here = root.join("ordinary");
    fs::write(&made_here, "").unwrap();
    assert_eq!(mode, fs::metadata(made_here).unwrap().permissions().mode());
}

#[test]
fn folders_keep_relative_paths_and_a_second_run_replaces_everything() {
    let (_folder, root) = folder_with_config();
    picture(&root.join("photos/a.png"), 400, 300);
    picture(&root.join("photos/2024/may/b c.png"), 100, 300);
    picture(&root.join("photos/.hidden.png"), 10, 10);
    // The output lies within the input and must not become an input of the second run.
    let args = [
        "transcode",
        "photos",
        "--out",
        "photos/web",
        "--config",
        "small.toml",
        "--jobs",
        "2",
    ];
    let output = tintype(&root, &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let expected = [
        "2024/may/b c.png/large.jpg",
        "2024/may/b c.png/large.webp",
        "2024/may/b c.png/square.png",
        "a.png/large.jpg",
        "a.png/large.webp",
        "a.png/square.png",
    ];
    let web = root.join("photos/web");
    assert_eq!(files(&web), expected);
    assert_eq!(dimensions(&web.join("a.png/large.webp")), (200, 150));
    assert_eq!(
        dimensions(&web.join("2024/may/b c.png/large.jpg")),
        (100, 300),
        "nothing is enlarged"
    );
    assert_eq!(dimensions(&web.join("a.png/square.png")), (40, 40));

    let before = fs::read(web.join("a.png/large.jpg")).unwrap();
    fs::write(web.join("a.png/large.jpg"), "torn").unwrap();
    let output = tintype(&root, &args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(files(&web), expected);
    assert!(
        fs::read(web.join("a.png/large.jpg")).unwrap() == before,
        "the same source gives the same bytes"
    );
}

#[test]
fn colliding_outputs_are_refused_before_any_work() {
    let (_folder, root) = folder_with_config();
    picture(&root.join("x/same.png"), 50, 50);
    picture(&root.join("y/same.png"), 60, 60);
    let output = tintype(
        &root,
        &[
            "transcode",
            "x/same.png",
            "y",
            "--out",
            "web",
            "--config",
            "small.toml",
        ],
    );
    assert_eq!(code(&output), 2);
    let message = stderr(&output);
    assert!(
        message.contains("x/same.png") && message.contains("y/same.png"),
        "{message}"
    );
    assert!(!root.join("web").exists());
    // The output folder of a picture beside itself would be the picture.
    let output = tintype(&root, &["transcode", "x/same.png", "--out", "x"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert_eq!(dimensions(&root.join("x/same.png")), (50, 50));
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let (_folder, root) = folder_with_config();
    picture(&root.join("in/good.png"), 300, 300);
    picture(&root.join("in/zoo.png"), 300, 200);
    let whole = fs::read(root.join("in/good.png")).unwrap();
    fs::write(root.join("in/cut.png"), &whole[..whole.len() / 3]).unwrap();
    fs::write(root.join("in/notes.txt"), "not a picture").unwrap();
    fs::write(root.join("in/empty.jpg"), "").unwrap();
    let args = [
        "transcode",
        "in",
        "no/such.png",
        "--out",
        "web",
        "--config",
        "small.toml",
    ];
    let output = tintype(&root, &args);
    assert_eq!(code(&output), 1);
    let problems = stderr(&output);
    for problem in [
        "in/cut.png: corrupt_image",
        "in/notes.txt: unsupported_format",
        "in/empty.jpg: empty",
        "no/such.png: cannot read: No such file",
        "2 done, 4 failed",
    ] {
        assert!(problems.contains(problem), "{problem} is not in:\n{problems}");
    }
    assert_eq!(files(&root.join("web")).len(), 6);

    let output = tintype(&root, &[&args[..], &["--json"]].concat());
    assert_eq!(code(&output), 1);
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 6);
    let of = |input: &str| lines.iter().find(|line| line["input"] == input).unwrap();
    assert_eq!(of("in/cut.png")["status"], "rejected");
    assert_eq!(of("in/cut.png")["rejection"]["code"], "corrupt_image");
    assert_eq!(of("no/such.png")["status"], "failed");
    assert!(
        of("no/such.png")["error"]
            .as_str()
            .unwrap()
            .contains("No such file")
    );
    let zoo = of("in/zoo.png");
    assert_eq!(zoo["status"], "processed");
    assert_eq!(zoo["bytes"], fs::metadata(root.join("in/zoo.png")).unwrap().len());
    assert_eq!(zoo["image"]["dimensions"]["width"], 300);
    let renditions = zoo["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 3);
    for rendition in renditions {
        let path = root.join(rendition["path"].as_str().unwrap());
        assert_eq!(rendition["bytes"], fs::metadata(&path).unwrap().len());
        let size = (
            rendition["width"].as_u64().unwrap(),
            rendition["height"].as_u64().unwrap(),
        );
        let (width, height) = dimensions(&path);
        assert_eq!(size, (width.into(), height.into()));
    }
    assert_eq!(renditions[0]["variant"], "large");
    assert_eq!(renditions[0]["format"], "webp");
}

#[test]
fn bad_usage_is_told_from_bad_files() {
    let (_folder, root) = folder_with_config();
    picture(&root.join("p.png"), 10, 10);
    fs::write(root.join("bad.toml"), "[[variant]]\nname = \"a/b\"").unwrap();
    for args in [
        vec!["transcode", "p.png"],
        vec!["transcode", "--out", "web"],
        vec!["transcode", "p.png", "--out", "web", "--jobs", "0"],
        vec!["transcode", "p.png", "--out", "web", "--config", "bad.toml"],
        vec!["transcode", "p.png", "--out", "web", "--config", "missing.toml"],
        vec!["transcode", "p.png", "--out", "p.png"],
        vec!["inspect"],
    ] {
        let output = tintype(&root, &args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).is_empty(), "{args:?}");
        assert!(!root.join("web").exists(), "{args:?}");
    }
}

#[test]
fn help_is_enough_to_work_from() {
    let root = std::env::temp_dir();
    let help = stdout(&tintype(&root, &["transcode", "--help"]));
    for word in [
        "default",
        "number of processors",
        "medium.avif",
        "Exit codes: 0",
        "symbolic links",
        "--json",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    let help = stdout(&tintype(&root, &["inspect", "--help"]));
    for word in ["default", "Exit codes: 0", "--json"] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    assert!(!stdout(&tintype(&root, &["--help"])).contains("render-worker"));
}
