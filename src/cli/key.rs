//! `countersign key`.

use std::path::Path;

use clap::Subcommand;

use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::parts::{self, ACTOR, Parts};
use crate::cli::parts::{open, open_to_seal};
use crate::gateway::{self, Page};
use crate::model::key::Unreadable;
use crate::wire::{CreatedKey, Key, NewKey, rfc3339};

#[derive(Subcommand)]
pub(super) enum Task {
    /// Make a key and print it, this once
    Create {
        /// What the key is for, such as the service that will hold it
        name: String,
        /// The app whose credentials it uses; needed when several are configured
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// A user id that it may name; repeatable; all of the app's when left out
        #[arg(long = "account", value_name = "USER ID")]
        accounts: Vec<String>,
        /// totals, 28hr or historical; repeatable; all when left out
        #[arg(long = "endpoint", value_name = "NAME")]
        endpoints: Vec<String>,
        /// It may also make links by which users connect these accounts
        #[arg(long)]
        create_links: bool,
        /// When it ends, such as 90d
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        /// A key for the operators' API instead
        #[arg(long)]
        admin: bool,
        /// With --admin: owner may do everything, auditor sees everything and changes nothing; owner by default
        #[arg(long, requires = "admin", value_parser = ["owner", "auditor"])]
        role: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys, without what proves them
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a key, on every replica within a second
    Revoke {
        /// Its id, its name, or the whole key
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: Option<&Path>, task: Task) -> Result<(), Failure> {
    let seals = matches!(task, Task::Create { .. });
    let parts = if seals { open_to_seal(config).await? } else { open(config).await? };
    match task {
        Task::Create {
            name,
            app,
            accounts,
            endpoints,
            create_links,
            expires,
            admin,
            role,
            json,
        } => {
            let role = role.or(admin.then(|| "owner".to_owned()));
            let new = NewKey { name, role, app, accounts, endpoints, create_links, expires };
            create(&parts, new, json).await
        }
        Task::List { json } => list(&parts, json).await,
        Task::Revoke { key, json } => {
            let key = Key::from(parts.gateway.revoke_key(&key, &ACTOR).await?);
            output::note(&format!("revoked {} ({})", key.id, output::plain(&key.name)));
            if json {
                output::json(&key);
            }
            Ok(())
        }
    }
}

async fn create(parts: &Parts, new: NewKey, json: bool) -> Result<(), Failure> {
    let new = new.read().map_err(gateway::Error::InvalidRequest)?;
    let (key, secret) = parts.gateway.create_key(new, &ACTOR).await?;
    if json {
        output::json(&CreatedKey { secret: secret.expose().to_owned(), key: key.into() });
    } else {
        output::note(&format!(
            "key {} ({}); it is shown only now:",
            key.id,
            output::plain(&key.name)
        ));
        output::line(secret.expose());
    }
    Ok(())
}

async fn list(opened: &Parts, json: bool) -> Result<(), Failure> {
    let keys = parts::all_pages(async |last: Option<&Result<_, _>>, limit| {
        let page = Page { after: last.map(|it| Unreadable::id_of(it).to_owned()), limit };
        opened.gateway.list_keys(&page).await
    });
    let keys: Vec<Key> = keys.await?.into_iter().map(Key::from).collect();
    if json {
        output::json(&keys);
        return Ok(());
    }
    // Times in one form, whole seconds in UTC, compare as text.
    let now = rfc3339(parts::now().truncate_to_second());
    let row = |it: &Key| {
        let state = match (&it.revoked_at, &it.expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            _ if it.role.is_none() => "refused".to_owned(),
            (None, Some(at)) if *at <= now => format!("expired {at}"),
            (None, Some(at)) => format!("until {at}"),
            (None, None) => "valid".to_owned(),
        };
        let all = if it.app.is_some() { "all" } else { "-" };
        let accounts = it.accounts.as_ref().map_or(all.to_owned(), |it| it.join(","));
        let endpoints = it.endpoints.as_ref().map_or(all.to_owned(), |it| it.join(","));
        let app = it.app.clone().unwrap_or_else(|| "-".to_owned());
        let used = it.last_used_at.clone().unwrap_or_else(|| "never".to_owned());
        [
            it.id.clone(),
            output::plain(&it.name),
            it.role.unwrap_or("unreadable").to_owned(),
            app,
            accounts,
            endpoints,
            if it.create_links { "yes" } else { "-" }.to_owned(),
            used,
            state,
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    output::table(
        ["ID", "NAME", "ROLE", "APP", "ACCOUNTS", "ENDPOINTS", "LINKS", "LAST USED", "STATE"],
        &rows,
    );
    if keys.is_empty() {
        output::note("no keys; make one with `countersign key create NAME`");
    }
    Ok(())
}
