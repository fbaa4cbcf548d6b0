//! One level of the hierarchy: a path with what differs from node to node in it.

use std::str::FromStr;

use dockmaster_proto::node::NodeView;

use crate::{DEFAULT_TIER, names};

/// A path below `data/` without `.yaml`, such as `role/{{ labels.role }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Environment,
    Name,
    Id,
    Host,
    Ip,
    Label(String),
}

const FORM: &str = "write {{ node.name }}, {{ node.id }}, {{ node.ip }}, {{ node.host }}, {{ environment }}, \
                    {{ labels.KEY }} or {{ labels[\"KEY\"] }} with plain text between them";

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((literal, behind)) = rest.split_once("{{") {
            let (expression, behind) = behind.split_once("}}").ok_or(FORM)?;
            segments.push(literal_segment(literal)?);
            segments.push(variable(expression.trim()).ok_or(FORM)?);
            rest = behind;
        }
        segments.push(literal_segment(rest)?);
        segments.retain(|segment| *segment != Segment::Literal(String::new()));
        if segments.is_empty() {
            return Err(FORM);
        }
        Ok(Self(segments))
    }
}

fn literal_segment(text: &str) -> Result<Segment, &'static str> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'));
    if plain {
        Ok(Segment::Literal(text.to_owned()))
    } else {
        Err(FORM)
    }
}

fn variable(expression: &str) -> Option<Segment> {
    Some(match expression {
        "environment" => Segment::Environment,
        "node.name" => Segment::Name,
        "node.id" => Segment::Id,
        "node.host" => Segment::Host,
        "node.ip" => Segment::Ip,
        _ => {
            let label = expression.strip_prefix("labels")?;
            let quoted = |quote: char| {
                label
                    .strip_prefix('[')?
                    .strip_suffix(']')?
                    .strip_prefix(quote)?
                    .strip_suffix(quote)
            };
            let dotted = || label.strip_prefix('.').filter(|key| names::is_param(key));
            let key = dotted().or_else(|| quoted('"')).or_else(|| quoted('\''))?;
            (!key.is_empty() && !key.contains(['"', '\'']))
                .then(|| Segment::Label(key.to_owned()))?
        }
    })
}

impl Level {
    /// The path for a node; none when the node lacks what the level names. A value that could lead
    /// elsewhere (with a `/` or a leading `.` in it) counts as lacking, and so does a label that an
    /// agent claims.
    pub(crate) fn path(&self, environment: &str, node: &NodeView) -> Option<String> {
        let mut path = String::new();
        for segment in &self.0 {
            let value = match segment {
                Segment::Literal(text) => {
                    path.push_str(text);
                    continue;
                }
                Segment::Environment => environment.to_owned(),
                Segment::Name => node.name.clone(),
                Segment::Id => node.id.to_string(),
                Segment::Host => node.host.to_string(),
                Segment::Ip => {
                    // Colons are no path's, and an IP leads nowhere else.
                    path.push_str(&node.primary_ip()?.to_string());
                    continue;
                }
                Segment::Label(key) => {
                    let label = node
                        .labels
                        .get(key)
                        .filter(|label| label.tier >= DEFAULT_TIER)?;
                    label.value.clone()
                }
            };
            if !names::is_path_segment(&value) {
                return None;
            }
            path.push_str(&value);
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn a_level_is_filled_in_from_the_node() {
        let node = node(
            "web-1",
            &[("role", "web"), ("com.x/y", "z"), ("bad", "../up")],
        );
        for (level, expected) in [
            ("common", Some("common")),
            ("node/{{ node.name }}", Some("node/web-1")),
            ("{{labels.role}}-{{ environment }}", Some("web-test")),
            ("x/{{ labels[\"com.x/y\"] }}", Some("x/z")),
            ("ip/{{ node.ip }}", Some("ip/172.17.0.2")),
            ("{{ labels.missing }}", None),
            ("{{ labels.bad }}", None),
        ] {
            let path = level.parse::<Level>().unwrap().path("test", &node);
            assert_eq!(path.as_deref(), expected, "{level}");
        }
        for bad in [
            "",
            "{{ x }}",
            "{{ labels.role",
            "a b",
            "{{ labels[''] }}",
            "{{ node.labels.x }}",
        ] {
            assert!(bad.parse::<Level>().is_err(), "{bad}");
        }
    }
}
