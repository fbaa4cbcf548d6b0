//! Errors in words.

use std::error::Error;

/// An error and its causes, outermost first: the one way in which an error is told to a person, at
/// the edge. A cause that the error before it already tells is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the file cannot be read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_and_none_is_told_twice() {
        let outer = Outer(std::io::Error::other("no such file"));
        assert_eq!(chain(&outer), "the file cannot be read: no such file");
    }
}
