//! What a misspelt name was probably meant to be.

/// How many characters may differ.
const FARTHEST: usize = 3;
/// Longer texts are no slips; comparing them would take long.
const LONGEST: usize = 100;

/// The nearest of the known names, if there is one near enough.
pub fn nearest<T: AsRef<str> + Ord>(name: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    if name.len() > LONGEST {
        return None;
    }
    let distance = |known: &T| strsim::levenshtein(name, known.as_ref());
    let nearest = known.into_iter().map(|known| (distance(&known), known)).min()?;
    (nearest.0 <= FARTHEST).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_meant_if_it_is_near() {
        for (name, meant) in [
            ("tweet", Some("tweet.id")),
            ("engagement.days", Some("engagement.day")),
            ("engagement", None),
            ("", None),
        ] {
            let known = ["tweet.id", "engagement.day", "engagement.hour"];
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(nearest(&long, [&long]), None);
    }
}
