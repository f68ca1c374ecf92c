//! Request bodies, read whole into one buffer that never grows beyond its limit.

use axum::body::{Body, HttpBody as _};
use futures::StreamExt as _;

use crate::error::{Error, Result};

/// The error of a client that kept its connection waiting for longer than it may. Readers of connections return it for a
/// body, as the error or as one of its causes, and it becomes a 408.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client keeps the connection waiting")]
pub struct TooSlow;

/// Reads a body of at most `limit` bytes.
///
/// Pieces are copied: one of a single byte would otherwise keep the whole buffer that it was read into.
///
/// # Errors
/// `BodyTooLarge`, at once where the length is announced; `BodyTooSlow`; `BodyCutOff`.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Vec<u8>> {
    let fits = |size: usize| {
        if size > limit {
            Err(Error::BodyTooLarge(limit))
        } else {
            Ok(())
        }
    };
    fits(usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX))?;
    let mut whole = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            if is_too_slow(&error) {
                Error::BodyTooSlow
            } else {
                Error::BodyCutOff
            }
        })?;
        fits(whole.len() + piece.len())?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<TooSlow>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures::stream;

    fn pieces(pieces: Vec<Result<Bytes, axum::BoxError>>) -> Body {
        Body::from_stream(stream::iter(pieces))
    }

    fn of_single_bytes(length: usize) -> Body {
        pieces((0..length).map(|_| Ok(Bytes::from_static(b"x"))).collect())
    }

    #[tokio::test]
    async fn bodies_are_read_to_their_limit() {
        assert_eq!(read(Body::empty(), 0).await.unwrap(), b"");
        assert_eq!(read(of_single_bytes(10), 10).await.unwrap(), b"xxxxxxxxxx");
        for body in [of_single_bytes(11), Body::from("xxxxxxxxxxx")] {
            assert!(matches!(read(body, 10).await, Err(Error::BodyTooLarge(10))));
        }
    }

    #[tokio::test]
    async fn the_reasons_for_the_end_of_a_body_are_told_apart() {
        let some = || Ok(Bytes::from_static(b"some"));
        let cut = pieces(vec![some(), Err("connection reset".into())]);
        assert!(matches!(read(cut, 10).await, Err(Error::BodyCutOff)));
        let slow = pieces(vec![some(), Err(TooSlow.into())]);
        assert!(matches!(read(slow, 10).await, Err(Error::BodyTooSlow)));
    }
}
