//! Drawings: shown as pixels, cut off from everything outside, and refused when drawing them would take too long.

use std::io::Write as _;

use tintype_model::{Dimensions, Limits};
use tintype_transcode::probe;

use crate::fixtures::{photo, rgb_png};
use crate::judge::{psnr, rejection, shown, told};

fn drawing(attributes: &str, inside: &str) -> Vec<u8> {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' {attributes}>{inside}</svg>"
    )
    .into_bytes()
}

fn base64(data: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(data)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_drawing_becomes_pixels_of_its_own_shape_and_colours() {
    let source = drawing(
        "width='100' height='50'",
        "<rect width='50' height='50' fill='#c81e28'/>",
    );
    let info = told(&source);
    assert_eq!(info.format, "svg");
    assert_eq!(
        info.dimensions,
        Dimensions {
            width: 1024,
            height: 512
        }
    );
    assert!(info.has_alpha);
    let image = shown(&source);
    assert_eq!(image.pixel(100, 100), [200, 30, 40, 255]);
    assert_eq!(image.pixel(511, 300), [200, 30, 40, 255]);
    assert_eq!(image.pixel(513, 300)[3], 0);
    // Half transparent, not multiplied.
    let half = drawing(
        "viewBox='0 0 10 10'",
        "<rect width='10' height='10' fill='#c81e28' opacity='.5'/>",
    );
    let pixel = shown(&half).pixel(500, 500);
    assert!(
        pixel[0].abs_diff(200) <= 1 && pixel[3].abs_diff(128) <= 1,
        "{pixel:?}"
    );
    assert_eq!(shown(&gzip(&source)), image);
    let utf16: Vec<u8> = std::iter::once('\u{FEFF}')
        .chain(String::from_utf8(source).unwrap().chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(shown(&utf16), image);
}

#[test]
fn text_is_drawn_in_fonts_that_are_always_there() {
    let blank = shown(&drawing(
        "viewBox='0 0 200 40'",
        "<rect width='200' height='40' fill='white'/>",
    ));
    let inked = |text: &str, family: &str| {
        let inside = format!(
            "<rect width='200' height='40' fill='white'/><text x='5' y='30' font-size='24' font-family='{family}'>{text}</text>"
        );
        let image = shown(&drawing("viewBox='0 0 200 40'", &inside));
        image
            .rgba
            .iter()
            .zip(&blank.rgba)
            .filter(|(a, b)| a.abs_diff(**b) > 128)
            .count()
    };
    for text in ["Tintype", "Ελλάδα", "Привет", "שלום", "→ ✓", "1234"] {
        for family in [
            "Helvetica, sans-serif",
            "No Such Font",
            "monospace",
            "/etc/passwd",
        ] {
            assert!(
                inked(text, family) > 3000,
                "{text} in {family}: {}",
                inked(text, family)
            );
        }
    }
    assert_ne!(inked("iiii", "monospace"), inked("iiii", "serif"));
}

/// A picture of pure magenta in a file, which no drawing may show.
struct Canary(std::path::PathBuf);

impl Canary {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tintype-canary-{}.png", std::process::id()));
        std::fs::write(&path, rgb_png(8, 8, &[255, 0, 255].repeat(64))).unwrap();
        Self(path)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[test]
fn nothing_outside_of_the_drawing_is_read() {
    let canary = Canary::new();
    let path = canary.0.display();
    let name = canary.0.file_name().unwrap().display();
    let green = "<rect width='10' height='10' fill='#00ff00'/>";
    let expected = shown(&drawing("viewBox='0 0 10 10'", green));
    let inner = base64(&drawing(
        "viewBox='0 0 10 10'",
        &format!("<image width='10' height='10' href='{path}'/>"),
    ));
    for outside in [
        format!("<image width='10' height='10' href='{path}'/>"),
        format!("<image width='10' height='10' href='{name}'/>"),
        format!("<image width='10' height='10' xlink:href='file://{path}'/>"),
        "<image width='10' height='10' href='http://169.254.169.254/latest/meta-data/'/>".to_owned(),
        format!("<use href='{path}#a' width='10' height='10'/>"),
        format!("<filter id='f'><feImage href='{path}'/></filter><g filter='url(#f)'/>"),
        format!("<style>@import url('{path}'); @font-face {{ font-family: x; src: url({path}) }}</style>"),
        format!("<image width='10' height='10' href='data:image/svg+xml;base64,{inner}'/>"),
        format!("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{path}' parse='text'/>"),
        "<script>document.documentElement.innerHTML = ''</script>".to_owned(),
        "<foreignObject width='10' height='10'><iframe src='file:///etc/passwd'/></foreignObject>".to_owned(),
    ] {
        let source = drawing(
            "viewBox='0 0 10 10' onload='alert(1)'",
            &format!("{green}{outside}"),
        );
        assert_eq!(shown(&source), expected, "{outside}");
    }
    let painted = format!("<rect width='10' height='10' fill='url({path})'/>");
    let seen = shown(&drawing("viewBox='0 0 10 10'", &painted));
    assert!(seen.rgba.chunks(4).all(|pixel| pixel[0] == 0), "{painted}");
    for doctype in [
        format!("<!DOCTYPE svg [<!ENTITY x SYSTEM 'file://{path}'>]>"),
        format!("<!DOCTYPE svg [<!ENTITY % x SYSTEM 'file://{path}'> %x;]>"),
    ] {
        let source = [
            doctype.as_bytes(),
            &drawing("viewBox='0 0 10 10'", "<text>&x;</text>"),
        ]
        .concat();
        let (code, detail) = rejection(&source);
        assert_eq!(code, "unsupported_format");
        assert!(detail.contains("entities"), "{detail}");
    }
    // A document type outside, named only, is never fetched.
    let plain = format!("<!DOCTYPE svg SYSTEM 'file://{path}'>");
    let source = [plain.as_bytes(), &drawing("viewBox='0 0 10 10'", green)].concat();
    assert_eq!(shown(&source), expected);
}

#[test]
fn pictures_inside_are_drawn_and_counted() {
    let pixels = photo(1024, 512);
    let picture = |mime: &str, data: &[u8]| {
        let inside = format!(
            "<image width='1024' height='512' href='data:{mime};base64,{}'/>",
            base64(data)
        );
        drawing("width='1024' height='512'", &inside)
    };
    let source = picture("image/png", &rgb_png(1024, 512, &pixels));
    assert!(psnr(&shown(&source).rgb(), &pixels) > 45.0);
    // Its content tells what it is.
    let wrong = picture("image/jpeg", &rgb_png(1024, 512, &pixels));
    assert_eq!(shown(&wrong), shown(&source));
    let inner = drawing("viewBox='0 0 2 1'", "<rect width='2' height='1' fill='#0000ff'/>");
    assert_eq!(
        shown(&picture("image/svg+xml", &inner)).pixel(512, 256),
        [0, 0, 255, 255]
    );
    let broken = picture("image/png", b"no picture");
    assert!(shown(&broken).rgba.iter().all(|&value| value == 0));

    let mut bomb = rgb_png(8, 8, &photo(8, 8));
    bomb[16..24].copy_from_slice(&[0, 0, 0x4E, 0x20, 0, 0, 0x4E, 0x20]);
    assert_eq!(rejection(&picture("image/png", &bomb)).0, "too_many_pixels");
    let nested = picture("image/svg+xml", &picture("image/png", &bomb));
    assert_eq!(rejection(&nested).0, "too_many_pixels");
    let many = format!(
        "<image width='9' height='9' href='data:image/png;base64,{}'/>",
        base64(&rgb_png(1024, 512, &pixels))
    );
    let limits = Limits {
        max_pixels: 2_000_000,
        ..Limits::default()
    };
    assert!(probe(&drawing("viewBox='0 0 9 9'", &many.repeat(3)), &limits).is_ok());
    assert!(probe(&drawing("viewBox='0 0 9 9'", &many.repeat(4)), &limits).is_err());
}

#[test]
fn drawings_that_would_take_for_ever_are_refused_before_they_are_drawn() {
    let start = "<path d='M0 0L99 99' stroke='#000' stroke-dasharray='0.00001 0.00001'/>";
    let fan = (1..12).fold("<g id='a0'><path d='M0 0h1v1'/></g>".to_owned(), |text, level| {
        let uses = format!("<use href='#a{}'/>", level - 1).repeat(10);
        format!("{text}<g id='a{level}'>{uses}</g>")
    });
    let noise = |octaves: u32| {
        format!(
            "<filter id='f'><feTurbulence baseFrequency='.9' numOctaves='{octaves}'/></filter>\
             <rect width='100' height='100' filter='url(#f)'/>"
        )
    };
    let layers = format!(
        "{}<rect width='100' height='100'/>{}",
        "<g opacity='.5'>".repeat(100),
        "</g>".repeat(100)
    );
    let laughs = "<!DOCTYPE svg [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;'>]>";
    let hundred = "width='100' height='100'";
    // Each with the limit that it passes, which is looked at before the first pixel: the drawing itself has none.
    for (name, source, limit) in [
        ("dashes", drawing(hundred, start), "dashes"),
        (
            "fan-out",
            drawing(hundred, &format!("<defs>{fan}</defs><use href='#a11'/>")),
            "nodes limit",
        ),
        ("octaves", drawing(hundred, &noise(1_000_000)), "work"),
        ("layers", drawing(hundred, &layers), "layers"),
        ("elements", drawing(hundred, &"<g/>".repeat(250_000)), "elements"),
        (
            "depth",
            drawing(hundred, &("<g>".repeat(30_000) + &"</g>".repeat(30_000))),
            "nested deeper",
        ),
        ("size", drawing("width='1e9' height='1e9'", ""), "pixels"),
        (
            "units",
            drawing("width='1e38mm' height='99999999999999in'", ""),
            "invalid size",
        ),
        (
            "entities",
            [laughs.as_bytes(), &drawing(hundred, "&b;")].concat(),
            "entities",
        ),
        ("length", drawing(hundred, &" ".repeat(9 << 20)), "longer than"),
        (
            "unpacked length",
            gzip(&drawing(hundred, &" ".repeat(100 << 20))),
            "unpacks to is longer",
        ),
    ] {
        let (_, detail) = rejection(&source);
        assert!(detail.contains(limit), "{name}: {detail}");
    }
    // The same in amounts that drawings have.
    assert!(told(&drawing(hundred, &noise(4))).has_alpha);
    shown(&drawing(hundred, &noise(4)));
    shown(&drawing(
        hundred,
        "<path d='M0 0L99 99' stroke='#000' stroke-dasharray='3 1'/>",
    ));
    let nest = format!(
        "{}<rect width='9' height='9'/>{}",
        "<g>".repeat(200),
        "</g>".repeat(200)
    );
    shown(&drawing(hundred, &nest));
}
