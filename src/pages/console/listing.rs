//! The pages of the console's lists.

use crate::pages::console::address::with_query;
use crate::web::paging::last_of_full;

/// How many rows a page has.
pub(crate) const ROWS: u32 = 50;

/// The address of the page after these rows, if they fill this one. It keeps the list's own parameters; `place` gives
/// the parameter that says where that page begins.
pub(crate) fn next_page<T>(
    rows: &[T],
    path: &str,
    parameters: &[(&str, &str)],
    place: impl Fn(&T) -> (&'static str, String),
) -> Option<String> {
    let (name, value) = place(last_of_full(rows, ROWS)?);
    Some(with_query(path, &[parameters, &[(name, &value)]].concat()))
}
