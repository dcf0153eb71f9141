//! An answer as lines of JSON, sent while it is put together: each post's numbers as soon as no pending call fetches
//! any more of them, the other groupings' at the end, and then the gateway's report.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinError, JoinSet};

use crate::gateway::{Answered, Caller, Deadline, Error, Gateway, Held, Merge, Received, Walk};
use crate::web::negotiation::Packer;
use crate::web::problem::Problem;
use crate::web::streaming::{PIECE, Pause};
use crate::wire::question::{LastLine, PageReport, Report};
use crate::wire::table;

/// The status waits for the first post or the end, since there may be no results at all.
pub(crate) async fn stream(
    gateway: Gateway,
    caller: Caller,
    received: Received,
    deadline: Deadline,
    gzipped: bool,
) -> Result<Response, Problem> {
    let (to, mut parts) = channel(1);
    let is_page = caller.token.is_some();
    let mut asking = JoinSet::new();
    asking
        .spawn(async move { gateway.answer_question(&caller, received, deadline, Some(to)).await });
    let first = parts.recv().await;
    let mut lines = Lines {
        parts,
        walk: None,
        gathered: Vec::new(),
        packer: Packer::new(gzipped),
        rest: Rest::Sent,
        pause: Pause::default(),
        held: None,
        is_page,
    };
    if let Some(first) = first {
        lines.walk = Some(first.into_walk().1);
        lines.rest = Rest::Asked(asking);
    } else {
        lines.end_with(joined(asking.join_next().await)?)?;
    }
    Ok(Body::new(lines).into_response())
}

/// The body of the answer. It is dropped when the client hangs up, which cancels the question.
struct Lines {
    parts: Receiver<Merge>,
    /// The numbers that are being written.
    walk: Option<Walk>,
    /// Lines for the next frame.
    gathered: Vec<u8>,
    packer: Packer,
    rest: Rest,
    pause: Pause,
    /// Set once the question is answered; until then, its task holds the memory.
    held: Option<Held>,
    is_page: bool,
}

/// What comes after the posts.
enum Rest {
    /// The question is still being answered.
    Asked(JoinSet<Result<Answered, Error>>),
    LastLine(Vec<u8>),
    Sent,
}

impl Lines {
    /// Queues the other groupings' numbers, and then the last line.
    fn end_with(&mut self, answered: Answered) -> Result<(), Error> {
        let Answered { merged, held, lookups, calls, missing, notes, posts_of, top } = answered;
        let (remarks, walk) = merged.into_walk();
        let line = if self.is_page {
            let countersign = PageReport::of(&lookups, &calls, &missing, notes);
            serde_json::to_vec(&LastLine { countersign, remarks: &remarks })
        } else {
            let countersign = Report::of(&lookups, &calls, &missing, (&posts_of, &top), notes);
            serde_json::to_vec(&LastLine { countersign, remarks: &remarks })
        };
        let mut line = line.map_err(|error| Error::Internal(error.into()))?;
        line.push(b'\n');
        (self.walk, self.rest, self.held) = (Some(walk), Rest::LastLine(line), Some(held));
        Ok(())
    }

    /// Gathers lines until there is a frame's worth or nothing more for now (`Pending` if there is nothing at all).
    /// `None` once everything was sent.
    fn poll_lines(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(walk) = &mut self.walk {
                if table::lines(walk, &mut self.gathered, PIECE) {
                    break;
                }
                self.walk = None;
            }
            match self.poll_more(context) {
                Poll::Ready(Ok(true)) => (),
                Poll::Ready(Ok(false)) if self.gathered.is_empty() => return Poll::Ready(None),
                Poll::Ready(Ok(false)) => {
                    let last = std::mem::take(&mut self.gathered);
                    return Poll::Ready(Some(Ok(self.packer.finish(last))));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending if self.gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        let gathered = std::mem::take(&mut self.gathered);
        Poll::Ready(Some(Ok(self.packer.pack_now(gathered))))
    }

    /// Fetches what to write next; false once the last line is gathered.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if let Some(part) = ready!(self.parts.poll_recv(context)) {
            self.walk = Some(part.into_walk().1);
            return Poll::Ready(Ok(true));
        }
        match &mut self.rest {
            Rest::Asked(asking) => {
                let answered = joined(ready!(asking.poll_join_next(context)))?;
                self.end_with(answered)?;
                Poll::Ready(Ok(true))
            }
            Rest::LastLine(line) => {
                self.gathered.append(line);
                self.rest = Rest::Sent;
                Poll::Ready(Ok(false))
            }
            Rest::Sent => Poll::Ready(Ok(false)),
        }
    }
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    /// Cuts the answer short: its last line is never sent.
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        ready!(self.pause.poll(context));
        self.poll_lines(context).map(|lines| lines.map(|sent| sent.map(Frame::data)))
    }
}

fn joined(ended: Option<Result<Result<Answered, Error>, JoinError>>) -> Result<Answered, Error> {
    match ended {
        Some(Ok(answered)) => answered,
        Some(Err(error)) => Err(Error::Internal(error.into())),
        None => Err(Error::Internal("the answer was taken before".into())),
    }
}
