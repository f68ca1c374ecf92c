use tintype_model::{Format, Rejection, RejectionCode};

/// The reasons why there are no renditions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source is at fault: the same bytes always give this error.
    #[error("{}: {}", .0.code.name(), .0.detail)]
    Rejected(Rejection),
    /// An encoder failed on pixels that we made: the machine or the engine is at fault.
    #[error("variant {variant:?} could not be encoded as {}", .format.name())]
    Encode {
        /// The variant's name.
        variant: String,
        /// The format.
        format: Format,
        /// The encoder's error.
        #[source]
        source: EncodeError,
    },
}

/// The errors of encoders.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// libaom refused a setting or a frame, or ran out of memory.
    #[error("libaom: {step} returned code {code}")]
    Aom {
        /// The call that failed.
        step: &'static str,
        /// `aom_codec_err_t`
        code: u32,
    },
    /// libwebp refused a setting or a picture, or ran out of memory.
    #[error("libwebp: {step} returned code {code}")]
    Webp {
        /// The call that failed.
        step: &'static str,
        /// `WebPEncodingError`, 0 where the call reports none.
        code: u32,
    },
    /// jixel refused the picture, or this build is without it.
    #[error("the JPEG XL encoder: {0}")]
    Jxl(String),
    /// The container or the stream could not be written.
    #[error("the file could not be written")]
    Io(#[from] std::io::Error),
    /// libjpeg wrote a file that is not what its settings say.
    #[error("the JPEG cannot be given optimal Huffman tables")]
    HuffmanTables,
    /// The PNG encoder refused the picture.
    #[error("the PNG encoder refused the picture")]
    Png(#[from] oxipng::PngError),
    /// The encoder of animated PNG refused a frame.
    #[error("the encoder of animated PNG refused a frame")]
    AnimatedPng(#[from] png::EncodingError),
    /// Pixels could not be converted to what the encoder takes, or resized.
    #[error("pixels could not be prepared: {0}")]
    Pixels(String),
    /// The encoder panicked.
    #[error("the encoder panicked")]
    Panicked,
}

impl Error {
    pub(crate) fn rejected(code: RejectionCode, detail: impl Into<String>) -> Self {
        Self::Rejected(Rejection::new(code, detail))
    }

    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::rejected(RejectionCode::CorruptImage, detail)
    }

    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::rejected(RejectionCode::UnsupportedFormat, detail)
    }
}
