//! Rules that no request can come to.

use super::Rule;

/// What is unreachable and why, with the lines.
pub(super) fn unreachable(rules: &[Rule]) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let before = &rules[..index];
        let name = rule.name.as_str();
        let why = if let Some(all) = before.iter().find(|rule| rule.conditions.is_everything()) {
            format!(
                "rule {name:?} is never reached: {:?} before it has no conditions",
                all.name.as_str()
            )
        } else if let Some(same) = before
            .iter()
            .find(|other| other.conditions == rule.conditions)
        {
            format!(
                "rule {name:?} is never reached: {:?} before it has the same conditions",
                same.name.as_str()
            )
        } else {
            continue;
        };
        found.push((rule.line, why));
    }
    found
}
