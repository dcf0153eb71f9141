//! An answer to a question as lines of JSON, sent while it is put together: each post's numbers as soon as no call is
//! left that asks for them, the other groupings' at the end, and then what the gateway says of it all.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Frame;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinError, JoinSet};

use crate::gateway::{Answered, Caller, Error, Gateway, Merge};
use crate::server::problem::Problem;
use crate::server::wire::question::{LastLine, Report};
use crate::server::wire::table;

/// When to send what has gathered.
const FRAME: usize = 32 * 1024;

/// The status waits for the first post or the end, since nothing may be had at all.
pub(super) async fn stream(
    gateway: Gateway,
    caller: Caller,
    body: Bytes,
    deadline: Duration,
    gzipped: bool,
) -> Result<Response, Problem> {
    let (to, mut parts) = unbounded_channel();
    let mut asking = JoinSet::new();
    asking.spawn(async move { gateway.answer_question(&caller, &body, deadline, Some(to)).await });
    let first = parts.recv().await;
    let answered = match &first {
        Some(_) => None,
        None => Some(joined(asking.join_next().await)?),
    };
    let lines = Lines { first, parts, asking, answered, out: Out::new(gzipped), has_ended: false };
    Ok(Body::new(lines).into_response())
}

/// Dropped when the client hangs up, which ends the asking.
struct Lines {
    first: Option<Merge>,
    parts: UnboundedReceiver<Merge>,
    asking: JoinSet<Result<Answered, Error>>,
    answered: Option<Answered>,
    out: Out,
    has_ended: bool,
}

impl Lines {
    /// Writes until there is a frame's worth, nothing more for now, or the end.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.has_ended && self.out.gathered.len() < FRAME {
            if let Some(part) = self.first.take() {
                self.out.part(&part)?;
                continue;
            }
            match self.parts.poll_recv(context) {
                Poll::Ready(Some(part)) => self.out.part(&part)?,
                Poll::Ready(None) => {
                    let answered = match self.answered.take() {
                        Some(answered) => answered,
                        None => joined(ready!(self.asking.poll_join_next(context)))?,
                    };
                    self.out.last(answered)?;
                    self.has_ended = true;
                }
                Poll::Pending if self.out.gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    /// Cuts the answer short: its last line does not come.
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let frame = ready!(self.poll_write(context)).map(|()| {
            let is_last = self.has_ended;
            Frame::data(self.out.frame(is_last))
        });
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended && self.out.gathered.is_empty()
    }
}

fn joined(ended: Option<Result<Result<Answered, Error>, JoinError>>) -> Result<Answered, Error> {
    match ended {
        Some(Ok(answered)) => answered,
        Some(Err(error)) => Err(Error::Internal(error.into())),
        None => Err(Error::Internal("the answer was taken before".into())),
    }
}

/// What has gathered for the next frame.
struct Out {
    gathered: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Out {
    fn new(gzipped: bool) -> Out {
        let gzip = gzipped.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Out { gathered: Vec::new(), gzip }
    }

    fn part(&mut self, part: &Merge) -> Result<(), Error> {
        table::lines(part, &mut self.gathered).map_err(|it| Error::Internal(it.into()))
    }

    fn last(&mut self, answered: Answered) -> Result<(), Error> {
        self.part(&answered.merged)?;
        let report = Report::of(&answered.lookups, &answered.calls, &answered.missing);
        let line = LastLine { countersign: report, remarks: &answered.merged.into_remarks() };
        serde_json::to_writer(&mut self.gathered, &line)
            .map_err(|it| Error::Internal(it.into()))?;
        self.gathered.push(b'\n');
        Ok(())
    }

    fn frame(&mut self, is_last: bool) -> Bytes {
        let plain = std::mem::take(&mut self.gathered);
        let Some(gzip) = &mut self.gzip else { return plain.into() };
        // Flushed, so that what is there can be read at once.
        let written = gzip
            .write_all(&plain)
            .and_then(|()| if is_last { gzip.try_finish() } else { gzip.flush() });
        written.expect("writing to memory does not fail");
        std::mem::take(gzip.get_mut()).into()
    }
}
