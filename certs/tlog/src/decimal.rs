//! Decimal numbers with exactly one spelling.

/// Reads an unsigned number in ASCII digits without sign, space or leading zero.
///
/// `str::parse` would also take `+7` and `007`, which the C2SP formats refuse.
pub(crate) fn parse_u64(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if text.is_empty() || !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_u64;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(parse_u64("0"), Some(0));
        assert_eq!(parse_u64("18446744073709551615"), Some(u64::MAX));
        for wrong in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "١",
            "18446744073709551616",
        ] {
            assert_eq!(parse_u64(wrong), None, "{wrong:?}");
        }
    }
}
