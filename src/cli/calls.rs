//! `countersign calls`.

use std::path::Path;

use clap::{Args, value_parser};

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::parts::open;
use crate::cli::parts::{account_ref, first};
use crate::gateway::{self, CallFilter, CallNames};
use crate::model::call::{Call, ended};
use crate::wire::call as wire;
use crate::wire::call::CallQuery;

#[derive(Args)]
pub(super) struct Arguments {
    /// Calls with this key only, by its id or its name
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[arg(long, help = "Calls with this account's token only: a user id or @screen_name")]
    account: Option<String>,
    /// Calls of this endpoint only: totals, 28hr or historical
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Calls that ended so only: well, with a status below 400, or badly, with any other or none
    #[arg(long, value_name = "HOW")]
    outcome: Option<String>,
    /// Calls with this status only, such as 429, or of this class, such as 5xx
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Calls of this request only: a question takes several
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// How many at most, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, a line for each call
    #[arg(long)]
    json: bool,
}

/// A call, and what its key and its account are called, as far as they are still there.
struct Named {
    call: Call,
    key: Option<String>,
    account: Option<String>,
}

pub(super) async fn run(config: Option<&Path>, asked: Arguments) -> Result<(), Failure> {
    let Arguments { key, account, endpoint, outcome, status, request_id, limit, json } = asked;
    let account = account.as_deref().map(account_ref).transpose()?;
    let query = CallQuery { key, account: None, endpoint, outcome, status, request_id };
    let filter = query.read().map_err(gateway::Error::InvalidRequest)?;
    let parts = open(config).await?;
    let found = first(limit, async |last: Option<&Named>, limit| {
        let filter = CallFilter { before: last.map(|it| it.call.id), limit, ..filter.clone() };
        let (calls, names) = parts.gateway.browse_calls(filter, account.as_ref()).await?;
        Ok(calls.into_iter().map(|it| named(it, &names)).collect())
    });
    let (calls, is_more) = found.await?;
    let is_none = calls.is_empty();
    if json {
        for it in calls {
            output::json_line(&wire::Call::from(it.call));
        }
    } else {
        let rows: Vec<_> = calls.iter().map(row).collect();
        let headings =
            ["ID", "TIME", "KEY", "ACCOUNT", "ENDPOINT", "POSTS", "ENDED", "MS", "REQUEST"];
        output::table(headings, &rows);
    }
    if is_none {
        output::note("there are no such calls");
    }
    if is_more {
        output::note("there are older ones; ask for more with --limit");
    }
    Ok(())
}

fn named(call: Call, names: &CallNames) -> Named {
    let account = call.account.and_then(|it| names.accounts.get(&(call.app.clone(), it)));
    Named { key: names.keys.get(&call.key_id).cloned(), account: account.cloned(), call }
}

fn row(it: &Named) -> [String; 9] {
    let call = wire::Call::from(it.call.clone());
    let account = it.account.as_ref().map(|it| format!("@{it}")).or(call.account);
    [
        call.id.to_string(),
        call.at,
        output::plain(it.key.as_ref().unwrap_or(&call.key)),
        account.unwrap_or_else(|| "-".to_owned()),
        call.endpoint.to_owned(),
        call.posts.to_string(),
        ended(call.status, call.code.as_deref()),
        format!("{:.0}", call.ms),
        output::plain(&call.request_id),
    ]
}
