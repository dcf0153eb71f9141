//! What the API's description says of values that are texts in JSON and more than that here. The names come from where
//! they are defined.

use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Schema, SchemaFormat};

use crate::gateway::Reason;
use crate::model::webhook::Event;
use crate::model::{self, AccountState, AuthKind, Metric};

/// 1 to 19 digits, as the upstream counts its users and posts.
pub const DIGITS: &str = "^[0-9]{1,19}$";
const USER_ID: &str = "^[1-9][0-9]{0,18}$";

/// A type that stands for a text in the description, and for nothing else.
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
        "`active` works; `revoked`: X said that the token is not valid any more; `blocked`: X has suspended or locked the user; `quarantined`: what is stored cannot be trusted.",
        AccountState::ALL.map(AccountState::name),
    );
    Endpoint: one_of("An engagement endpoint.", model::Endpoint::ALL.map(model::Endpoint::name));
    Called: one_of(
        "What was asked: an engagement endpoint, or `lookup` for whose posts they are.",
        model::Endpoint::ALL.map(model::Endpoint::name).into_iter().chain(["lookup"]),
    );
    EngagementType: one_of("What is counted.", Metric::ALL.map(Metric::name));
    Credentials: one_of(
        "Whose credentials a call used: the app's alone, or those of the posts' author as well.",
        [AuthKind::AppOnly, AuthKind::UserContext].map(AuthKind::name),
    );
    Outcome: one_of(
        "The class of X's status; `none` where no answer came.",
        model::usage::Outcome::ALL.map(model::usage::Outcome::name),
    );
    Role: one_of(
        "`caller` for services. On the operators' API, `owner` may do everything and `auditor` sees everything and changes nothing.",
        model::key::Role::ALL.map(model::key::Role::name),
    );
    MissingReason: one_of(
        "`unavailable`: deleted, protected or gone. `not_connected`: no token of the author's can be used. `account_revoked`: the author's token does not work any more. `forbidden`: not the posts of whom you said. `unsupported_age`: too old for these engagement types. `quota`: X's limits. `deadline`: no time was left. `upstream_error`: X failed.",
        Reason::ALL.map(Reason::name),
    );
    EventType: one_of("What became of an account.", Event::ALL.map(Event::name));
    DeliveryState: one_of(
        "Whether an event has arrived.",
        model::webhook::DeliveryState::ALL.map(model::webhook::DeliveryState::name),
    );
    UserId: text("An X user's id.").pattern(Some(USER_ID)).build();
    PostId: text("A post's id.").pattern(Some(DIGITS)).build();
    Time: text("A time: RFC 3339, in UTC.").format(Some(format("date-time"))).build();
    Url: text("A web address.").format(Some(format("uri"))).build();
    Duration: text("A time span: `90d`, `12h`, `30m`, `20s`, or several of them.").build();
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
    let about = Some(about).filter(|it| !it.is_empty());
    ObjectBuilder::new().schema_type(Type::String).description(about)
}

fn format(name: &str) -> SchemaFormat {
    SchemaFormat::Custom(name.to_owned())
}

pub fn one_of(about: &str, names: impl IntoIterator<Item = &'static str>) -> Schema {
    text(about).enum_values(Some(names)).build().into()
}
