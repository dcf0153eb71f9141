//! What `countersign query` is told.

use clap::Args;

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

#[derive(Args)]
#[command(after_help = MORE)]
pub(in crate::cli) struct Arguments {
    /// Post ids or posts' URLs, with commas or spaces between; @FILE for those in a file, - for standard input
    #[arg(long, value_name = "IDS", required = true, num_args = 1..)]
    pub(super) tweets: Vec<String>,
    /// Engagement types, such as impressions,favorites
    #[arg(long, value_name = "NAMES", required = true, num_args = 1..)]
    pub(super) metrics: Vec<String>,
    /// totals, 28hr, or START..END, each a date or a time such as 2026-01-31T13:00:00Z; a date means its first hour
    #[arg(long, default_value = "totals")]
    pub(super) window: String,
    /// How to nest the answer: tweet.id, engagement.type, engagement.day and engagement.hour with commas between; up to three
    #[arg(long, value_name = "[NAME=]LEVELS")]
    pub(super) group_by: Vec<String>,
    #[arg(long, value_name = "ACCOUNTS", num_args = 1.., help = "User ids or @screen_names whose tokens alone may be tried")]
    pub(super) accounts: Vec<String>,
    /// The longest that the gateway may take, such as 20s; it has a limit of its own
    #[arg(long, value_name = "DURATION")]
    pub(super) deadline: Option<String>,
    /// Print comma-separated values
    #[arg(long, conflicts_with_all = ["ndjson", "plan"])]
    pub(super) csv: bool,
    /// Print a JSON object a line for each number, as they come, and then one that says what is missing
    #[arg(long, conflicts_with = "plan")]
    pub(super) ndjson: bool,
    /// Print the calls that it would take, and make none
    #[arg(long)]
    pub(super) plan: bool,
    #[arg(long, help = "Where the gateway is, instead of COUNTERSIGN_URL")]
    pub(super) url: Option<String>,
}
