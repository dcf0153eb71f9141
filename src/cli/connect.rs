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
    /// App to connect to; required if several are configured
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Connect here and now: prints a URL to open, and reads the PIN that X shows there
    #[arg(long, conflicts_with_all = ["label", "return_to", "expires"])]
    pin: bool,
    /// Only allow this user to connect
    #[arg(long, value_name = "USER ID")]
    user: Option<String>,
    /// Name of the link, shown to the user and in the audit log
    #[arg(long, value_name = "TEXT", default_value = "from the command line")]
    label: String,
    /// Where to send the browser afterwards; one of the URLs in `connect.return_to`
    #[arg(long, value_name = "URL")]
    return_to: Option<String>,
    /// Lifetime of the link, at most 24h
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

/// Lists the links that nobody has used yet.
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
    output::table(["ID", "APP", "LABEL", "USER ID", "CREATED", "EXPIRES"], &rows);
    Ok(())
}

/// Ends a link before anybody uses it.
pub(super) async fn withdraw(deployment: &Deployment, link: &str) -> Result<(), Failure> {
    let invalid =
        || Failure::general(anyhow!("not a link id; `countersign account links` lists them"));
    let id = LinkId::parse(link).ok_or_else(invalid)?;
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
        output::note(
            "send this link to the account's owner; it works only once, and is not shown again:",
        );
        output::line(&created.url);
    }
    Ok(())
}

async fn by_pin(deployment: &Deployment, arguments: &Arguments) -> Result<(), Failure> {
    let invalid = || Failure::general(anyhow!("--user must be a user id of 1 to 19 digits"));
    let expected_user =
        arguments.user.as_deref().map(|text| UserId::parse(text).ok_or_else(invalid));
    let expected_user = expected_user.transpose()?;
    let begun = deployment.gateway.begin_pin(arguments.app.as_deref()).await?;
    output::note(
        "Open this page, signed in to X as the user to connect, authorise the app, and note the PIN:",
    );
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
        Err(Failure::general(anyhow!("a PIN has about 7 digits; nothing was connected")))
    }
}
