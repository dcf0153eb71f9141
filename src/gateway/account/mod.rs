//! Accounts: finding the one whose token signs, and importing, checking and removing them.

pub(super) mod connect;
pub(super) mod known;
pub(super) mod links;
pub(super) mod pending_links;
pub(super) mod posts;
pub(super) mod token;
pub(super) mod verify;
pub(super) mod view;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::gateway::account::known::{KnownAccount, is_printable, is_token_of};
use crate::gateway::account::token::{VERIFIED_UNOPENED, open_token};
use crate::gateway::app::AppState;
use crate::gateway::call::check::Problems;
use crate::gateway::call::json::Path;
use crate::gateway::key::KnownKey;
use crate::gateway::{Detail, Error, Gateway, NamedAccount};
use crate::model::account::is_screen_name;
use crate::model::webhook::Event;
use crate::model::{Account, AccountRef, AccountState, Secret, UserId};
use crate::store::{AccountFilter, NewAccount, PartEvents, Store, StoredAccount};
use crate::upstream::{Profile, Verdict};
use crate::vault::Seal;

/// How many accounts of an import are stored at a time: few enough that nobody has to wait for a second.
const PART: usize = 1000;

/// An account with tokens supplied by an admin.
pub struct Import {
    /// Its position in the admin's input, counted from 1.
    pub line: usize,
    pub user_id: String,
    pub screen_name: String,
    pub access_token: Secret,
    pub access_token_secret: Secret,
}

/// What webhooks are told of an import.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ImportEvents {
    /// One event with how many accounts there were; for a single account, that it is connected.
    #[default]
    Summary,
    /// That each account is connected.
    Each,
}

impl ImportEvents {
    pub const ALL: [ImportEvents; 2] = [ImportEvents::Summary, ImportEvents::Each];

    /// Its name on the command line and in a query.
    pub const fn name(self) -> &'static str {
        match self {
            ImportEvents::Summary => "summary",
            ImportEvents::Each => "each",
        }
    }

    pub fn from_name(name: &str) -> Option<ImportEvents> {
        ImportEvents::ALL.into_iter().find(|events| events.name() == name)
    }
}

/// X's verdict on an account's token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verified {
    Works(Profile),
    /// The account was marked with this state.
    Marked(AccountState),
    /// The app or the clock is at fault, not the account.
    NotTheAccount(&'static str),
}

impl Gateway {
    /// The account that a call names, if the key may use it. An account that the key may not use counts as not found.
    pub(super) async fn get_usable_account(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        named: &AccountRef,
        from: IpAddr,
    ) -> Result<Arc<KnownAccount>, Error> {
        let user_id = match named {
            AccountRef::Id(user_id) => *user_id,
            AccountRef::ScreenName(name) => {
                self.find_user(app, name, Some(key)).await?.ok_or(Error::AccountNotFound)?
            }
        };
        let allowed =
            key.key.scopes.accounts.as_ref().is_none_or(|accounts| accounts.contains(&user_id));
        let known = if allowed { self.find_account(app, user_id).await? } else { None };
        let known = known.ok_or(Error::AccountNotFound)?;
        let account = &known.stored.account;
        let (state, since) = (account.state, account.state_since);
        if state == AccountState::Active {
            return Ok(known);
        }
        let reconnect = Box::pin(self.find_reconnect_link(key, app, account, from)).await;
        let Account { user_id, ref screen_name, .. } = *account;
        let account = NamedAccount { user_id, screen_name: screen_name.clone() };
        Err(Error::AccountNotActive { account, state, since, reconnect })
    }

    /// Stores accounts with their tokens in parts, so that nothing else has to wait for long. Problems are reported by
    /// line, and nothing is stored then; `on_part` is called after each part with how many accounts are stored so far.
    pub async fn import_accounts(
        &self,
        app: Option<&str>,
        imports: &[Import],
        events: ImportEvents,
        actor: &str,
        on_part: impl Fn(usize),
    ) -> Result<usize, Error> {
        let app = &self.app_of_query(app)?.name;
        let problems = Problems::of_lines(|problems| check_imports(imports, problems));
        if !problems.is_empty() {
            return Err(Error::InvalidRequest(problems));
        }
        let seal =
            |import: &Import| Some(self.seal_account(app, UserId::parse(&import.user_id)?, import));
        let accounts = imports.iter().filter_map(seal).collect::<Result<Vec<_>, _>>()?;
        let is_each = events == ImportEvents::Each || accounts.len() == 1;
        let (mut stored, mut held) = (0, Vec::new());
        for part in accounts.chunks(PART) {
            if stored > 0 {
                self.0.store.give_way().await;
            }
            let is_last = stored + part.len() == accounts.len();
            let events = if is_each {
                PartEvents::Each
            } else {
                PartEvents::Summary { held: &held, is_last }
            };
            let put = self.0.store.put_accounts(part, events, actor, self.now()).await;
            held = put.map_err(|error| stopped(stored, imports, error.into()))?;
            stored += part.len();
            let user_ids: Vec<UserId> = part.iter().map(|account| account.user_id).collect();
            self.forget_accounts(app, &user_ids).await;
            if is_each {
                self.announce(Event::Connected, part.len());
            }
            on_part(stored);
        }
        if !is_each {
            self.announce(Event::Imported, 1);
        }
        Ok(stored)
    }

    /// Accounts by app and user id, without their tokens. A requested app must be configured; without one, accounts
    /// of apps that are no longer configured are listed too.
    pub async fn list_accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>, Error> {
        if filter.app.is_some() {
            self.app_of_query(filter.app.as_deref())?;
        }
        Ok(self.0.store.list_accounts(filter).await?)
    }

    /// One account, even of an app that is no longer configured; `app` is optional if only one is configured.
    pub async fn get_account(
        &self,
        app: Option<&str>,
        named: &AccountRef,
    ) -> Result<Account, Error> {
        Ok(self.get_stored_account(app, named).await?.account)
    }

    /// Asks X whether an account's token works, and brings its state in line with the answer.
    pub async fn verify_account(
        &self,
        app: Option<&str>,
        named: &AccountRef,
        actor: &str,
    ) -> Result<Verified, Error> {
        let stored = self.get_stored_account(app, named).await?;
        let account = &stored.account;
        let app = self.get_app(&account.app)?;
        self.require_keys(&stored)?;
        let Ok(token) = open_token(&self.0.vault, &stored) else {
            self.set_state(&stored, AccountState::Quarantined, VERIFIED_UNOPENED, actor).await?;
            return Ok(Verified::Marked(AccountState::Quarantined));
        };
        let answer =
            self.0.upstream.verify_account(&app.settings(), &token).await.map_err(|error| {
                match error {
                    crate::upstream::VerifyError::Upstream(error) => error.into(),
                    odd @ crate::upstream::VerifyError::Odd(_) => Error::odd(odd),
                }
            })?;
        let (state, reason) = match &answer {
            Ok(profile) if profile.user_id != account.user_id => {
                (AccountState::Quarantined, "X says that the token belongs to another user")
            }
            Ok(_) => (AccountState::Active, "X accepts the access token"),
            Err(Verdict::AccountRevoked) => {
                (AccountState::Revoked, "X says that the access token is no longer valid")
            }
            Err(Verdict::AccountBlocked) => {
                (AccountState::Blocked, "X says that the user is suspended or locked")
            }
            Err(Verdict::ClockRejected) => {
                return Ok(Verified::NotTheAccount(
                    "X rejected the signature's timestamp; set this machine's clock",
                ));
            }
            Err(_) => {
                return Ok(Verified::NotTheAccount("X rejected the app's consumer key or secret"));
            }
        };
        self.set_state(&stored, state, reason, actor).await?;
        match answer {
            Ok(profile) if state == AccountState::Active => Ok(Verified::Works(profile)),
            _ => Ok(Verified::Marked(state)),
        }
    }

    /// Deletes an account and its token for good.
    pub async fn remove_account(
        &self,
        app: Option<&str>,
        named: &AccountRef,
        actor: &str,
    ) -> Result<Account, Error> {
        let account = self.get_stored_account(app, named).await?.account;
        let (app, user_id) = (&account.app, account.user_id);
        if self.0.store.remove_account(app, user_id, actor, self.now()).await? {
            self.announce(Event::Removed, 1);
        }
        self.forget_accounts(&account.app, &[account.user_id]).await;
        Ok(account)
    }

    /// The user with a screen name; for a limited key, among its own accounts. No other account is read, so neither
    /// the answer nor its timing reveals whether one has that name.
    pub(super) async fn find_user(
        &self,
        app: &AppState,
        name: &str,
        key: Option<&KnownKey>,
    ) -> Result<Option<UserId>, Error> {
        let limited = key.and_then(|key| Some((&*key.key.id, key.key.scopes.accounts.as_deref()?)));
        let place = name_place(limited.map(|(key_id, _)| key_id), name);
        let remembers = self.may_remember();
        if remembers && let Some(known) = app.names.peek(&place).await {
            return Ok(Some(*known));
        }
        let app_name = &*app.name;
        let find = |store: Store| async move {
            if let Some((_, own)) = limited {
                return Ok(store.find_user_among(app_name, name, own).await?);
            }
            let found = store.find_account_by_screen_name(app_name, name).await?;
            Ok(found.map(|stored| stored.account.user_id))
        };
        Ok(self.load(&app.names, &*place, !remembers, find).await?.map(|user_id| *user_id))
    }

    pub(super) async fn find_account(
        &self,
        app: &AppState,
        user_id: UserId,
    ) -> Result<Option<Arc<KnownAccount>>, Error> {
        let remembers = self.may_remember();
        if remembers && let Some(known) = app.accounts.peek(&user_id).await {
            return Ok(Some(known));
        }
        let find = |store: Store| async move {
            let stored = store.find_account(&app.name, user_id).await?;
            let Some(stored) = stored else { return Ok(None) };
            let mut known = self.open_account(stored)?;
            // Boxed, since it is seldom needed and large.
            Box::pin(self.heal(&store, &mut known)).await?;
            Ok(Some(known))
        };
        Ok(self.load(&app.accounts, &user_id, !remembers, find).await?)
    }

    /// The app that a request about accounts names in its query.
    fn app_of_query(&self, name: Option<&str>) -> Result<&Arc<AppState>, Detail> {
        self.app(name).map_err(|problem| Detail::in_query(format!("app: {}", problem.detail)))
    }

    async fn get_stored_account(
        &self,
        app: Option<&str>,
        named: &AccountRef,
    ) -> Result<StoredAccount, Error> {
        let app = match app {
            Some(app) => app,
            None => &self.app_of_query(None)?.name,
        };
        let found = match named {
            AccountRef::Id(user_id) => self.0.store.find_account(app, *user_id).await?,
            AccountRef::ScreenName(name) => {
                self.0.store.find_account_by_screen_name(app, name).await?
            }
        };
        found.ok_or(Error::NotFound("account"))
    }

    fn seal_account(
        &self,
        app: &str,
        user_id: UserId,
        import: &Import,
    ) -> Result<NewAccount, Error> {
        let seal = |place: Seal, secret: &Secret| {
            self.0.vault.seal(&place, secret.expose().trim().as_bytes())
        };
        Ok(NewAccount {
            app: app.to_owned(),
            user_id,
            screen_name: import.screen_name.trim_start_matches('@').to_owned(),
            sealed_token: seal(Seal::access_token(app, user_id), &import.access_token)?,
            sealed_token_secret: seal(
                Seal::access_token_secret(app, user_id),
                &import.access_token_secret,
            )?,
        })
    }

    pub(super) async fn forget_accounts(&self, app: &str, user_ids: &[UserId]) {
        // Accounts of an app that is no longer configured are not cached.
        let Some(app) = self.0.apps.get(app) else { return };
        for user_id in user_ids {
            app.accounts.forget(user_id).await;
            app.reconnects.forget(*user_id).await;
        }
        app.names.forget_all();
    }
}

/// The cache key for a screen name; each key limited to some accounts has entries of its own. No screen name
/// contains the separator.
pub(super) fn name_place(limited_key: Option<&str>, name: &str) -> String {
    format!("{}@{name}", limited_key.unwrap_or_default())
}

/// An import that ended after some of its parts.
fn stopped(stored: usize, imports: &[Import], cause: Error) -> Error {
    let next = imports.get(stored).map(|import| import.line);
    match next {
        Some(line) if stored > 0 => {
            Error::ImportStopped { stored, of: imports.len(), line, cause: Box::new(cause) }
        }
        _ => cause,
    }
}

/// Adds everything that is wrong with accounts to import.
pub fn check_imports(imports: &[Import], problems: &mut Problems) {
    let mut seen = HashMap::new();
    for import in imports {
        for detail in check_import(import) {
            problems.add_in_line(import.line, detail);
        }
        let user_id = UserId::parse(&import.user_id);
        if let Some(user_id) = user_id
            && let Some(first) = seen.insert(user_id, import.line)
        {
            let detail = format!("user_id {user_id} is also in line {first}");
            problems.add_in_line(import.line, detail);
        }
    }
    if imports.is_empty() {
        let detail = "no accounts to import; give one JSON object per line";
        problems.add(&Path::Root, detail);
    }
}

fn check_import(import: &Import) -> Vec<String> {
    let mut details = Vec::new();
    let user_id = UserId::parse(&import.user_id);
    if user_id.is_none() {
        details.push("user_id must be 1 to 19 digits".to_owned());
    }
    if !is_screen_name(import.screen_name.trim_start_matches('@')) {
        details.push("screen_name must be 1 to 20 letters, digits and underscores".to_owned());
    }
    let token = import.access_token.expose().trim();
    if let Some(user_id) = user_id
        && !is_token_of(user_id, token)
    {
        details.push(format!(
            "access_token must begin with the user's id, {user_id}-, and have no spaces"
        ));
    }
    if !is_printable(import.access_token_secret.expose().trim()) {
        details.push(
            "access_token_secret must be 1 to 200 printable characters without spaces".to_owned(),
        );
    }
    details
}
