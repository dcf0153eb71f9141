//! `countersign key`.

use std::path::Path;

use clap::{Args, Subcommand};
use time::Date;

use crate::cli::assemble::{self, ACTOR, Deployment};
use crate::cli::assemble::{open, open_to_seal};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway::{self, KeyUpdate, LimitChange, Page};
use crate::model::key::{self, Unreadable};
use crate::wire::browser::Subject;
use crate::wire::{CreatedKey, Key, KeyTerms, NewKey, Subjects, Withdrawn, read_day, rfc3339};

#[derive(Subcommand)]
pub(super) enum Task {
    /// Create a key and print it (shown only once)
    Create {
        /// Name of the key, such as the service that will use it
        name: String,
        /// App whose credentials it uses; required if several are configured
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// User id that it may use (repeatable; default: all of the app's)
        #[arg(long = "account", value_name = "USER ID")]
        accounts: Vec<String>,
        /// Endpoint that it may call: totals, 28hr or historical (repeatable; default: all)
        #[arg(long = "endpoint", value_name = "NAME")]
        endpoints: Vec<String>,
        /// Allow it to create links for users to connect these accounts
        #[arg(long)]
        create_links: bool,
        /// Allow it to make tokens for pages of its origins
        #[arg(long)]
        browser: bool,
        /// Origin of pages for which it may make tokens, such as `https://app.example.com` (repeatable)
        #[arg(long = "origins", value_name = "ORIGIN")]
        origins: Vec<String>,
        /// Allow browsers to send it from other sites, where anybody who uses the page can read it
        #[arg(long)]
        in_browsers: bool,
        /// Lifetime of the key, such as 90d (default: unlimited)
        #[arg(long, value_name = "DURATION")]
        expires: Option<String>,
        #[command(flatten)]
        limits: Limits,
        /// Create an admin key, for the operators' API and the console
        #[arg(long)]
        admin: bool,
        /// With --admin: owner may do everything, auditor sees everything and changes nothing, analyst sees usage and
        /// explores posts in the console; owner by default
        #[arg(long, requires = "admin", value_parser = ["owner", "auditor", "analyst"])]
        role: Option<String>,
        /// With --role auditor: allow it to explore posts in the console, too
        #[arg(long, requires = "role")]
        explore: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys (secrets are never shown)
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a key's limits; every replica applies them within a second
    Update {
        /// Id or name of the key, or the whole key
        key: String,
        /// Its part of X's quota, compared with other keys of the app
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
        weight: Option<u32>,
        /// Requests per minute, over all replicas, or any
        #[arg(long, value_name = "NUMBER|any", value_parser = limit_change)]
        per_minute: Option<LimitChange>,
        /// Requests that one replica handles at once, or any
        #[arg(long, value_name = "NUMBER|any", value_parser = limit_change)]
        at_once: Option<LimitChange>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what pages asked on a day with the tokens of a key, by the tokens' subjects
    Subjects {
        /// Id or name of the key, or the whole key
        key: String,
        /// Day in UTC, such as 2026-01-31 (default: today)
        #[arg(long, value_name = "DAY", value_parser = day)]
        day: Option<Date>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Withdraw the tokens that a key has made; every replica refuses them within a second
    Tokens {
        /// Id or name of the key, or the whole key
        key: String,
        /// Refuse the tokens made so far; the key can make new ones
        #[arg(long, required = true)]
        withdraw: bool,
        /// Only those of this subject
        #[arg(long, value_name = "SUBJECT")]
        subject: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; every replica refuses it within a second
    Revoke {
        /// Id or name of the key, or the whole key
        key: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// How much a new key may ask.
#[derive(Args)]
pub(super) struct Limits {
    /// Its part of X's quota, compared with other keys of the app
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    weight: Option<u32>,
    /// Requests per minute, over all replicas (default: any number)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// Requests that one replica handles at once (default: any number)
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
}

fn limit_change(text: &str) -> Result<LimitChange, String> {
    if text == "any" {
        return Ok(LimitChange::Remove);
    }
    let most = text.parse().ok().filter(|most| *most > 0);
    most.map(LimitChange::Set).ok_or("expected a number from 1, or any".to_owned())
}

pub(super) async fn run(config: Option<&Path>, task: Task) -> Result<(), Failure> {
    let seals = matches!(task, Task::Create { .. } | Task::Update { .. });
    let deployment = if seals { open_to_seal(config).await? } else { open(config).await? };
    match task {
        Task::Create {
            name,
            app,
            accounts,
            endpoints,
            create_links,
            browser,
            origins,
            in_browsers,
            expires,
            limits: Limits { weight, per_minute, at_once },
            admin,
            role,
            explore,
            json,
        } => {
            let role = role.or(admin.then(|| "owner".to_owned()));
            let new = NewKey {
                name,
                role,
                app,
                accounts,
                endpoints,
                create_links,
                browser,
                in_browsers,
                explore: Some(explore),
                origins,
                expires,
                weight,
                per_minute,
                at_once,
            };
            create(&deployment, new, json).await
        }
        Task::List { json } => list(&deployment, json).await,
        Task::Update { key, weight, per_minute, at_once, json } => {
            let update = KeyUpdate {
                weight,
                per_minute: per_minute.unwrap_or_default(),
                at_once: at_once.unwrap_or_default(),
            };
            let key = Key::from(deployment.gateway.update_key(&key, update, &ACTOR).await?);
            output::note(&format!("changed {}", named(&key.terms)));
            if json {
                output::json(&key);
            } else {
                output::line(&limits(&key.terms));
            }
            Ok(())
        }
        Task::Subjects { key, day, json } => {
            let listed = Subjects::new(deployment.gateway.list_subjects(&key, day).await?);
            show_subjects(&listed, json);
            Ok(())
        }
        Task::Tokens { key, withdraw: _, subject, json } => {
            let withdrawn = deployment.gateway.withdraw_tokens(&key, subject, &ACTOR).await?;
            let has_asked = withdrawn.has_asked;
            let withdrawn = Withdrawn::from(withdrawn);
            let whose = withdrawn
                .subject
                .as_deref()
                .map_or(String::new(), |subject| format!(" of {}", output::plain(subject)));
            let (id, name) = (&withdrawn.key, output::plain(&withdrawn.name));
            let until = &withdrawn.tokens_after;
            output::note(&format!(
                "withdrew the tokens{whose} that {id} ({name}) made up to {until}"
            ));
            if !has_asked {
                output::note(&format!(
                    "no question{whose} is on record: if there should be some, compare the name with those of `countersign key subjects`"
                ));
            }
            if json {
                output::json(&withdrawn);
            }
            Ok(())
        }
        Task::Revoke { key, json } => {
            let key = Key::from(deployment.gateway.revoke_key(&key, &ACTOR).await?);
            output::note(&format!("revoked {}", named(&key.terms)));
            if json {
                output::json(&key);
            }
            Ok(())
        }
    }
}

fn show_subjects(listed: &Subjects, json: bool) {
    if json {
        return output::json(listed);
    }
    let row = |subject: &Subject| {
        let name = subject.subject.as_deref().map_or_else(|| "-".to_owned(), output::plain);
        [name, subject.questions.to_string(), subject.calls.to_string()]
    };
    let rows: Vec<_> = listed.subjects.iter().map(row).collect();
    output::table(["SUBJECT", "QUESTIONS", "CALLS"], &rows);
    if rows.is_empty() {
        output::note(&format!("no page asked on {} with tokens of this key", listed.day));
    }
}

fn day(text: &str) -> Result<Date, String> {
    read_day(text).ok_or("expected a day like 2026-01-31".to_owned())
}

async fn create(deployment: &Deployment, new: NewKey, json: bool) -> Result<(), Failure> {
    let new = new.read().map_err(gateway::Error::InvalidRequest)?;
    let (key, secret) = deployment.gateway.create_key(new, &ACTOR).await?;
    if json {
        output::json(&CreatedKey { secret: secret.expose().to_owned(), key: key.into() });
    } else {
        output::note(&format!(
            "created the key {} ({}); it is shown only once:",
            key.id,
            output::plain(&key.name)
        ));
        output::line(secret.expose());
    }
    Ok(())
}

/// A key's id and name.
fn named(key: &KeyTerms) -> String {
    format!("{} ({})", key.id, output::plain(&key.name))
}

/// A key's limits in a few words.
fn limits(key: &KeyTerms) -> String {
    let per_minute = key.per_minute.map(|count| format!("{count} a minute"));
    let at_once = key.at_once.map(|count| format!("{count} at once"));
    let weight = format!("weight {}", key.weight);
    [Some(weight), per_minute, at_once].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

async fn list(deployment: &Deployment, json: bool) -> Result<(), Failure> {
    let keys = assemble::all_pages(async |last: Option<&Result<_, _>>, limit| {
        let page = Page { after: last.map(|listed| Unreadable::id_of(listed).to_owned()), limit };
        deployment.gateway.list_keys(&page).await
    });
    let keys = keys.await?;
    if json {
        output::json(&keys.into_iter().map(Key::from).collect::<Vec<_>>());
        return Ok(());
    }
    // RFC 3339 times in UTC and whole seconds sort as text.
    let now = rfc3339(assemble::now().truncate_to_second());
    let row = |listed: &Result<key::Key, Unreadable>| {
        let rights = listed.iter().flat_map(|key| &key.scopes.rights).map(|right| right.words());
        let rights = rights.collect::<Vec<_>>().join(", ");
        let Key { terms: key, role, explore: _, revoked_at, last_used_at } =
            Key::from(listed.clone());
        let state = match (&revoked_at, &key.expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            _ if role.is_none() => "refused".to_owned(),
            (None, Some(at)) if *at <= now => format!("expired {at}"),
            (None, Some(at)) => format!("until {at}"),
            (None, None) => "valid".to_owned(),
        };
        let all = if key.app.is_some() { "all" } else { "-" };
        let accounts = key.accounts.as_ref().map_or(all.to_owned(), |ids| ids.join(","));
        let endpoints = key.endpoints.as_ref().map_or(all.to_owned(), |names| names.join(","));
        let app = key.app.clone().unwrap_or_else(|| "-".to_owned());
        let used = last_used_at.unwrap_or_else(|| "never".to_owned());
        [
            key.id.clone(),
            output::plain(&key.name),
            role.unwrap_or("unreadable").to_owned(),
            app,
            accounts,
            endpoints,
            if rights.is_empty() { "-".to_owned() } else { rights },
            if key.origins.is_empty() { "-".to_owned() } else { key.origins.join(",") },
            if key.app.is_some() { limits(&key) } else { "-".to_owned() },
            used,
            state,
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    output::table(
        [
            "ID",
            "NAME",
            "ROLE",
            "APP",
            "ACCOUNTS",
            "ENDPOINTS",
            "RIGHTS",
            "ORIGINS",
            "LIMITS",
            "LAST USED",
            "STATE",
        ],
        &rows,
    );
    if keys.is_empty() {
        output::note("no keys; create one with `countersign key create NAME`");
    }
    Ok(())
}
