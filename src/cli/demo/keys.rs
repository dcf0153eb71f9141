//! The keys of a demo.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::assemble::Deployment;
use crate::cli::demo::accounts::{ACTOR, APP};
use crate::cli::demo::folder::write_private;
use crate::cli::failure::Failure;
use crate::gateway;
use crate::model::Origin;
use crate::model::key::{Right, Role, Scopes};

/// Origins of pages that may ask, in the order of their names: that of the manual's examples.
const PAGES: [&str; 1] = ["https://app.example.com"];

/// The keys of a demo, kept so that its commands still work after a restart. They give access to invented numbers only.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Keys {
    pub(super) key: String,
    pub(super) admin_key: String,
    /// The front end's own.
    #[serde(default)]
    pub(super) page_key: String,
}

/// The keys of the last run as far as they still work, and new ones for the rest.
pub(super) async fn keys(
    deployment: &Deployment,
    folder: &Path,
    origins: &[Origin],
) -> Result<Keys, Failure> {
    let path = folder.join("keys.json");
    let kept = fs::read_to_string(&path).ok();
    let kept: Keys = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let keys = Keys {
        key: key(deployment, kept.key, "demo caller", Role::Caller, of_services()).await?,
        admin_key: key(deployment, kept.admin_key, "demo admin", Role::Owner, Scopes::default())
            .await?,
        page_key: key(deployment, kept.page_key, "demo page", Role::Caller, of_pages(origins))
            .await?,
    };
    let text = serde_json::to_string(&keys).map_err(Failure::general)?;
    write_private(&path, &text)?;
    Ok(keys)
}

/// What the demo's key may do: all but be sent by pages.
fn of_services() -> Scopes {
    let origins: Vec<Origin> =
        PAGES.iter().filter_map(|origin| Origin::parse(origin).ok()).collect();
    let rights = [Right::CreateLinks, Right::Browser].into();
    Scopes { rights, ..of_pages(&origins) }
}

/// What the front end's key may do: make tokens for its page.
fn of_pages(origins: &[Origin]) -> Scopes {
    Scopes {
        app: Some(APP.to_owned()),
        rights: [Right::Browser].into(),
        origins: origins.to_vec(),
        ..Scopes::default()
    }
}

/// The key of the last run if it works and may do the same, or a new one.
async fn key(
    deployment: &Deployment,
    kept: String,
    name: &str,
    role: Role,
    scopes: Scopes,
) -> Result<String, Failure> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if !kept.is_empty()
        && let Ok(known) = deployment.gateway.check_key(&kept, role.kind(), here).await
        && known.key.scopes == scopes
    {
        return Ok(kept);
    }
    let _ = deployment.gateway.revoke_key(name, ACTOR).await;
    let name = name.to_owned();
    let new = gateway::NewKey { role, name, scopes, ..gateway::NewKey::default() };
    let (_, secret) = deployment.gateway.create_key(new, ACTOR).await?;
    Ok(secret.expose().to_owned())
}
