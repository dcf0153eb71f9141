//! Whom an API and its operations are for.

use crate::model::key::Kind;

/// The API of one listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Api {
    Callers,
    Operators,
}

/// Who calls an operation, and with what.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Audience {
    /// Services, with a key, on the callers' listener.
    Callers,
    /// Operators, with an admin key, on theirs.
    Operators,
    /// Anyone, without a key, on both listeners.
    Anyone,
    /// Monitoring, without a key, on the operators' listener.
    Monitoring,
    /// Web pages, without a key, on the callers' listener.
    Pages,
}

impl Api {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Api::Callers => Kind::Caller,
            Api::Operators => Kind::Admin,
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Api::Callers => "Countersign",
            Api::Operators => "Countersign for operators",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Api::Callers => {
                "Countersign holds the credentials for X's enterprise Engagement API and signs each call with the right ones. Your services send a key instead.\n\nResponses with the header `Countersign-Error` come from the gateway itself; all others come from X. The gateway's own errors are problem documents (RFC 9457). On X's own paths (`/insights/engagement/…`) they have X's form unless `Accept` names `application/problem+json`. A path that is not described here is answered with 404 `not_found`, another method with 405 `method_not_allowed`. Responses are gzipped for clients that accept gzip.\n\nMembers of a request to `/v1/…` that are optional may be `null`, which means the same as leaving them out."
            }
            Api::Operators => {
                "The API of the operators' listener (`admin.listen`): accounts, keys, links, webhooks, calls, usage and the audit trail of a Countersign gateway. What services call is described by `/openapi.json` of the callers' listener.\n\nErrors are problem documents (RFC 9457), and their code is also in the header `Countersign-Error`. A path that is not described here is answered with 404 `not_found`, another method with 405 `method_not_allowed`. Responses are gzipped for clients that accept gzip.\n\nOptional members of a request may be `null`, which means the same as leaving them out."
            }
        }
    }
}

impl Audience {
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Audience::Callers => "callers",
            Audience::Operators => "operators",
            Audience::Anyone | Audience::Monitoring | Audience::Pages => "probes",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Audience::Callers => "For services, with a caller's key (`csk_…`).",
            Audience::Operators => "For operators, with an admin key (`csa_…`).",
            Audience::Anyone | Audience::Monitoring | Audience::Pages => {
                "Health checks, metrics, documentation and the client of web pages. No key is required."
            }
        }
    }

    pub(crate) const fn is_served_by(self, api: Api) -> bool {
        match self {
            Audience::Callers | Audience::Pages => matches!(api, Api::Callers),
            Audience::Operators | Audience::Monitoring => matches!(api, Api::Operators),
            Audience::Anyone => true,
        }
    }

    /// The security schemes, of which any one is enough.
    pub(crate) const fn schemes(self) -> &'static [&'static str] {
        match self {
            Audience::Callers => &["caller_key", "caller_key_header"],
            Audience::Operators => &["admin_key", "admin_key_header"],
            Audience::Anyone | Audience::Monitoring | Audience::Pages => &[],
        }
    }
}
