//! YAML, behind one small door.

use serde::de::DeserializeOwned;

use super::format::FormatError;

/// The deepest nesting in flow style (`[[[…`): the parser's time grows with its square.
const MAX_FLOW_DEPTH: usize = 64;

/// Reads a document whose size its caller has bounded.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, FormatError> {
    if let Some(line) = too_deep(text) {
        return Err(FormatError::Syntax {
            line,
            reason: format!("more than {MAX_FLOW_DEPTH} levels of brackets"),
        });
    }
    serde_yaml::from_str(text).map_err(|error| FormatError::Syntax {
        line: error.location().map_or(1, |at| at.line()),
        reason: error.to_string(),
    })
}

/// The line on which brackets nest too deep. Brackets inside strings count too: an inventory has
/// no use for so many.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    (1..).zip(text.lines()).find_map(|(number, line)| {
        for byte in line.bytes() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_FLOW_DEPTH {
                return Some(number);
            }
        }
        None
    })
}
