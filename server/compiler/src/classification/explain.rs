//! Why a node is classified as it is.

use dockmaster_proto::{
    api::nodes::{Explanation, GroupVerdict, ParamOrigin},
    node::NodeView,
    selector::Selector,
};

use super::{Classification, Group};

impl Classification {
    /// What each group says to a node. Where groups conflict there are verdicts but no values.
    #[must_use]
    pub fn explain(&self, node: &NodeView) -> Explanation {
        let params = self
            .resolve(node)
            .map(|resolved| resolved.params)
            .unwrap_or_default();
        Explanation {
            groups: self
                .groups
                .iter()
                .map(|group| group.verdict(node))
                .collect(),
            params: params
                .into_iter()
                .map(|(key, given)| {
                    let origin = ParamOrigin {
                        value: given.value,
                        group: given.group,
                    };
                    (key, origin)
                })
                .collect(),
        }
    }
}

impl Group {
    fn verdict(&self, node: &NodeView) -> GroupVerdict {
        GroupVerdict {
            group: self.name.clone(),
            selector: self.selector(),
            first_failure: self.terms.iter().find_map(|(selector, tier)| {
                let term = selector.first_failure(node, *tier)?;
                // The label is there, but who said it does not count here.
                let hidden = *tier > dockmaster_proto::label::Tier::Agent
                    && selector.matches(node, dockmaster_proto::label::Tier::Agent);
                Some(if hidden {
                    format!("{term} (the label's tier is below {tier})")
                } else {
                    term
                })
            }),
            classes: self
                .classes
                .iter()
                .map(|(class, _)| class.clone())
                .collect(),
        }
    }

    /// The selector with the parents' terms.
    fn selector(&self) -> String {
        let parts: Vec<&Selector> = self
            .terms
            .iter()
            .map(|(selector, _)| selector)
            .filter(|selector| !selector.is_everything())
            .collect();
        match parts.as_slice() {
            [only] => only.to_string(),
            parts => {
                let joined: Vec<String> = parts.iter().map(|part| format!("({part})")).collect();
                let joined = joined.join(", ");
                // Read again, it loses the parentheses that it does not need.
                joined
                    .parse::<Selector>()
                    .map_or(joined, |selector| selector.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::label::Tier;

    use crate::{classification::testing::parse, testing::node};

    #[test]
    fn the_first_term_that_fails_is_named_parents_included() {
        let classification = parse(
            "groups:\n  - { name: web, match: 'role=web', params: { a.b: 1 } }\n  \
             - { name: front, parent: web, match: 'tier=front, !canary' }\n  - { name: all, match: '' }\n",
        );
        let explanation = classification.explain(&node("n", &[("role", "web")]));
        assert_eq!(explanation.groups[0].first_failure, None);
        assert_eq!(
            explanation.groups[1].selector,
            "role=web, (tier=front, !canary)"
        );
        assert_eq!(
            explanation.groups[1].first_failure.as_deref(),
            Some("tier=front")
        );
        assert_eq!(explanation.groups[2].selector, "");
        assert_eq!(explanation.params["a.b"].group, "web");
        let mut claimed = node("n", &[]);
        claimed.labels.set("role", "web", Tier::Agent);
        assert_eq!(
            classification.explain(&claimed).groups[0]
                .first_failure
                .as_deref(),
            Some("role=web (the label's tier is below token)")
        );
    }
}
