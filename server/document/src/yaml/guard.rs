//! What is checked before the parser sees a text: its size, and how deep its brackets nest. The
//! parser's time grows with the square of that depth.

use super::{Position, YamlError};

/// Far above [`super::MAX_DEPTH`], since brackets inside of quotes are counted too, and far below
/// where the square begins to hurt.
const MAX_BRACKETS: u32 = 256;

pub(super) fn check(text: &str, max_bytes: usize) -> Result<(), YamlError> {
    if text.len() > max_bytes {
        return Err(YamlError {
            at: Position::START,
            message: format!(
                "{} bytes are more than the {max_bytes} that a document may have; split it",
                text.len()
            ),
        });
    }
    let mut depth = 0_u32;
    let mut block: Option<usize> = None;
    for (line, number) in text.lines().zip(1..) {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if let Some(parent) = block {
            if content.trim().is_empty() || indent > parent {
                continue;
            }
            block = None;
        }
        let content = without_comment(content);
        for (byte, column) in content.bytes().zip(1_u32..) {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_BRACKETS {
                return Err(YamlError {
                    at: Position {
                        line: number,
                        column,
                    },
                    message: format!(
                        "more than {MAX_BRACKETS} brackets are open; write it flatter"
                    ),
                });
            }
        }
        // Inside of brackets there are no block scalars, whatever a line ends with.
        if depth == 0 && begins_a_block(content) {
            block = Some(indent);
        }
    }
    Ok(())
}

/// The line without a comment. A `#` inside of quotes may count as one: then too little is taken
/// for a block's beginning and brackets are counted that need not be, never the other way round.
fn without_comment(content: &str) -> &str {
    if content.starts_with('#') {
        return "";
    }
    content
        .split_once(" #")
        .map_or(content, |(content, _comment)| content)
}

/// Whether the lines that follow and are indented more are text: the line ends with `|` or `>` and
/// at most two indicators.
fn begins_a_block(content: &str) -> bool {
    let header = content
        .trim_end()
        .trim_end_matches(|c: char| matches!(c, '-' | '+') || c.is_ascii_digit());
    let Some(before) = header.strip_suffix(['|', '>']) else {
        return false;
    };
    before.is_empty() || before.ends_with([' ', ':', '-'])
}
