//! One request of a plan: what it asks for, whose credentials it uses, and its body.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::gateway::call::check::rfc3339;
use crate::gateway::question::{Grouping, Span};
use crate::model::{AuthKind, Endpoint, Metric, UserId};

/// One request to the upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    pub endpoint: Endpoint,
    pub signer: Signer,
    pub posts: Vec<u64>,
    pub metrics: Vec<Metric>,
    /// Set for historical only.
    pub span: Option<Span>,
    /// The part of the range before `span` that is not asked for, since none of the posts existed: all numbers are 0.
    pub before_posts: Option<Span>,
}

/// The credentials that a call uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signer {
    App,
    /// The author of all its posts.
    Author(UserId),
    /// A user who may be the author of some of its posts.
    Candidate(UserId),
}

impl Call {
    /// The request's JSON as the upstream wants it.
    pub fn body(&self, groupings: &[Grouping]) -> Vec<u8> {
        let named = groupings.iter().map(|grouping| {
            let group_by = grouping.group_by.iter().map(|level| level.name()).collect();
            (&*grouping.name, GroupByBody { group_by })
        });
        let body = Body {
            // "Must be represented as strings" (reference 1.3).
            tweet_ids: self.posts.iter().map(ToString::to_string).collect(),
            engagement_types: self.metrics.iter().map(|metric| metric.name()).collect(),
            groupings: named.collect(),
            start: self.span.map(|span| rfc3339(span.start)),
            end: self.span.map(|span| rfc3339(span.end)),
        };
        serde_json::to_vec(&body).expect("strings and lists of them can be written")
    }
}

impl Signer {
    pub fn kind(self) -> AuthKind {
        match self {
            Signer::App => AuthKind::AppOnly,
            Signer::Author(_) | Signer::Candidate(_) => AuthKind::UserContext,
        }
    }

    pub fn account(self) -> Option<UserId> {
        match self {
            Signer::App => None,
            Signer::Author(account) | Signer::Candidate(account) => Some(account),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    tweet_ids: Vec<String>,
    engagement_types: Vec<&'static str>,
    groupings: BTreeMap<&'a str, GroupByBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

#[derive(Serialize)]
struct GroupByBody {
    group_by: Vec<&'static str>,
}
