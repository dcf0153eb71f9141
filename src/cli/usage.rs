//! `countersign usage`.

use std::path::Path;

use clap::Args;

use crate::cli::assemble::{self, open};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway;
use crate::gateway::CallNames;
use crate::wire::usage::{Usage, UsageLine, UsageQuery};

#[derive(Args)]
pub(super) struct Arguments {
    /// Start of the period: a date or a time, such as 2026-01-31 (default: thirty days before the end)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the period, exclusive (default: now)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// What to group by, separated by commas: hour, day, app, key, account, endpoint, auth, outcome
    #[arg(long, value_name = "NAMES", default_value = "day")]
    by: String,
    /// Only calls of this app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only calls with this key (id)
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only calls with this account's token (user id)
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { from, until, by, app, key, account, json } = arguments;
    let query = UsageQuery { from, until, by: Some(by), app, key, account };
    let (filter, month) = query.read(assemble::now()).map_err(gateway::Error::InvalidRequest)?;
    let deployment = open(config).await?;
    let mut report = deployment.gateway.get_usage_report(&filter, month).await?;
    let names = std::mem::take(&mut report.names);
    let mut usage = Usage::of(report, &filter);
    if json {
        output::json(&usage);
        return Ok(());
    }
    if filter.by.hours == 0 {
        usage.totals.sums.sort_by_key(|line| std::cmp::Reverse(line.calls));
    }
    let row = |line: &UsageLine| row(line, &names);
    let rows: Vec<[String; 6]> = usage.totals.sums.iter().map(row).collect();
    output::table(["TIME", "GROUP", "CALLS", "POSTS", "BYTES", "SAVED"], &rows);
    for used in &usage.accounts {
        let accounts = output::count(
            usize::try_from(used.accounts).unwrap_or(usize::MAX),
            "account",
            "accounts",
        );
        output::note(&format!("in {}, {} used {accounts}", used.month, used.app));
    }
    for gap in &usage.gaps {
        let known = if gap.lost_calls == 0 {
            String::new()
        } else {
            format!("at least {} calls", gap.lost_calls)
        };
        let killed = if gap.killed { "the last calls of a killed process" } else { "" };
        let missing: Vec<&str> =
            [&*known, killed].into_iter().filter(|part| !part.is_empty()).collect();
        output::note(&format!("not counted after {}: {}", gap.since, missing.join(", ")));
    }
    if usage.totals.truncated {
        output::note("there are more rows; choose a shorter period or fewer groups");
    }
    Ok(())
}

fn row(line: &UsageLine, names: &CallNames) -> [String; 6] {
    let key = line.key.as_ref().map(|id| names.keys.get(id).unwrap_or(id).clone());
    let described = |id: &String| {
        let mut accounts = names.accounts.iter().filter(|((app, user_id), _)| {
            user_id.to_string() == *id && line.app.as_ref().is_none_or(|of| of == app)
        });
        accounts.next().map_or_else(|| id.clone(), |(_, name)| format!("@{name} ({id})"))
    };
    let account =
        line.account.as_ref().map(|id| id.as_ref().map_or("no account".to_owned(), described));
    let words = [line.endpoint, line.auth, line.outcome].map(|word| word.map(str::to_owned));
    let group = [line.app.clone(), key, account].into_iter().chain(words).flatten();
    [
        line.at.clone().unwrap_or_else(|| "-".to_owned()),
        output::plain(&group.collect::<Vec<_>>().join(" ")),
        line.calls.to_string(),
        line.posts.to_string(),
        line.bytes.to_string(),
        line.saved.to_string(),
    ]
}
