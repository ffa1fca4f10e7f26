//! "Did you mean …?": the known name closest to a misspelled one.

use strsim::osa_distance;

/// The candidate closest to `word`, if it is close enough to be a typo: at most a third of its letters differ, or `word`
/// is its beginning.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (word.len() >= 3 && candidate.starts_with(word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_recognized_and_an_unrelated_word_is_not() {
        let known = ["jobs", "per_server", "window_bytes"];
        assert_eq!(nearest("job", known), Some("jobs"));
        assert_eq!(nearest("windows_byte", known), Some("window_bytes"));
        assert_eq!(nearest("jbos", known), Some("jobs"));
        assert_eq!(nearest("window", known), Some("window_bytes"));
        assert_eq!(nearest("colour", known), None);
    }
}
