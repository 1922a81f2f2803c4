//! Bodies of requests: how large they may be, and how slow.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::time::timeout;

/// Longest wait for the next bytes of a body.
const STALL_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest time for a body that is read whole; nobody drips one byte at a time for hours.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke, or the transfer coding is wrong.
    Broken,
    /// It did not come in time.
    Slow,
    /// It is larger than this, in bytes.
    TooLarge(u64),
}

/// A body, chunk by chunk.
pub(crate) struct Chunks {
    stream: BodyDataStream,
    bytes_max: u64,
    read: u64,
}

impl Chunks {
    /// A body of at most `bytes_max` bytes; what announces itself as larger is not begun.
    pub(crate) fn new(headers: &HeaderMap, body: Body, bytes_max: u64) -> Result<Self, BodyError> {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|announced: u64| announced > bytes_max) {
            return Err(BodyError::TooLarge(bytes_max));
        }
        Ok(Self { stream: body.into_data_stream(), bytes_max, read: 0 })
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let next = timeout(STALL_TIME_MAX, self.stream.next()).await;
        let Some(bytes) = next.map_err(|_| BodyError::Slow)? else {
            return Ok(None);
        };
        let bytes = bytes.map_err(|_| BodyError::Broken)?;
        self.read += bytes.len() as u64;
        if self.read > self.bytes_max {
            return Err(BodyError::TooLarge(self.bytes_max));
        }
        Ok(Some(bytes))
    }
}

/// Reads a body whole.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: u64,
) -> Result<Bytes, BodyError> {
    let mut chunks = Chunks::new(headers, body, bytes_max)?;
    let whole = async {
        let mut whole = BytesMut::new();
        while let Some(bytes) = chunks.next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    };
    timeout(WHOLE_TIME_MAX, whole).await.map_err(|_| BodyError::Slow)?
}

/// The Content-Type header; empty where there is none.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type in a Content-Type, in lower case, without parameters.
pub(crate) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::io::Error;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn body_that_stalls_is_given_up() {
        let first = stream::iter([Ok::<_, Error>(Bytes::from_static(b"a"))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let began = Instant::now();
        assert_eq!(read(&HeaderMap::new(), body, 10).await, Err(BodyError::Slow));
        assert_eq!(began.elapsed(), STALL_TIME_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_drips_is_given_up() {
        let drip = stream::unfold((), |()| async {
            sleep(STALL_TIME_MAX / 4).await;
            Some((Ok::<_, Error>(Bytes::from_static(b"a")), ()))
        });
        let began = Instant::now();
        let body = Body::from_stream(drip);
        assert_eq!(read(&HeaderMap::new(), body, 1_000).await, Err(BodyError::Slow));
        assert_eq!(began.elapsed(), WHOLE_TIME_MAX);
    }

    #[tokio::test]
    async fn body_of_the_greatest_size_is_read_and_one_byte_more_is_not() {
        let body = |bytes: usize| Body::from(vec![b'a'; bytes]);
        assert_eq!(read(&HeaderMap::new(), body(10), 10).await.map(|body| body.len()), Ok(10));
        assert_eq!(read(&HeaderMap::new(), body(11), 10).await, Err(BodyError::TooLarge(10)));
    }

    #[tokio::test]
    async fn body_that_breaks_off_is_refused() {
        let broken = stream::iter([Err::<Bytes, _>(Error::other("reset"))]);
        let body = Body::from_stream(broken);
        assert_eq!(read(&HeaderMap::new(), body, 10).await, Err(BodyError::Broken));
    }

    #[test]
    fn media_type_is_read_without_its_parameters() {
        assert_eq!(media_type("Application/JSON; charset=utf-8"), "application/json");
        assert_eq!(media_type(""), "");
    }
}
