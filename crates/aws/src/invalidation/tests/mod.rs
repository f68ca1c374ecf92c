//! The invalidator against a model of its queue and of CloudFront, in a time of their own.

mod model;
mod runs;
mod simulation;

use tintype_model::{ObjectKey, encode_path};

/// URIs that a rendition of the key may be cached under: as a browser sends them of a hand-written link, as the API
/// writes them, and as the distribution's Function rewrites both.
pub(super) fn cached_uris(key: &ObjectKey) -> Vec<String> {
    // What a browser leaves as it is in a path (WHATWG URL, "path percent-encode set"), as far as CloudFront's guide has
    // it left as well.
    const BROWSER: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'!')
        .remove(b'$')
        .remove(b'&')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')')
        .remove(b'*')
        .remove(b'+')
        .remove(b',')
        .remove(b'-')
        .remove(b'.')
        .remove(b'/')
        .remove(b':')
        .remove(b';')
        .remove(b'=')
        .remove(b'@')
        .remove(b'_')
        .remove(b'~');
    let browser = percent_encoding::utf8_percent_encode(key.as_str(), BROWSER).to_string();
    let api = encode_path(key.as_str());
    [
        format!("/img/{browser}/medium"),
        format!("/img/{api}/medium.avif"),
        format!("/v/{browser}/0123abcd/medium"),
        format!("/v/{api}/4567cdef/medium.jpg"),
        format!("/{api}/medium.avif"),
    ]
    .into()
}
