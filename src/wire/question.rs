//! Answers to questions and their plans, in JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::schema::AllOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::gateway::{self, FinishedCall, LookUp, PlannedCall, Signer, UpstreamEffort};
use crate::model::AuthKind;
use crate::model::usage::Saving;
use crate::wire::schema::{
    Called, Credentials, EngagementType, MissingReason, PostId, PostSource, SavedBy, Time, UserId,
    described,
};
use crate::wire::time::rfc3339;

/// The last line of an answer that is sent line by line: everything but the numbers.
#[derive(Serialize)]
pub struct LastLine<'a, R: Serialize, M: Serialize> {
    pub countersign: R,
    #[serde(flatten)]
    pub remarks: &'a M,
}

/// The calls that an answer took, and what is missing from it.
#[derive(Serialize, ToSchema)]
pub struct Report {
    /// Whether nothing is missing.
    pub complete: bool,
    #[schema(value_type = Vec<MadeCall>)]
    pub calls: Vec<Call>,
    pub missing: Vec<Missing>,
    /// The accounts whose posts the question names with `posts_of`, and where these come from.
    pub posts_of: Vec<PostsOf>,
    /// The posts that `top` has kept, the first one first.
    pub top: Vec<Ranked>,
    /// What of the question was read otherwise than it was written, such as an end in the future.
    pub notes: Vec<String>,
}

/// The posts of an account that a question is about.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountPosts)]
pub struct PostsOf {
    #[schema(value_type = UserId)]
    pub account: String,
    #[schema(value_type = PostSource)]
    pub source: &'static str,
    /// How many there are.
    pub posts: usize,
    /// Whether these are all that the question asks for.
    pub complete: bool,
}

/// A post, with the number by which it was chosen.
#[derive(Serialize, ToSchema)]
#[schema(as = RankedPost)]
pub struct Ranked {
    #[schema(value_type = PostId)]
    pub tweet_id: String,
    pub value: i64,
}

/// What is missing from an answer to a page, and how many calls it took.
#[derive(Serialize)]
pub struct PageReport {
    /// Whether nothing is missing.
    pub complete: bool,
    pub calls: CallCounts,
    /// As for services, without accounts and details.
    pub missing: Vec<Missing>,
    /// What of the question was read otherwise than it was written, such as an end in the future.
    pub notes: Vec<String>,
}

/// How many calls an answer took.
#[derive(Serialize)]
pub struct CallCounts {
    /// Calls to X, look-ups included.
    pub made: usize,
    /// Calls that were saved, since the numbers were kept.
    pub saved: usize,
}

/// A call: one that was made, with how it went, or a planned one, with what it asks for.
#[derive(Serialize, ToSchema)]
pub struct Call {
    /// An endpoint's name, or `lookup`.
    #[schema(value_type = Called)]
    pub endpoint: &'static str,
    /// `app-only` or `user-context`.
    #[schema(value_type = Credentials)]
    pub auth: &'static str,
    /// The user whose token signs.
    #[schema(value_type = Option<UserId>)]
    pub account: Option<String>,
    pub tweet_count: usize,
    #[schema(value_type = Option<Time>)]
    pub start: Option<String>,
    #[schema(value_type = Option<Time>)]
    pub end: Option<String>,
    #[serde(flatten)]
    pub went: Option<Went>,
    #[serde(flatten)]
    pub asks: Option<Asks>,
}

/// How a call went.
#[derive(Serialize, ToSchema)]
pub struct Went {
    /// The status of X's last response.
    pub status: Option<u16>,
    /// Requests sent to X; 0 if none was needed.
    pub attempts: u32,
    pub ms: u64,
    /// Why no request was needed, if none was.
    #[schema(value_type = Option<SavedBy>)]
    pub saved: Option<&'static str>,
    /// For how many seconds the oldest of the numbers were kept, if they were.
    pub age: Option<u64>,
}

/// What a planned call asks for.
#[derive(Serialize, ToSchema)]
pub struct Asks {
    #[schema(value_type = Vec<PostId>)]
    pub tweet_ids: Vec<String>,
    #[schema(value_type = Vec<EngagementType>)]
    pub engagement_types: Vec<&'static str>,
    /// Whether the call is also to find out who the posts' author is.
    pub probe: bool,
}

/// Results that are missing, and why.
#[derive(Serialize, ToSchema)]
pub struct Missing {
    #[schema(value_type = Vec<PostId>)]
    pub tweet_ids: Vec<String>,
    #[schema(value_type = Vec<EngagementType>)]
    pub engagement_types: Vec<&'static str>,
    #[schema(value_type = MissingReason)]
    pub reason: &'static str,
    /// The parts of the range that are missing; empty if the whole window is.
    pub windows: Vec<MissingWindow>,
    /// Details in words; may be empty.
    pub detail: String,
    /// The posts' author, if known and if the key may know it; for `forbidden`, a user who is not the author.
    #[schema(value_type = Option<UserId>)]
    pub account: Option<String>,
}

/// A part of a range.
#[derive(Serialize, ToSchema)]
pub struct MissingWindow {
    #[schema(value_type = Time)]
    pub start: String,
    #[schema(value_type = Time)]
    pub end: String,
}

impl MissingWindow {
    fn of(span: &gateway::Span) -> MissingWindow {
        MissingWindow { start: rfc3339(span.start), end: rfc3339(span.end) }
    }
}

/// The calls that a question would take.
#[derive(Serialize, ToSchema)]
pub struct Plan {
    #[schema(value_type = Vec<CallToMake>)]
    pub calls: Vec<Call>,
    pub missing: Vec<Missing>,
    pub cost: Cost,
    pub saved: Saved,
    /// The accounts whose posts the question names with `posts_of`, with those that the plan is about.
    pub posts_of: Vec<PostsOf>,
    /// What of the question was read otherwise than it was written, such as an end in the future.
    pub notes: Vec<String>,
}

/// Calls that the plan avoids, by why they are not needed.
#[derive(Serialize, ToSchema)]
pub struct Saved {
    /// App-only calls for public engagement types that authors' own calls ask for.
    pub combined: usize,
    /// Calls for impressions and engagements in total of posts that are over 90 days old, by their ids.
    pub too_old: usize,
    /// Calls for parts of the range before their posts were created, by their ids: these numbers are 0.
    pub before_posts: usize,
}

/// What a plan costs: calls and billed accounts.
#[derive(Serialize, ToSchema)]
pub struct Cost {
    /// Calls by quota: that of a kind of credentials, or `lookup`.
    pub calls: BTreeMap<&'static str, usize>,
    /// Accounts whose tokens are used, which X bills each month.
    pub accounts: usize,
    /// Those of them that have not been used yet this month.
    pub new_accounts: usize,
}

impl Call {
    fn of(call: &PlannedCall) -> Call {
        Call {
            endpoint: call.endpoint.name(),
            auth: call.signer.kind().name(),
            account: call.signer.account().map(|id| id.to_string()),
            tweet_count: call.posts.len(),
            start: call.span.map(|span| rfc3339(span.start)),
            end: call.span.map(|span| rfc3339(span.end)),
            went: None,
            asks: None,
        }
    }

    fn lookup(posts: &[u64]) -> Call {
        Call {
            endpoint: "lookup",
            auth: AuthKind::AppOnly.name(),
            account: None,
            tweet_count: posts.len(),
            start: None,
            end: None,
            went: None,
            asks: None,
        }
    }

    fn list(posts: usize) -> Call {
        let asks = Asks { tweet_ids: Vec::new(), engagement_types: Vec::new(), probe: false };
        Call { tweet_count: posts, asks: Some(asks), ..Call::lookup(&[]) }
    }

    fn looked_up(made: &LookUp) -> Call {
        Call { went: Some(Went::of(made.effort)), ..Call::lookup(&made.posts) }
    }

    fn made(made: &FinishedCall) -> Call {
        let (saved, age) = (made.saved.map(Saving::name), made.age.map(|age| age.as_secs()));
        let went = Went { saved, age, ..Went::of(made.effort) };
        Call { went: Some(went), ..Call::of(&made.call) }
    }

    fn planned_lookup(posts: &[u64]) -> Call {
        let asks = Asks { tweet_ids: ids(posts), engagement_types: Vec::new(), probe: false };
        Call { asks: Some(asks), ..Call::lookup(posts) }
    }

    fn planned(call: &PlannedCall) -> Call {
        let asks = Asks {
            tweet_ids: ids(&call.posts),
            engagement_types: call.metrics.iter().map(|metric| metric.name()).collect(),
            probe: matches!(call.signer, Signer::Candidate(_)),
        };
        Call { asks: Some(asks), ..Call::of(call) }
    }
}

impl Went {
    fn of(effort: UpstreamEffort) -> Went {
        let ms = u64::try_from(effort.time.as_millis()).unwrap_or(u64::MAX);
        Went { status: effort.status, attempts: effort.attempts, ms, saved: None, age: None }
    }
}

impl From<&gateway::Missing> for Missing {
    fn from(missing: &gateway::Missing) -> Missing {
        Missing {
            tweet_ids: ids(&missing.posts),
            engagement_types: missing.metrics.iter().map(|metric| metric.name()).collect(),
            reason: missing.reason.name(),
            windows: missing.windows.iter().map(MissingWindow::of).collect(),
            detail: missing.detail.clone(),
            account: missing.author.map(|id| id.to_string()),
        }
    }
}

impl From<&gateway::Planned> for Plan {
    fn from(planned: &gateway::Planned) -> Plan {
        let gateway::Planned { plan, new_accounts, notes, posts_of, held: _ } = planned;
        let cost = plan.cost();
        let lookups = (cost.lookups > 0).then_some(("lookup", cost.lookups));
        let calls = [("app-only", cost.app_only), ("user-context", cost.user_context)];
        let cost = Cost {
            calls: lookups.into_iter().chain(calls).collect(),
            accounts: cost.accounts,
            new_accounts: *new_accounts,
        };
        let lists = plan.lists.iter().map(|posts| Call::list(*posts));
        let lookups = lists.chain(plan.lookups.iter().map(|posts| Call::planned_lookup(posts)));
        Plan {
            calls: lookups.chain(plan.calls.iter().map(Call::planned)).collect(),
            missing: plan.missing.iter().map(Missing::from).collect(),
            cost,
            saved: Saved {
                combined: plan.saved.combined,
                too_old: plan.saved.too_old,
                before_posts: plan.saved.before_posts,
            },
            posts_of: posts_of.iter().map(PostsOf::from).collect(),
            notes: notes.clone(),
        }
    }
}

impl From<&gateway::AccountPosts> for PostsOf {
    fn from(posts: &gateway::AccountPosts) -> PostsOf {
        PostsOf {
            account: posts.account.to_string(),
            source: posts.source.name(),
            posts: posts.posts,
            complete: posts.is_complete,
        }
    }
}

impl From<&gateway::Ranked> for Ranked {
    fn from((post, value): &gateway::Ranked) -> Ranked {
        Ranked { tweet_id: post.to_string(), value: *value }
    }
}

impl Report {
    pub fn of(
        lookups: &[LookUp],
        calls: &[FinishedCall],
        missing: &[gateway::Missing],
        (posts_of, top): (&[gateway::AccountPosts], &[gateway::Ranked]),
        notes: Vec<String>,
    ) -> Report {
        let lookups = lookups.iter().map(Call::looked_up);
        let calls = lookups.chain(calls.iter().map(Call::made)).collect();
        let missing: Vec<Missing> = missing.iter().map(Missing::from).collect();
        let posts_of = posts_of.iter().map(PostsOf::from).collect();
        let top = top.iter().map(Ranked::from).collect();
        Report { complete: missing.is_empty(), calls, missing, posts_of, top, notes }
    }
}

impl PageReport {
    pub fn of(
        lookups: &[LookUp],
        calls: &[FinishedCall],
        missing: &[gateway::Missing],
        notes: Vec<String>,
    ) -> PageReport {
        // Whether somebody else was asking the same is not for pages to know.
        let saved = calls.iter().filter(|call| call.saved == Some(Saving::Kept)).count();
        let calls = CallCounts { made: lookups.len() + calls.len() - saved, saved };
        let missing: Vec<Missing> = missing.iter().map(Missing::from).collect();
        PageReport { complete: missing.is_empty(), calls, missing, notes }
    }
}

fn ids(posts: &[u64]) -> Vec<String> {
    posts.iter().map(ToString::to_string).collect()
}

described! {
    MadeCall: call_with("Went");
    CallToMake: call_with("Asks");
}

/// A call: the members that all calls have, and those of one more schema.
fn call_with(more: &str) -> Schema {
    let mut call = AllOfBuilder::new();
    if let RefOr::T(Schema::AllOf(all)) = Call::schema() {
        let common =
            all.items.into_iter().filter(|part| matches!(part, RefOr::T(Schema::Object(_))));
        call = common.fold(call, AllOfBuilder::item);
    }
    call.item(Ref::from_schema_name(more)).build().into()
}
