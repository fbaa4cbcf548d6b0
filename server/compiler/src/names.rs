//! Which texts name classes, parameters and the like.

pub(crate) const CLASS_FORM: &str =
    "class names are lowercase letters, digits and '_', joined by \"::\", such as nginx::vhost";

/// A module's name, or one part of a class's.
pub(crate) fn is_module(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// `module` or `module::rest`.
pub(crate) fn is_class(text: &str) -> bool {
    text.len() <= 256 && text.split("::").all(is_module)
}

/// What a template can write behind `params.`.
pub(crate) fn is_param(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `CLASS.PARAM` in two.
pub(crate) fn split_param(text: &str) -> Option<(&str, &str)> {
    text.split_once('.')
        .filter(|(class, param)| is_class(class) && is_param(param))
}

/// A group's name.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=128).contains(&text.chars().count())
        && text.trim() == text
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ' '))
}

/// An environment, or what a label may put into a data path.
pub(crate) fn is_path_segment(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}
