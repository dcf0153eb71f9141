//! `countersign vault`.

use std::path::Path;

use anyhow::anyhow;
use clap::Subcommand;

use crate::cli::assemble::{self, ACTOR};
use crate::cli::assemble::{open, open_to_seal};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::vault;
use crate::wire::vault::{Replica, Vault};

#[derive(Subcommand)]
pub(super) enum Task {
    /// Generate an entry for `vault.keys` and print it, as id=base64
    GenerateKey,
    /// Open every stored secret, and count them by the key that sealed them
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Reseal everything with the active key, while gateways keep serving
    Rotate {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config: Option<&Path>, task: &Task) -> Result<(), Failure> {
    match task {
        Task::GenerateKey => {
            output::line(vault::generate_key().expose());
            Ok(())
        }
        Task::Status { json } => assemble::block_on(walk(config, false, *json)),
        Task::Rotate { json } => assemble::block_on(walk(config, true, *json)),
    }
}

async fn walk(config: Option<&Path>, rotate: bool, json: bool) -> Result<(), Failure> {
    let deployment = if rotate { open_to_seal(config).await? } else { open(config).await? };
    let gateway = deployment.gateway;
    let status = if rotate {
        gateway.rotate_vault(&ACTOR).await?
    } else {
        gateway.get_vault_status().await?
    };
    let status = Vault::new(status, gateway.list_replicas().await?);
    if json {
        output::json(&status);
    } else {
        show(&status, rotate);
    }
    match status.unopened.len() {
        0 => Ok(()),
        count => Err(Failure::general(anyhow!(
            "{count} stored secrets cannot be opened: {}; remove no key from vault.keys until these accounts are reconnected, keys revoked, links withdrawn and webhooks removed",
            status.unopened.join(", ")
        ))),
    }
}

fn show(status: &Vault, rotated: bool) {
    if rotated {
        output::line(&format!("resealed {} records with {}", status.resealed, status.active));
    }
    let row = |(id, count): (&String, &u64)| {
        let role = if *id == status.active { "active" } else { "opens only" };
        [id.clone(), count.to_string(), role.to_owned()]
    };
    let rows: Vec<_> = status.records.iter().map(row).collect();
    output::table(["KEY", "RECORDS", "ROLE"], &rows);
    show_replicas(status);
    let of_others = status.tokens_until.iter().filter(|(id, _)| **id != status.active);
    for (id, until) in of_others.clone() {
        output::note(&format!("tokens in browsers need {id} until {until}"));
    }
    let idle = of_others.count() == 0 && status.records.keys().all(|id| *id == status.active);
    let all_seal_with_it =
        status.replicas.iter().all(|replica| replica.vault_active == status.active);
    if idle && all_seal_with_it && status.unopened.is_empty() {
        output::note(
            "every record is sealed with the active key; the other keys can be removed from vault.keys",
        );
    }
}

fn show_replicas(status: &Vault) {
    let row = |replica: &Replica| {
        let last_seen = format!("{} s ago", replica.heard_ago);
        let (keys, seals) = (replica.vault_keys.join(" "), replica.vault_active.clone());
        [
            output::plain(&replica.host),
            replica.id.clone(),
            replica.started_at.clone(),
            last_seen,
            keys,
            seals,
        ]
    };
    let rows: Vec<_> = status.replicas.iter().map(row).collect();
    if !rows.is_empty() {
        output::line("");
        output::table(["REPLICA", "ID", "STARTED", "LAST SEEN", "KEYS", "SEALS WITH"], &rows);
    }
    for replica in status.replicas.iter().filter(|replica| replica.vault_active != status.active) {
        let host = output::plain(&replica.host);
        output::note(&format!("{host} ({}) still seals with {}", replica.id, replica.vault_active));
    }
}
