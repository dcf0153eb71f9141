//! Much data at once, as a gateway has after a year: rows that the database generates itself.

use crate::database::{Database, Kind};

/// How many rows of each kind to generate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seed {
    pub accounts: u32,
    pub keys: u32,
    /// Hours of usage up to the sandbox's time, and the lines of each hour.
    pub hours: u32,
    pub lines: u32,
    /// Within the day before the sandbox's time, oldest first.
    pub calls: u32,
}

/// The hour of the sandbox's time, counted from 1970.
pub const HOUR: u32 = 492_549;
const NOW: &str = "2026-03-10T21:15:30Z";

impl Database {
    pub async fn seed(&self, seed: Seed) {
        let blob = if self.kind == Kind::Sqlite { "x'00'" } else { "'\\x00'" };
        let Seed { accounts, keys, hours, lines, calls } = seed;
        let account = "cast(5000000000 + i as text)";
        let key = "'key' || cast(100000000 + i % 1000 as text)";
        let endpoint = "case i % 3 when 0 then 'totals' when 1 then '28hr' else 'historical' end";
        let rows = [
            (accounts, format!(
                "account (app, user_id, screen_name, state, state_since, connected_at, sealed_token, sealed_token_secret)
                 select 'demo', {account}, 'user' || cast(i as text), case when i % 50 = 7 then 'revoked' when i % 200 = 3 then 'blocked' else 'active' end, '{NOW}', '{NOW}', {blob}, {blob}"
            )),
            (accounts, format!(
                "account_month (month, app, user_id, first_used_at) select '2026-03', 'demo', {account}, '{NOW}'"
            )),
            (keys, format!(
                "key (key_id, role, name, app, created_at, sealed_verifier) select {key}, 'caller', 'service ' || cast(i as text), 'demo', '{NOW}', {blob}"
            )),
            (hours * lines, format!(
                "usage_hour (hour, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes)
                 select {HOUR} - i / {most}, 'demo', 'key' || cast(100000000 + i % {most} as text), case when i % 2 = 0 then '' else cast(5000000000 + i % {most} as text) end,
                     {endpoint}, case when i % 2 = 0 then 'app-only' else 'user-context' end, case when i % 17 = 0 then '4xx' when i % 41 = 0 then 'none' else '2xx' end,
                     1 + i * 7 % 13 + (i / {most}) % 24, 20 + i % 90, 4000 + i % 999",
                most = lines.max(1)
            )),
            (calls, format!(
                "call (called_at, request_id, app, key_id, user_id, endpoint, auth, posts, metrics, status, code, attempts, micros, upstream_micros, bytes)
                 select '{NOW}', 'request-' || cast(i / 3 as text), 'demo', {key}, case when i % 2 = 0 then '' else {account} end,
                     'totals', case when i % 2 = 0 then 'app-only' else 'user-context' end, 1 + i % 90, 'favorites', case when i % 23 = 0 then 403 else 200 end, '', 1, 90000 + i * 7919 % 400000, 89000, 4000"
            )),
        ];
        for (count, insert) in rows {
            if count > 0 {
                let (table, select) = insert.split_once("select").unwrap();
                let numbers = format!(
                    "with recursive numbers (i) as (select 0 union all select i + 1 from numbers where i < {count} - 1)"
                );
                self.run(&match self.kind {
                    Kind::Sqlite => format!("insert into {table} {numbers} select {select} from numbers"),
                    Kind::Postgres => format!("insert into {table} select {select} from generate_series(0, {count} - 1) as numbers (i)"),
                })
                .await;
            }
        }
        if hours > 0 {
            self.add_up().await;
        }
        if self.kind == Kind::Postgres {
            self.run("analyze").await;
        }
    }

    /// Derives all other sums from those of hours.
    pub async fn add_up(&self) {
        self.run("delete from usage_day").await;
        self.run("insert into usage_day (day, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) select hour / 24, app, key_id, user_id, endpoint, auth, outcome, sum(calls), sum(posts), sum(bytes) from usage_hour group by 1, 2, 3, 4, 5, 6, 7").await;
        let month = match self.kind {
            Kind::Sqlite => "unixepoch(day * 86400, 'unixepoch', 'start of month') / 86400",
            Kind::Postgres => {
                "cast(extract(epoch from date_trunc('month', to_timestamp(day * 86400) at time zone 'UTC')) / 86400 as bigint)"
            }
        };
        self.run("delete from usage_month").await;
        self.run(&format!("insert into usage_month (month, app, key_id, user_id, endpoint, auth, outcome, calls, posts, bytes) select {month}, app, key_id, user_id, endpoint, auth, outcome, sum(calls), sum(posts), sum(bytes) from usage_day group by 1, 2, 3, 4, 5, 6, 7")).await;
        for (aspect, column) in [
            ("app", "app"),
            ("key", "key_id"),
            ("account", "user_id"),
            ("endpoint", "endpoint"),
            ("auth", "auth"),
            ("outcome", "outcome"),
        ] {
            for time in ["day", "month"] {
                self.run(&format!("delete from usage_{time}_by_aspect where aspect = '{aspect}'"))
                    .await;
                self.run(&format!("insert into usage_{time}_by_aspect (aspect, {time}, value, calls, posts, bytes) select '{aspect}', {time}, {column}, sum(calls), sum(posts), sum(bytes) from usage_{time} group by {time}, {column}")).await;
            }
        }
    }
}
