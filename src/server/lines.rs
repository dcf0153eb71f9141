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
use tokio::task::{JoinError, JoinHandle, JoinSet};

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
    let mut out = Out::new(gzipped);
    let rest = if let Some(first) = parts.recv().await {
        out.part(&first)?;
        Rest::Asked(asking)
    } else {
        let answered = joined(asking.join_next().await)?;
        let out = std::mem::replace(&mut out, Out::new(false));
        let written = tokio::task::spawn_blocking(move || out.last(answered)).await;
        Rest::Written(written.map_err(|it| Error::Internal(it.into()))??)
    };
    Ok(Body::new(Lines { parts, out, rest }).into_response())
}

/// Dropped when the client hangs up, which ends the asking.
struct Lines {
    parts: UnboundedReceiver<Merge>,
    out: Out,
    rest: Rest,
}

/// What comes after the posts.
enum Rest {
    /// The answer is not there yet.
    Asked(JoinSet<Result<Answered, Error>>),
    /// It may have megabytes: other calls go on meanwhile.
    Writing(JoinHandle<Result<Bytes, Error>>),
    Written(Bytes),
    Sent,
}

impl Lines {
    /// Gathers posts until there is a frame's worth, nothing more for now (`Pending` if there is nothing at all), or
    /// none will come any more.
    fn poll_parts(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.out.gathered.len() < FRAME {
            match self.parts.poll_recv(context) {
                Poll::Ready(Some(part)) => self.out.part(&part)?,
                Poll::Pending if self.out.gathered.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            match &mut self.rest {
                Rest::Asked(asking) => {
                    let answered = joined(ready!(asking.poll_join_next(context)))?;
                    let out = std::mem::replace(&mut self.out, Out::new(false));
                    let writing = tokio::task::spawn_blocking(move || out.last(answered));
                    self.rest = Rest::Writing(writing);
                }
                Rest::Writing(writing) => {
                    let written = ready!(Pin::new(writing).poll(context));
                    let written = written.map_err(|it| Error::Internal(it.into()))?;
                    self.rest = Rest::Written(written?);
                }
                Rest::Written(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.rest = Rest::Sent;
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Rest::Sent => return Poll::Ready(Ok(None)),
            }
        }
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
        if let Err(error) = ready!(self.poll_parts(context)) {
            return Poll::Ready(Some(Err(error)));
        }
        if !self.out.gathered.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.out.frame()))));
        }
        let rest = ready!(self.poll_rest(context)).transpose();
        Poll::Ready(rest.map(|it| it.map(Frame::data)))
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

const NEVER_FAILS: &str = "writing to memory does not fail";

impl Out {
    fn new(gzipped: bool) -> Out {
        let gzip = gzipped.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Out { gathered: Vec::new(), gzip }
    }

    fn part(&mut self, part: &Merge) -> Result<(), Error> {
        table::lines(part, &mut self.gathered).map_err(|it| Error::Internal(it.into()))
    }

    /// Flushed, so that what is there can be read at once.
    fn frame(&mut self) -> Bytes {
        let plain = std::mem::take(&mut self.gathered);
        let Some(gzip) = &mut self.gzip else { return plain.into() };
        gzip.write_all(&plain).and_then(|()| gzip.flush()).expect(NEVER_FAILS);
        std::mem::take(gzip.get_mut()).into()
    }

    /// The other groupings' numbers, the last line, and the end of it all.
    fn last(mut self, answered: Answered) -> Result<Bytes, Error> {
        self.part(&answered.merged)?;
        let report = Report::of(&answered.lookups, &answered.calls, &answered.missing);
        let line = LastLine { countersign: report, remarks: &answered.merged.into_remarks() };
        serde_json::to_writer(&mut self.gathered, &line)
            .map_err(|it| Error::Internal(it.into()))?;
        self.gathered.push(b'\n');
        let Some(mut gzip) = self.gzip else { return Ok(self.gathered.into()) };
        let written = gzip.write_all(&self.gathered).and_then(|()| gzip.finish());
        Ok(written.expect(NEVER_FAILS).into())
    }
}
