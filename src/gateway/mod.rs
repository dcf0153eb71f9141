//! The use cases. They know no HTTP server and no SQL; `call/forward.rs` is the heart.

mod account;
mod app;
mod attention;
mod audit;
mod bearer;
mod bounded;
mod browser;
mod cache;
mod call;
mod changes;
mod error;
mod error_code;
mod health;
mod key;
mod own;
mod patience;
mod question;
mod quota;
mod reload;
mod replicas;
mod usage;
mod vault_ring;
mod vault_rotation;
mod warm_up;
mod webhook;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub use crate::admission::quota::{Class, Level, Patience, Portion};
pub use crate::admission::{Handled, Held, OverLimit, OverPageLimit, PageLimit};
pub use crate::gateway::account::connect::{
    Begun, BegunPin, Callback, Finished, Invitation, LinkState,
};
pub use crate::gateway::account::known::KnownAccount;
pub use crate::gateway::account::links::{CreatedLink, NewLink};
pub use crate::gateway::account::pending_links::{LinkId, LinkPlace, WaitingLink};
pub use crate::gateway::account::posts::KnownPosts;
pub use crate::gateway::account::view::{AccountWithLastCall, FirstSteps, History};
pub use crate::gateway::account::{Import, ImportEvents, Verified, check_imports};
pub use crate::gateway::app::bearer::BearerSource;
pub use crate::gateway::app::faults::Fault;
pub use crate::gateway::app::reconnects::Reconnect;
pub use crate::gateway::attention::{Attention, FailedAccount, FailedKey};
pub use crate::gateway::audit::Page;
pub use crate::gateway::browser::calls::MadeCalls;
pub use crate::gateway::browser::claims::Token;
pub use crate::gateway::browser::new::{CreatedToken, NewToken};
pub use crate::gateway::browser::page::{RefusedToken, TokenHolder};
pub use crate::gateway::browser::withdrawal::Withdrawn;
pub use crate::gateway::call::check::{Problems, read_time};
pub use crate::gateway::call::forward::RelayRequest;
pub use crate::gateway::call::json::{aside as read_aside, explain as explain_json, without_mark};
pub use crate::gateway::call::recent::{CallNames, CallWithOthers, KeyNames, RefusedQuestion};
pub use crate::gateway::call::trace::CallTrace;
pub use crate::gateway::error::{Detail, Error, Location, NamedAccount};
pub use crate::gateway::health::{Degraded, Health};
pub use crate::gateway::key::limits::{KeyUpdate, LimitChange, check_limits};
pub use crate::gateway::key::refusals::Wanted;
pub use crate::gateway::key::session::{Session, SignIn};
pub use crate::gateway::key::{KnownKey, NewKey};
pub use crate::gateway::own::{OwnRequest, OwnUsage};
pub use crate::gateway::question::Span;
pub use crate::gateway::question::answered::{Answered, FinishedCall};
pub use crate::gateway::question::caller::Caller;
pub use crate::gateway::question::listing::{AccountPosts, PostSource};
pub use crate::gateway::question::lookup::LookUp;
pub use crate::gateway::question::merge::Merge;
pub use crate::gateway::question::number_key::KeyText;
pub use crate::gateway::question::plan::{Call as PlannedCall, Missing, Plan, Reason, Signer};
pub use crate::gateway::question::prepare::{Deadline, Planned, Received};
pub use crate::gateway::question::remarks::Remarks;
pub use crate::gateway::question::text::JsonText;
pub use crate::gateway::question::top::Ranked;
pub use crate::gateway::question::tree::leaf::Leaf;
pub use crate::gateway::question::tree::{Row, Rows, Walk};
pub use crate::gateway::quota::QuotaLevel;
pub use crate::gateway::usage::overview::{Latency, Overview, UsageSurvey};
pub use crate::gateway::usage::report::{UsageGap, UsageReport};
pub use crate::gateway::vault_ring::RingFault;
pub use crate::gateway::vault_rotation::VaultStatus;
pub use crate::gateway::webhook::NewWebhook;
pub use crate::store::{
    AccountFilter, AppAccountFilter, AuditFilter, Backlog, CallFilter, DeliveryFilter, Failure,
    Grain, KeySearch, Replica, SubjectUsage, UsageFilter, UsageOfTime, UsageRow,
};
pub use crate::upstream::{
    Answer, HeaderMap, Learnt, NotReceived, PREPAID, QUOTA_HEADERS, StatusCode, Unpacked,
    UpstreamEffort,
};

use crate::admission::{KeyLimiter, Memory, PageCalls, PageLimiter, Rules, Turns};
use crate::config::{self, Config};
use crate::gateway::app::AppState;
use crate::gateway::browser::Due;
use crate::gateway::browser::new::SealNeeded;
use crate::gateway::browser::origins::{Origins, RefusedOrigins};
use crate::gateway::browser::usage::Asking;
use crate::gateway::browser::withdrawal::Withdrawals;
use crate::gateway::cache::Cache;
use crate::gateway::call::recent::Recent;
use crate::gateway::changes::Feed;
use crate::gateway::key::refusals::Refusals;
use crate::gateway::key::session::Sessions;
use crate::gateway::key::strangers::Strangers;
use crate::gateway::question::authors::Authors;
use crate::gateway::question::kept::Kept;
use crate::gateway::replicas::Presence;
use crate::gateway::usage::Usage;
use crate::gateway::vault_ring::Surveyed;
use crate::model::{App, Clock};
use crate::store::Store;
use crate::upstream::{SetupError, Upstream};
use crate::vault::{Seal, Vault};

/// Everything a use case needs, and the deadline that its caller has named, if any; a cheap clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>, Option<Deadline>);

struct Inner {
    apps: BTreeMap<String, Arc<AppState>>,
    keys: Cache<str, KnownKey>,
    authors: Authors,
    kept: Option<Kept>,
    feed: Feed,
    usage: Usage,
    recent: Recent,
    refusals: Refusals,
    origins: Origins,
    browsers_due: Due,
    refused_origins: RefusedOrigins,
    withdrawals: Withdrawals,
    asking: Asking,
    seal_needed: SealNeeded,
    sessions: Sessions,
    strangers: Strangers,
    /// Turns for questions that are being answered.
    questions: Arc<Turns>,
    /// Turns for what callers ask about their own keys.
    own_turns: Arc<Turns>,
    memory: Memory,
    key_limiter: Arc<KeyLimiter>,
    page_limiter: PageLimiter,
    /// Hours of keys' use that are being written.
    touches: Mutex<JoinSet<()>>,
    page_calls: Arc<PageCalls>,
    /// Held by whoever writes what pages asked and took.
    writing_pages: tokio::sync::Mutex<()>,
    store: Store,
    vault: Vault,
    surveyed: Surveyed,
    presence: Arc<Presence>,
    /// Why the database takes no writes, while that is so.
    write_failure: ArcSwapOption<String>,
    /// Whether the settings were reloaded and could not all be applied.
    is_outdated: AtomicBool,
    upstream: Upstream,
    connect: config::Connect,
    console_url: Option<String>,
    admin_hosts: config::Hosts,
    limits: config::Limits,
    browser: config::Browser,
    /// Notified when there is an event to send.
    events: Arc<Notify>,
    clock: Arc<dyn Clock>,
    stale: Duration,
    poll: Duration,
}

impl Gateway {
    /// Puts the parts together, without calling the database or the upstream yet.
    pub fn new(
        config: &Config,
        store: Store,
        vault: Vault,
        clock: Arc<dyn Clock>,
    ) -> Result<Gateway, SetupError> {
        let limits = &config.limits;
        let app = |app: &App| {
            let state = AppState::new(app.clone(), limits, config.browser.share, &clock);
            (app.name.clone(), Arc::new(state))
        };
        let inner = Inner {
            apps: config.apps.values().map(app).collect(),
            keys: Cache::new("keys", limits.cached_keys, limits.negative_cache),
            authors: Authors::new(),
            kept: Kept::new(&config.cache),
            feed: Feed::new(clock.instant()),
            usage: Usage::new(),
            recent: Recent::default(),
            refusals: Refusals::default(),
            origins: Origins::default(),
            browsers_due: Due::default(),
            refused_origins: RefusedOrigins::default(),
            withdrawals: Withdrawals::default(),
            asking: Asking::default(),
            seal_needed: SealNeeded::default(),
            sessions: Sessions::default(),
            strangers: Strangers::default(),
            questions: Turns::new(Rules {
                total: usize::MAX,
                each: limits.key_questions,
                shared: usize::MAX,
            }),
            own_turns: Turns::new(Rules::of(store.share())),
            memory: Memory::new(limits.answer_memory),
            key_limiter: KeyLimiter::new(Arc::clone(&clock)),
            page_limiter: PageLimiter::new(Arc::clone(&clock)),
            touches: Mutex::default(),
            page_calls: Arc::default(),
            writing_pages: tokio::sync::Mutex::default(),
            store,
            vault,
            surveyed: Surveyed::default(),
            presence: Arc::new(Presence::new(clock.now())),
            write_failure: ArcSwapOption::empty(),
            is_outdated: AtomicBool::new(false),
            upstream: Upstream::new(
                &config.upstream,
                &config.webhooks,
                limits,
                Arc::clone(&clock),
            )?,
            connect: config.connect.clone(),
            console_url: config.admin.public_url.clone(),
            admin_hosts: config.admin.hosts.clone(),
            limits: limits.clone(),
            browser: config.browser.clone(),
            events: Arc::default(),
            clock,
            stale: config.database.stale,
            poll: config.database.poll,
        };
        let gateway = Gateway(Arc::new(inner), None);
        gateway.prove_events();
        Ok(gateway)
    }

    /// Has the store seal what it writes for webhooks.
    fn prove_events(&self) {
        let inner = Arc::downgrade(&self.0);
        self.0.store.prove_events_by(Box::new(move |delivery| {
            inner.upgrade()?.vault.seal(&Seal::delivery(delivery), &[]).ok()
        }));
    }

    /// The configured apps by name, and where their app-only credentials come from.
    pub fn apps(&self) -> impl Iterator<Item = (&str, BearerSource)> {
        self.0.apps.values().map(|app| (&*app.name, app.source()))
    }

    /// The URL at which browsers reach the operators' listener.
    pub fn console_url(&self) -> Option<&str> {
        self.0.console_url.as_deref()
    }

    /// Host names of the operators' listener, as configured.
    pub fn admin_hosts(&self) -> &config::Hosts {
        &self.0.admin_hosts
    }

    /// Addresses to which a browser may return once an account is connected.
    pub fn return_addresses(&self) -> &[String] {
        &self.0.connect.return_to
    }

    /// The app that a request names as `app`, or the only one configured if it names none.
    fn app(&self, name: Option<&str>) -> Result<&Arc<AppState>, Detail> {
        let apps = &self.0.apps;
        let names = || apps.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let detail = match (name, apps.first_key_value()) {
            (_, None) => {
                "no app is configured; set apps.<name>.consumer_key and consumer_secret".to_owned()
            }
            (None, Some((_, only))) if apps.len() == 1 => return Ok(only),
            (None, _) => format!("several apps are configured; name one of {}", names()),
            (Some(name), _) => match apps.get(name) {
                Some(app) => return Ok(app),
                None => format!("must be one of the configured apps: {}", names()),
            },
        };
        Err(Detail::at("/app", detail))
    }

    /// The app to which a stored record belongs.
    fn get_app(&self, name: &str) -> Result<&Arc<AppState>, Error> {
        self.0.apps.get(name).ok_or(Error::NotFound("app in the configuration"))
    }

    fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }
}
