//! Characters that a terminal obeys, or that make text look other than it is.

/// Whether a character is none to show: a control character (C0, DEL, C1), one that turns the
/// direction of what follows, one that is not seen, or a line end of Unicode's own.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Of no width, and marks of direction.
            | '\u{200b}'..='\u{200f}'
            // Line and paragraph separator; embeddings and overrides of direction.
            | '\u{2028}'..='\u{202e}'
            // Invisible operators, isolates of direction, deprecated formatting.
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // Tags: a whole alphabet that is not seen.
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_format_characters_are_unprintable_and_letters_of_any_script_are_not() {
        let obeyed = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}";
        let deceptive = "\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}";
        for c in obeyed.chars().chain(deceptive.chars()) {
            assert!(is_unprintable(c), "{c:?}");
        }
        for c in "aZ ~\u{a0}äßÆ中文عربيעברית🙂‐—…€\u{fffd}".chars() {
            assert!(!is_unprintable(c), "{c:?}");
        }
    }
}
