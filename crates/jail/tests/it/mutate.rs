//! Damage to files, decided by a number: the same number gives the same damage.

use std::ops::Range;

/// A generator of numbers: SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, 0 when there is none.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let number = usize::try_from(self.next() >> 1).unwrap();
        number.checked_rem(limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A part of a file of `length` bytes; most are short.
    fn part(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length);
        let most = if self.below(4) == 0 {
            length - start
        } else {
            (length - start).min(64)
        };
        start..start + self.below(most + 1)
    }
}

/// Numbers that lengths and counts are read wrongly at.
const EDGES: [u32; 12] = [
    0,
    1,
    2,
    0x7F,
    0xFF,
    0x100,
    0x7FFF,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
];

/// Damages `file` in one to four ways. `other` is a file that parts may come from.
pub(crate) fn damage(file: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        match random.below(10) {
            0 | 1 => flip(file, random),
            2 => overwrite(file, random),
            3 | 4 => edge(file, random),
            5 => file.truncate(random.below(file.len() + 1)),
            6 => swap_units(file, random),
            7 => repeat(file, random),
            8 => drop(file.drain(random.part(file.len()))),
            _ => splice(file, other, random),
        }
    }
    if file.starts_with(b"\x89PNG") && random.below(4) != 0 {
        mend_checksums(file);
    }
}

fn flip(file: &mut [u8], random: &mut Random) {
    for _ in 0..=random.below(8) {
        let at = random.below(file.len());
        if let Some(byte) = file.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
    }
}

fn overwrite(file: &mut [u8], random: &mut Random) {
    let part = random.part(file.len());
    for byte in &mut file[part] {
        *byte = random.byte();
    }
}

/// Puts a number at the edge of its type, or near the length of the file, where there may be a length or a count. Half
/// of them go into the first hundred bytes, where headers are.
fn edge(file: &mut [u8], random: &mut Random) {
    let reach = if random.below(2) == 0 {
        file.len().min(100)
    } else {
        file.len()
    };
    let at = random.below(reach);
    let number = match random.below(EDGES.len() + 2) {
        0 => u32::try_from(file.len()).unwrap(),
        1 => u32::try_from(file.len() - at).unwrap().wrapping_sub(1),
        index => EDGES[index - 2],
    };
    let bytes = if random.below(2) == 0 {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    };
    let width = [1, 2, 4][random.below(3)];
    let bytes = if random.below(2) == 0 {
        &bytes[..width]
    } else {
        &bytes[4 - width..]
    };
    for (place, byte) in file[at..].iter_mut().zip(bytes) {
        *place = *byte;
    }
}

/// Exchanges two units of the file's own notation: chunks, segments or boxes.
fn swap_units(file: &mut Vec<u8>, random: &mut Random) {
    let units = units(file);
    let [one, other] = [random.below(units.len()), random.below(units.len())];
    let (Some(first), Some(second)) = (units.get(one.min(other)), units.get(one.max(other))) else {
        return;
    };
    if first.end > second.start {
        return;
    }
    *file = [
        &file[..first.start],
        &file[second.clone()],
        &file[first.end..second.start],
        &file[first.clone()],
        &file[second.end..],
    ]
    .concat();
}

/// Repeats a part, a few times or many times.
fn repeat(file: &mut Vec<u8>, random: &mut Random) {
    let units = units(file);
    let part = match units.get(random.below(units.len() + 1)) {
        Some(unit) => unit.clone(),
        None => random.part(file.len()),
    };
    let times = if random.below(8) == 0 {
        300
    } else {
        1 + random.below(4)
    };
    let again = file[part.clone()].repeat(times.min((1 << 20) / (part.len() + 1)));
    file.splice(part.end..part.end, again);
}

fn splice(file: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let (place, part) = (random.part(file.len()), random.part(other.len()));
    file.splice(place, other[part].iter().copied());
}

/// The units of a file as far as its beginning tells what they are; none where it does not.
fn units(file: &[u8]) -> Vec<Range<usize>> {
    let number = |at: usize, is_big: bool| {
        let bytes: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        let number = if is_big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
        usize::try_from(number).ok()
    };
    let (start, size): (usize, Box<dyn Fn(usize) -> Option<usize>>) = match file {
        [0x89, b'P', b'N', b'G', ..] => (8, Box::new(|at| Some(number(at, true)? + 12))),
        [b'R', b'I', b'F', b'F', ..] => (12, Box::new(|at| Some((number(at + 4, false)? + 9) & !1))),
        [0xFF, 0xD8, ..] => (
            2,
            Box::new(|at| match file.get(at..at + 4)? {
                [0xFF, 0x01..=0xFE, high, low] => Some(usize::from(u16::from_be_bytes([*high, *low])) + 2),
                _ => None,
            }),
        ),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => {
            (0, Box::new(|at| number(at, true).filter(|&size| size >= 8)))
        }
        _ => return Vec::new(),
    };
    let mut units = Vec::new();
    let mut at = start;
    while let Some(end) = size(at)
        .and_then(|size| at.checked_add(size))
        .filter(|&end| end <= file.len())
    {
        units.push(at..end);
        at = end;
    }
    units
}

/// Gives the chunks of a PNG the checksums that they have to have: with any other, nothing of a chunk is looked at.
fn mend_checksums(file: &mut [u8]) {
    for unit in units(file) {
        let body = unit.start + 4..unit.end - 4;
        let name = [0, 1, 2, 3].map(|at| file[body.start + at]);
        let whole = crate::fixtures::chunk(&name, &file[body.start + 4..body.end]);
        file[body.end..unit.end].copy_from_slice(&whole[whole.len() - 4..]);
    }
}

#[test]
fn the_same_number_gives_the_same_damage() {
    let all = crate::specimens::specimens();
    let damaged = |number| {
        let mut file = all[0].bytes.clone();
        damage(&mut file, &all[1].bytes, &mut Random(number));
        file
    };
    assert_eq!(damaged(7), damaged(7));
    assert_ne!(damaged(7), damaged(8));
}

#[test]
fn units_are_those_of_the_notation() {
    for (format, least) in [("png", 3), ("webp", 1), ("jpeg", 5), ("avif", 3)] {
        let all = crate::specimens::specimens();
        let specimen = all.iter().find(|specimen| specimen.format == format).unwrap();
        let units = units(&specimen.bytes);
        assert!(units.len() >= least, "{format}: {units:?}");
        assert!(units.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}
