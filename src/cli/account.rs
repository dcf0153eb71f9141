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
use crate::gateway::{self, AccountFilter, Verified};
use crate::model::{AccountRef, AccountState};
use crate::wire;
use crate::wire::{Account, SeenAccount, read_imports};

const IMPORT_FORM: &str = "Each line of the input:
  {\"user_id\": \"…\", \"screen_name\": \"…\", \"access_token\": \"…\", \"access_token_secret\": \"…\"}";

#[derive(Subcommand)]
pub(super) enum Task {
    /// Store accounts from standard input: a JSON object a line, all or none
    #[command(after_help = IMPORT_FORM)]
    Import {
        /// The app that the tokens belong to
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
    },
    /// Make a one-time link by which a user connects an account, or connect one here with --pin
    Connect(connect::Arguments),
    /// List accounts
    List {
        /// Only those of this app
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// Only those in this state: active, revoked, blocked or quarantined
        #[arg(long)]
        state: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one account
    Show(Named),
    /// Ask X whether an account's token works, and mark the account by the answer
    Verify(Named),
    /// Forget an account and its token
    Remove(Named),
    /// List the links to connect by that wait to be used
    Links {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a link back before it is used
    Withdraw {
        /// The link's id, as `links` lists it
        link: String,
    },
}

#[derive(Args)]
pub(super) struct Named {
    #[arg(help = "A user id or @screen_name")]
    account: String,
    /// Needed when several apps are configured
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Option<&Path>, task: Task) -> Result<(), Failure> {
    // A check marks an account whose token does not open, so it needs the right ring, too.
    let seals = matches!(task, Task::Import { .. } | Task::Connect(_) | Task::Verify(_));
    let deployment = if seals { open_to_seal(config).await? } else { open(config).await? };
    match task {
        Task::Import { app } => import(&deployment, app.as_deref()).await,
        Task::Connect(arguments) => connect::run(&deployment, arguments).await,
        Task::List { app, state, json } => list(&deployment, app, state.as_deref(), json).await,
        Task::Show(named) => {
            let account =
                deployment.gateway.see_account(named.app.as_deref(), &named.account()?).await?;
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
                "removed {} (@{}); its token is gone",
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

async fn import(deployment: &Deployment, app: Option<&str>) -> Result<(), Failure> {
    let mut text = zeroize::Zeroizing::new(String::new());
    std::io::stdin().read_to_string(&mut text).map_err(Failure::general)?;
    let imports = read_imports(&text).map_err(gateway::Error::InvalidRequest)?;
    let count = deployment.gateway.import_accounts(app, &imports, &ACTOR).await?;
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
            let wrong = || {
                Failure::general(anyhow!("--state must be active, revoked, blocked or quarantined"))
            };
            Some(AccountState::from_name(name).ok_or_else(wrong)?)
        }
    };
    let accounts = all_pages(async |last: Option<&gateway::SeenAccount>, limit| {
        let after = last.map(|seen| (seen.account.app.clone(), seen.account.user_id));
        let filter = AccountFilter { app: app.clone(), state, search: None, after, limit };
        deployment.gateway.see_accounts(&filter).await
    });
    let accounts: Vec<SeenAccount> = accounts.await?.into_iter().map(SeenAccount::from).collect();
    if json {
        output::json(&accounts);
    } else {
        table(&accounts);
    }
    if accounts.is_empty() {
        output::note("no accounts; bring some with `countersign account import`");
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
            let protected =
                if profile.protected { "; protected, so its posts never have metrics" } else { "" };
            output::line(&format!(
                "works: {} (@{}){protected}",
                profile.user_id,
                output::plain(&profile.screen_name)
            ));
            Ok(())
        }
        Verified::Marked(state) => {
            Err(Failure::general(anyhow!("does not work: the account is {state}")))
        }
        Verified::NotTheAccount(reason) => Err(Failure::general(anyhow!("not known: {reason}"))),
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
