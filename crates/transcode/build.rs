//! Builds two files of libwebp a second time, with changes that `WebPConfig` has no switch for, as `tintype_WebPEncode`
//! (docs/decisions/0011-webp-in-one-pass.md). The rest of libwebp is what `libwebp-sys` built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A file of libwebp's encoder, and in it what is replaced by what. Each has to be there exactly once.
const CHANGES: [(&str, &[(&str, &str)]); 2] = [
    (
        "webp_enc.c",
        &[(
            // One pass that buffers its tokens, at methods below 3 too, instead of one for statistics and one to write.
            "enc->use_tokens = (enc->rd_opt_level >= RD_OPT_BASIC);",
            "enc->use_tokens = 1;",
        )],
    ),
    (
        "analysis_enc.c",
        &[
            // What is analysed divides the picture into segments; modes are chosen later, from all of them.
            ("#define MAX_INTRA16_MODE 2", "#define MAX_INTRA16_MODE 1"),
            ("#define MAX_UV_MODE      2", "#define MAX_UV_MODE      1"),
        ],
    ),
];

/// What the two files define, which the linker must not take for libwebp's own.
const NAMES: [&str; 5] = [
    "VP8EncAnalyze",
    "WebPEncode",
    "WebPEncodingSetError",
    "WebPGetEncoderVersion",
    "WebPReportProgress",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let vendor = libwebp();
    let mut build = cc::Build::new();
    build.include(&vendor).warnings(false);
    // As libwebp-sys has them: both halves look into the same structures.
    for define in ["NDEBUG", "_THREAD_SAFE", "WEBP_USE_THREAD"] {
        build.define(define, "1");
    }
    for name in NAMES {
        build.define(name, format!("tintype_{name}").as_str());
    }
    for (name, changes) in CHANGES {
        let file = out.join(name);
        fs::write(&file, changed(&vendor.join("src/enc").join(name), changes))
            .expect("OUT_DIR can be written");
        build.file(file);
    }
    build.compile("tintype_webp");
}

fn changed(file: &Path, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for (from, to) in changes {
        assert_eq!(
            text.matches(from).count(),
            1,
            "libwebp-sys has another libwebp than this build changes: {from:?} in {}",
            file.display()
        );
        text = text.replace(from, to);
    }
    text
}

/// Where libwebp-sys keeps libwebp's sources.
fn libwebp() -> PathBuf {
    let output = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "libwebp-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("libwebp-sys is a dependency");
    if let Some(root) = metadata["workspace_root"].as_str() {
        // Another version of libwebp-sys.
        println!("cargo:rerun-if-changed={root}/Cargo.lock");
    }
    Path::new(manifest).with_file_name("vendor")
}
