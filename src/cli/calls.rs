//! `countersign calls`.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, value_parser};

use crate::cli::assemble::open;
use crate::cli::assemble::{account_ref, first};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway::{self, CallFilter, CallNames};
use crate::model::Cause;
use crate::model::call::{Call, ended};
use crate::wire::call as wire;
use crate::wire::call::CallQuery;

#[derive(Args)]
pub(super) struct Arguments {
    /// Only calls of this app
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Only calls with this key (id or name)
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[arg(long, help = "Only calls with this account's token (user id or @screen_name)")]
    account: Option<String>,
    /// Only calls to this endpoint: totals, 28hr or historical
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only calls that succeeded (ok: status below 400) or failed (failed: anything else, or no answer)
    #[arg(long, value_name = "ok|failed")]
    outcome: Option<String>,
    /// Only calls with this status, such as 429, or status class, such as 5xx
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only calls of this request (a question makes several)
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only calls that failed for this cause, such as `account_revoked`
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only calls from this day or time on, such as 2026-03-01
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only calls before this day or time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Maximum number of calls, newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, one line per call
    #[arg(long)]
    json: bool,
}

/// A call with the name of its key, unless that has been deleted.
struct Named {
    call: wire::Call,
    key: Option<String>,
    cause: Option<Cause>,
}

pub(super) async fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { key, account, endpoint, outcome, status, request_id, cause, .. } = arguments;
    let Arguments { app, from, until, limit, json, .. } = arguments;
    let account = account.as_deref().map(account_ref).transpose()?;
    let query = CallQuery {
        app,
        key,
        account: None,
        endpoint,
        outcome,
        status,
        request_id,
        cause,
        from,
        until,
    };
    let filter = query.read().map_err(gateway::Error::InvalidRequest)?;
    let deployment = open(config).await?;
    let found = first(limit, async |last: Option<&Named>, limit| {
        let filter =
            CallFilter { before: last.map(|named| named.call.id), limit, ..filter.clone() };
        let (calls, names) =
            deployment.gateway.list_calls_with_names(filter, account.as_ref()).await?;
        Ok(calls.into_iter().map(|call| named(call, &names)).collect())
    });
    let (calls, is_more) = found.await?;
    let is_none = calls.is_empty();
    if json {
        for named in calls {
            output::json_line(&named.call);
        }
    } else {
        let rows: Vec<_> = calls.iter().map(row).collect();
        let headings =
            ["ID", "TIME", "KEY", "ACCOUNT", "ENDPOINT", "POSTS", "OUTCOME", "MS", "REQUEST"];
        output::table(headings, &rows);
        let causes: BTreeSet<_> = calls.iter().filter_map(|named| named.cause).collect();
        for cause in causes {
            let (words, what, remedy) = (cause.words(), cause.what(), cause.remedy());
            output::line(&format!("{words}: {what}. {remedy}"));
        }
    }
    if is_none {
        output::note("no matching calls");
    }
    if is_more {
        output::note("there are older calls; raise --limit to see them");
    }
    Ok(())
}

fn named(call: Call, names: &CallNames) -> Named {
    let (key, cause) = (names.keys.get(&call.key_id).cloned(), call.cause);
    Named { key, cause, call: wire::Call::of(call, names) }
}

fn row(named: &Named) -> [String; 9] {
    let call = &named.call;
    let name = call.screen_name.as_ref().map(|name| format!("@{name}"));
    let ended = match (named.cause, call.status) {
        (Some(cause), Some(status)) => format!("{} ({status})", cause.words()),
        (Some(cause), None) => cause.words(),
        (None, _) => ended(call.status, call.code.as_deref()),
    };
    [
        call.id.to_string(),
        call.at.clone(),
        output::plain(named.key.as_ref().unwrap_or(&call.key)),
        name.or_else(|| call.account.clone()).unwrap_or_else(|| "-".to_owned()),
        call.endpoint.unwrap_or("question").to_owned(),
        call.posts.to_string(),
        ended,
        format!("{:.0}", call.ms),
        output::plain(&call.request_id),
    ]
}
