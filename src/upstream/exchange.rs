//! Infrequent requests, whose answers are short and read whole.

use hyper::{HeaderMap, StatusCode};
use reqwest::header::CONTENT_ENCODING;
use zeroize::Zeroizing;

use crate::upstream::{Error, Upstream, body};

/// No answer of these endpoints comes near this.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// An answer's status, headers and body.
pub(super) type Whole = (StatusCode, HeaderMap, Zeroizing<Vec<u8>>);

impl Upstream {
    /// Sends an infrequent request and reads its whole answer.
    pub(super) async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Whole, Error> {
        self.ask_for(request, MAX_ANSWER_BYTES).await
    }

    /// The same for an answer of at most `most_bytes`.
    pub(super) async fn ask_for(
        &self,
        request: reqwest::RequestBuilder,
        most_bytes: usize,
    ) -> Result<Whole, Error> {
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.skew.observe(&headers, self.clock.now());
        let mut body = Zeroizing::new(Vec::with_capacity(1024));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > most_bytes {
                return Err(Error::TooLarge("no answer of this kind is as long"));
            }
            body.extend_from_slice(&chunk);
        }
        let body = decoded(&headers, body, most_bytes)?;
        Ok((status, headers, body))
    }
}

/// The body without its encoding, which nobody asked for.
fn decoded(
    headers: &HeaderMap,
    body: Zeroizing<Vec<u8>>,
    most_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if body::is_gzip(encoding) => body::inflate_short(&body, most_bytes),
        Some(encoding) if !body::is_plain(encoding) => {
            Err(Error::Odd("its encoding is neither gzip nor identity".to_owned()))
        }
        _ => Ok(body),
    }
}

fn unreachable(error: reqwest::Error) -> Error {
    if error.is_timeout() {
        Error::Timeout("a token or account request")
    } else if error.is_body() || error.is_decode() {
        Error::CutShort("the connection ended before the body was complete")
    } else {
        Error::of_connection(Box::new(error.without_url()))
    }
}
