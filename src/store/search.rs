//! Text that people search for, as a pattern.

/// A pattern for `like … escape '!'`, which would take an underscore for any character.
pub(super) fn holding(text: &str) -> String {
    let mark = |it: char| if matches!(it, '%' | '_' | '!') { vec!['!', it] } else { vec![it] };
    format!("%{}%", text.chars().flat_map(mark).collect::<String>())
}
