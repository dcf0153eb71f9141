//! The accounts that a demo has connected.

use crate::cli::failure::Failure;
use crate::gateway::{Gateway, Import, ImportEvents};
use crate::model::Secret;
use crate::sandbox::WorldUser;

/// The demo's app, which is one of the sandbox's, and the actor in its audit log.
pub(super) const APP: &str = "demo";
pub(super) const ACTOR: &str = "demo";

pub(super) async fn import(gateway: &Gateway, users: &[&WorldUser]) -> Result<(), Failure> {
    let import = |(index, user): (usize, &&WorldUser)| Import {
        line: index + 1,
        user_id: user.user_id.clone(),
        screen_name: user.screen_name.clone(),
        access_token: Secret::from(&*user.access_token),
        access_token_secret: Secret::from(&*user.access_token_secret),
    };
    let imports: Vec<Import> = users.iter().enumerate().map(import).collect();
    gateway.import_accounts(Some(APP), &imports, ImportEvents::default(), ACTOR, |_| ()).await?;
    Ok(())
}
