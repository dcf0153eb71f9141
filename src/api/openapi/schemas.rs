//! The components: shapes of the wire as they are derived there, and those of requests that are read by hand.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::model::grouping::{MAX_GROUPINGS, RESERVED_NAMES};
use crate::model::{Endpoint, GroupBy, Metric};
use crate::wire::audit::Entry;
use crate::wire::call::Call as RecentCall;
use crate::wire::overview::{AccountsByState, AccountsUsed, CallsOfHour, Latency, Overview};
use crate::wire::question::{
    Asks, CallToMake, Cost, MadeCall, Missing, MissingWindow, Plan, Report, Went,
};
use crate::wire::schema::{
    Called, Credentials, DeliveryState, Duration, EngagementType, EventType, GivenAccount,
    GivenPostId, GivenUserId, MissingReason, Outcome, PostId, Role, State, Time, Url, UserId,
    one_of, text,
};
use crate::wire::usage::{Gap, Usage, UsageLine, UsedAccounts};
use crate::wire::webhook::{
    Delivery, ListedWebhook, NewWebhook, Rotation, Tested, Webhook, WebhookSecret,
};
use crate::wire::{
    Account, App, CreatedKey, CreatedLink, ImportLine, Key, Link, NewKey, NewLink, SeenAccount,
    schema,
};

/// All but those of problems.
pub(super) fn all() -> BTreeMap<String, RefOr<Schema>> {
    let mut all = BTreeMap::new();
    macro_rules! add {
        ($how:expr; $($type:ty)*) => {$(
            all.insert(<$type as ToSchema>::name().into_owned(), $how(<$type>::schema()));
        )*};
    }
    add!(whole; Account SeenAccount Key CreatedKey CreatedLink Link App Entry Webhook ListedWebhook WebhookSecret Tested Delivery);
    add!(whole; Report Plan Cost MadeCall Went CallToMake Asks Missing MissingWindow);
    add!(whole; RecentCall Usage UsedAccounts Gap);
    add!(whole; Overview AccountsByState CallsOfHour Latency AccountsUsed);
    add!(as_is; UsageLine Outcome);
    add!(as_is; NewKey NewLink ImportLine NewWebhook Rotation);
    add!(as_is; State schema::Endpoint Called EngagementType Credentials Role MissingReason EventType DeliveryState);
    add!(as_is; UserId PostId Time Url Duration GivenUserId GivenPostId GivenAccount);
    all.insert("Numbers".to_owned(), numbers());
    all.insert("EngagementAnswer".to_owned(), engagement_answer(ObjectBuilder::new()));
    let report = ObjectBuilder::new().property("countersign", named("Report"));
    all.insert("QuestionAnswer".to_owned(), engagement_answer(report.required("countersign")));
    for endpoint in Endpoint::ALL {
        all.insert(request_name(endpoint).to_owned(), request(endpoint));
    }
    all.insert("Question".to_owned(), question());
    all.insert("UpstreamError".to_owned(), upstream_error());
    all.insert("Verified".to_owned(), verified());
    all
}

fn as_is(schema: RefOr<Schema>) -> RefOr<Schema> {
    schema
}

/// An answer has all its members, with `null` where there is nothing to say.
fn whole(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut it)) => {
            it.required = it.properties.keys().cloned().collect();
            Schema::Object(it).into()
        }
        RefOr::T(Schema::AllOf(mut it)) => {
            it.items = it.items.into_iter().map(whole).collect();
            Schema::AllOf(it).into()
        }
        other => other,
    }
}

/// The component that is the body of an endpoint of the upstream's.
pub(super) fn request_name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Totals => "TotalsRequest",
        Endpoint::TwentyEightHours => "Last28HoursRequest",
        Endpoint::Historical => "HistoricalRequest",
    }
}

fn request(endpoint: Endpoint) -> RefOr<Schema> {
    let mut request = ObjectBuilder::new()
        .property(
            "tweet_ids",
            list("GivenPostId", 1)
                .description(Some("Ids of posts."))
                .max_items(Some(endpoint.max_posts())),
        )
        .property("engagement_types", list_of(engagement_types(endpoint), 1))
        .property("groupings", groupings(endpoint));
    if endpoint == Endpoint::Historical {
        let time = "`2026-01-31`, or `2026-01-31T13:00:00Z`; at most 28 days lie between the two.";
        request = request.property("start", text(time)).property("end", text(time));
    }
    for name in ["tweet_ids", "engagement_types", "groupings"] {
        request = request.required(name);
    }
    object(request)
}

fn question() -> RefOr<Schema> {
    let time = "`2026-01-31`, or `2026-01-31T13:00:00Z`.";
    let range = ObjectBuilder::new()
        .property("start", text(time))
        .required("start")
        .property("end", text(time))
        .required("end");
    let window = AnyOfBuilder::new()
        .description(Some("What time: `totals` is all of it and the same as nothing, `28hr` the last 28 hours; or a range, as `{\"start\": …, \"end\": …}`."))
        .item(one_of("", [Endpoint::Totals, Endpoint::TwentyEightHours].map(Endpoint::name)))
        .item(closed(range));
    let owners = ObjectBuilder::new()
        .description(Some(
            "Whose posts they are, as far as you know: `{\"<post id>\": \"<user id>\"}`.",
        ))
        .additional_properties(Some(named("GivenUserId")));
    let groupings = groupings(Endpoint::Historical);
    closed(
        ObjectBuilder::new()
            .property("tweet_ids", list("GivenPostId", 1).description(Some("Ids of posts.")))
            .required("tweet_ids")
            .property("engagement_types", list("EngagementType", 1))
            .required("engagement_types")
            .property("window", window)
            .property("groupings", groupings)
            .property(
                "accounts",
                list("GivenAccount", 1).description(Some(
                    "The only accounts whose tokens may be tried, by user id or `@screen_name`.",
                )),
            )
            .property("owners", owners),
    )
}

fn engagement_types(endpoint: Endpoint) -> Schema {
    let served = Metric::ALL.into_iter().filter(|it| it.is_served_by(endpoint));
    one_of("What is counted.", served.map(Metric::name))
}

fn groupings(endpoint: Endpoint) -> ObjectBuilder {
    let levels = GroupBy::ALL.into_iter().filter(|it| !it.is_time() || endpoint.has_time_series());
    let levels: Vec<&'static str> = levels.map(GroupBy::name).collect();
    let about = format!(
        "How the numbers are nested: up to {MAX_GROUPINGS} names of your own, each with `group_by`, a list of `{}`.",
        levels.join("`, `")
    );
    let list = list_of(one_of("A level of nesting.", levels), 1);
    let grouping = ObjectBuilder::new()
        .property("group_by", list.max_items(Some(GroupBy::ALL.len())).unique_items(true))
        .required("group_by");
    let taken = format!("^(?!({})$)", RESERVED_NAMES.join("|"));
    ObjectBuilder::new()
        .description(Some(about))
        .min_properties(Some(1))
        .max_properties(Some(MAX_GROUPINGS))
        .property_names(Some(text("Not a key of the answer.").pattern(Some(taken)).build()))
        .additional_properties(Some(Schema::from(grouping.build())))
}

/// What the upstream answers, and `more`.
fn engagement_answer(more: ObjectBuilder) -> RefOr<Schema> {
    let [start, end, errors, lists @ ..] = RESERVED_NAMES;
    let mut answer = more
        .description(Some("The groupings by the names that they have in the request."))
        .property(start, named("Time"))
        .property(end, named("Time"))
        .property(errors, list_of(text("What is missing, in X's words.").build(), 0))
        .additional_properties(Some(named("Numbers")));
    for name in lists {
        answer = answer.property(name, list("PostId", 0));
    }
    object(answer)
}

fn numbers() -> RefOr<Schema> {
    let leaf = text("A count.").pattern(Some("^-?[0-9]+$"));
    let nested = ObjectBuilder::new().additional_properties(Some(named("Numbers")));
    let numbers = AnyOfBuilder::new()
        .description(Some("Level by level as `group_by` says: by post, type, day or hour."))
        .item(leaf)
        .item(nested);
    Schema::from(numbers.build()).into()
}

fn upstream_error() -> RefOr<Schema> {
    let coded = ObjectBuilder::new()
        .property("code", ObjectBuilder::new().schema_type(Type::Integer))
        .property("message", text("In X's words."));
    let error = AnyOfBuilder::new().item(text("In X's words.")).item(coded);
    let errors = ArrayBuilder::new().items(error);
    let [_, _, _, lists @ ..] = RESERVED_NAMES;
    let told = ObjectBuilder::new()
        .description(Some("What X says, as it says it."))
        .property("errors", errors);
    object(lists.into_iter().fold(told, |it, name| it.property(name, list("PostId", 0))))
}

/// See `wire::verified`.
fn verified() -> RefOr<Schema> {
    let yes = || ObjectBuilder::new().schema_type(Type::Boolean);
    let verified = ObjectBuilder::new()
        .property("works", yes())
        .required("works")
        .property("state", named("State"))
        .property("screen_name", text("As X has it now."))
        .property("protected", yes())
        .property("reason", text("Why it cannot be said: the fault is not the account's."));
    closed(verified)
}

/// A part of a listing; `next` is the parameter of that name of the next part.
pub(super) fn page(name: &str, item: &str, next: &str, kind: Type) -> RefOr<Schema> {
    let about = format!("The `{next}` of the next page; `null` on the last.");
    let kinds = utoipa::openapi::schema::SchemaType::from_iter([kind, Type::Null]);
    let next = ObjectBuilder::new().schema_type(kinds).description(Some(about));
    let page = ObjectBuilder::new().property(name, list(item, 0)).required(name);
    closed(page.property("next", next).required("next"))
}

/// A whole listing.
pub(super) fn listing(name: &str, item: &str) -> RefOr<Schema> {
    closed(ObjectBuilder::new().property(name, list(item, 0)).required(name))
}

pub(super) fn object(it: ObjectBuilder) -> RefOr<Schema> {
    Schema::from(it.build()).into()
}

/// Without any other member.
pub(super) fn closed(it: ObjectBuilder) -> RefOr<Schema> {
    object(it.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))))
}

fn list(item: &str, least: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(named(item)).min_items(Some(least).filter(|it| *it > 0))
}

fn list_of(item: impl Into<Schema>, least: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(RefOr::T(item.into())).min_items(Some(least).filter(|it| *it > 0))
}

/// A schema among the components, by its name.
pub(crate) fn named(schema: &str) -> Ref {
    Ref::from_schema_name(schema)
}
