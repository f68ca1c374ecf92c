//! Receives the body of a request into a staged file: bytes are counted, and every digest that the client gave is
//! checked before the file is made durable.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::{S3ErrorCode, S3Result};
use tintype_store::{Staged, Store};

use super::body::BodyError;
use super::bridge::Origin;
use super::checksum::{self, Algorithm, Claim, ClaimError, Hasher};
use super::error::{fail, from_store};
use super::verify::{bad_digest, content_md5, invalid_claim, trailing_claim};

/// A durable file that no row names yet, and its checksums by [`Algorithm::name`].
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) staged: Staged,
    pub(crate) checksums: BTreeMap<String, String>,
    /// The algorithm that the client chose, or else the first of those asked for.
    pub(crate) algorithm: Algorithm,
}

impl Received {
    /// The checksum for the answer.
    pub(crate) fn checksum(&self) -> &str {
        self.checksums
            .get(self.algorithm.name())
            .map_or("", String::as_str)
    }
}

/// Conditions on the bytes of a body. A condition that is `None` always holds.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Length in bytes.
    pub(crate) length: Option<u64>,
    /// MD5.
    pub(crate) md5: Option<[u8; 16]>,
    /// A checksum that is known beforehand.
    pub(crate) claim: Option<Claim>,
}

/// Writes a body with these hashers; the caller finishes or drops the file.
pub(crate) struct Receiver {
    file: tintype_store::StagedFile,
    hashers: Vec<(Algorithm, Hasher)>,
    expected: Expected,
}

impl Receiver {
    /// Computes the checksums of these algorithms.
    pub(crate) fn new(store: &Store, algorithms: &[Algorithm], expected: Expected) -> Self {
        let mut hashers: Vec<(Algorithm, Hasher)> = Vec::new();
        for &algorithm in algorithms {
            if hashers.iter().all(|(known, _)| *known != algorithm) {
                hashers.push((algorithm, Hasher::new(algorithm)));
            }
        }
        Self {
            file: store.stage(),
            hashers,
            expected,
        }
    }

    /// The number of bytes so far.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    /// Appends bytes.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> S3Result<()> {
        let size = self.file.size_bytes() + bytes.len() as u64;
        if self.expected.length.is_some_and(|length| size > length) {
            return Err(BodyError::TooLong.into());
        }
        for (_, hasher) in &mut self.hashers {
            hasher.update(&bytes);
        }
        self.file.write(bytes).await.map_err(from_store)
    }

    /// Checks the conditions, with the checksum in `late` among them, and makes the file durable.
    pub(crate) async fn finish(self, late: Option<Claim>) -> S3Result<Received> {
        if self
            .expected
            .length
            .is_some_and(|length| length != self.file.size_bytes())
        {
            return Err(BodyError::Incomplete.into());
        }
        let algorithm = self
            .hashers
            .first()
            .map_or(Algorithm::DEFAULT, |(algorithm, _)| *algorithm);
        let mut checksums = BTreeMap::new();
        for (algorithm, hasher) in self.hashers {
            checksums.insert(algorithm.name().to_owned(), hasher.finish());
        }
        for claim in self.expected.claim.iter().chain(&late) {
            if checksums.get(claim.algorithm.name()) != Some(&claim.value) {
                return Err(bad_digest(claim.algorithm.name()));
            }
        }
        let staged = self.file.finish().await.map_err(from_store)?;
        if self.expected.md5.is_some_and(|md5| md5 != staged.md5()) {
            return Err(bad_digest("Content-MD5"));
        }
        Ok(Received {
            staged,
            checksums,
            algorithm,
        })
    }
}

/// Receives the body of a request. The checksum that the client chose is computed and compared, and those of `also`
/// are computed as well; with neither, S3's default is computed.
pub(crate) async fn receive<S, E>(
    store: &Store,
    body: Option<S>,
    origin: &Origin,
    also: Option<Algorithm>,
) -> S3Result<Received>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let headers = &origin.headers;
    let length = origin.length.ok_or_else(|| {
        fail(
            S3ErrorCode::MissingContentLength,
            "You must provide the Content-Length HTTP header.",
        )
    })?;
    let claim = checksum::claim(headers).map_err(invalid_claim)?;
    let announced = checksum::announced(headers);
    if announced.len() + usize::from(claim.is_some()) > 1 {
        return Err(invalid_claim(ClaimError::Several));
    }
    let chosen = claim
        .as_ref()
        .map(|claim| claim.algorithm)
        .or(announced.first().copied())
        .or_else(|| checksum::named(headers));
    let mut algorithms: Vec<Algorithm> = chosen.into_iter().chain(also).collect();
    if algorithms.is_empty() {
        algorithms.push(Algorithm::DEFAULT);
    }
    let expected = Expected {
        length: Some(length),
        md5: content_md5(headers)?,
        claim,
    };
    let mut receiver = Receiver::new(store, &algorithms, expected);
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|_| origin.report.failure(headers))?;
            receiver.write(bytes).await?;
        }
    }
    let trailing = trailing_claim(headers, origin.trailers.as_ref())?;
    receiver.finish(trailing).await
}
