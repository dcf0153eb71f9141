//! Bodies that are written as their caller reads them, piece by piece, so that no answer waits as text.

use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use hyper::body::{Frame, SizeHint};

use crate::gateway::{Held, JsonText};
use crate::web::negotiation::Packer;
use crate::wire::spreadsheet::SpreadsheetText;
use crate::wire::table::CsvText;

/// Bytes written at a time, before compression.
pub(crate) const PIECE: usize = 32 * 1024;

/// The part of an answer's text that is still to be written.
pub(crate) enum Text {
    Json(JsonText),
    Csv(CsvText),
    Spreadsheet(SpreadsheetText),
}

impl Text {
    fn left(&self) -> usize {
        match self {
            Text::Json(text) => text.left(),
            Text::Csv(text) => text.left(),
            Text::Spreadsheet(text) => text.left(),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Text::Json(text) => text.write(out, PIECE),
            Text::Csv(text) => text.write(out, PIECE),
            Text::Spreadsheet(text) => text.write(out, PIECE),
        }
    }
}

/// The memory that a body occupies, which shrinks as the body is written.
pub(crate) struct Memory {
    pub(crate) held: Held,
    /// The part taken by its numbers, in bytes.
    pub(crate) numbers: usize,
}

/// A body of `text`. A short one is written at once, so that its length is known.
pub(crate) fn body(mut text: Text, gzipped: bool, memory: Memory) -> Body {
    let (all, mut packer) = (text.left(), Packer::new(gzipped));
    let mut first = Vec::with_capacity(PIECE);
    if !text.write(&mut first) {
        return packer.finish(first).into();
    }
    let first = packer.pack(first);
    let beside = memory.held.bytes().saturating_sub(memory.numbers);
    let pause = Pause::default();
    Body::new(Pieces { first, text: Some(text), packer, memory, all, beside, pause })
}

struct Pieces {
    /// The piece that was written when the body was created.
    first: Bytes,
    /// `None` at the end.
    text: Option<Text>,
    packer: Packer,
    memory: Memory,
    /// How many numbers there were at first.
    all: usize,
    /// Memory held besides the numbers, in bytes.
    beside: usize,
    pause: Pause,
}

impl Pieces {
    /// The next piece, which may be empty while the packer gathers.
    fn next(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        let text = self.text.as_mut()?;
        let mut plain = Vec::with_capacity(PIECE);
        let is_more = text.write(&mut plain);
        let numbers = self.memory.numbers / self.all.max(1) * text.left();
        self.memory.held.shrink_to(self.beside + numbers);
        if is_more {
            return Some(self.packer.pack(plain));
        }
        self.text = None;
        Some(self.packer.finish(plain))
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.pause.poll(context));
        match self.next() {
            Some(piece) if piece.is_empty() => self.pause.poll(context).map(|()| None),
            piece => Poll::Ready(piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }
}

/// A pause after each piece, in which the thread's other calls go on.
#[derive(Default)]
pub(crate) struct Pause {
    is_due: bool,
}

impl Pause {
    /// Pending every second time, with an immediate wake-up.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.is_due = !self.is_due;
        if self.is_due {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// The body of a gzipped answer, unpacked as it is read. The answer was unpacked once, so this does not fail.
pub(crate) fn unpacked(wire: Bytes, length: usize) -> Body {
    Body::new(Unpacking { decoder: MultiGzDecoder::new(wire.reader()), left: length })
}

struct Unpacking {
    decoder: MultiGzDecoder<bytes::buf::Reader<Bytes>>,
    left: usize,
}

impl hyper::body::Body for Unpacking {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = Vec::with_capacity(PIECE.min(self.left));
        let read = self.decoder.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        self.left = self.left.saturating_sub(piece.len());
        Poll::Ready(Some(read.map(|_| Frame::data(piece.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// A body that is compressed as it is read.
pub(crate) fn packed(plain: Bytes) -> Body {
    Body::new(Packing { plain, packer: Some(Packer::new(true)) })
}

struct Packing {
    plain: Bytes,
    /// `None` at the end.
    packer: Option<Packer>,
}

impl hyper::body::Body for Packing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        while let Some(packer) = &mut this.packer {
            let piece = this.plain.split_to(PIECE.min(this.plain.len()));
            let packed = if this.plain.is_empty() {
                let packed = packer.finish(piece.into());
                this.packer = None;
                packed
            } else {
                packer.pack(piece.into())
            };
            if !packed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(packed))));
            }
        }
        Poll::Ready(None)
    }
}
