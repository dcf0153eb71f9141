//! `countersign account connect`.

use std::io::{BufRead, Write};

use anyhow::anyhow;
use clap::Args;

use crate::cli::assemble::{ACTOR, Deployment, all_pages};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway::{self, LinkId, WaitingLink};
use crate::model::UserId;
use crate::wire;
use crate::wire::{CreatedLink, Link, NewLink};

#[derive(Args)]
pub(super) struct Arguments {
    /// The app to connect to; needed when several are configured
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Connect here and now: prints a page to open, and reads the PIN that X shows there
    #[arg(long, conflicts_with_all = ["label", "return_to", "expires"])]
    pin: bool,
    /// The only user id that may connect
    #[arg(long, value_name = "USER ID")]
    user: Option<String>,
    /// What the link is called in the audit log
    #[arg(long, value_name = "TEXT", default_value = "from the command line")]
    label: String,
    /// Where the browser goes on to: one of those in `connect.return_to`
    #[arg(long, value_name = "URL")]
    return_to: Option<String>,
    /// When the link ends, at most 24h
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    expires: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(deployment: &Deployment, arguments: Arguments) -> Result<(), Failure> {
    if arguments.pin {
        by_pin(deployment, &arguments).await
    } else {
        by_link(deployment, arguments).await
    }
}

/// The links that wait to be used.
pub(super) async fn list(deployment: &Deployment, json: bool) -> Result<(), Failure> {
    let links = all_pages(async |last: Option<&WaitingLink>, limit| {
        deployment.gateway.list_links(None, last.map(WaitingLink::place), limit).await
    });
    let links: Vec<Link> = links.await?.into_iter().map(Link::from).collect();
    if json {
        output::json(&links);
        return Ok(());
    }
    let row = |link: &Link| {
        let user = link.user_id.as_deref().unwrap_or("anybody");
        [
            &link.id,
            &link.app,
            &*output::plain(&link.label),
            user,
            &link.created_at,
            &link.expires_at,
        ]
        .map(str::to_owned)
    };
    let rows: Vec<_> = links.iter().map(row).collect();
    output::table(["ID", "APP", "LABEL", "USER ID", "MADE", "EXPIRES"], &rows);
    Ok(())
}

/// Takes a link back.
pub(super) async fn withdraw(deployment: &Deployment, link: &str) -> Result<(), Failure> {
    let wrong = || Failure::general(anyhow!("name the link by its id, as `links` lists it"));
    let id = LinkId::parse(link).ok_or_else(wrong)?;
    let link = deployment.gateway.withdraw_link(id, &ACTOR).await?.link;
    output::note(&format!("withdrew the link {:?} for {}", link.label, link.app));
    Ok(())
}

async fn by_link(deployment: &Deployment, arguments: Arguments) -> Result<(), Failure> {
    let Arguments { app, user, label, return_to, expires, json, .. } = arguments;
    let new = NewLink { app, label, user_id: user, return_to, expires: Some(expires) };
    let new = new.read().map_err(gateway::Error::InvalidRequest)?;
    let created = CreatedLink::from(deployment.gateway.create_link(new, &ACTOR).await?);
    if json {
        output::json(&created);
    } else {
        output::note("send this to the account's owner; it works once, and is shown only now:");
        output::line(&created.url);
    }
    Ok(())
}

async fn by_pin(deployment: &Deployment, arguments: &Arguments) -> Result<(), Failure> {
    let wrong = || Failure::general(anyhow!("--user must be a user id of 1 to 19 digits"));
    let expected_user = arguments.user.as_deref().map(|text| UserId::parse(text).ok_or_else(wrong));
    let expected_user = expected_user.transpose()?;
    let begun = deployment.gateway.begin_pin(arguments.app.as_deref()).await?;
    output::note("Open this page as the user to connect, allow the app, and note the PIN:");
    output::note(&format!("  {}", begun.authorize_url));
    let pin = read_pin()?;
    let account = deployment.gateway.finish_pin(begun, &pin, expected_user, &ACTOR).await?;
    if arguments.json {
        output::json(&wire::Account::from(account));
    } else {
        output::line(&format!("connected {} (@{})", account.user_id, account.screen_name));
    }
    Ok(())
}

fn read_pin() -> Result<String, Failure> {
    let mut err = std::io::stderr();
    let _ = write!(err, "PIN: ").and_then(|()| err.flush());
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::general)?;
    let pin = line.trim();
    let fits = (4..=20).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit());
    if fits {
        Ok(pin.to_owned())
    } else {
        Err(Failure::general(anyhow!("a PIN has some 7 digits; nothing was connected")))
    }
}
