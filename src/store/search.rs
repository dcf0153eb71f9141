//! Search text as a pattern for `like`.

/// A pattern for `like … escape '!'`, to which a bare underscore would mean any character.
pub(super) fn holding(text: &str) -> String {
    let mark = |it: char| if matches!(it, '%' | '_' | '!') { vec!['!', it] } else { vec![it] };
    format!("%{}%", text.chars().flat_map(mark).collect::<String>())
}
