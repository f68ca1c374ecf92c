//! Texts: keys, paths, headers and the configuration file.

use http::{HeaderMap, HeaderName, HeaderValue};
use tintype_edge::Accept;
use tintype_http::{
    ByteRange, TagSyntax, Validators, Verdict, date_header, evaluate, last_modified, parse_date,
    requested_range,
};
use tintype_model::{DeliveryPath, Format, ObjectKey, Recipe, decode_component, encode_path};

/// A key in a form and in a path.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for decoded in [Ok(text.to_owned()), decode_component(text)]
        .into_iter()
        .flatten()
    {
        assert_eq!(
            decode_component(&encode_path(&decoded)).as_deref(),
            Ok(decoded.as_str())
        );
        if let Ok(key) = ObjectKey::new(decoded) {
            let recipe = Recipe::default();
            if key.check_servable(&recipe).is_ok() {
                let path = DeliveryPath {
                    key: key.clone(),
                    version: None,
                    variant: "medium".to_owned(),
                    format: Some(Format::Webp),
                };
                assert_eq!(DeliveryPath::parse(&path.to_path()).as_ref(), Ok(&path));
            }
        }
    }
    if let Ok(path) = DeliveryPath::parse(text) {
        assert_eq!(DeliveryPath::parse(&path.to_path()), Ok(path));
    }
}

/// `Accept`, against every list of formats.
pub fn accept(data: &[u8]) {
    let accept = Accept::parse(std::str::from_utf8(data).ok());
    for lists in 1_u32..1 << Format::ALL.len() {
        let available: Vec<Format> = (0..)
            .zip(Format::ALL)
            .filter(|(bit, _)| lists >> bit & 1 == 1)
            .map(|(_, format)| format)
            .collect();
        // One of the formats that everybody takes is always there.
        if available
            .iter()
            .any(|format| matches!(format, Format::Jpeg | Format::Png))
        {
            assert!(available.contains(&accept.preferred(&available)));
        }
    }
    for format in Format::ALL {
        let _: bool = accept.takes(format);
    }
}

/// `Range`, of a resource of any size.
pub fn ranges(data: &[u8]) {
    let Some((size, value)) = data.split_first_chunk() else {
        return;
    };
    let size = u64::from_le_bytes(*size);
    let mut headers = HeaderMap::new();
    for line in value.split(|&byte| byte == b'\n') {
        let Ok(line) = HeaderValue::from_bytes(line) else {
            return;
        };
        headers.append("range", line);
    }
    if let ByteRange::Part(part) = requested_range(&headers, size) {
        assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
    }
}

/// Dates of HTTP.
pub fn dates(data: &[u8]) {
    let Some(date) = std::str::from_utf8(data).ok().and_then(parse_date) else {
        return;
    };
    let written = date_header(date);
    assert_eq!(written.to_str().ok().and_then(parse_date), Some(date));
}

/// Conditions on a resource, one header a line.
pub fn conditions(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (name, value) else {
            return;
        };
        headers.append(name, value);
    }
    let validators = Validators {
        etag: "abc",
        modified_at: last_modified(1_700_000_000_000),
    };
    for syntax in [TagSyntax::Quoted, TagSyntax::QuotedOrBare] {
        // Without a condition that can be read, everything is sent.
        let verdict = evaluate(&headers, validators, syntax);
        assert!(!headers.is_empty() || matches!(verdict, Verdict::Send { .. }));
    }
}

/// The configuration file of the one-machine shape.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(config) = tintype_local::config::Config::parse(text) {
        assert!(!config.recipe().hash().is_empty());
        assert!(config.jail(None).workers > 0);
    }
}
