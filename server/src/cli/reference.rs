//! How a node is named on the command line.

/// What an operator names a node by, as it is: the master knows what it means.
///
/// # Errors
/// When there is nothing in it.
pub(crate) fn node(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(
            "it is empty; give a container ID or its beginning, an IP, or a container name (\"dockmaster node list\" shows them)"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_something() {
        assert_eq!(node("web-1"), Ok("web-1".to_owned()));
        for nothing in ["", " "] {
            assert!(node(nothing).unwrap_err().contains("give a container ID"));
        }
    }
}
