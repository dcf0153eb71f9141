//! Accounts without their tokens, the result of a check with X, and accounts to import.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::gateway::{self, Detail, Import, Problems, Verified, check_imports};
use crate::model::call::ended;
use crate::model::{self, Secret};
use crate::wire::schema::{self, State, Time};
use crate::wire::time::rfc3339;

/// An account without its tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Account {
    pub app: String,
    #[schema(value_type = schema::UserId)]
    pub user_id: String,
    pub screen_name: String,
    #[schema(value_type = State)]
    pub state: &'static str,
    #[schema(value_type = Time)]
    pub state_since: String,
    #[schema(value_type = Time)]
    pub connected_at: String,
}

/// An account with its last call and its last failed call, as far as calls are kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SeenAccount {
    #[serde(flatten)]
    pub account: Account,
    #[schema(value_type = Option<Time>)]
    pub last_call_at: Option<String>,
    /// How the last failed call ended, in words. Later calls may have succeeded.
    pub last_error: Option<String>,
    #[schema(value_type = Option<Time>)]
    pub last_error_at: Option<String>,
}

/// One line of an import.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLine {
    #[schema(value_type = schema::UserId)]
    pub user_id: String,
    pub screen_name: String,
    pub access_token: String,
    pub access_token_secret: String,
}

impl From<model::Account> for Account {
    fn from(account: model::Account) -> Account {
        Account {
            app: account.app,
            user_id: account.user_id.to_string(),
            screen_name: account.screen_name,
            state: account.state.name(),
            state_since: rfc3339(account.state_since),
            connected_at: rfc3339(account.connected_at),
        }
    }
}

impl From<gateway::AccountWithLastCall> for SeenAccount {
    fn from(seen: gateway::AccountWithLastCall) -> SeenAccount {
        let failed = seen.last.failed;
        let words = |failure: &gateway::Failure| ended(failure.status, failure.code.as_deref());
        SeenAccount {
            account: seen.account.into(),
            last_call_at: seen.last.at.map(rfc3339),
            last_error: failed.as_ref().map(words),
            last_error_at: failed.map(|failure| rfc3339(failure.at)),
        }
    }
}

/// The result of checking an account's token with X.
pub fn verified(verified: &Verified) -> serde_json::Value {
    match verified {
        Verified::Works(profile) => json!({
            "works": true,
            "state": "active",
            "screen_name": profile.screen_name,
            "protected": profile.protected,
        }),
        Verified::Marked(state) => json!({ "works": false, "state": state.name() }),
        Verified::NotTheAccount(reason) => json!({ "works": false, "reason": reason }),
    }
}

/// Reads an import, one JSON object per line; a byte order mark and empty lines are skipped. No problem repeats any of
/// the input.
pub fn read_imports(text: &str) -> Result<Vec<Import>, Vec<Detail>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut imports = Vec::new();
    let problems = Problems::of_lines(|problems| {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str::<ImportLine>(line) {
                Ok(line) => imports.push(Import {
                    line: index + 1,
                    user_id: line.user_id,
                    screen_name: line.screen_name,
                    access_token: Secret::new(line.access_token),
                    access_token_secret: Secret::new(line.access_token_secret),
                }),
                Err(error) => {
                    let form = "a JSON object with the strings user_id, screen_name, access_token and access_token_secret";
                    let detail =
                        format!("must be {form}; the error is at column {}", error.column());
                    problems.add_in_line(index + 1, detail);
                }
            }
        }
        // Imports without a problem are checked when they are stored; others never get there, so they are checked here.
        if problems.count() > 0 && !imports.is_empty() {
            check_imports(&imports, problems);
        }
    });
    if problems.is_empty() { Ok(imports) } else { Err(problems) }
}
