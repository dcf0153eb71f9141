//! `countersign audit`.

use std::path::Path;

use clap::{Args, value_parser};

use crate::cli::assemble::first;
use crate::cli::assemble::open;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway::{self, AuditFilter};
use crate::model::audit::Entry;
use crate::wire::audit as wire;
use crate::wire::audit::AuditQuery;

#[derive(Args)]
pub(super) struct Arguments {
    /// Only entries whose actor equals or starts with TEXT: cli, gateway, key:ID
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    actor: String,
    /// Only entries whose action equals or starts with TEXT, such as key. or account.removed
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    action: String,
    /// Only entries whose subject equals or starts with TEXT, such as account:main/
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    subject: String,
    /// Start of the period: a date or a time, such as 2026-01-31
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    from: String,
    /// End of the period (exclusive)
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    until: String,
    /// Which entries come first: newest or oldest
    #[arg(long, value_name = "ORDER", default_value = "newest")]
    order: String,
    /// Maximum number of entries
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, one line per entry
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { actor, action, subject, from, until, order, limit, json } = arguments;
    let query = AuditQuery { actor, action, subject, from, until, order };
    let filter = query.read().map_err(gateway::Error::InvalidRequest)?;
    let deployment = open(config).await?;
    let found = first(limit, async |last: Option<&Entry>, limit| {
        let filter = AuditFilter { past: last.map(|entry| entry.id), limit, ..filter.clone() };
        deployment.gateway.list_audit(&filter).await
    });
    let (entries, is_more) = found.await?;
    let is_none = entries.is_empty();
    if json {
        for entry in entries {
            output::json_line(&wire::Entry::from(entry));
        }
    } else {
        let rows: Vec<_> = entries.into_iter().map(row).collect();
        output::table(["TIME", "ACTOR", "FROM", "ACTION", "SUBJECT", "DETAIL"], &rows);
    }
    if is_none {
        output::note("no matching entries");
    }
    if is_more {
        output::note("there are more entries; raise --limit to see them");
    }
    Ok(())
}

fn row(entry: Entry) -> [String; 6] {
    let entry = wire::Entry::from(entry);
    let actor = match entry.key_name {
        Some(name) => format!("{} ({name})", entry.actor),
        None => entry.actor,
    };
    let address = entry.address.unwrap_or_else(|| "-".to_owned());
    [entry.at, actor, address, entry.action, entry.subject, entry.detail]
        .map(|text| output::plain(&text))
}
