//! The colours that charts on several pages use: the same for the same thing, whatever period and order is shown.

use crate::gateway::Gateway;
use crate::model::usage::{Aspect, Outcome};
use crate::model::{AuthKind, Endpoint};
use crate::pages::parts::chart::Colour;

/// The colour of the kind of credentials with which X was called.
pub(super) fn of_credentials(auth: AuthKind) -> Colour {
    match auth {
        AuthKind::AppOnly => Colour::plain(1),
        AuthKind::UserContext => Colour::plain(2),
    }
}

/// All values of an aspect, in the order in which they are shown; none if there is no fixed set of them.
pub(super) fn closed(aspect: Option<Aspect>, gateway: &Gateway) -> Vec<(String, Colour)> {
    let of = |name: &str, colour| (name.to_owned(), colour);
    match aspect {
        Some(Aspect::Auth) => {
            AuthKind::ALL.map(|auth| of(auth.name(), of_credentials(auth))).into()
        }
        Some(Aspect::Outcome) => {
            Outcome::ALL.map(|outcome| of(outcome.name(), of_answer(outcome))).into()
        }
        Some(Aspect::Endpoint) => {
            let all = Endpoint::ALL.into_iter().enumerate();
            all.map(|(place, endpoint)| of(endpoint.name(), Colour::plain(place + 3))).collect()
        }
        Some(Aspect::App) => {
            let all = gateway.apps().enumerate();
            all.map(|(place, app)| of(app.0, Colour::plain(place))).collect()
        }
        Some(Aspect::Key | Aspect::Account) | None => Vec::new(),
    }
}

fn of_answer(outcome: Outcome) -> Colour {
    match outcome {
        Outcome::Success => Colour::plain(0),
        Outcome::Redirect => Colour::plain(7),
        Outcome::Refusal => Colour::REFUSED,
        Outcome::Failure => Colour::FAILED,
        Outcome::Silence => Colour::SILENT,
    }
}
