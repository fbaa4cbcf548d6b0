//! Questions that are about a part of an answer.

use serde_json::json;

use crate::stand::Stand;

#[test]
fn why_a_node_has_a_class_is_told_by_the_groups_and_parameters_of_that_class_alone() {
    let stand = Stand::new(14);
    stand.master.deploy("hello");
    let why = |subject: &[&str]| {
        let asked = [&["node", "why", &stand.container.id], subject].concat();
        stand.master.json(asked)
    };
    let groups = |answer: &serde_json::Value| -> Vec<String> {
        let groups = answer["groups"].as_array().unwrap().iter();
        groups
            .map(|group| group["group"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(groups(&why(&[])), ["base", "web", "front"]);
    let base = why(&["base"]);
    assert_eq!(groups(&base), ["base"]);
    assert_eq!(base["params"], json!({}));
    let hello = why(&["hello"]);
    assert_eq!(groups(&hello), ["web"]);
    assert_eq!(hello["params"]["hello.workers"]["value"], 4);
    assert_eq!(why(&["hello.greeting"])["params"], json!({}));
    assert_eq!(groups(&why(&["nowhere"])), [""; 0]);
}
