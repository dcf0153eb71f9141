//! Schemas of values that JSON writes as text, such as ids and times. Names in enumerations come from `model` and
//! `gateway`.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Schema, SchemaFormat};

use crate::gateway::{self, Reason};
use crate::model::webhook::Event;
use crate::model::{self, AccountState, AuthKind, Metric};

/// 1 to 19 digits, the form of X's user and post ids.
pub const DIGITS: &str = "^[0-9]{1,19}$";
const USER_ID: &str = "^[1-9][0-9]{0,18}$";
pub const ACCOUNT_REF: &str = "^([1-9][0-9]{0,18}|@[A-Za-z0-9_]{1,20})$";

/// Declares a type without values that stands for a schema in the API's description.
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
        "The state of an account. `active`: its token works. `revoked`: X no longer accepts its token. `blocked`: X has suspended or locked the user. `quarantined`: the stored token cannot be trusted.",
        AccountState::ALL.map(AccountState::name),
    );
    Endpoint: one_of("An engagement endpoint.", model::Endpoint::ALL.map(model::Endpoint::name));
    Called: one_of(
        "An engagement endpoint, or `lookup` for a look-up of posts' authors or an author's posts.",
        model::Endpoint::ALL.map(model::Endpoint::name).into_iter().chain(["lookup"]),
    );
    EngagementType: one_of(&engagement_types(), Metric::ALL.map(Metric::name));
    Credentials: one_of(
        "The credentials of a call: `app-only` for the app's alone, `user-context` for the app's and an account's.",
        [AuthKind::AppOnly, AuthKind::UserContext].map(AuthKind::name),
    );
    Outcome: one_of(
        "The class of X's status, or `none` if X did not answer.",
        model::usage::Outcome::ALL.map(model::usage::Outcome::name),
    );
    Role: one_of(
        "`caller` for services. For the operators' API, `owner` may do everything, `auditor` sees everything and changes nothing, and `analyst` sees usage and explores posts in the console.",
        model::key::Role::ALL.map(model::key::Role::name),
    );
    MissingReason: one_of(
        &missing_reasons(),
        Reason::ALL.map(Reason::name),
    );
    PostSource: one_of(
        "Where the posts of an account come from. `x`: X's list of them. `known`: what was asked before, since X has not listed them.",
        gateway::PostSource::ALL.map(gateway::PostSource::name),
    );
    SavedBy: one_of(
        "How a call was saved. `in_flight`: an equal one was under way. `kept`: the numbers were kept from earlier ones.",
        model::usage::Saving::ALL.map(model::usage::Saving::name),
    );
    Cause: one_of(&causes(), model::Cause::ALL.map(model::Cause::name));
    EventType: one_of("What happened to an account, or to many by an import; or that something began to need attention, or no longer does.", Event::ALL.map(Event::name));
    DeliveryState: one_of(
        "The state of a delivery.",
        model::webhook::DeliveryState::ALL.map(model::webhook::DeliveryState::name),
    );
    UserId: text("An X user's id.").pattern(Some(USER_ID)).build();
    PostId: text("A post's id.").pattern(Some(DIGITS)).build();
    PostRef: text("A post, by its id or its URL, such as `https://x.com/jack/status/20`.").build();
    Origin: text("The origin of a page: `https`, or this machine's own with any scheme; written as browsers send it, such as `https://app.example.com`.").build();
    Time: text("A time in UTC (RFC 3339).").format(Some(format("date-time"))).build();
    Date: text("A day in UTC.").format(Some(format("date"))).build();
    Url: text("A URL.").format(Some(format("uri"))).build();
    Duration: text("A duration such as `90d`, `12h`, `30m` or `20s`, or a sum such as `1h 30m`.").build();
    AccountRef: text("An account, by user id or `@screen_name`.").pattern(Some(ACCOUNT_REF)).build();
}

pub fn text(about: &str) -> ObjectBuilder {
    let about = Some(about).filter(|text| !text.is_empty());
    ObjectBuilder::new().schema_type(Type::String).description(about)
}

fn engagement_types() -> String {
    let line = |it: Metric| format!("`{}`: {}.", it.name(), it.about());
    let access = "Those that `totals` serves with the app's credentials are public; all others need the posts' author.";
    format!("What is counted. {access}\n\n{}", list(Metric::ALL.map(line)))
}

fn causes() -> String {
    let line = |cause: model::Cause| format!("`{}`: {}.", cause.name(), cause.what());
    format!("Why calls fail.\n\n{}", list(model::Cause::ALL.map(line)))
}

fn missing_reasons() -> String {
    let line = |it: Reason| format!("`{}`: {}.", it.name(), meaning(it));
    format!("Why results are missing.\n\n{}", list(Reason::ALL.map(line)))
}

const fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Unavailable => "the post is deleted, protected or unknown",
        Reason::NotConnected => {
            "no usable token of the author: the account is not connected, or this key or question may not use it"
        }
        Reason::AccountRevoked => {
            "the author's token no longer works; the account has to be connected again"
        }
        Reason::AccountLimit => "the app may use no more accounts this month",
        Reason::Forbidden => {
            "the post is not by the owner you named, nor by any account whose token was tried"
        }
        Reason::UnsupportedAge => "the post is too old for these engagement types",
        Reason::Quota => "X's rate limit is used up; retry later",
        Reason::Deadline => "the results did not arrive in time",
        Reason::HourChanged => {
            "a new hour began while X was asked about the last 28, and there was no quota or time left to ask again: `windows` are the hours that were counted for other posts only"
        }
        Reason::UpstreamError => "X failed to answer",
    }
}

/// A list in Markdown.
fn list<const N: usize>(items: [String; N]) -> String {
    items.map(|item| format!("- {item}")).join("\n")
}

fn format(name: &str) -> SchemaFormat {
    SchemaFormat::Custom(name.to_owned())
}

pub fn one_of(about: &str, names: impl IntoIterator<Item = &'static str>) -> Schema {
    text(about).enum_values(Some(names)).build().into()
}
