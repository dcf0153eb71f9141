//! Tokens for pages in browsers: how long they live, and for whom they are.

use std::time::Duration;

/// What a token begins with; what follows is URL-safe base64.
pub const PREFIX: &str = "csb_";
/// The longest life of a token.
pub const LONGEST_LIFE: Duration = Duration::from_hours(1);
/// The life of a token whose maker names none.
pub const USUAL_LIFE: Duration = Duration::from_mins(10);
/// The most that a token is good for after its end, since clocks differ.
pub const LEEWAY: Duration = Duration::from_secs(30);
const LONGEST_SUBJECT: usize = 100;
/// The name of all subjects that are not kept apart.
pub const OTHERS: &str = "other";

/// What is wrong with the subject of a token: the maker's own name for whoever holds it.
pub fn check_subject(subject: &str) -> Result<(), String> {
    let is_fine = (1..=LONGEST_SUBJECT).contains(&subject.chars().count())
        && !subject.chars().any(char::is_control);
    if !is_fine {
        return Err(format!("must be 1 to {LONGEST_SUBJECT} printable characters"));
    }
    if subject == OTHERS {
        return Err(format!("must not be `{OTHERS}`, which stands for all who are not kept apart"));
    }
    Ok(())
}
