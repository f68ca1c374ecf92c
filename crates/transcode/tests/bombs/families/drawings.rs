//! SVG.

use std::io::Write as _;

use super::{BYTES, CORRUPT, Family, PIXELS, UNSUPPORTED, family};
use crate::fixtures::{Jpeg, photo};

pub(super) fn all() -> Vec<Family> {
    vec![
        family("SVG: entities that multiply", UNSUPPORTED, laughs),
        family("SVG: uses of uses, 2³⁰ of them", CORRUPT, || {
            let mut inside = "<g id='g0'><rect width='1' height='1'/></g>".to_owned();
            for level in 1..=30 {
                let before = level - 1;
                inside.push_str(&format!(
                    "<g id='g{level}'><use href='#g{before}'/><use href='#g{before}'/></g>"
                ));
            }
            drawing(&format!("<defs>{inside}</defs><use href='#g30'/>"))
        })
        // The parser stops at a million nodes.
        .within(128),
        family("SVG: groups nested 100,000 deep", UNSUPPORTED, || {
            drawing(&format!("{}{}", "<g>".repeat(100_000), "</g>".repeat(100_000)))
        }),
        family("SVG: 400,000 elements", UNSUPPORTED, || {
            drawing(&"<path d='M0 0h1'/>".repeat(400_000))
        }),
        family("SVG: sides of 10⁹", PIXELS, || {
            b"<svg xmlns='http://www.w3.org/2000/svg' width='1000000000' height='1000000000'/>".to_vec()
        }),
        family("SVG: 300 filters over the whole picture", UNSUPPORTED, || {
            let blur =
                "<feTurbulence numOctaves='10' baseFrequency='9'/><feGaussianBlur stdDeviation='500'/>";
            drawing(&format!(
                "<filter id='f' width='900%' height='900%'>{}</filter><rect width='64' height='64' filter='url(#f)'/>",
                blur.repeat(150)
            ))
        }),
        family("SVG: a morphology of a huge radius", UNSUPPORTED, || {
            drawing(
                "<filter id='f'><feMorphology radius='100000'/></filter><rect width='64' height='64' filter='url(#f)'/>",
            )
        }),
        family("SVG: patterns in patterns, 12 deep", UNSUPPORTED, || {
            let pattern = |level: u32| {
                format!(
                    "<pattern id='p{level}' width='0.01' height='0.01'><rect width='64' height='64' fill='url(#p{})'/>\
                     <rect width='64' height='64' fill='url(#p{})'/></pattern>",
                    level + 1,
                    level + 1
                )
            };
            let patterns: String = (0..12).map(pattern).collect();
            drawing(&format!(
                "{patterns}<rect width='64' height='64' fill='url(#p0)'/>"
            ))
        }),
        family("SVG: a line of 10⁹ dashes", UNSUPPORTED, || {
            drawing("<path d='M0 0H1000000' stroke='#000' stroke-dasharray='0.001'/>")
        }),
        family("SVG: masks in masks over the whole picture", UNSUPPORTED, || {
            let mask = |level: u32| {
                let next = level + 1;
                format!(
                    "<mask id='m{level}'><g mask='url(#m{next})'><rect width='64' height='64'/></g></mask>"
                )
            };
            let masks: String = (0..200).map(mask).collect();
            drawing(&format!("{masks}<rect width='64' height='64' mask='url(#m0)'/>"))
        }),
        family("SVG: a picture of 65,535 by 65,535 pixels inside", PIXELS, || {
            let mut jpeg = Jpeg::default().encode(&photo(8, 8), 8, 8);
            let at = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
            jpeg[at + 5..at + 9].fill(0xFF);
            let inside = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, jpeg);
            drawing(&format!(
                "<image width='9' height='9' href='data:image/jpeg;base64,{inside}'/>"
            ))
        }),
        family("SVGZ: 64 MiB of text in 64 KiB", BYTES, || {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder
                .write_all(b"<svg xmlns='http://www.w3.org/2000/svg'>")
                .unwrap();
            let spaces = vec![b' '; 1 << 20];
            for _ in 0..64 {
                encoder.write_all(&spaces).unwrap();
            }
            encoder.finish().unwrap()
        }),
    ]
}

fn drawing(inside: &str) -> Vec<u8> {
    format!("<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'>{inside}</svg>").into_bytes()
}

/// A text of 2 kB whose entities stand for gigabytes.
pub(super) fn laughs() -> Vec<u8> {
    let mut text = "<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY e0 'ha'>".to_owned();
    for level in 1..=10 {
        let before = format!("&e{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY e{level} '{before}'>"));
    }
    text.push_str(
        "]><svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'><text>&e10;</text></svg>",
    );
    text.into_bytes()
}
