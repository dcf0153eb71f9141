//! A connection with timeouts: a request's head must arrive in time, an idle connection ends, and a client that does
//! not read its answer, or reads it too slowly, is dropped. Bytes that still arrive after the last answer are read and
//! thrown away for a while, since closing with bytes unread resets the connection and may destroy that answer. One
//! timer per connection serves all four.
//!
//! hyper has one timer for head and idleness; a load balancer needs the second to be much longer than the first.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::config::Limits;

/// Nothing has arrived yet.
const NEW: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;
const IDLE: u8 = 3;

/// Bytes that are read and thrown away after the last answer: more than the largest body accepted by default.
const DISCARDED_BYTES: usize = 4 << 20;

/// How far a connection's request has come, shared with the service that answers it.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

impl Progress {
    /// Notes that a whole head was read.
    pub(crate) fn begin(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// Notes that the answer is on its way, and that the next head may arrive.
    pub(crate) fn finish(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    /// Whether part of a head has arrived.
    pub(crate) fn is_in_head(&self) -> bool {
        self.get() == HEAD
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn head_begins(&self) {
        self.0.store(HEAD, Ordering::Relaxed);
    }
}

pub(crate) struct Paced {
    stream: TcpStream,
    progress: Progress,
    head: Duration,
    idle: Duration,
    discard: Duration,
    patience: Patience,
    /// When the timer was last started.
    waiting_since: Instant,
    timer: Pin<Box<Sleep>>,
    waiting: Waiting,
    /// Bytes thrown away after the last answer; `None` before.
    discarded: Option<usize>,
}

/// What the timer runs for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Waiting {
    Nothing,
    Head,
    Idle,
    Write,
    Discard,
}

/// How much longer a client may leave its answer unread: `most` at first, and what it reads earns it more time.
struct Patience {
    left: Duration,
    most: Duration,
    /// Bytes per second.
    rate: u32,
}

impl Patience {
    fn new(limits: &Limits) -> Patience {
        let rate = u32::try_from(limits.read_rate).unwrap_or(u32::MAX);
        Patience { left: limits.write_idle, most: limits.write_idle, rate }
    }

    /// Takes off the time that the client waited, and adds what it earned by then reading `bytes`.
    fn spend(&mut self, waited: Duration, bytes: usize) {
        let earned = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / self.rate;
        self.left = (self.left.saturating_sub(waited) + earned).min(self.most);
    }

    fn renew(&mut self) {
        self.left = self.most;
    }
}

impl Paced {
    pub(crate) fn new(stream: TcpStream, limits: &Limits, progress: Progress) -> Paced {
        Paced {
            stream,
            progress,
            head: limits.header_timeout,
            idle: limits.keep_alive,
            discard: limits.body_idle,
            patience: Patience::new(limits),
            waiting_since: tokio_now(),
            timer: Box::pin(sleep(limits.header_timeout)),
            waiting: Waiting::Head,
            discarded: None,
        }
    }

    /// Shortens the time that a head may take, from now.
    pub(crate) fn hurry(&mut self, most: Duration) {
        self.head = self.head.min(most);
        self.waiting = Waiting::Nothing;
    }

    /// Runs the timer for `what`, from now unless it runs for that already; an error when it expires.
    fn wait(&mut self, what: Waiting, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.waiting != what {
            let allowed = match what {
                Waiting::Nothing => return Poll::Pending,
                Waiting::Head => self.head,
                Waiting::Idle => self.idle,
                Waiting::Write => self.patience.left,
                Waiting::Discard => self.discard,
            };
            let now = tokio_now();
            self.waiting_since = now;
            self.timer.as_mut().reset(now + allowed);
            self.waiting = what;
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(ErrorKind::TimedOut.into())
    }

    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            return self.wait(Waiting::Write, context).map(Err);
        }
        if let (Waiting::Write, Poll::Ready(Ok(count))) = (self.waiting, &written) {
            let waited = tokio_now().saturating_duration_since(self.waiting_since);
            self.patience.spend(waited, *count);
        }
        // An answer that is sent while it is put together is not idle between its parts.
        if matches!(self.waiting, Waiting::Write | Waiting::Idle) {
            self.waiting = Waiting::Nothing;
        }
        written
    }

    /// Reads on until the client closes or its time is up; ends at once if no request is unread.
    fn discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut discarded = self.discarded.unwrap_or_default();
        while discarded < DISCARDED_BYTES {
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    discarded += buffer.filled().len();
                    self.discarded = Some(discarded);
                }
                Poll::Pending if matches!(self.progress.get(), HEAD | BUSY) => {
                    return self.wait(Waiting::Discard, context).map(drop);
                }
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a socket's timer runs on the runtime's own clock")]
fn tokio_now() -> Instant {
    Instant::now()
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match (self.progress.get(), read.is_pending()) {
            (BUSY, _) if self.waiting == Waiting::Head => self.waiting = Waiting::Nothing,
            (NEW | HEAD, true) => return self.wait(Waiting::Head, context).map(Err),
            (IDLE, true) if self.waiting != Waiting::Write => {
                return self.wait(Waiting::Idle, context).map(Err);
            }
            (NEW, false) if buffer.filled().len() > before => self.progress.head_begins(),
            (IDLE, false) if buffer.filled().len() > before => {
                self.progress.head_begins();
                self.patience.renew();
                // That wait is over; another of the same kind may begin before any other does.
                if self.waiting != Waiting::Write {
                    self.waiting = Waiting::Nothing;
                }
            }
            _ => (),
        }
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        // hyper does not read again after an answer if it found nothing to read before, so the timer starts here.
        let is_idle = self.progress.get() == IDLE && self.waiting != Waiting::Write;
        if is_idle && self.wait(Waiting::Idle, context).is_ready() {
            context.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.discarded.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.discarded = Some(0);
        }
        self.discard(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of reads of `bytes`, with a pause before each, after which a client is dropped.
    fn dropped_after(bytes: usize, pause: Duration) -> Option<usize> {
        let most = Duration::from_secs(15);
        let mut patience = Patience { left: most, most, rate: 64 << 10 };
        (1..10_000).find(|_| {
            let is_over = pause >= patience.left;
            patience.spend(pause, bytes);
            is_over
        })
    }

    #[test]
    fn whoever_reads_too_slowly_is_dropped() {
        assert_eq!(dropped_after(4 << 10, Duration::from_secs(5)), Some(4));
        assert_eq!(dropped_after(0, Duration::from_secs(15)), Some(1));
        // At the lowest rate a client keeps its answer, however long its pauses, up to the longest allowed.
        assert_eq!(dropped_after(64 << 10, Duration::from_secs(1)), None);
        assert_eq!(dropped_after(10 * (64 << 10), Duration::from_secs(10)), None);
        assert_eq!(dropped_after(64 << 10, Duration::from_millis(1100)), Some(140));
        // Nothing is saved up beyond the first pause.
        let mut patience =
            Patience { left: Duration::ZERO, most: Duration::from_secs(15), rate: 1 };
        patience.spend(Duration::ZERO, usize::MAX);
        assert_eq!(patience.left, Duration::from_secs(15));
    }
}
