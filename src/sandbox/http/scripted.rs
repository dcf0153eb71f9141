//! A response body that follows a script: parts, pauses, and an end that comes too early.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Sleep, sleep};

/// One step of a script. The body ends after the last one, whatever length was promised.
#[derive(Debug)]
pub enum Step {
    Send(Bytes),
    /// Lets the server write out what it holds.
    Flush,
    Wait(Duration),
    /// Fails, so that the server closes the connection.
    Break,
}

/// A body made of steps.
pub fn body(steps: impl IntoIterator<Item = Step>) -> Body {
    Body::new(Scripted { steps: steps.into_iter().collect(), pause: None })
}

struct Scripted {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for Scripted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.steps.pop_front() {
                Some(Step::Send(part)) => return Poll::Ready(Some(Ok(Frame::data(part)))),
                Some(Step::Wait(duration)) => self.pause = Some(Box::pin(sleep(duration))),
                Some(Step::Break) => return Poll::Ready(Some(Err(io::Error::other("a fault")))),
                Some(Step::Flush) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => return Poll::Ready(None),
            }
        }
    }
}
