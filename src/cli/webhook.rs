//! `countersign webhook`.

use std::path::Path;

use anyhow::anyhow;
use clap::Subcommand;

use crate::cli::assemble::{ACTOR, Deployment};
use crate::cli::assemble::{open, open_to_seal};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::gateway;
use crate::wire::webhook::{
    Delivery, ListedWebhook, NewWebhook, Rotation, Tested, Webhook, WebhookSecret,
};

#[derive(Subcommand)]
pub(super) enum Task {
    /// Add a webhook and print its signing secret (shown only once)
    Add {
        /// URL to send events to, such as <https://hooks.example.com/countersign>
        url: String,
        /// Only events for accounts of this app
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List webhooks and their pending deliveries
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test event now and report the receiver's answer
    Test {
        /// Id of the webhook
        webhook: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send an event again under the same id, even if it was delivered or given up
    Resend {
        /// Id of the webhook
        webhook: String,
        /// Number of the delivery, at the end of its id
        delivery: i64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a new signing secret and print it (shown only once); the old one still signs for a while
    Rotate {
        /// Id of the webhook
        webhook: String,
        /// How long the old secret still signs, too
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        overlap: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a webhook and all its deliveries
    Remove {
        /// Id of the webhook
        webhook: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: Option<&Path>, task: Task) -> Result<(), Failure> {
    let seals = matches!(task, Task::Add { .. } | Task::Rotate { .. });
    let deployment = if seals { open_to_seal(config).await? } else { open(config).await? };
    match task {
        Task::Add { url, app, json } => {
            let new = NewWebhook { url, app };
            show(deployment.gateway.add_webhook(new.into(), &ACTOR).await?.into(), json);
            Ok(())
        }
        Task::List { json } => list(&deployment, json).await,
        Task::Test { webhook, json } => test(&deployment, &webhook, json).await,
        Task::Resend { webhook, delivery, json } => {
            let again = deployment.gateway.resend_delivery(&webhook, delivery, &ACTOR).await?;
            let again = Delivery::from(again);
            output::note(&format!("{} will be sent again by a running gateway", again.id));
            if json {
                output::json(&again);
            }
            Ok(())
        }
        Task::Rotate { webhook, overlap, json } => {
            let rotation = Rotation { overlap: Some(overlap) };
            let overlap = rotation.read().map_err(gateway::Error::InvalidRequest)?;
            show(deployment.gateway.rotate_webhook(&webhook, overlap, &ACTOR).await?.into(), json);
            Ok(())
        }
        Task::Remove { webhook, json } => {
            let removed = deployment.gateway.remove_webhook(&webhook, &ACTOR).await?;
            output::note(&format!("deleted {}", removed.id));
            if json {
                output::json(&Webhook::from(removed));
            }
            Ok(())
        }
    }
}

fn show(created: WebhookSecret, json: bool) {
    if json {
        output::json(&created);
        return;
    }
    let WebhookSecret { secret, webhook } = created;
    output::note(&format!("webhook {}; its signing secret is shown only once:", webhook.id));
    output::line(&secret);
    if let Some(until) = webhook.old_secret_until {
        output::note(&format!("the old secret also signs until {until}"));
    }
}

async fn list(deployment: &Deployment, json: bool) -> Result<(), Failure> {
    let webhooks = deployment.gateway.list_webhooks().await?;
    let webhooks: Vec<ListedWebhook> = webhooks.into_iter().map(ListedWebhook::from).collect();
    if json {
        output::json(&webhooks);
        return Ok(());
    }
    let row = |listed: &ListedWebhook| {
        let since = listed.waiting_since.as_ref().map(|at| format!(" since {at}"));
        [
            listed.webhook.id.clone(),
            listed.webhook.url.clone(),
            listed.webhook.app.clone().unwrap_or_else(|| "all".to_owned()),
            format!("{}{}", listed.waiting, since.unwrap_or_default()),
            listed.failure.as_ref().map_or("-".to_owned(), |failure| output::plain(failure)),
        ]
    };
    let rows: Vec<_> = webhooks.iter().map(row).collect();
    output::table(["ID", "URL", "APP", "WAITING", "LAST FAILURE"], &rows);
    if webhooks.is_empty() {
        output::note("no webhooks; add one with `countersign webhook add URL`");
    }
    Ok(())
}

async fn test(deployment: &Deployment, id: &str, json: bool) -> Result<(), Failure> {
    let tested = Tested::from(deployment.gateway.test_webhook(id, &ACTOR).await?);
    if json {
        output::json(&tested);
    }
    match (&tested.failure, tested.status) {
        (None, Some(status)) => {
            output::note(&format!("delivered: the receiver answered with status {status}"));
            Ok(())
        }
        (failure, _) => {
            let failure = failure.as_deref().unwrap_or("nothing was sent");
            Err(Failure::general(anyhow!("not delivered: {}", output::plain(failure))))
        }
    }
}
