//! The symbols of a scan (ITU-T T.81, Annexes F.2 and G.2).

use super::frame::{Frame, Scan};
use crate::jpeg::bits::Bits;
use crate::jpeg::headers::Coding;
use crate::jpeg::table::{Decoder, tables_in};
use crate::jpeg::{RST0, next_marker};
use crate::syntax::reader::Reader;

/// The tables that symbols are read with: DC 0 to 3, AC 4 to 7.
#[derive(Default)]
pub(super) struct Tables([Option<Decoder>; 8]);

impl Tables {
    /// Reads a segment.
    pub(super) fn read(&mut self, body: &[u8]) -> Option<()> {
        for (name, table) in tables_in(body)? {
            let (class, number) = (usize::from(name >> 4), usize::from(name & 15));
            if class > 1 || number > 3 {
                return None;
            }
            self.0[class * 4 + number] = Some(Decoder::new(table)?);
        }
        Some(())
    }

    fn get(&self, number: usize) -> Option<&Decoder> {
        self.0[number].as_ref()
    }
}

/// One element of the data of a scan.
pub(super) enum Token {
    Symbol {
        table: usize,
        symbol: u8,
    },
    Bits {
        value: u32,
        count: u32,
    },
    /// A marker between two intervals.
    Restart(u8),
}

/// Gives `each` everything that a scan consists of, notes which coefficients are not zero, and gives the length of its
/// data, which are at the start of `data`.
pub(super) fn walk(
    frame: &mut Frame,
    scan: &Scan,
    tables: &Tables,
    interval: u16,
    data: &[u8],
    each: &mut impl FnMut(Token),
) -> Option<usize> {
    let (columns, rows, is_single) = match &scan.components[..] {
        [scanned] => {
            let component = &frame.components[scanned.component];
            (component.columns, component.rows, true)
        }
        _ => {
            let (columns, rows) = frame.units()?;
            (columns, rows, false)
        }
    };
    let units = columns * rows;
    let per_interval = if interval == 0 { units } else { interval.into() };
    let (mut at, mut unit) = (0, 0);
    loop {
        let behind = data.get(at..)?;
        let end = at
            + behind
                .windows(2)
                .position(|pair| pair[0] == 0xFF && pair[1] != 0)?;
        let mut blocks = Blocks {
            bits: Bits::new(data.get(at..end)?, 0),
            run: 0,
            each: &mut *each,
        };
        let last = units.min(unit + per_interval);
        while unit < last {
            let (row, column) = (unit / columns, unit % columns);
            for scanned in &scan.components {
                let component = &mut frame.components[scanned.component];
                let (across, down) = if is_single {
                    (1, 1)
                } else {
                    (component.across, component.down)
                };
                for block in 0..across * down {
                    let (x, y) = (column * across + block % across, row * down + block / across);
                    let nonzero = component.nonzero.get_mut(y * component.stride + x);
                    let dc = || tables.get(scanned.dc);
                    let ac = || tables.get(scanned.ac);
                    match scan.coding {
                        Coding::Sequential => {
                            blocks.dc(scanned.dc, dc()?)?;
                            blocks.ac(scanned.ac, ac()?)?;
                        }
                        Coding::FirstDc => blocks.dc(scanned.dc, dc()?)?,
                        Coding::NextDc => _ = blocks.bit(),
                        Coding::FirstAc => blocks.first_ac(scanned.ac, ac()?, scan, nonzero?)?,
                        Coding::NextAc => blocks.next_ac(scanned.ac, ac()?, scan, nonzero?)?,
                    }
                }
            }
            unit += 1;
        }
        if blocks.run > 0 || !blocks.bits.is_at_end() {
            return None;
        }
        if unit == units {
            return Some(end);
        }
        let number = u8::try_from((unit / per_interval - 1) % 8).ok()?;
        let mut reader = Reader::new(data.get(end..)?);
        if next_marker(&mut reader)? != RST0 + number {
            return None;
        }
        at = data.len() - reader.rest().len();
        each(Token::Restart(RST0 + number));
    }
}

/// The blocks of an interval.
struct Blocks<'a, F> {
    bits: Bits<'a>,
    /// Blocks that follow without a new coefficient.
    run: u32,
    each: &'a mut F,
}

/// The largest categories of differences and of coefficients at 8 bits (T.81 F.1.2).
const MOST_DC: u8 = 11;
const MOST_AC: u8 = 10;

impl<F: FnMut(Token)> Blocks<'_, F> {
    fn symbol(&mut self, number: usize, table: &Decoder) -> Option<u8> {
        let symbol = self.bits.symbol(table)?;
        (self.each)(Token::Symbol {
            table: number,
            symbol,
        });
        Some(symbol)
    }

    /// Up to 15 bits that follow a symbol.
    fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let value = self.bits.take(count);
        (self.each)(Token::Bits { value, count });
        value
    }

    fn bit(&mut self) -> u32 {
        self.bits.fill();
        self.take(1)
    }

    fn dc(&mut self, number: usize, table: &Decoder) -> Option<()> {
        let size = self.symbol(number, table).filter(|&size| size <= MOST_DC)?;
        self.take(size.into());
        Some(())
    }

    /// All coefficients but the mean.
    fn ac(&mut self, number: usize, table: &Decoder) -> Option<()> {
        let mut at = 1;
        while at < 64 {
            let symbol = self.symbol(number, table)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (0, 0) => break,
                (15, 0) => at += 16,
                (_, 0) => return None,
                _ => {
                    at += usize::from(zeros);
                    if at >= 64 || size > MOST_AC {
                        return None;
                    }
                    self.take(size.into());
                    at += 1;
                }
            }
        }
        (at <= 64).then_some(())
    }

    fn first_ac(&mut self, number: usize, table: &Decoder, scan: &Scan, nonzero: &mut u64) -> Option<()> {
        if self.run > 0 {
            self.run -= 1;
            return Some(());
        }
        let mut at = scan.first;
        while at <= scan.last {
            let symbol = self.symbol(number, table)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => at += 16,
                (_, 0) => {
                    self.run = (1 << zeros) + self.take(zeros.into()) - 1;
                    return Some(());
                }
                _ => {
                    at += usize::from(zeros);
                    if at > scan.last || size > MOST_AC {
                        return None;
                    }
                    self.take(size.into());
                    *nonzero |= 1 << at;
                    at += 1;
                }
            }
        }
        (at == scan.last + 1).then_some(())
    }

    /// One more bit of the coefficients that are not zero, and new ones (T.81 G.1.2.3).
    fn next_ac(&mut self, number: usize, table: &Decoder, scan: &Scan, nonzero: &mut u64) -> Option<()> {
        let mut at = scan.first;
        while self.run == 0 && at <= scan.last {
            let symbol = self.symbol(number, table)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => {}
                (_, 0) => {
                    self.run = (1 << zeros) + self.take(zeros.into());
                    break;
                }
                (_, 1) => _ = self.take(1),
                _ => return None,
            }
            at = self.pass_zeros(at, scan.last, zeros, *nonzero);
            if size == 1 {
                if at > scan.last {
                    return None;
                }
                *nonzero |= 1 << at;
            }
            at += 1;
        }
        if self.run > 0 {
            while at <= scan.last {
                if *nonzero & (1 << at) != 0 {
                    self.bit();
                }
                at += 1;
            }
            self.run -= 1;
        }
        Some(())
    }

    /// The place of the coefficient behind so many zeros; coefficients before it that are not zero get their next bit.
    fn pass_zeros(&mut self, from: usize, last: usize, zeros: u8, nonzero: u64) -> usize {
        let (mut at, mut left) = (from, zeros);
        while at <= last {
            if nonzero & (1 << at) != 0 {
                self.bit();
            } else if left == 0 {
                break;
            } else {
                left -= 1;
            }
            at += 1;
        }
        at
    }
}
