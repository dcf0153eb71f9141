//! `countersign calls`.

use std::path::Path;

use clap::{Args, value_parser};

use crate::cli::assemble::open;
use crate::cli::assemble::{account_ref, first};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway::{self, CallFilter, CallNames};
use crate::model::call::{Call, ended};
use crate::wire::call as wire;
use crate::wire::call::CallQuery;

#[derive(Args)]
pub(super) struct Arguments {
    /// Only calls with this key (id or name)
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[arg(long, help = "Only calls with this account's token (user id or @screen_name)")]
    account: Option<String>,
    /// Only calls to this endpoint: totals, 28hr or historical
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only calls that succeeded (well: status below 400) or failed (badly: anything else, or no answer)
    #[arg(long, value_name = "well|badly")]
    outcome: Option<String>,
    /// Only calls with this status, such as 429, or status class, such as 5xx
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only calls of this request (a question makes several)
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Maximum number of calls, newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, one line per call
    #[arg(long)]
    json: bool,
}

/// A call with the names of its key and its account, unless these have been deleted.
struct Named {
    call: Call,
    key: Option<String>,
    account: Option<String>,
}

pub(super) async fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { key, account, endpoint, outcome, status, request_id, limit, json } = arguments;
    let account = account.as_deref().map(account_ref).transpose()?;
    let query = CallQuery { key, account: None, endpoint, outcome, status, request_id };
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
            output::json_line(&wire::Call::from(named.call));
        }
    } else {
        let rows: Vec<_> = calls.iter().map(row).collect();
        let headings =
            ["ID", "TIME", "KEY", "ACCOUNT", "ENDPOINT", "POSTS", "OUTCOME", "MS", "REQUEST"];
        output::table(headings, &rows);
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
    let account = call.account.and_then(|id| names.accounts.get(&(call.app.clone(), id)));
    Named { key: names.keys.get(&call.key_id).cloned(), account: account.cloned(), call }
}

fn row(named: &Named) -> [String; 9] {
    let call = wire::Call::from(named.call.clone());
    let account = named.account.as_ref().map(|name| format!("@{name}")).or(call.account);
    [
        call.id.to_string(),
        call.at,
        output::plain(named.key.as_ref().unwrap_or(&call.key)),
        account.unwrap_or_else(|| "-".to_owned()),
        call.endpoint.to_owned(),
        call.posts.to_string(),
        ended(call.status, call.code.as_deref()),
        format!("{:.0}", call.ms),
        output::plain(&call.request_id),
    ]
}
