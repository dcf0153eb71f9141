//! The schemas among the components: those derived from types in `wire`, and those of bodies that are read by hand.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::model::grouping::{MAX_GROUPINGS, RESERVED_NAMES};
use crate::model::{Endpoint, GroupBy, Metric};
use crate::wire::question::{
    Asks, CallToMake, Cost, MadeCall, Missing, MissingWindow, Plan, PostsOf, Ranked, Report, Saved,
    Went,
};
use crate::wire::schema;
use crate::wire::schema::{
    AccountRef, Called, Credentials, DeliveryState, Duration, EngagementType, EventType,
    MissingReason, Outcome, PostId, PostRef, PostSource, Role, SavedBy, State, Time, Url, UserId,
    one_of, text,
};
use crate::wire::usage::UsageLine;

/// All schemas except those of problems and those that operations bring along.
pub(super) fn all() -> BTreeMap<String, RefOr<Schema>> {
    let mut all = BTreeMap::new();
    macro_rules! add {
        ($how:expr; $($type:ty)*) => {$(
            all.insert(<$type as ToSchema>::name().into_owned(), $how(<$type>::schema()));
        )*};
    }
    add!(whole; Report Plan Cost Saved MadeCall Went CallToMake Asks Missing MissingWindow PostsOf Ranked);
    add!(as_is; UsageLine Outcome);
    add!(as_is; State schema::Endpoint Called EngagementType Credentials Role MissingReason PostSource SavedBy EventType DeliveryState);
    add!(as_is; UserId PostId PostRef Time Url Duration AccountRef schema::Origin schema::Date);
    all.insert("Numbers".to_owned(), numbers());
    all.insert("EngagementAnswer".to_owned(), engagement_answer(ObjectBuilder::new()));
    let report = ObjectBuilder::new().property("countersign", named("Report"));
    all.insert("QuestionAnswer".to_owned(), engagement_answer(report.required("countersign")));
    for endpoint in Endpoint::ALL {
        all.insert(request_name(endpoint).to_owned(), request(endpoint));
        all.insert(grouping_name(endpoint).to_owned(), grouping(endpoint));
    }
    all.insert("TimeRange".to_owned(), time_range());
    all.insert("LastHours".to_owned(), last_hours());
    all.insert("Top".to_owned(), top());
    all.insert("Question".to_owned(), question());
    all.insert("UpstreamError".to_owned(), upstream_error());
    all.insert("Verified".to_owned(), verified());
    all
}

fn as_is(schema: RefOr<Schema>) -> RefOr<Schema> {
    schema
}

/// Makes every member required: responses have all their members, some of them `null`.
pub(super) fn whole(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.required = object.properties.keys().cloned().collect();
            Schema::Object(object).into()
        }
        RefOr::T(Schema::AllOf(mut parts)) => {
            parts.items = parts.items.into_iter().map(whole).collect();
            Schema::AllOf(parts).into()
        }
        other => other,
    }
}

/// The component for the body of one of X's own endpoints.
pub(super) fn request_name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Totals => "TotalsRequest",
        Endpoint::TwentyEightHours => "Last28HoursRequest",
        Endpoint::Historical => "HistoricalRequest",
    }
}

/// The component for a grouping of an endpoint.
fn grouping_name(endpoint: Endpoint) -> &'static str {
    if endpoint.has_time_series() { "Grouping" } else { "TotalsGrouping" }
}

fn request(endpoint: Endpoint) -> RefOr<Schema> {
    let mut request = ObjectBuilder::new()
        .property("tweet_ids", post_ids().max_items(Some(endpoint.max_posts())))
        .property("engagement_types", list_of(engagement_types(endpoint), 1))
        .property("groupings", groupings(endpoint));
    if endpoint == Endpoint::Historical {
        let time =
            "`2026-01-31` or `2026-01-31T13:00:00Z`. `start` and `end` are at most 28 days apart.";
        request = request.property("start", text(time)).property("end", text(time));
    }
    for name in ["tweet_ids", "engagement_types", "groupings"] {
        request = request.required(name);
    }
    object(request)
}

fn question() -> RefOr<Schema> {
    let window = OneOfBuilder::new()
        .description(Some("The period: `totals` for all time, which is the default; `28hr` for the last 28 hours; a range of at most 365 days, `{\"start\": …, \"end\": …}`; or the last days or hours, `{\"last\": \"28d\"}`."))
        .item(one_of("", [Endpoint::Totals, Endpoint::TwentyEightHours].map(Endpoint::name)))
        .item(named("TimeRange"))
        .item(named("LastHours"))
        .item(ObjectBuilder::new().schema_type(Type::Null));
    let posts = list("PostRef", 1).schema_type(or_null(Type::Array)).description(Some(
        "The posts, by id or URL. Ids that are whole numbers are accepted as well. Required unless `posts_of` is given.",
    ));
    let posts_of = list("AccountRef", 1).schema_type(or_null(Type::Array)).max_items(Some(100)).description(Some(
        "Connected accounts, instead of `tweet_ids`: their posts, without reposts, as far as `last` and `written` select them. They are X's lists of posts where the app may read these, and otherwise the posts that were asked for before; `posts_of` in the report says which.",
    ));
    let last = ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .minimum(Some(1))
        .maximum(Some(3200.0))
        .description(Some("The most posts of each account in `posts_of`: the newest ones. X lists no more than 3,200 of an account."));
    let written = OneOfBuilder::new()
        .description(Some("When the posts of `posts_of` were written: `{\"start\": …, \"end\": …}`, or `{\"last\": \"7d\"}`. Any time by default."))
        .item(named("TimeRange"))
        .item(named("LastHours"))
        .item(ObjectBuilder::new().schema_type(Type::Null));
    let top =
        OneOfBuilder::new().item(named("Top")).item(ObjectBuilder::new().schema_type(Type::Null));
    let owners = ObjectBuilder::new()
        .schema_type(or_null(Type::Object))
        .description(Some("The posts' authors, if you know them: `{\"<post>\": \"<user id>\"}`, with the posts as in `tweet_ids`. Saves look-ups."))
        .additional_properties(Some(named("UserId")));
    let accounts = list("AccountRef", 1).schema_type(or_null(Type::Array)).description(Some(
        "The only accounts whose tokens may be used; defaults to all that the key may use.",
    ));
    let groupings = groupings(Endpoint::Historical).schema_type(or_null(Type::Object)).description(
        Some("How results are nested, as at X: up to 3 groupings by names of your own. Defaults to `by_tweet`, by post and engagement type."),
    );
    closed(
        ObjectBuilder::new()
            .property("tweet_ids", posts)
            .property("posts_of", posts_of)
            .property("last", last)
            .property("written", written)
            .property("engagement_types", list("EngagementType", 1))
            .required("engagement_types")
            .property("window", window)
            .property("groupings", groupings)
            .property("accounts", accounts)
            .property("owners", owners)
            .property("top", top),
    )
}

fn top() -> RefOr<Schema> {
    let count = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .description(Some("How many posts."));
    let top = ObjectBuilder::new()
        .description(Some("Keeps the posts that lead by one of the question's engagement types, over its whole window, and leaves all others out; of two with the same number, the newer one leads. Every grouping needs `tweet.id`, and one of them `engagement.type`."))
        .property("by", named("EngagementType"))
        .required("by")
        .property("count", count)
        .required("count");
    closed(top)
}

fn time_range() -> RefOr<Schema> {
    let time = "`2026-01-31` or `2026-01-31T13:00:00Z`.";
    let range = ObjectBuilder::new().property("start", text(time)).property("end", text(time));
    closed(range.required("start").required("end"))
}

fn last_hours() -> RefOr<Schema> {
    let about = "Days or hours, such as `28d` or `36h`: the last whole hours by X's clock, up to the one that has just ended.";
    closed(ObjectBuilder::new().property("last", text(about)).required("last"))
}

fn post_ids() -> ArrayBuilder {
    list("PostId", 1)
        .description(Some("The posts' ids, as strings. Whole numbers are accepted as well."))
}

fn engagement_types(endpoint: Endpoint) -> Schema {
    let served = Metric::ALL.into_iter().filter(|metric| metric.is_served_by(endpoint));
    one_of("What is counted; see `EngagementType`.", served.map(Metric::name))
}

fn groupings(endpoint: Endpoint) -> ObjectBuilder {
    let about =
        format!("How results are nested: up to {MAX_GROUPINGS} groupings by names of your own.");
    let allowed = format!("^(?!({})$)", RESERVED_NAMES.join("|"));
    ObjectBuilder::new()
        .description(Some(about))
        .min_properties(Some(1))
        .max_properties(Some(MAX_GROUPINGS))
        .property_names(Some(text("Not a member of the response.").pattern(Some(allowed)).build()))
        .additional_properties(Some(named(grouping_name(endpoint))))
}

fn grouping(endpoint: Endpoint) -> RefOr<Schema> {
    let levels =
        GroupBy::ALL.into_iter().filter(|level| !level.is_time() || endpoint.has_time_series());
    let levels = list_of(one_of("A level of nesting.", levels.map(GroupBy::name)), 1)
        .description(Some("The levels, outermost first."))
        .max_items(Some(GroupBy::ALL.len()))
        .unique_items(true);
    object(ObjectBuilder::new().property("group_by", levels).required("group_by"))
}

/// A type or `null`.
fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// X's response, with these members more.
fn engagement_answer(more: ObjectBuilder) -> RefOr<Schema> {
    let [start, end, errors, lists @ ..] = RESERVED_NAMES;
    let mut answer = more
        .description(Some("The results of each grouping, by its name in the request."))
        .property(start, named("Time"))
        .property(end, named("Time"))
        .property(
            errors,
            list_of(text("A part of the results that is missing, in X's words.").build(), 0),
        )
        .additional_properties(Some(named("Numbers")));
    for name in lists {
        answer = answer.property(name, list("PostId", 0));
    }
    object(answer)
}

/// The recursion is in a member of a named object: generators follow it there, and drop a union that names itself.
fn numbers() -> RefOr<Schema> {
    let count = text("A count, as a decimal number.").pattern(Some("^-?[0-9]+$"));
    let value = AnyOfBuilder::new().item(count).item(named("Numbers"));
    let numbers = ObjectBuilder::new()
        .description(Some("One level of `group_by`, with counts or the next level: by post, engagement type, day or hour."))
        .additional_properties(Some(Schema::from(value.build())));
    object(numbers)
}

fn upstream_error() -> RefOr<Schema> {
    let coded = ObjectBuilder::new()
        .property("code", ObjectBuilder::new().schema_type(Type::Integer))
        .property("message", text("In X's words."));
    let error = AnyOfBuilder::new().item(text("In X's words.")).item(coded);
    let errors = ArrayBuilder::new().items(error);
    let [_, _, _, lists @ ..] = RESERVED_NAMES;
    let error = ObjectBuilder::new().description(Some("X's own error.")).property("errors", errors);
    object(lists.into_iter().fold(error, |error, name| error.property(name, list("PostId", 0))))
}

/// See `wire::verified`.
fn verified() -> RefOr<Schema> {
    let yes = || ObjectBuilder::new().schema_type(Type::Boolean);
    let verified = ObjectBuilder::new()
        .property("works", yes())
        .required("works")
        .property("state", named("State"))
        .property("screen_name", text("The current screen name."))
        .property("protected", yes())
        .property(
            "reason",
            text("Why the token could not be checked; the fault is not the account's."),
        );
    closed(verified)
}

/// A page of a list, with the value of the parameter `next` for the following page.
pub(super) fn page(name: &str, item: &str, next: &str, kind: Type) -> RefOr<Schema> {
    let about = format!("The value of `{next}` for the next page; `null` on the last page.");
    let next = ObjectBuilder::new().schema_type(or_null(kind)).description(Some(about));
    let page = ObjectBuilder::new().property(name, list(item, 0)).required(name);
    closed(page.property("next", next).required("next"))
}

/// A list without pages.
pub(super) fn listing(name: &str, item: &str) -> RefOr<Schema> {
    closed(ObjectBuilder::new().property(name, list(item, 0)).required(name))
}

pub(super) fn object(object: ObjectBuilder) -> RefOr<Schema> {
    Schema::from(object.build()).into()
}

/// An object without any other members.
pub(crate) fn closed(members: ObjectBuilder) -> RefOr<Schema> {
    object(members.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))))
}

fn list(item: &str, least: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(named(item)).min_items((least > 0).then_some(least))
}

fn list_of(item: impl Into<Schema>, least: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(RefOr::T(item.into())).min_items((least > 0).then_some(least))
}

/// A schema among the components, by its name.
pub(crate) fn named(schema: &str) -> Ref {
    Ref::from_schema_name(schema)
}
