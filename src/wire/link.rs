//! Links for users to connect accounts, in JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gateway::{self, Detail, WaitingLink};
use crate::model::UserId;
use crate::wire::schema;
use crate::wire::schema::{Duration, Time, Url};
use crate::wire::time::rfc3339;

/// A link to create.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Required if several apps are configured.
    pub app: Option<String>,
    /// Its name, which the user sees.
    #[schema(min_length = 1, max_length = 100)]
    pub label: String,
    /// The only user who may connect with it.
    #[schema(value_type = Option<schema::UserId>)]
    pub user_id: Option<String>,
    /// Where the browser goes afterwards: a URL exactly as listed in `connect.return_to`.
    #[schema(value_type = Option<Url>)]
    pub return_to: Option<String>,
    /// Its lifetime, such as `2h`; one day by default and at most.
    #[schema(value_type = Option<Duration>)]
    pub expires: Option<String>,
}

/// A new link. Its URL is shown only once.
#[derive(Serialize, ToSchema)]
pub struct CreatedLink {
    /// Identifies the link, but does not open it.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    pub id: String,
    #[schema(value_type = Url)]
    pub url: String,
    pub app: String,
    pub label: String,
    #[schema(value_type = Option<schema::UserId>)]
    pub user_id: Option<String>,
    #[schema(value_type = Option<Url>)]
    pub return_to: Option<String>,
    #[schema(value_type = Time)]
    pub expires_at: String,
}

/// A pending link, without the secret in its URL.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Link {
    #[schema(pattern = "^[0-9a-f]{16}$")]
    pub id: String,
    pub app: String,
    pub label: String,
    #[schema(value_type = Option<schema::UserId>)]
    pub user_id: Option<String>,
    #[schema(value_type = Option<Url>)]
    pub return_to: Option<String>,
    #[schema(value_type = Time)]
    pub created_at: String,
    #[schema(value_type = Time)]
    pub expires_at: String,
}

impl NewLink {
    /// Reads what JSON and the command line give as text; returns all problems at once.
    pub fn read(self) -> Result<gateway::NewLink, Vec<Detail>> {
        let mut problems = Vec::new();
        let expected_user = self.user_id.as_deref().map(UserId::parse);
        if expected_user == Some(None) {
            problems.push(Detail::at("/user_id", "must be a user id of 1 to 19 digits"));
        }
        let expires_in = self.expires.as_deref().map(humantime::parse_duration).transpose();
        if expires_in.is_err() {
            problems.push(Detail::at("/expires", "must be a duration such as 24h or 30m"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(gateway::NewLink {
            app: self.app,
            label: self.label,
            expected_user: expected_user.flatten(),
            return_to: self.return_to,
            expires_in: expires_in.ok().flatten(),
        })
    }
}

impl From<gateway::CreatedLink> for CreatedLink {
    fn from(created: gateway::CreatedLink) -> CreatedLink {
        CreatedLink {
            id: created.id.to_string(),
            url: created.url.expose().to_owned(),
            app: created.link.app,
            label: created.link.label,
            user_id: created.link.expected_user.map(|id| id.to_string()),
            return_to: created.link.return_to,
            expires_at: rfc3339(created.link.expires_at),
        }
    }
}

impl From<WaitingLink> for Link {
    fn from(waiting: WaitingLink) -> Link {
        Link {
            id: waiting.id.to_string(),
            app: waiting.link.app,
            label: waiting.link.label,
            user_id: waiting.link.expected_user.map(|id| id.to_string()),
            return_to: waiting.link.return_to,
            created_at: rfc3339(waiting.link.created_at),
            expires_at: rfc3339(waiting.link.expires_at),
        }
    }
}
