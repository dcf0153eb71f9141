//! The audit log as lines of JSON, sent as they are read, page by page: it is never in memory as a whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, channel};

use crate::gateway::{AuditFilter, Error, Gateway};
use crate::model::audit;
use crate::web::problem::Problem;
use crate::wire::audit::Entry;

pub(crate) const TYPE: &str = "application/x-ndjson";
pub(crate) const NO_FORM: &str =
    "Accept rules out application/json and application/x-ndjson; allow one of them";
const ROWS: u32 = 1000;

/// All matching entries. An error on the first page is still reported by the status.
pub(crate) async fn audit(gateway: Gateway, filter: AuditFilter) -> Result<Response, Problem> {
    let mut filter = AuditFilter { limit: ROWS, ..filter };
    let mut entries = gateway.list_audit(&filter).await?;
    let (to, pages) = channel(1);
    tokio::spawn(async move {
        loop {
            filter.past = entries.last().map(|entry| entry.id);
            let is_last = entries.len() < ROWS as usize;
            // Nobody reads on when the client has hung up.
            if to.send(lines(entries)).await.is_err() || is_last {
                break;
            }
            entries = match gateway.list_audit(&filter).await {
                Ok(entries) => entries,
                Err(error) => {
                    // Cuts the answer short, which the client notices: the last chunk never comes.
                    drop(to.send(Err(error)).await);
                    break;
                }
            };
        }
    });
    Ok(([(CONTENT_TYPE, TYPE)], Body::new(Pages(pages))).into_response())
}

fn lines(entries: Vec<audit::Entry>) -> Result<Bytes, Error> {
    let mut text = Vec::new();
    for it in entries {
        serde_json::to_writer(&mut text, &Entry::from(it))
            .map_err(|error| Error::Internal(error.into()))?;
        text.push(b'\n');
    }
    Ok(text.into())
}

struct Pages(Receiver<Result<Bytes, Error>>);

impl hyper::body::Body for Pages {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(context).map(|lines| lines.map(|sent| sent.map(Frame::data)))
    }
}
