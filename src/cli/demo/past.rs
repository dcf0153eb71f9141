//! What a demo has behind it: a month of four services' calls, invented, and written as `serve` would have written them.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration as StdDuration;

use time::{Duration, OffsetDateTime, Weekday};

use crate::cli::assemble;
use crate::cli::demo::accounts::{ACTOR, APP, import};
use crate::cli::failure::{self, Failure};
use crate::config::Config;
use crate::gateway::{Gateway, NewKey, NewWebhook};
use crate::model::call::{Call, Said};
use crate::model::key::{Kind, Role, Scopes};
use crate::model::tally::Tallies;
use crate::model::usage::{Line, Month, Outcome, Sums, hour_of};
use crate::model::{AccountState, AuthKind, Cause, Endpoint, Metric, SetClock, UserId, post};
use crate::sandbox::{UserState, World, WorldUser};
use crate::store::{self, Store, UsageBatch, UsedAccount};
use crate::vault::Vault;

/// How long it has been in use.
const DAYS: i64 = 30;
/// The latest calls, which are listed one by one.
const LISTED: usize = 600;
/// The newest posts of each account, whose authors are known.
const KNOWN_POSTS: usize = 20;
/// Nobody listens there, so that the webhook's deliveries fail.
const RECEIVER: &str = "http://127.0.0.1:9/countersign";
/// A key of the right form that nobody has made.
const WRONG_KEY: &str = "csk_0000000000000000000000000000000000000000000000000000000";
const WRITER: &str = "demo-past";
/// When the accounts that are connected no more went, before now.
const REVOKED: Duration = Duration::days(6);
const BLOCKED: Duration = Duration::days(2);

/// Who was connected, in this order.
const CONNECTED: [&str; 5] = ["alice", "bob", "carol", "erin", "frank"];
const ERIN: usize = 3;
const FRANK: usize = 4;
/// How X sees those who are connected no more.
pub(super) const GONE: [(&str, UserState); 2] =
    [("erin", UserState::Revoked), ("frank", UserState::Locked)];

const PUBLIC: [Metric; 3] = [Metric::Favorites, Metric::Retweets, Metric::Replies];
const PRIVATE: [Metric; 3] = [Metric::Impressions, Metric::Engagements, Metric::Favorites];

/// A service: its key's name, and what it asks in an hour.
struct Service {
    name: &'static str,
    ask: fn(&mut ServiceHour),
}

const SERVICES: [Service; 4] = [
    // People look at it while they work.
    Service {
        name: "newsroom dashboard",
        ask: |asked| {
            let count = match (asked.is_workday(), asked.at.hour()) {
                (true, 7..19) => 4 + asked.dice(5),
                (true, 5..22) | (false, 8..20) => asked.dice(3),
                _ => 0,
            };
            for _ in 0..count {
                let status = if asked.dice(90) == 0 { 503 } else { 200 };
                asked.call(Endpoint::Totals, None, status);
            }
        },
    },
    // Every hour the same, as long as the accounts last.
    Service {
        name: "hourly archive",
        ask: |asked| {
            for account in 0..CONNECTED.len() {
                let status = if asked.dice(120) == 0 { 429 } else { 200 };
                asked.call(Endpoint::TwentyEightHours, Some(account), status);
            }
        },
    },
    // All at once, at night.
    Service {
        name: "campaign reports",
        ask: |asked| {
            if asked.at.hour() == 2 {
                for number in 0..16 {
                    asked.call(Endpoint::Historical, Some(1 + number % 2), 200);
                }
            }
        },
    },
    // Somebody who tries things, and asks about posts of others.
    Service {
        name: "notebook of an analyst",
        ask: |asked| {
            if asked.is_workday() && (9..18).contains(&asked.at.hour()) && asked.dice(3) == 0 {
                for _ in 0..=asked.dice(4) {
                    let status = if asked.dice(2) == 0 { 403 } else { 200 };
                    asked.call(Endpoint::Totals, Some(0), status);
                }
            }
        },
    },
];

/// The calls of a service in an hour.
struct ServiceHour<'a> {
    at: OffsetDateTime,
    now: OffsetDateTime,
    key_id: &'a str,
    accounts: &'a [UserId],
    seed: &'a mut u64,
    calls: &'a mut Vec<Call>,
}

/// Writes it into a new database.
pub(super) async fn write(
    config: &Config,
    world: &World,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    let find = |name: &&str| world.users.iter().find(|user| user.screen_name == **name);
    let users: Vec<&WorldUser> = CONNECTED.iter().filter_map(find).collect();
    let store = &assemble::connect(config).await?;
    let begin = now - Duration::days(DAYS);
    store.migrate(begin).await.map_err(failure::of_store)?;
    let first = gateway_at(config, store, begin)?;
    import(&first, &users).await?;
    let mut keys = Vec::new();
    for Service { name, .. } in &SERVICES {
        let scopes = Scopes { app: Some(APP.to_owned()), ..Scopes::default() };
        let new =
            NewKey { role: Role::Caller, name: (*name).to_owned(), scopes, ..NewKey::default() };
        keys.push(first.create_key(new, ACTOR).await?.0.id);
    }
    let webhook = NewWebhook { url: RECEIVER.to_owned(), app: None };
    first.add_webhook(webhook, ACTOR).await?;
    store.insert_authors(&authors(&users, begin)).await.map_err(failure::of_store)?;
    let accounts: Vec<UserId> =
        users.iter().filter_map(|user| UserId::parse(&user.user_id)).collect();
    let calls = calls(&keys, &accounts, now);
    record(store, &keys, &calls).await.map_err(failure::of_store)?;
    end_accounts(store, &accounts, now).await.map_err(failure::of_store)?;
    let lately = gateway_at(config, store, now - Duration::minutes(40))?;
    for _ in 0..3 {
        let stranger = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
        let _ = lately.check_key(WRONG_KEY, Kind::Caller, stranger).await;
    }
    lately.settle_refusals().await?;
    store.close().await;
    Ok(())
}

/// The posts of that time that the services have asked about, with their authors.
fn authors(users: &[&WorldUser], since: OffsetDateTime) -> HashMap<u64, UserId> {
    let first = post::first_id_at(since);
    let of_user = |user: &&WorldUser| {
        let author = UserId::parse(&user.user_id);
        let active = user.posts.iter().filter(|post| post.state == "active");
        let ids = active.filter_map(|post| post.id.parse::<u64>().ok());
        let mut ids: Vec<u64> = ids.filter(|id| *id >= first).collect();
        ids.sort_unstable_by_key(|id| Reverse(*id));
        ids.truncate(KNOWN_POSTS);
        ids.into_iter().filter_map(move |id| Some((id, author?))).collect::<Vec<_>>()
    };
    users.iter().flat_map(of_user).collect()
}

/// Writes usage and the latest calls.
async fn record(store: &Store, keys: &[String], calls: &[Call]) -> Result<(), store::Error> {
    for (number, part) in calls.chunk_by(|one, other| one.at.date() == other.at.date()).enumerate()
    {
        write_usage(store, number, part).await?;
    }
    let (_, listed) = calls.split_at(calls.len().saturating_sub(LISTED));
    let mut tallies = Tallies::default();
    for call in calls {
        tallies.count(&call.app, call.cause, call.at);
    }
    store.insert_calls(listed, tallies.as_slice(), i64::MAX).await?;
    for key in keys {
        if let Some(last) = calls.iter().rfind(|call| call.key_id == *key) {
            store.touch_key(key, last.at.truncate_to_hour()).await?;
        }
    }
    Ok(())
}

/// Ends those accounts that are connected no more.
async fn end_accounts(
    store: &Store,
    accounts: &[UserId],
    now: OffsetDateTime,
) -> Result<(), store::Error> {
    for (account, state, before, reason) in [
        (ERIN, AccountState::Revoked, REVOKED, "X answered 401 with code 89"),
        (FRANK, AccountState::Blocked, BLOCKED, "X answered 403 with code 326"),
    ] {
        if let Some(account) = accounts.get(account)
            && let Some(stored) = store.find_account(APP, *account).await?
        {
            store.update_account_state(&stored, state, reason, "gateway", now - before).await?;
        }
    }
    Ok(())
}

/// A gateway whose clock goes on from another time.
fn gateway_at(config: &Config, store: &Store, at: OffsetDateTime) -> Result<Gateway, Failure> {
    let vault = Vault::new(&config.vault)?;
    let clock = Arc::new(SetClock::at(at));
    Gateway::new(config, store.clone(), vault, clock).map_err(Failure::config)
}

/// All calls, oldest first.
fn calls(keys: &[String], accounts: &[UserId], now: OffsetDateTime) -> Vec<Call> {
    let begin = (now - Duration::days(DAYS)).truncate_to_hour();
    let (mut calls, mut seed) = (Vec::new(), 1);
    let hours = (0..=DAYS * 24).map(|hour| begin + Duration::hours(hour));
    for at in hours {
        for (service, key_id) in SERVICES.iter().zip(keys) {
            let (seed, calls) = (&mut seed, &mut calls);
            (service.ask)(&mut ServiceHour { at, now, key_id, accounts, seed, calls });
        }
    }
    calls.sort_by_key(|call| call.at);
    calls
}

impl ServiceHour<'_> {
    fn is_workday(&self) -> bool {
        !matches!(self.at.weekday(), Weekday::Saturday | Weekday::Sunday)
    }

    /// A number below `sides`.
    fn dice(&mut self, sides: u32) -> u32 {
        *self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u32::try_from((*self.seed >> 33) % u64::from(sides)).unwrap_or_default()
    }

    /// Adds a call somewhere in the hour that X answered so, if the account was still there.
    fn call(&mut self, endpoint: Endpoint, account: Option<usize>, status: u16) {
        let at = self.at + Duration::milliseconds(i64::from(self.dice(3_600_000)));
        let gone = match account {
            Some(ERIN) => REVOKED,
            Some(FRANK) => BLOCKED,
            _ => Duration::ZERO,
        };
        if at >= self.now - gone {
            return;
        }
        let posts = 1 + self.dice(25);
        let (auth, metrics) = match account {
            Some(_) => (AuthKind::UserContext, PRIVATE),
            None => (AuthKind::AppOnly, PUBLIC),
        };
        let upstream_time = StdDuration::from_micros((90_000 + self.dice(160_000)).into());
        let bytes = if status == 200 { 60 * u64::from(posts) } else { 120 };
        let attempts = if status == 503 { 2 } else { 1 };
        let refused = refusal(status, auth);
        let request_id = format!("demo-{:08x}{:08x}", self.dice(u32::MAX), self.dice(u32::MAX));
        self.calls.push(Call {
            id: 0,
            at,
            request_id,
            app: APP.to_owned(),
            key_id: self.key_id.to_owned(),
            subject: None,
            account: account.and_then(|account| self.accounts.get(account).copied()),
            endpoint: Some(endpoint),
            auth: Some(auth),
            posts: usize::try_from(posts).unwrap_or_default(),
            metrics: metrics.to_vec(),
            status: Some(status),
            code: None,
            cause: refused.as_ref().map(|(cause, _)| *cause),
            said: refused.map(|(_, said)| said),
            attempts,
            tries: Vec::new(),
            time: upstream_time + StdDuration::from_micros(600),
            upstream_time,
            bytes,
        });
    }
}

/// Why X refused a call, and what it said.
fn refusal(status: u16, auth: AuthKind) -> Option<(Cause, Said)> {
    let form = Cow::Borrowed("errors in JSON");
    let said = |code, text| Said { code, text: Cow::Borrowed(text), form };
    match status {
        ..400 => None,
        403 => Some((Cause::ForeignPosts, said(None, "Forbidden to access tweets: …"))),
        503 => Some((Cause::XFailing, said(Some(130), "Over capacity"))),
        _ => Some((Cause::of_status(status, auth), said(None, "… rate limit…"))),
    }
}

/// Adds a day's calls to the sums.
async fn write_usage(store: &Store, number: usize, calls: &[Call]) -> Result<(), store::Error> {
    let mut lines: BTreeMap<Line, Sums> = BTreeMap::new();
    let mut used = Vec::new();
    for call in calls {
        let (Some(auth), Some(endpoint)) = (call.auth, call.endpoint) else { continue };
        let line = Line {
            hour: hour_of(call.at),
            app: call.app.clone(),
            key_id: call.key_id.clone(),
            account: call.account,
            endpoint,
            auth,
            outcome: Outcome::of(call.status),
        };
        let posts = u64::try_from(call.posts).unwrap_or_default();
        let sums = Sums { calls: call.attempts.into(), posts, bytes: call.bytes, saved: 0 };
        lines.entry(line).or_default().add(sums);
        used.extend(call.account.map(|account| UsedAccount {
            month: Month::of(call.at),
            app: call.app.clone(),
            account,
            at: call.at,
        }));
    }
    let batch = UsageBatch {
        writer_id: format!("{WRITER}-{number}"),
        number: 1,
        lines: lines.into_iter().collect(),
        used,
        lost_calls: 0,
        counted_calls: calls.iter().map(|call| u64::from(call.attempts)).sum(),
        is_settled: true,
    };
    let Some(last) = calls.last() else { return Ok(()) };
    store.write_usage(&batch, last.at).await
}
