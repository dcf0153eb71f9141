//! `countersign query`: one question of any size to a running gateway.

pub(super) mod arguments;
mod progress;
mod read;
mod summary;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use serde_json::Value;

use crate::cli::assemble;
use crate::cli::failure::Failure;
use crate::cli::output::{self, plain};
use crate::cli::query::arguments::Arguments;
use crate::cli::query::progress::Progress;
use crate::client::{Client, Form, Posts};
use crate::config;

/// How far beyond its deadline an answer may be before the gateway counts as unresponsive.
const GRACE: Duration = Duration::from_secs(1);
/// The longest silence without a deadline. The gateway's own limit, which is not known here, is normally shorter.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let request = read::request(arguments)?;
    let settings = config::load_client(arguments.url.as_deref())?;
    let patience = request.deadline.map_or(PATIENCE, |deadline| deadline.saturating_mul(2) + GRACE);
    let client = Client::new(&settings, patience)?;
    // A second worker, since a slow reader of standard output blocks the first.
    assemble::runtime(2)?.block_on(async {
        if arguments.plan {
            let plan = client.plan(&request.question).await?;
            return write(&readable(plan)).map(drop);
        }
        let form = match arguments {
            Arguments { csv: true, .. } => Form::Csv,
            Arguments { spreadsheet: true, .. } => Form::Spreadsheet,
            Arguments { ndjson: true, .. } => Form::Ndjson,
            _ => Form::Json,
        };
        ask(&client, &request, form).await
    })
}

async fn ask(client: &Client, request: &read::Request, form: Form) -> Result<(), Failure> {
    let progress = Progress::start(posts(&request.question.posts), request.deadline);
    let mut answer = client.ask(&request.question, form, request.deadline).await?;
    let shows_itself = std::io::stdout().is_terminal();
    while let Some(piece) = answer.next().await? {
        if form != Form::Ndjson || shows_itself {
            progress.end();
        }
        let piece = if form == Form::Json { readable(piece) } else { piece };
        if !write(&piece)? {
            return Ok(());
        }
        progress.received(answer.numbers());
    }
    progress.end();
    let report = answer.report()?;
    for note in &report.notes {
        output::note(&plain(note));
    }
    if report.complete {
        return Ok(());
    }
    let missing = summary::lines(&report.missing);
    Err(Failure::incomplete(anyhow!("the answer is incomplete; missing:\n{missing}")))
}

/// What a question is about, in words.
fn posts(posts: &Posts) -> String {
    match posts {
        Posts::Named(ids) => output::count(ids.len(), "post", "posts"),
        Posts::Of { accounts, .. } => {
            format!("the posts of {}", output::count(accounts.len(), "account", "accounts"))
        }
    }
}

/// JSON on one line, or indented for a terminal.
fn readable(mut json: Vec<u8>) -> Vec<u8> {
    if std::io::stdout().is_terminal()
        && let Ok(value) = serde_json::from_slice::<Value>(&json)
        && let Ok(wide) = serde_json::to_vec_pretty(&value)
    {
        json = wide;
    }
    json.push(b'\n');
    json
}

/// Writes a piece; returns whether the reader is still there. A full disk is a failure, since half a result would look
/// like a whole one.
fn write(piece: &[u8]) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(piece).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::general(anyhow!("cannot write the result: {error}"))),
    }
}
