//! The quality of an AVIF, from the quantizer of its first coded picture.

use crate::av1::quantizer::base_quantizer;
use crate::read;

/// The quality at which our encoder takes a quantizer that is a little coarser, 1 to 100. `None` where the header of the frame is
/// not read here.
pub(super) fn quality(avif: &[u8]) -> Option<u8> {
    let quantizer = u32::from(base_quantizer(&read::heif::color_stream(avif)?)?);
    // libaom's 64 quantizers are four steps of AV1's apart, and the quality is spread over them evenly.
    let quality = 100u32.saturating_sub((quantizer * 25).div_ceil(63));
    // At the same quantizer the losses of the source can need a few bytes more than they did.
    u8::try_from(quality.saturating_sub(1).max(1)).ok()
}
