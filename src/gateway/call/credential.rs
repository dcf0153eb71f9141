//! Which credential a request needs. A pure function, since using the wrong kind is an error in both directions and one
//! wrong guess spends quota or spoils a batch (reference 2.2, 9.1).
//!
//! | endpoint | engagement types | `Countersign-Auth` | account | credential |
//! |---|---|---|---|---|
//! | `totals` | public only | - | any | app-only |
//! | `totals` | public only | `app` | any | app-only |
//! | `totals` | public only | `user` | named | user context |
//! | `totals` | a private one among them | - or `user` | named | user context |
//! | `totals` | a private one among them | `app` | any | refused: private metrics need their author |
//! | `28hr`, `historical` | any | - or `user` | named | user context |
//! | `28hr`, `historical` | any | `app` | any | refused: these endpoints need the author |
//! | wherever user context is due | | | none | refused: name the account |
//!
//! Public: `favorites`, `retweets`, `replies`, `quote_tweets`, `video_views`. Private: `impressions`, `engagements`.

use crate::model::{AuthKind, Endpoint, Metric};

/// Why no credential fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// App-only was requested on an endpoint that answers only authors.
    EndpointIsPrivate(Endpoint),
    /// App-only was requested with a metric that only the author may see.
    MetricIsPrivate(Metric),
    /// User context is due and no account is named.
    AccountNeeded,
}

/// Chooses by the table above. `wanted` is the caller's `Countersign-Auth`.
pub fn choose(
    endpoint: Endpoint,
    metrics: &[Metric],
    account_named: bool,
    wanted: Option<AuthKind>,
) -> Result<AuthKind, Refusal> {
    let private = match endpoint {
        Endpoint::Totals => {
            let private = metrics.iter().find(|metric| metric.is_private_on_totals());
            private.map(|metric| Refusal::MetricIsPrivate(*metric))
        }
        Endpoint::TwentyEightHours | Endpoint::Historical => {
            Some(Refusal::EndpointIsPrivate(endpoint))
        }
    };
    match (private, wanted) {
        (Some(refusal), Some(AuthKind::AppOnly)) => Err(refusal),
        (None, None | Some(AuthKind::AppOnly)) => Ok(AuthKind::AppOnly),
        _ if account_named => Ok(AuthKind::UserContext),
        _ => Err(Refusal::AccountNeeded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table restated from the reference: what each pair needs.
    fn is_private(endpoint: Endpoint, metric: Metric) -> bool {
        match endpoint {
            Endpoint::Totals => ["impressions", "engagements"].contains(&metric.name()),
            Endpoint::TwentyEightHours | Endpoint::Historical => true,
        }
    }

    fn every_case() -> impl Iterator<Item = (Endpoint, Metric, bool)> {
        Endpoint::ALL.into_iter().flat_map(|endpoint| {
            Metric::ALL
                .into_iter()
                .flat_map(move |metric| [true, false].map(|named| (endpoint, metric, named)))
        })
    }

    #[test]
    fn without_a_wish_the_kind_follows_from_endpoint_and_metric() {
        for (endpoint, metric, named) in every_case() {
            let expected = match (is_private(endpoint, metric), named) {
                (false, _) => Ok(AuthKind::AppOnly),
                (true, true) => Ok(AuthKind::UserContext),
                (true, false) => Err(Refusal::AccountNeeded),
            };
            assert_eq!(choose(endpoint, &[metric], named, None), expected, "{endpoint} {metric}");
        }
    }

    #[test]
    fn a_wish_for_the_app_is_granted_or_refused_with_the_reason() {
        for (endpoint, metric, named) in every_case() {
            let expected = match (is_private(endpoint, metric), endpoint) {
                (false, _) => Ok(AuthKind::AppOnly),
                (true, Endpoint::Totals) => Err(Refusal::MetricIsPrivate(metric)),
                (true, _) => Err(Refusal::EndpointIsPrivate(endpoint)),
            };
            assert_eq!(choose(endpoint, &[metric], named, Some(AuthKind::AppOnly)), expected);
        }
    }

    #[test]
    fn a_wish_for_the_user_needs_an_account() {
        for (endpoint, metric, named) in every_case() {
            let expected =
                if named { Ok(AuthKind::UserContext) } else { Err(Refusal::AccountNeeded) };
            assert_eq!(choose(endpoint, &[metric], named, Some(AuthKind::UserContext)), expected);
        }
    }

    #[test]
    fn one_private_metric_among_public_ones_decides() {
        let metrics = [Metric::Favorites, Metric::Retweets, Metric::Impressions];
        assert_eq!(choose(Endpoint::Totals, &metrics, true, None), Ok(AuthKind::UserContext));
        assert_eq!(choose(Endpoint::Totals, &metrics[..2], true, None), Ok(AuthKind::AppOnly));
    }
}
