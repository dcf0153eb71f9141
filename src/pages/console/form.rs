//! Reads the forms that the console's pages send.

use axum::extract::Request;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::gateway::{Deadline, Detail, Error, Location};
use crate::pages::console::form_errors::FieldErrors;
use crate::web::body;
use crate::web::host::Host;
use crate::web::problem::Problem;

const MOST_BYTES: usize = 256 * 1024;

/// The mistakes in the fields, if those are the error; the form is then shown again with this status.
pub(crate) fn field_errors(error: Error) -> Result<(StatusCode, FieldErrors), Problem> {
    match error {
        Error::InvalidRequest(problems) => {
            let errors =
                problems.into_iter().map(|problem| (field(&problem.place), problem.detail));
            Ok((StatusCode::BAD_REQUEST, FieldErrors(errors.collect())))
        }
        Error::AlreadyExists(what) => {
            let errors = vec![("name".to_owned(), format!("there is already {what}"))];
            Ok((StatusCode::CONFLICT, FieldErrors(errors)))
        }
        other => Err(other.into()),
    }
}

/// The form's fields. Unknown ones are refused where the type says so.
pub(crate) async fn read<T: DeserializeOwned>(host: &Host, request: Request) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let types = ["application/x-www-form-urlencoded"];
    body::require_type(&parts.headers, &types, "submit the form from its page")?;
    let deadline = Deadline::within(host.limits().request_deadline);
    let body = body::read(&parts.headers, body, MOST_BYTES, host.limits(), deadline).await?;
    serde_urlencoded::from_bytes(&body)
        .map_err(|error| Problem::invalid(vec![Detail::at("", error.to_string())]))
}

/// The form's name for the field at that place of a JSON body.
fn field(place: &Location) -> String {
    match place {
        Location::Body(pointer) => pointer.split('/').nth(1).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// What was typed into a search field, without control characters: no name has any, and PostgreSQL stores no NUL.
pub(crate) fn search_text(text: &str) -> String {
    text.trim().replace(char::is_control, "")
}
