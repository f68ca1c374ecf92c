//! The text of `tintype --version`.

use std::sync::LazyLock;

use tintype_jail::codecs::{Codec, decoders, encoders};

/// Lives as long as the program, because the command line's parser takes nothing shorter.
static LONG: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("TINTYPE_BUILT_FROM").map_or_else(
        || "unknown commit".to_owned(),
        |commit| format!("commit {commit}"),
    );
    format!(
        "{}\n{commit}\nreads {}\nwrites {}",
        env!("CARGO_PKG_VERSION"),
        list(&decoders()),
        list(&encoders())
    )
});

/// Four lines: version, commit, decoders and encoders. The parser puts the program's name before the first.
pub(crate) fn long() -> &'static str {
    &LONG
}

fn list(codecs: &[Codec]) -> String {
    let codecs: Vec<String> = codecs.iter().map(Codec::to_string).collect();
    codecs.join(", ")
}
