//! Search text as a pattern for `like`.

/// A pattern for `like … escape '!'`, to which a bare underscore would mean any character.
pub(super) fn holding(text: &str) -> String {
    let mark = |c: char| if matches!(c, '%' | '_' | '!') { vec!['!', c] } else { vec![c] };
    format!("%{}%", text.chars().flat_map(mark).collect::<String>())
}
