//! Tells whoever builds without the flags of `.cargo/config.toml` what that costs. Nothing is built or searched here.
#![expect(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts through the environment"
)]

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CFLAGS");
    // Cargo reads the file when it is run in the checkout or below it. Release builds of libaom need no flags.
    let is_dev = env::var("PROFILE").as_deref() == Ok("debug");
    let is_optimized = env::var("CFLAGS").is_ok_and(|flags| flags.contains("--optimize="));
    if is_dev && !is_optimized {
        println!(
            "cargo:warning=libaom is built without optimization, which makes AVIF three times as slow: run cargo in \
             Tintype's checkout, or set CFLAGS=--optimize=3, or build with --release"
        );
    }
}
