//! "Did you mean …?"

/// The advice for a word that is none of the known ones: the nearest of them, or a short list.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return format!("did you mean \"{near}\"?");
    }
    match known.len() {
        0 => String::new(),
        1..=12 => format!("known here: {}", known.join(", ")),
        _ => String::new(),
    }
}

/// The known word within a third of the word's length of it in edits; the first of several.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).collect();
    let limit = (word.len() / 3).max(1);
    let near = known.into_iter().filter_map(|candidate| {
        let candidate_chars: Vec<char> = candidate.chars().take(64).collect();
        let edits = distance(&word, &candidate_chars);
        (edits <= limit && edits < candidate_chars.len()).then_some((edits, candidate))
    });
    near.min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_no_far_one() {
        let known = ["workers", "upstreams", "mode"];
        assert_eq!(nearest("workerz", known), Some("workers"));
        assert_eq!(nearest("mdoe", known), Some("mode"));
        assert_eq!(nearest("listen", known), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(
            hint("listen", known),
            "known here: workers, upstreams, mode"
        );
    }
}
