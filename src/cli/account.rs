//! `countersign account`.

use std::io::Read;
use std::path::Path;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use crate::cli::assemble::{ACTOR, Deployment, account_ref, all_pages};
use crate::cli::assemble::{open, open_to_seal};
use crate::cli::connect;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway::{self, AccountFilter, ImportEvents, Verified};
use crate::model::{AccountRef, AccountState};
use crate::wire;
use crate::wire::{Account, SeenAccount, read_imports};

const IMPORT_FORM: &str = "Each line of the input:
  {\"user_id\": \"…\", \"screen_name\": \"…\", \"access_token\": \"…\", \"access_token_secret\": \"…\"}";

#[derive(Subcommand)]
pub(super) enum Task {
    /// Import accounts from standard input, one JSON object per line; none if a line is wrong
    #[command(after_help = IMPORT_FORM)]
    Import {
        /// App that the tokens belong to; required if several are configured
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// What webhooks are told: one event with the number of accounts (summary), or one for each account (each)
        #[arg(long, value_name = "EVENTS", default_value = "summary")]
        events: String,
    },
    /// Create a one-time link for a user to connect an account, or connect one here with --pin
    Connect(connect::Arguments),
    /// List accounts
    List {
        /// Only accounts of this app
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// Only accounts in this state: active, revoked, blocked or quarantined
        #[arg(long)]
        state: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an account
    Show(Named),
    /// Check an account's token with X, and update the account's state
    Verify(Named),
    /// Delete an account and its token
    Remove(Named),
    /// List pending links
    Links {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Withdraw a pending link
    Withdraw {
        /// Id of the link, from `account links`
        link: String,
    },
}

#[derive(Args)]
pub(super) struct Named {
    #[arg(help = "User id or @screen_name")]
    account: String,
    /// App of the account; required if several are configured
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Option<&Path>, task: Task) -> Result<(), Failure> {
    // Verifying quarantines an account whose token does not open, so it needs the right ring, too.
    let seals = matches!(task, Task::Import { .. } | Task::Connect(_) | Task::Verify(_));
    let deployment = if seals { open_to_seal(config).await? } else { open(config).await? };
    match task {
        Task::Import { app, events } => import(&deployment, app.as_deref(), &events).await,
        Task::Connect(arguments) => connect::run(&deployment, arguments).await,
        Task::List { app, state, json } => list(&deployment, app, state.as_deref(), json).await,
        Task::Show(named) => {
            let account = deployment
                .gateway
                .get_account_with_last_call(named.app.as_deref(), &named.account()?)
                .await?;
            let account = SeenAccount::from(account);
            if named.json {
                output::json(&account);
            } else {
                table(&[account]);
            }
            Ok(())
        }
        Task::Links { json } => connect::list(&deployment, json).await,
        Task::Withdraw { link } => connect::withdraw(&deployment, &link).await,
        Task::Verify(named) => verify(&deployment, &named).await,
        Task::Remove(named) => {
            let account = deployment
                .gateway
                .remove_account(named.app.as_deref(), &named.account()?, &ACTOR)
                .await?;
            output::note(&format!(
                "deleted {} (@{}) and its token",
                account.user_id, account.screen_name
            ));
            if named.json {
                output::json(&Account::from(account));
            }
            Ok(())
        }
    }
}

impl Named {
    fn account(&self) -> Result<AccountRef, Failure> {
        account_ref(&self.account)
    }
}

async fn import(deployment: &Deployment, app: Option<&str>, events: &str) -> Result<(), Failure> {
    let events = ImportEvents::from_name(events)
        .ok_or_else(|| Failure::general(anyhow!("--events must be summary or each")))?;
    let mut text = zeroize::Zeroizing::new(String::new());
    std::io::stdin().read_to_string(&mut text).map_err(Failure::general)?;
    let imports = read_imports(&text).map_err(gateway::Error::InvalidRequest)?;
    let all = imports.len();
    let on_part = |stored| {
        if stored < all {
            output::note(&format!("{stored} of {all} accounts are stored"));
        }
    };
    let count = deployment.gateway.import_accounts(app, &imports, events, &ACTOR, on_part).await?;
    output::line(&format!("imported {count} {}", if count == 1 { "account" } else { "accounts" }));
    Ok(())
}

async fn list(
    deployment: &Deployment,
    app: Option<String>,
    state: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let state = match state {
        None => None,
        Some(name) => {
            let invalid = || {
                Failure::general(anyhow!("--state must be active, revoked, blocked or quarantined"))
            };
            Some(AccountState::from_name(name).ok_or_else(invalid)?)
        }
    };
    let accounts = all_pages(async |last: Option<&gateway::AccountWithLastCall>, limit| {
        let after = last.map(|seen| (seen.account.app.clone(), seen.account.user_id));
        let filter = AccountFilter { app: app.clone(), state, search: None, after, limit };
        deployment.gateway.list_accounts_with_last_call(&filter).await
    });
    let accounts: Vec<SeenAccount> = accounts.await?.into_iter().map(SeenAccount::from).collect();
    if json {
        output::json(&accounts);
    } else {
        table(&accounts);
    }
    if accounts.is_empty() {
        output::note(
            "no accounts; add some with `countersign account connect` or `countersign account import`",
        );
    }
    Ok(())
}

async fn verify(deployment: &Deployment, named: &Named) -> Result<(), Failure> {
    let verified =
        deployment.gateway.verify_account(named.app.as_deref(), &named.account()?, &ACTOR).await?;
    if named.json {
        output::json(&wire::verified(&verified));
    }
    match verified {
        Verified::Works(_) if named.json => Ok(()),
        Verified::Works(profile) => {
            let protected = if profile.protected {
                "; protected: X gives no metrics for its posts"
            } else {
                ""
            };
            output::line(&format!(
                "the token of {} (@{}) works{protected}",
                profile.user_id,
                output::plain(&profile.screen_name)
            ));
            Ok(())
        }
        Verified::Marked(state) => {
            Err(Failure::general(anyhow!("the token does not work; the account is {state}")))
        }
        Verified::NotTheAccount(reason) => {
            Err(Failure::general(anyhow!("the token could not be checked: {reason}")))
        }
    }
}

fn table(accounts: &[SeenAccount]) {
    let row = |seen: &SeenAccount| {
        let account = &seen.account;
        let last_call = seen.last_call_at.as_deref().unwrap_or("-");
        [
            &account.app,
            &account.user_id,
            &account.screen_name,
            account.state,
            &account.state_since,
            &account.connected_at,
            last_call,
            seen.last_error.as_deref().unwrap_or("-"),
        ]
        .map(str::to_owned)
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    let headings =
        ["APP", "USER ID", "SCREEN NAME", "STATE", "SINCE", "CONNECTED", "LAST CALL", "LAST ERROR"];
    output::table(headings, &rows);
}
