//! Template filters: values that pages write in another form than their own.

#![expect(
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "so are filters, and what their macro makes of them"
)]

use std::fmt::Display;

/// A count with commas between its thousands.
#[askama::filter_fn]
pub fn thousands(count: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use crate::pages::parts::filters;

    #[derive(Template)]
    #[template(source = "{{ count|thousands }}", ext = "txt")]
    struct Count {
        count: u64,
    }

    #[test]
    fn thousands_have_commas_between() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (38_646_755, "38,646,755"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Count { count }.to_string(), expected);
        }
    }
}
