use bytes::Bytes;
use image::ImageReader;
use tintype_jail::Jail;
use tintype_model::{Dimensions, Format, Quality, RejectionCode, RenderError, Renderer, Tiles};

use crate::{config, in_time, png, small_recipe};

fn decode(format: Format, bytes: &[u8]) -> (u32, u32, [u8; 3]) {
    if format == Format::Jpeg {
        let mut picture = mozjpeg::Decompress::new_mem(bytes).unwrap().rgb().unwrap();
        let (width, height) = (picture.width(), picture.height());
        let pixels: Vec<[u8; 3]> = picture.read_scanlines().unwrap();
        let side = |side: usize| u32::try_from(side).unwrap();
        return (side(width), side(height), pixels[height / 2 * width + width / 2]);
    }
    let picture = ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .unwrap()
        .decode()
        .unwrap()
        .to_rgb8();
    let middle = picture.get_pixel(picture.width() / 2, picture.height() / 2);
    (picture.width(), picture.height(), middle.0)
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut compress = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    compress.set_size(width as usize, height as usize);
    let mut compress = compress.start_compress(Vec::new()).unwrap();
    for y in 0..height {
        let row: Vec<u8> = (0..width)
            .flat_map(|x| [x.to_le_bytes()[0], y.to_le_bytes()[0], 90])
            .collect();
        compress.write_scanlines(&row).unwrap();
    }
    compress.finish().unwrap()
}

/// EXIF with nothing but the place: 51.5 degrees north, 0.25 degrees west.
fn somewhere() -> Vec<u8> {
    let field = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        let head = [tag.to_be_bytes(), kind.to_be_bytes()].concat();
        [&head[..], &count.to_be_bytes(), &value].concat()
    };
    let offset = |at: u32| at.to_be_bytes();
    // IFD0 at 8 has one field: where the directory of the place is. Its numbers follow it.
    let mut exif = [
        &b"MM\0*\0\0\0\x08\0\x01"[..],
        &field(0x8825, 4, 1, offset(26)),
        &[0; 4],
    ]
    .concat();
    exif.extend([0, 4]);
    exif.extend(field(1, 2, 2, *b"N\0\0\0"));
    exif.extend(field(2, 5, 3, offset(80)));
    exif.extend(field(3, 2, 2, *b"W\0\0\0"));
    exif.extend(field(4, 5, 3, offset(104)));
    exif.extend([0; 4]);
    assert_eq!(exif.len(), 80);
    for number in [51u32, 1, 30, 1, 0, 1, 0, 1, 15, 1, 0, 1] {
        exif.extend(number.to_be_bytes());
    }
    exif
}

#[tokio::test]
async fn the_place_of_a_picture_is_told_only_where_it_is_asked_for() {
    let mut info = png::Info::with_size(4, 4);
    info.color_type = png::ColorType::Grayscale;
    info.bit_depth = png::BitDepth::Eight;
    info.exif_metadata = Some(somewhere().into());
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info)
        .unwrap()
        .write_header()
        .unwrap();
    writer.write_image_data(&[128; 16]).unwrap();
    writer.finish().unwrap();
    let source = Bytes::from(file);
    let place = async |gps| {
        let mut config = config();
        config.metadata.gps = gps;
        let jail = Jail::new(config);
        let probed = in_time(jail.probe(source.clone())).await.unwrap();
        let rendered = in_time(jail.render(source.clone(), &small_recipe()))
            .await
            .unwrap();
        assert_eq!(rendered.image.capture, probed.capture);
        assert!(rendered.image.appearance.is_some() && probed.appearance.is_none());
        probed.capture.and_then(|capture| capture.location)
    };
    assert_eq!(place(false).await, None);
    let place = place(true).await.unwrap();
    assert_eq!((place.latitude, place.longitude), (51.5, -0.25));
}

#[tokio::test]
async fn the_answer_is_the_recipe_in_its_order() {
    let jail = Jail::new(config());
    let rendered = in_time(jail.render(png(200, 100, [10, 200, 30]).into(), &small_recipe()))
        .await
        .unwrap();
    assert_eq!(rendered.image.format, "png");
    assert_eq!(
        rendered.image.dimensions,
        Dimensions {
            width: 200,
            height: 100
        }
    );
    let files: Vec<_> = rendered
        .files
        .iter()
        .map(|file| (file.variant.as_str(), file.format))
        .collect();
    let expected = [
        ("large", Format::Webp),
        ("large", Format::Jpeg),
        ("small", Format::Png),
    ];
    assert_eq!(files, expected);
    for file in &rendered.files {
        let (width, height, colour) = decode(file.format, &file.bytes);
        assert_eq!((width, height), (file.dimensions.width, file.dimensions.height));
        for (got, want) in colour.iter().zip([10_u8, 200, 30]) {
            assert!(got.abs_diff(want) < 12, "{colour:?} in {:?}", file.format);
        }
    }
    assert_eq!(rendered.files[2].dimensions, Dimensions { width: 16, height: 8 });
}

#[tokio::test]
async fn jpeg_xl_is_made_in_a_confined_worker_too() {
    let jail = Jail::new(config());
    for quality in [Quality::Fixed(80), Quality::Lossless] {
        let mut recipe = small_recipe();
        let mut whole = recipe.variants.remove(0);
        (whole.width, whole.height) = (None, None);
        whole.formats.push(Format::Jxl);
        whole.quality.insert(Format::Jxl, quality);
        recipe.variants = vec![whole];
        let rendered = in_time(jail.render(jpeg(320, 240).into(), &recipe))
            .await
            .unwrap();
        assert_eq!(rendered.files[2].format, Format::Jxl);
        assert!(rendered.files[2].bytes.starts_with(&[0xFF, 0x0A]), "{quality:?}");
    }
}

/// A PNG whose left half is plain and whose right half is noise.
fn halves(width: u32, height: u32) -> Vec<u8> {
    let mut random = 1u32;
    let pixels: Vec<u8> = (0..width * height)
        .map(|at| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let is_plain = at % width < width / 2;
            if is_plain { 200 } else { random.to_be_bytes()[0] }
        })
        .collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}

#[tokio::test]
async fn an_avif_whose_tiles_do_not_fit_together_is_told_and_counted() {
    let jail = Jail::new(config());
    let mut recipe = small_recipe();
    recipe.variants.truncate(1);
    let variant = &mut recipe.variants[0];
    (variant.width, variant.height) = (None, None);
    variant.formats = vec![Format::Avif, Format::Jpeg];
    variant.quality.insert(Format::Avif, Quality::Fixed(65));
    for (height, expected, counted) in [(1300, None, 0), (1312, Some(Tiles::Refused), 1)] {
        let source = halves(1504, height);
        let rendered = in_time(jail.render(source.into(), &recipe)).await.unwrap();
        let tiles: Vec<_> = rendered.files.iter().map(|file| file.encoding.tiles).collect();
        assert_eq!(tiles, [expected, None], "{height} rows");
        assert_eq!(jail.avif_tiles_refused(), counted, "{height} rows");
    }
}

#[tokio::test]
async fn the_default_recipe_comes_back_whole() {
    let mut config = config();
    config.threads = 2;
    let jail = Jail::new(config);
    let recipe = tintype_model::Recipe::default();
    let rendered = in_time(jail.render(jpeg(640, 480).into(), &recipe))
        .await
        .unwrap();
    assert_eq!(rendered.files.len(), 9);
    assert!(!rendered.engine.is_empty());
    let probed = in_time(jail.probe(jpeg(640, 480).into())).await.unwrap();
    // Only a render, which decodes the pixels, tells the appearance.
    assert!(rendered.image.appearance.is_some());
    let header = tintype_model::ImageInfo {
        appearance: None,
        ..rendered.image
    };
    assert_eq!(probed, header);
}

#[tokio::test]
async fn twenty_callers_get_their_own_pictures() {
    let mut config = config();
    config.workers = 3;
    let jail = Jail::new(config);
    let calls = (0..20_u8).map(|number| {
        let jail = jail.clone();
        tokio::spawn(async move {
            let colour = [number * 12, 255 - number * 12, 128];
            let source = png(100 + u32::from(number), 100, colour);
            let rendered = in_time(jail.render(source.into(), &small_recipe()))
                .await
                .unwrap();
            assert_eq!(rendered.image.dimensions.width, 100 + u32::from(number));
            assert_eq!(decode(Format::Png, &rendered.files[2].bytes).2, colour);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let workers = jail.workers();
    assert_eq!(workers.len(), 3);
    assert_eq!(workers.iter().map(|worker| worker.jobs).sum::<u32>(), 20);
}

#[tokio::test]
async fn hostile_sources_are_rejected_and_the_worker_goes_on() {
    let jail = Jail::new(config());
    let whole = png(300, 300, [1, 2, 3]);
    let mut huge = whole.clone();
    huge[16..20].copy_from_slice(&0x7FFF_FFFF_u32.to_be_bytes());
    let mut corrupt = whole.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xFF;
    for (name, source) in [
        ("empty", Vec::new()),
        ("text", b"<svg onload=alert(1)>".to_vec()),
        ("truncated", whole[..whole.len() / 2].to_vec()),
        ("only a signature", whole[..8].to_vec()),
        ("a header of 2^31 columns", huge),
        ("a flipped byte", corrupt),
    ] {
        match in_time(jail.render(source.into(), &small_recipe())).await {
            Err(RenderError::Rejected(rejection)) => {
                assert_ne!(
                    rejection.code,
                    RejectionCode::DecoderKilled,
                    "{name}: {rejection:?}"
                );
                assert!(!rejection.detail.is_empty(), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    in_time(jail.render(whole.into(), &small_recipe())).await.unwrap();
    let workers = jail.workers();
    assert_eq!(workers.len(), 1);
    assert_eq!(workers[0].jobs, 7, "one worker took every source");
}

#[tokio::test]
async fn a_source_beyond_the_limit_starts_no_worker() {
    let mut config = config();
    config.limits.max_bytes = 100;
    let jail = Jail::new(config);
    match in_time(jail.render(Bytes::from_static(&[0; 101]), &small_recipe())).await {
        Err(RenderError::Rejected(rejection)) => {
            assert_eq!(rejection.code, RejectionCode::TooManyBytes);
            assert!(rejection.detail.contains("101") && rejection.detail.contains("100"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(jail.workers(), []);
}

#[tokio::test]
async fn renditions_beyond_the_limit_are_not_read() {
    let mut config = config();
    config.max_output_bytes = 200;
    let jail = Jail::new(config);
    let detail = crate::killed(in_time(jail.render(jpeg(64, 64).into(), &small_recipe())).await);
    assert!(detail.contains("the limit is 200"), "{detail}");
}
