use super::*;

fn planes(size: (u32, u32), depth: u8, chroma: Subsampling, color: [u16; 3]) -> Planes {
    let size = Dimensions {
        width: size.0,
        height: size.1,
    };
    let plane = |index: usize| {
        let of = if index == 0 { size } else { chroma.size(size) };
        vec![color[index]; of.width as usize * of.height as usize]
    };
    let words = [plane(0), plane(1), plane(2)];
    let bytes = || {
        words
            .clone()
            .map(|plane| plane.iter().map(|&word| u8::try_from(word).unwrap()).collect())
    };
    Planes {
        size,
        depth,
        chroma,
        samples: if depth > 8 {
            planes::Samples::Words(words)
        } else {
            planes::Samples::Bytes(bytes())
        },
    }
}

fn sample_format(matrix: u8, is_full_range: bool) -> SampleFormat {
    SampleFormat {
        cicp: Cicp {
            matrix,
            ..Cicp::UNSPECIFIED
        },
        is_full_range,
        is_alpha_full_range: true,
        is_premultiplied: false,
        crop: None,
    }
}

/// The first pixel, as shares of white.
fn first(samples: &Samples) -> Vec<f64> {
    let channels = samples.layout.channels();
    if samples.is_deep {
        let words = samples.data.as_chunks::<2>().0.iter().take(channels);
        words
            .map(|&word| f64::from(u16::from_be_bytes(word)) / 65_535.0)
            .collect()
    } else {
        samples
            .data
            .iter()
            .take(channels)
            .map(|&byte| f64::from(byte) / 255.0)
            .collect()
    }
}

#[test]
fn every_depth_range_and_subsampling_means_the_same_colour() {
    // Red 0.8, green 0.4, blue 0.2 by BT.709: luma 0.47064, blue-difference -0.14585, red-difference 0.20916.
    let (luma, blue, red) = (0.470_64, -0.145_85, 0.209_16);
    for depth in [8u8, 10, 12] {
        for chroma in [Subsampling::Full, Subsampling::Half, Subsampling::Quarter] {
            for is_full in [true, false] {
                let unit = f64::from(1u16 << (depth - 8));
                let (black, span, color_span) = if is_full {
                    (0.0, 256.0 * unit - 1.0, 256.0 * unit - 1.0)
                } else {
                    (16.0 * unit, 219.0 * unit, 224.0 * unit)
                };
                let sample = |value: f64| {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "samples are small"
                    )]
                    let sample = value.round() as u16;
                    sample
                };
                let color = [
                    sample(black + luma * span),
                    sample(128.0 * unit + blue * color_span),
                    sample(128.0 * unit + red * color_span),
                ];
                let planes = planes((5, 70), depth, chroma, color);
                let seen = convert(&planes, None, &sample_format(1, is_full)).unwrap();
                assert_eq!(seen.data.len(), 5 * 70 * 3 * if depth > 8 { 2 } else { 1 });
                for (seen, want) in first(&seen).iter().zip([0.8, 0.4, 0.2]) {
                    let off = (seen - want).abs();
                    assert!(
                        off < 0.012,
                        "{depth} bits, {chroma:?}, full {is_full}: {seen} for {want}"
                    );
                }
                let (pixel, _) = seen.data.split_at(seen.data.len() / (5 * 70));
                assert!(
                    seen.data.chunks_exact(pixel.len()).all(|other| other == pixel),
                    "{depth} {chroma:?}"
                );
            }
        }
    }
}

#[test]
fn white_is_white_and_black_is_black_at_every_depth() {
    for (depth, white) in [(8u8, 255), (10, 1023), (12, 4095)] {
        let half = 1 << (depth - 1);
        for (luma, want) in [(0, 0.0), (white, 1.0)] {
            for chroma in [Subsampling::None, Subsampling::Quarter, Subsampling::Full] {
                let planes = planes((3, 3), depth, chroma, [luma, half, half]);
                let seen = convert(&planes, None, &sample_format(6, true)).unwrap();
                assert!(
                    first(&seen).iter().all(|&share| share == want),
                    "{depth} {chroma:?} {luma}"
                );
            }
        }
    }
    let limited = planes((3, 3), 10, Subsampling::None, [940, 0, 0]);
    assert_eq!(
        first(&convert(&limited, None, &sample_format(6, false)).unwrap()),
        [1.0]
    );
}

#[test]
fn green_blue_and_red_are_taken_as_they_are() {
    let planes = planes((2, 2), 8, Subsampling::Full, [200, 100, 50]);
    let seen = convert(&planes, None, &sample_format(0, true)).unwrap();
    assert_eq!(seen.data[..3], [50, 200, 100]);
}

#[test]
fn bands_of_rows_leave_no_seam() {
    let size = Dimensions {
        width: 4,
        height: 200,
    };
    let column = |rows: u16| -> Vec<u8> {
        let level = |row: u16| u8::try_from(row * 200 / rows + 20).unwrap();
        (0..rows).flat_map(|row| [level(row); 4]).collect()
    };
    let color: Vec<u8> = column(100).into_iter().step_by(2).collect();
    let planes = Planes {
        size,
        depth: 8,
        chroma: Subsampling::Quarter,
        samples: planes::Samples::Bytes([vec![128; 800], vec![128; 200], color]),
    };
    let seen = convert(&planes, None, &sample_format(1, true)).unwrap();
    let reds: Vec<u8> = seen.data.chunks_exact(12).map(|row| row[0]).collect();
    assert!(reds.is_sorted(), "{reds:?}");
    let steps = reds.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(steps.max().unwrap() <= 4, "{reds:?}");
}

#[test]
fn alpha_of_another_depth_is_scaled_and_divided_out() {
    let color = planes((2, 2), 10, Subsampling::None, [400, 0, 0]);
    let alpha = planes((2, 2), 8, Subsampling::None, [128, 0, 0]);
    let mut format = sample_format(6, true);
    let seen = convert(&color, Some(&alpha), &format).unwrap();
    assert_eq!(seen.layout, Layout::GreyAlpha);
    assert!((first(&seen)[1] - 128.0 / 255.0).abs() < 1e-4);
    format.is_premultiplied = true;
    let seen = convert(&color, Some(&alpha), &format).unwrap();
    assert!((first(&seen)[0] - 400.0 / 1023.0 * 255.0 / 128.0).abs() < 1e-4);
    let unseen = planes((2, 2), 8, Subsampling::None, [0, 0, 0]);
    let seen = convert(&color, Some(&unseen), &format).unwrap();
    assert_eq!(first(&seen), [0.0, 0.0]);
}

#[test]
fn a_crop_starts_where_it_says() {
    let mut planes = planes((8, 6), 8, Subsampling::None, [0; 3]);
    if let planes::Samples::Bytes(samples) = &mut planes.samples {
        samples[0] = (0..48).collect();
    }
    let mut format = sample_format(6, true);
    format.crop = Some(Crop {
        left: 3,
        top: 2,
        size: Dimensions { width: 2, height: 3 },
    });
    let seen = convert(&planes, None, &format).unwrap();
    assert_eq!(seen.data, [19, 20, 27, 28, 35, 36]);
}
