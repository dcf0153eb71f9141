//! Notifying webhooks of what needs attention: once, whichever replicas see it.

use time::OffsetDateTime;

use crate::model::webhook::{Event, Subject};
use crate::store::database::dialect::Work;
use crate::store::webhook::event::NewEvent;
use crate::store::{Error, Store, whole_seconds};

/// Between two events of one cause and app that something needs attention, in seconds.
const BETWEEN: i64 = 3600;
/// How long no replica has to have seen a thing until it is over, in seconds.
const UNSEEN: i64 = 180;

/// Something that needs attention.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    pub cause: String,
    /// Empty if it is about no app in particular.
    pub app: String,
    /// What is wrong, in words.
    pub text: String,
    /// Numbers with their names.
    pub figures: Vec<(String, u64)>,
}

impl Store {
    /// Notes what needs attention now; writes an event for what began to, if none was written for it lately, and for
    /// what no longer does. Returns how many. Does nothing without webhooks.
    pub async fn notify_of(
        &self,
        troubles: &[Trouble],
        now: OffsetDateTime,
    ) -> Result<usize, Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            let any = "select webhook_id from webhook order by webhook_id limit 1";
            let receiver: Option<(String,)> = work.fetch_optional(work.query(any)).await?;
            let mut events = 0;
            if receiver.is_some() {
                for trouble in troubles {
                    events += self.notify(&mut work, trouble, now).await?;
                }
                events += self.notify_of_ends(&mut work, now).await?;
            } else {
                work.execute(work.query("delete from attention")).await?;
            }
            Ok((work, events))
        })
        .await
    }

    async fn notify(
        &self,
        work: &mut Work,
        trouble: &Trouble,
        now: OffsetDateTime,
    ) -> Result<usize, Error> {
        let at = now.unix_timestamp();
        let see = "insert into attention (cause, app, seen_at, notified_at, is_notified)
             values ($1, $2, $3, 0, 0)
             on conflict (cause, app) do update set seen_at = excluded.seen_at";
        let query = work.query(see).bind(&trouble.cause).bind(&trouble.app).bind(at);
        work.execute(query).await?;
        let claim = "update attention set is_notified = 1, notified_at = $3
             where cause = $1 and app = $2 and is_notified = 0 and notified_at <= $4 returning cause";
        let query = work.query(claim).bind(&trouble.cause).bind(&trouble.app);
        let claimed: Option<(String,)> =
            work.fetch_optional(query.bind(at).bind(at - BETWEEN)).await?;
        if claimed.is_none() {
            return Ok(0);
        }
        let Trouble { cause, app, text, figures } = trouble;
        let subject = Subject::Gateway { cause: cause.clone(), figures: figures.clone() };
        let event = NewEvent { event: Event::GatewayDegraded, app, subject, reason: text };
        self.insert_event(work, event, whole_seconds(now)).await?;
        Ok(1)
    }

    async fn notify_of_ends(&self, work: &mut Work, now: OffsetDateTime) -> Result<usize, Error> {
        let at = now.unix_timestamp();
        let end = "update attention set is_notified = 0 where is_notified = 1 and seen_at <= $1
             returning cause, app, notified_at";
        let mut ended: Vec<(String, String, i64)> =
            work.fetch_all(work.query(end).bind(at - UNSEEN)).await?;
        ended.sort();
        for (cause, app, notified_at) in &ended {
            let lasted = u64::try_from(at - notified_at).unwrap_or_default();
            let figures = vec![("seconds".to_owned(), lasted)];
            let subject = Subject::Gateway { cause: cause.clone(), figures };
            let reason = "it no longer needs attention";
            let event = NewEvent { event: Event::GatewayRecovered, app, subject, reason };
            self.insert_event(work, event, whole_seconds(now)).await?;
        }
        let prune =
            "delete from attention where is_notified = 0 and notified_at <= $1 and seen_at <= $1";
        work.execute(work.query(prune).bind(at - BETWEEN)).await?;
        Ok(ended.len())
    }
}
