//! Which panics are findings.

use std::panic;

/// Where cargo and rustc keep the sources of libraries.
const LIBRARIES: [&str; 3] = ["/registry/src/", "/rustc/", "/rust/deps/"];

/// Makes panics of this repository's code findings, and lets those of libraries be what they are in the service: the
/// engine catches them and rejects the source. libFuzzer's own hook ends the process at either.
pub fn tell_apart() {
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let is_library = panic
            .location()
            .is_some_and(|location| LIBRARIES.iter().any(|folder| location.file().contains(folder)));
        if !is_library {
            end(panic);
        }
    }));
}
