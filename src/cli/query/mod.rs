//! `countersign query`: one question of any size to a running gateway.

mod progress;
mod read;
mod told;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use crate::cli::failure::Failure;
use crate::cli::parts;
use crate::cli::query::progress::Progress;
use crate::client::{Client, Form};
use crate::config;

const MORE: &str = "\
Environment:
  COUNTERSIGN_URL       Where the gateway is; http://127.0.0.1:8080 when nothing is said
  COUNTERSIGN_KEY       The caller's key, csk_…; no option takes it, since others see a program's arguments
  COUNTERSIGN_KEY_FILE  Or a file that holds it

Exit codes:
  0    the whole answer was printed
  1    the question was refused, or something else is wrong
  2    the options are not understood
  3    the answer was printed, but something is missing; what and why is on standard error
  69   the gateway or X cannot answer now; the same may work later
  78   the URL or the key is not set, or not in its form
  130  ended by Ctrl-C";

/// How long an answer may take beyond its deadline before the gateway counts as silent.
const GRACE: Duration = Duration::from_secs(1);
/// The longest silence where no deadline is named: the gateway's own limit, which is not known here, ends it before.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Args)]
#[command(after_help = MORE)]
pub(super) struct Arguments {
    /// Post ids or posts' URLs, with commas or spaces between; @FILE for those in a file, - for standard input
    #[arg(long, value_name = "IDS", required = true, num_args = 1..)]
    tweets: Vec<String>,
    /// Engagement types, such as impressions,favorites
    #[arg(long, value_name = "NAMES", required = true, num_args = 1..)]
    metrics: Vec<String>,
    /// totals, 28hr, or START..END, each a date or a time such as 2026-01-31T13:00:00Z; a date means its first hour
    #[arg(long, default_value = "totals")]
    window: String,
    /// How to nest the answer: tweet.id, engagement.type, engagement.day and engagement.hour with commas between; up to three
    #[arg(long, value_name = "[NAME=]LEVELS")]
    group_by: Vec<String>,
    #[arg(long, value_name = "ACCOUNTS", num_args = 1.., help = "User ids or @screen_names whose tokens alone may be tried")]
    accounts: Vec<String>,
    /// The longest that the gateway may take, such as 20s; it has a limit of its own
    #[arg(long, value_name = "DURATION")]
    deadline: Option<String>,
    /// Print comma-separated values
    #[arg(long, conflicts_with_all = ["ndjson", "plan"])]
    csv: bool,
    /// Print a JSON object a line for each number, as they come, and then one that says what is missing
    #[arg(long, conflicts_with = "plan")]
    ndjson: bool,
    /// Print the calls that it would take, and make none
    #[arg(long)]
    plan: bool,
    #[arg(long, help = "Where the gateway is, instead of COUNTERSIGN_URL")]
    url: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let asked = read::asked(arguments)?;
    let settings = config::load_client(arguments.url.as_deref())?;
    let patience = asked.deadline.map_or(PATIENCE, |it| it.saturating_mul(2) + GRACE);
    let client = Client::new(&settings, patience)?;
    // One worker more, since writing to a reader that waits holds up the first.
    parts::runtime(2)?.block_on(async {
        if arguments.plan {
            let plan = client.plan(&asked.question).await?;
            return write(&readable(plan)).map(drop);
        }
        let form = match (arguments.csv, arguments.ndjson) {
            (true, _) => Form::Csv,
            (_, true) => Form::Ndjson,
            _ => Form::Json,
        };
        ask(&client, &asked, form).await
    })
}

async fn ask(client: &Client, asked: &read::Asked, form: Form) -> Result<(), Failure> {
    let progress = Progress::start(asked.question.tweet_ids.len(), asked.deadline);
    let mut answer = client.ask(&asked.question, form, asked.deadline).await?;
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
    if report.complete {
        return Ok(());
    }
    let told = told::lines(&report.missing);
    Err(Failure::incomplete(anyhow!("the answer is not complete\n{told}")))
}

/// JSON as a line, or for a person with room between.
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

/// Whether anybody still reads. A full disk is a failure, since half a result would look like a whole one.
fn write(piece: &[u8]) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(piece).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::general(anyhow!("the result cannot be written: {error}"))),
    }
}
