//! Leases: the parts of X's quotas, and of what limited keys may ask, that each live replica may use. Their age is
//! measured with the database's clock.

use std::sync::Arc;
use std::time::Duration;

use sqlx_macros::FromRow;

use crate::model::quota::{Demand, KeyLease, Lease, Reported};
use crate::store::database::dialect::Work;
use crate::store::database::query::Query;
use crate::store::{Error, Store};

const MILLION: f64 = 1e6;
const THOUSAND: f64 = 1e3;

/// The leases of one replica: of quotas by app and pool, and of keys by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leases {
    pub quotas: Vec<((String, String), Lease)>,
    pub keys: Vec<(String, KeyLease)>,
}

/// How old leases may be and still count.
#[derive(Clone, Copy, Debug)]
pub struct LeaseLives {
    pub quotas: Duration,
    pub keys: Duration,
}

/// A row of `quota_lease`.
#[derive(FromRow)]
struct QuotaRow {
    app: String,
    pool: String,
    share: i64,
    demand: String,
    call_limit: Option<i64>,
    remaining: Option<i64>,
    reset_at: Option<i64>,
    made: i64,
    in_flight: i64,
}

/// A row of `key_lease`.
#[derive(FromRow)]
struct KeyRow {
    key_id: String,
    made: i64,
    most: i64,
    wanted: i64,
}

impl Store {
    /// The leases of all replicas but this one.
    pub async fn list_leases_of_others(
        &self,
        replica: &str,
        lives: LeaseLives,
    ) -> Result<Leases, Error> {
        let [quotas, keys] = self.queries(replica, lives);
        read(self.fetch_all(quotas).await?, self.fetch_all(keys).await?)
    }

    /// Renews the leases of a replica, while no other renews its own: `renew` makes them from those of the others.
    pub async fn renew_leases(
        &self,
        replica: &str,
        lives: LeaseLives,
        renew: impl Fn(&Leases) -> Leases,
    ) -> Result<(Leases, Leases), Error> {
        let [quotas, keys] = self.queries(replica, lives);
        self.write(|| async {
            let mut work = self.begin().await?;
            let counted = work.query("update lease_counter set renewals = renewals + 1");
            work.execute(counted).await?;
            let quotas = work.fetch_all(quotas.clone()).await?;
            let others = read(quotas, work.fetch_all(keys.clone()).await?)?;
            let own = renew(&others);
            for ((app, pool), lease) in &own.quotas {
                put_quota(&mut work, replica, (app, pool), lease).await?;
            }
            for (key, lease) in &own.keys {
                put_key(&mut work, replica, key, *lease).await?;
            }
            Ok((work, (own, others)))
        })
        .await
    }

    /// Removes leases that do not count any more.
    pub async fn prune_leases(&self, lives: LeaseLives) -> Result<(), Error> {
        let sql = "delete from quota_lease where renewed_at < (select seconds from clock) - $1";
        self.execute(self.query(sql).bind(seconds(lives.quotas))).await?;
        let sql = "delete from key_lease where renewed_at < (select seconds from clock) - $1";
        self.execute(self.query(sql).bind(seconds(lives.keys))).await.map(drop)
    }

    fn queries(&self, replica: &str, lives: LeaseLives) -> [Query; 2] {
        let quotas =
            "select app, pool, share, demand, call_limit, remaining, reset_at, made, in_flight
             from quota_lease cross join clock
             where replica_id <> $1 and seconds - renewed_at <= $2
             order by replica_id, app, pool";
        // A replica that is gone takes no more, but what it has taken counts for a minute.
        let keys = "select key_id, made, wanted,
                 case when seconds - renewed_at <= $3 then most else made end as most
             from key_lease cross join clock
             where replica_id <> $1 and seconds - renewed_at <= $2
             order by replica_id, key_id";
        let quotas = self.query(quotas).bind(replica).bind(seconds(lives.quotas));
        let keys = self.query(keys).bind(replica).bind(seconds(lives.keys));
        [quotas, keys.bind(seconds(lives.quotas))]
    }
}

async fn put_quota(
    work: &mut Work,
    replica: &str,
    (app, pool): (&str, &str),
    lease: &Lease,
) -> Result<(), Error> {
    let sql =
        "insert into quota_lease (replica_id, app, pool, share, demand, call_limit, remaining,
             reset_at, made, in_flight, renewed_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, seconds from clock where true
         on conflict (replica_id, app, pool) do update set
             share = excluded.share,
             demand = excluded.demand,
             call_limit = excluded.call_limit,
             remaining = excluded.remaining,
             reset_at = excluded.reset_at,
             made = excluded.made,
             in_flight = excluded.in_flight,
             renewed_at = excluded.renewed_at";
    let reported = lease.reported.unwrap_or_default();
    let query = work
        .query(sql)
        .bind(replica)
        .bind(app)
        .bind(pool)
        .bind(whole(lease.share * MILLION))
        .bind(written(&lease.demand))
        .bind(reported.limit.map(i64::from))
        .bind(reported.remaining.map(i64::from))
        .bind(reported.reset)
        .bind(i64::from(lease.made))
        .bind(i64::from(lease.in_flight));
    work.execute(query).await.map(drop)
}

async fn put_key(work: &mut Work, replica: &str, key: &str, lease: KeyLease) -> Result<(), Error> {
    let sql = "insert into key_lease (replica_id, key_id, made, most, wanted, renewed_at)
         select $1, $2, $3, $4, $5, seconds from clock where true
         on conflict (replica_id, key_id) do update set
             made = excluded.made,
             most = excluded.most,
             wanted = excluded.wanted,
             renewed_at = excluded.renewed_at";
    let query = work
        .query(sql)
        .bind(replica)
        .bind(key)
        .bind(i64::from(lease.made))
        .bind(i64::from(lease.most))
        .bind(i64::from(lease.wanted));
    work.execute(query).await.map(drop)
}

fn read(quotas: Vec<QuotaRow>, keys: Vec<KeyRow>) -> Result<Leases, Error> {
    let quotas = quotas.into_iter().map(quota);
    let keys = keys.into_iter().map(|row| {
        let lease =
            KeyLease { made: count(row.made), most: count(row.most), wanted: count(row.wanted) };
        (row.key_id, lease)
    });
    Ok(Leases { quotas: quotas.collect::<Result<_, _>>()?, keys: keys.collect() })
}

fn quota(row: QuotaRow) -> Result<((String, String), Lease), Error> {
    let demand = row.demand.split_whitespace().map(demand).collect::<Option<_>>();
    let reported = Reported {
        limit: row.call_limit.map(count),
        remaining: row.remaining.map(count),
        reset: row.reset_at,
    };
    let lease = Lease {
        share: f64::from(count(row.share)) / MILLION,
        demand: demand.ok_or_else(|| Error::unreadable("quota_lease.demand"))?,
        reported: (reported != Reported::default()).then_some(reported),
        made: count(row.made),
        in_flight: count(row.in_flight),
    };
    Ok(((row.app, row.pool), lease))
}

fn written(demand: &[Demand]) -> String {
    let one = |demand: &Demand| {
        let Demand { key, weight, calls, for_pages, held, pace, evidence, used, waiting } = demand;
        let (pace, evidence) = (whole(pace * THOUSAND), whole(evidence * MILLION));
        let weight = whole(*weight);
        format!("{key}:{weight}:{calls}:{pace}:{evidence}:{used}:{waiting}:{for_pages}:{held}")
    };
    demand.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn demand(text: &str) -> Option<Demand> {
    let mut fields = text.split(':');
    let key: Arc<str> = fields.next()?.into();
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (weight, calls, pace, evidence) = (number()?, number()?, number()?, number()?);
    // Absent in what programs before the first release wrote.
    let mut number = || number().unwrap_or_default();
    let (used, waiting, for_pages, held) = (number(), number(), number(), number());
    let [weight, pace, evidence] = [weight, pace, evidence].map(f64::from);
    let (pace, evidence) = (pace / THOUSAND, evidence / MILLION);
    Some(Demand { key, weight, calls, for_pages, held, pace, evidence, used, waiting })
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "it saturates")]
fn whole(number: f64) -> i64 {
    number.round().max(0.0) as i64
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
