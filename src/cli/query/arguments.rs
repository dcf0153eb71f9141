//! The arguments of `countersign query`.

use clap::Args;

const MORE: &str = "\
Environment:
  COUNTERSIGN_URL       URL of the gateway (default: http://127.0.0.1:8080)
  COUNTERSIGN_KEY       Caller's key, csk_…; there is no option for it, since other users can see a program's arguments
  COUNTERSIGN_KEY_FILE  File that holds the key, instead of COUNTERSIGN_KEY

Exit codes:
  0    the complete answer was printed
  1    the question was refused, or another error occurred
  2    invalid options
  3    an incomplete answer was printed; standard error says what is missing and why
  69   the gateway or X is unavailable; try again later
  78   the URL or the key is missing or malformed
  130  interrupted by Ctrl-C";

#[derive(Args)]
#[command(after_help = MORE)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct Arguments {
    /// Post ids or URLs, separated by commas or spaces; @FILE reads them from a file, - from standard input
    #[arg(long, value_name = "IDS", required_unless_present = "posts_of", num_args = 1..)]
    pub(super) tweets: Vec<String>,
    #[arg(long, value_name = "ACCOUNTS", num_args = 1.., conflicts_with = "tweets", help = "Instead of posts, the accounts that wrote them (user ids or @screen_names); needs --last, --written or both")]
    pub(super) posts_of: Vec<String>,
    /// Only the newest N posts of each account, at most 3200
    #[arg(long, value_name = "N", requires = "posts_of")]
    pub(super) last: Option<usize>,
    /// Only posts written in this period: START..END, or the last days or hours, such as 7d
    #[arg(long, value_name = "PERIOD", requires = "posts_of")]
    pub(super) written: Option<String>,
    /// Engagement types, such as impressions,favorites
    #[arg(long, value_name = "NAMES", required = true, num_args = 1..)]
    pub(super) metrics: Vec<String>,
    /// Period: totals, 28hr, START..END, each a time such as 2026-01-31T13:00:00Z or a date, meaning its first hour, or the
    /// last whole hours, such as 28d or 36h
    #[arg(long, default_value = "totals")]
    pub(super) window: String,
    /// How to nest the answer: tweet.id, engagement.type, engagement.day, engagement.hour (up to three times)
    #[arg(long, value_name = "[NAME=]LEVELS")]
    pub(super) group_by: Vec<String>,
    #[arg(long, value_name = "ACCOUNTS", num_args = 1.., help = "Only use the tokens of these accounts (user ids or @screen_names)")]
    pub(super) accounts: Vec<String>,
    /// Only print the COUNT posts that lead by a metric, such as impressions:10
    #[arg(long, value_name = "METRIC:COUNT")]
    pub(super) top: Option<String>,
    /// Maximum time for the answer, such as 20s; the gateway has a limit of its own
    #[arg(long, value_name = "DURATION")]
    pub(super) deadline: Option<String>,
    /// Print CSV for programs: one row per number. A spreadsheet program would cut the last digits off ids
    #[arg(long, conflicts_with_all = ["spreadsheet", "ndjson", "plan"])]
    pub(super) csv: bool,
    #[arg(long, conflicts_with_all = ["ndjson", "plan"], help = "Print CSV for Excel, LibreOffice and Google Sheets: one column per metric, posts as URLs")]
    pub(super) spreadsheet: bool,
    /// Print one JSON object per line for each number as it arrives, then one that says what is missing
    #[arg(long, conflicts_with = "plan")]
    pub(super) ndjson: bool,
    /// Print the calls that the query would make, without making them
    #[arg(long)]
    pub(super) plan: bool,
    #[arg(long, help = "URL of the gateway; overrides COUNTERSIGN_URL")]
    pub(super) url: Option<String>,
}
