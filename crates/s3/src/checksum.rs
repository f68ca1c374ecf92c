//! The five checksum algorithms of S3, alone and combined over the parts of a multipart upload.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc_fast::CrcAlgorithm;
use http::{HeaderMap, HeaderName};
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::error::{fail, not_implemented};

/// Algorithms that S3 has and that are not verified here.
const NOT_OFFERED: [&str; 5] = ["MD5", "SHA512", "XXHASH3", "XXHASH64", "XXHASH128"];

/// A checksum algorithm that clients may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// The data that a checksum of a multipart object is computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All bytes of the object.
    FullObject,
    /// The checksums of its parts, one after the other.
    Composite,
}

impl Kind {
    /// The word in `x-amz-checksum-type`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// The kind of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::FullObject, Self::Composite]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The algorithm that S3 uses when the client chose none.
    pub(crate) const DEFAULT: Self = Self::Crc64Nvme;

    /// The word in `x-amz-checksum-algorithm`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of that name; clients differ in letter case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header or trailer that carries its value.
    pub(crate) const fn header(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        })
    }

    const fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    const fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// The kind of checksum that multipart uploads get when only the algorithm was chosen.
    pub(crate) const fn default_kind(self) -> Kind {
        match self {
            Self::Crc64Nvme => Kind::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => Kind::Composite,
        }
    }

    /// Tells whether S3 knows this combination: digests cannot be combined, and CRC64NVME is never composite.
    pub(crate) const fn supports(self, kind: Kind) -> bool {
        match (self, kind) {
            (Self::Crc32 | Self::Crc32c, _) => true,
            (Self::Crc64Nvme, Kind::FullObject) | (Self::Sha1 | Self::Sha256, Kind::Composite) => true,
            (Self::Crc64Nvme, Kind::Composite) | (Self::Sha1 | Self::Sha256, Kind::FullObject) => false,
        }
    }

    /// The digest that a Base64 value stands for, when it has the right length.
    pub(crate) fn decode(self, value: &str) -> Option<Vec<u8>> {
        STANDARD
            .decode(value)
            .ok()
            .filter(|digest| digest.len() == self.digest_bytes())
    }

    /// Computes the checksum of bytes in memory, in Base64.
    pub(crate) fn of(self, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// A checksum that a client announced: one of the five, in Base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) algorithm: Algorithm,
    pub(crate) value: String,
}

/// A fault of the checksums in headers or trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error("expecting a single x-amz-checksum- header; multiple checksum types are not allowed")]
    Several,
    #[error("value for {} header is invalid", .0.header())]
    Invalid(Algorithm),
}

/// Tells whether the header of this name, in lower case, carries a checksum of any algorithm.
pub(crate) fn is_value(name: &str) -> bool {
    name.strip_prefix("x-amz-checksum-")
        .is_some_and(|rest| !matches!(rest, "algorithm" | "mode" | "type"))
}

/// Checks that every algorithm that is named or announced is one that can be verified.
///
/// # Errors
/// 501 for algorithms of S3 that are not offered and for trailers that are no checksums, 400 for other names.
pub(crate) fn refuse_unknown(headers: &HeaderMap) -> S3Result<()> {
    for name in ["x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"] {
        for value in headers.get_all(name) {
            let value = value.to_str().unwrap_or_default();
            if Algorithm::from_name(value).is_none() {
                return Err(unsupported(name, value));
            }
        }
    }
    let strange = trailer_names(headers).find(|name| {
        Algorithm::ALL
            .iter()
            .all(|algorithm| algorithm.header() != name.as_str())
    });
    match strange {
        Some(name) => Err(not_implemented(&format!("the trailer {name}"))),
        None => Ok(()),
    }
}

/// Checks the kind of checksum that a client names for an object in one piece.
pub(crate) fn refuse_composite(headers: &HeaderMap) -> S3Result<()> {
    match headers.get("x-amz-checksum-type") {
        Some(kind) if kind != Kind::FullObject.name() => Err(fail(
            S3ErrorCode::InvalidRequest,
            "The checksum of an object in one piece is of the type FULL_OBJECT.",
        )),
        Some(_) | None => Ok(()),
    }
}

/// The algorithm that a client names. Without a checksum it chooses the one to store.
pub(crate) fn named(headers: &HeaderMap) -> Option<Algorithm> {
    ["x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"]
        .iter()
        .find_map(|name| Algorithm::from_name(headers.get(*name)?.to_str().ok()?))
}

fn unsupported(header: &str, value: &str) -> S3Error {
    if NOT_OFFERED.iter().any(|name| name.eq_ignore_ascii_case(value)) {
        return not_implemented(&format!("{header}: {value}"));
    }
    let names = Algorithm::ALL.map(Algorithm::name).join(", ");
    let message = format!("Checksum algorithm {value:?} in {header} is unsupported. Use one of {names}.");
    fail(S3ErrorCode::InvalidRequest, message)
}

/// The checksum in these headers, of which there may be one.
pub(crate) fn claim(headers: &HeaderMap) -> Result<Option<Claim>, ClaimError> {
    let mut found = None;
    for algorithm in Algorithm::ALL {
        for value in headers.get_all(algorithm.header()) {
            if found.is_some() {
                return Err(ClaimError::Several);
            }
            let value = value.to_str().map_err(|_| ClaimError::Invalid(algorithm))?.trim();
            // A completion may name a composite value, which ends in the number of parts.
            let digest = value.split_once('-').map_or(value, |(digest, _)| digest);
            algorithm.decode(digest).ok_or(ClaimError::Invalid(algorithm))?;
            found = Some(Claim {
                algorithm,
                value: value.to_owned(),
            });
        }
    }
    Ok(found)
}

/// The names in `x-amz-trailer`, in lower case.
fn trailer_names(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all("x-amz-trailer")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}

/// The algorithms that `x-amz-trailer` announces.
pub(crate) fn announced(headers: &HeaderMap) -> Vec<Algorithm> {
    let names: Vec<String> = trailer_names(headers).collect();
    let is_announced = |algorithm: &Algorithm| names.iter().any(|name| algorithm.header() == name.as_str());
    Algorithm::ALL.into_iter().filter(is_announced).collect()
}

/// A running checksum.
pub(crate) enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").finish()
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The value in Base64.
    pub(crate) fn finish(self) -> String {
        match self {
            Self::Crc32(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Crc32c(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Crc64Nvme(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Sha1(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Sha256(hasher) => STANDARD.encode(hasher.finalize()),
        }
    }
}

/// The checksum of an object made of parts, given their checksums in Base64 and their sizes in bytes; `None` when
/// a part's value is not one of this algorithm, or the combination does not exist.
pub(crate) fn combine<'a>(
    algorithm: Algorithm,
    kind: Kind,
    parts: impl IntoIterator<Item = (&'a str, u64)>,
) -> Option<String> {
    match kind {
        Kind::Composite => {
            let mut digests = Vec::new();
            let mut count = 0_usize;
            for (value, _) in parts {
                digests.extend(algorithm.decode(value)?);
                count += 1;
            }
            Some(format!("{}-{count}", algorithm.of(&digests)))
        }
        Kind::FullObject => {
            let crc = algorithm.crc()?;
            let mut whole = crc_fast::checksum(crc, b"");
            for (value, size_bytes) in parts {
                let digest = algorithm.decode(value)?;
                let part = digest
                    .iter()
                    .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
                whole = crc_fast::checksum_combine(crc, whole, part, size_bytes);
            }
            let bytes = whole.to_be_bytes();
            Some(STANDARD.encode(&bytes[bytes.len() - algorithm.digest_bytes()..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_are_the_published_ones() {
        // The check value of the CRC catalogue is that of "123456789"; the digests are NIST's for "abc".
        let crc = |algorithm: Algorithm| hex::encode(algorithm.decode(&algorithm.of(b"123456789")).unwrap());
        assert_eq!(crc(Algorithm::Crc32), "cbf43926");
        assert_eq!(crc(Algorithm::Crc32c), "e3069283");
        assert_eq!(crc(Algorithm::Crc64Nvme), "ae8b14860a799888");
        assert_eq!(Algorithm::Sha1.of(b"abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
        assert_eq!(
            Algorithm::Sha256.of(b"abc"),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }

    #[test]
    fn full_object_checksum_of_parts_is_that_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).map(|n| (n * 31 % 251) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            for cuts in [vec![0..1, 1..70_000, 70_000..100_000], vec![0..0, 0..100_000]] {
                let parts: Vec<(String, u64)> = cuts
                    .iter()
                    .map(|cut| (algorithm.of(&whole[cut.clone()]), cut.len() as u64))
                    .collect();
                let parts = parts.iter().map(|(value, size)| (value.as_str(), *size));
                assert_eq!(
                    combine(algorithm, Kind::FullObject, parts),
                    Some(algorithm.of(&whole))
                );
            }
        }
        assert_eq!(combine(Algorithm::Sha256, Kind::FullObject, []), None);
    }

    #[test]
    fn composite_checksum_is_that_of_the_digests() {
        let parts = [Algorithm::Sha256.of(b"one"), Algorithm::Sha256.of(b"two")];
        let digests: Vec<u8> = parts
            .iter()
            .flat_map(|part| STANDARD.decode(part).unwrap())
            .collect();
        let expected = format!("{}-2", Algorithm::Sha256.of(&digests));
        let parts = parts.iter().map(|part| (part.as_str(), 3));
        assert_eq!(combine(Algorithm::Sha256, Kind::Composite, parts), Some(expected));
    }

    #[test]
    fn claims_must_be_single_and_well_formed() {
        let mut headers = HeaderMap::new();
        assert_eq!(claim(&headers), Ok(None));
        headers.insert("x-amz-checksum-crc32", "AAAAAA==".parse().unwrap());
        assert_eq!(claim(&headers).unwrap().unwrap().algorithm, Algorithm::Crc32);
        headers.insert(
            "x-amz-checksum-sha1",
            "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=".parse().unwrap(),
        );
        assert_eq!(claim(&headers), Err(ClaimError::Several));
        headers.remove("x-amz-checksum-crc32");
        headers.insert("x-amz-checksum-sha1", "AAAAAA==".parse().unwrap());
        assert_eq!(claim(&headers), Err(ClaimError::Invalid(Algorithm::Sha1)));
    }
}
