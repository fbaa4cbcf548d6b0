//! Tables and lists of fields for people.

use comfy_table::{Table, presets};
use dockmaster_proto::{
    id::{ContainerId, Digest},
    time::UnixMs,
};

use super::unprintable::is_unprintable;

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// Rows under a heading, in columns without borders; `empty` stands for a table without rows.
pub(crate) fn columns<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(heading);
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return empty.to_owned();
    }
    for row in rows {
        table.add_row(row.map(|cell| or_nothing(one_line(&cell))));
    }
    trim_lines(&table.to_string())
}

/// Names and values, one pair a line, the values in one column; a value's further lines stand below it.
pub(crate) fn fields<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        let value = or_nothing(printable(&value));
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            text.push_str(format!("{name:width$}  {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

/// The first digits of a container ID, as container engines print them.
pub(crate) fn short_id(id: &ContainerId) -> String {
    id.short()
}

/// The first digits of a digest.
pub(crate) fn short_digest(digest: &Digest) -> String {
    digest.to_string()[..12].to_owned()
}

/// A time, or nothing.
pub(crate) fn time(time: Option<UnixMs>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Values separated by commas.
pub(crate) fn joined<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(", ")
}

/// Text with every line indented by two spaces.
pub(crate) fn indented(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| format!("  {line}").trim_end().to_owned() + "\n");
    lines.collect()
}

/// Values one a line. A line end within a value is none: it would look like one more value.
pub(crate) fn list(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| one_line(&value)).collect();
    values.join("\n")
}

/// What [`printable`] makes of a text, on one line.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// A number of things, with the plural where it needs one.
pub(crate) fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// Text without control and format characters other than line ends and tabs: labels and file contents
/// come from anyone, a terminal obeys what it is sent, and text that turns about reads as other text.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\t' => c,
        c if is_unprintable(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(harmless).collect()
}

fn or_nothing(text: String) -> String {
    if text.is_empty() {
        NOTHING.to_owned()
    } else {
        text
    }
}

/// Takes away the blanks that fill up the last column.
fn trim_lines(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let rows = [
            ["web-1".to_owned(), "172.17.0.2".to_owned()],
            ["a-longer-name".to_owned(), String::new()],
        ];
        assert_eq!(
            columns(["NAME", "IP"], rows, "none"),
            "NAME           IP\nweb-1          172.17.0.2\na-longer-name  -"
        );
        assert_eq!(columns(["NAME"], [], "no nodes"), "no nodes");
    }

    #[test]
    fn fields_stand_in_one_column() {
        let text = fields([
            ("name", "web".into()),
            ("addresses", "a\nb".into()),
            ("x", String::new()),
        ]);
        assert_eq!(
            text,
            "name       web\naddresses  a\n           b\nx          -\n"
        );
    }

    #[test]
    fn a_terminal_is_sent_no_control_characters() {
        let rows = [["\u{1b}[31mred\r\n".to_owned()]];
        assert_eq!(columns(["NAME"], rows, ""), "NAME\n\u{fffd}[31mred\u{fffd}");
    }

    #[test]
    fn text_that_turns_about_or_is_not_seen_is_shown_as_such() {
        assert_eq!(
            printable("a\u{202e}b\u{2066}c\u{200f}d\u{feff}e\n\tf"),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\n\tf"
        );
    }

    #[test]
    fn a_value_of_a_list_is_one_line() {
        let values = ["a=1 (host)\nb=2".to_owned(), "c=3".to_owned()];
        assert_eq!(list(values), "a=1 (host) b=2\nc=3");
    }
}
