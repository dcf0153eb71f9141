//! The part of a request's body that a handler leaves unread. An answer that is sent before the body has ended has to
//! say that the connection closes, or the next request on it is lost.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

/// How many times to check what has arrived; each time hyper reads once.
const READS: usize = 8;

/// Where a connection finds the body of its current request again; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Unread(Arc<Mutex<Option<Left>>>);

/// A body that was dropped before its end.
struct Left {
    body: Incoming,
    /// False if reading would tell the client to send it, and after a framing error.
    can_be_read: bool,
}

impl Unread {
    /// The body for a handler, which comes back here when it is dropped.
    pub(crate) fn lend(&self, headers: &HeaderMap, body: Incoming) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let left = Left { body, can_be_read: !headers.contains_key(EXPECT) };
        Body::new(Lent { left: Some(left), home: self.clone() })
    }

    /// Throws away what has arrived by now of the body, and returns whether more is still to come.
    pub(crate) async fn is_to_come(&self) -> bool {
        let Some(Left { mut body, can_be_read }) = self.lock().take() else { return false };
        if !can_be_read {
            return true;
        }
        for _ in 0..READS {
            let frame = poll_fn(|context| Poll::Ready(Pin::new(&mut body).poll_frame(context)));
            match frame.await {
                Poll::Ready(None) => return false,
                Poll::Ready(Some(Err(_))) => return true,
                Poll::Ready(Some(Ok(_))) if body.is_end_stream() => return false,
                Poll::Ready(Some(Ok(_))) => (),
                // hyper reads more of a body only between two polls of its service.
                Poll::Pending => tokio::task::yield_now().await,
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Option<Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body on loan to a handler.
struct Lent {
    /// `None` once it was read to its end.
    left: Option<Left>,
    home: Unread,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(left) = &mut self.left else { return Poll::Ready(None) };
        let polled = Pin::new(&mut left.body).poll_frame(context);
        left.can_be_read = !matches!(polled, Poll::Ready(Some(Err(_))));
        if left.body.is_end_stream() || matches!(polled, Poll::Ready(None)) {
            self.left = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.as_ref().map_or_else(|| SizeHint::with_exact(0), |left| left.body.size_hint())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(left) = self.left.take() {
            *self.home.lock() = Some(left);
        }
    }
}
