//! Schemas of values that are mere strings in JSON: ids, names, times. The names come from where they are defined.

use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Schema, SchemaFormat};

use crate::gateway::Reason;
use crate::model::webhook::Event;
use crate::model::{self, AccountState, AuthKind, Metric};

/// 1 to 19 digits, as the upstream counts its users and posts.
pub const DIGITS: &str = "^[0-9]{1,19}$";
const USER_ID: &str = "^[1-9][0-9]{0,18}$";

/// Types that exist for their schema in the API's description alone.
macro_rules! described {
    ($($name:ident: $schema:expr;)*) => {$(
        pub enum $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::RefOr::T(utoipa::openapi::Schema::from($schema))
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

pub(crate) use described;

described! {
    State: one_of(
        "`active`: the token works. `revoked`: X no longer accepts the token. `blocked`: X has suspended or locked the user. `quarantined`: the stored token cannot be trusted.",
        AccountState::ALL.map(AccountState::name),
    );
    Endpoint: one_of("An engagement endpoint.", model::Endpoint::ALL.map(model::Endpoint::name));
    Called: one_of(
        "What was called: an engagement endpoint, or `lookup`, which finds the authors of posts.",
        model::Endpoint::ALL.map(model::Endpoint::name).into_iter().chain(["lookup"]),
    );
    EngagementType: one_of("An engagement type: what is counted.", Metric::ALL.map(Metric::name));
    Credentials: one_of(
        "Whose credentials a call used: the app's alone, or also those of the posts' author.",
        [AuthKind::AppOnly, AuthKind::UserContext].map(AuthKind::name),
    );
    Outcome: one_of(
        "The class of X's status; `none` if X did not answer.",
        model::usage::Outcome::ALL.map(model::usage::Outcome::name),
    );
    Role: one_of(
        "`caller` for services. On the operators' API, `owner` may do everything and `auditor` sees everything and changes nothing.",
        model::key::Role::ALL.map(model::key::Role::name),
    );
    MissingReason: one_of(
        "`unavailable`: deleted, protected or gone. `not_connected`: there is no usable token of the author's. `account_revoked`: the author's token no longer works. `forbidden`: the posts are not by the owner you named. `unsupported_age`: too old for these engagement types. `quota`: X's limits are used up. `deadline`: no time was left. `upstream_error`: X failed.",
        Reason::ALL.map(Reason::name),
    );
    EventType: one_of("What happened to an account.", Event::ALL.map(Event::name));
    DeliveryState: one_of(
        "How far the delivery of an event is.",
        model::webhook::DeliveryState::ALL.map(model::webhook::DeliveryState::name),
    );
    UserId: text("An X user's id.").pattern(Some(USER_ID)).build();
    PostId: text("A post's id.").pattern(Some(DIGITS)).build();
    Time: text("A time: RFC 3339, in UTC.").format(Some(format("date-time"))).build();
    Url: text("A URL.").format(Some(format("uri"))).build();
    Duration: text("A duration such as `90d`, `12h`, `30m`, `20s`, or `1h 30m`.").build();
    GivenPostId: AnyOfBuilder::new()
        .description(Some("A post's id, as a string or as a number."))
        .item(ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\s*[0-9]{1,19}\s*$")))
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)))
        .build();
    GivenUserId: AnyOfBuilder::new()
        .description(Some("An X user's id, as a string or as a number."))
        .item(ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\s*[1-9][0-9]{0,18}\s*$")))
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
        .build();
    GivenAccount: AnyOfBuilder::new()
        .description(Some("An account: its user id, or its `@screen_name`."))
        .item(ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^\s*([1-9][0-9]{0,18}|@[A-Za-z0-9_]{1,20})\s*$")))
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
        .build();
}

pub fn text(about: &str) -> ObjectBuilder {
    let about = Some(about).filter(|about| !about.is_empty());
    ObjectBuilder::new().schema_type(Type::String).description(about)
}

fn format(name: &str) -> SchemaFormat {
    SchemaFormat::Custom(name.to_owned())
}

pub fn one_of(about: &str, names: impl IntoIterator<Item = &'static str>) -> Schema {
    text(about).enum_values(Some(names)).build().into()
}
