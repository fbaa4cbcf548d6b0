//! A value of JSON put in another's place: what changing bytes hardly ever makes.

use prop::sample::Index;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Replaces one of the values of a text of JSON; what is no JSON stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Replace {
    which: Index,
    by: Value,
}

pub(crate) fn replacements() -> impl Strategy<Value = Vec<Replace>> {
    let other = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("/"),
        json!("\u{0}"),
        json!("é".repeat(300)),
        json!("0.0.0.0"),
        json!("::ffff:10.0.0.1"),
        json!("224.0.0.1"),
        json!("h2/bridge"),
        json!("f".repeat(64)),
        json!("0001-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59.999999999Z"),
        json!([]),
        json!([[], {}, "a", "a"]),
        json!({}),
        json!({ "": "", "a": null }),
    ]);
    let one = (any::<Index>(), other).prop_map(|(which, by)| Replace { which, by });
    prop::collection::vec(one, 1..4)
}

impl Replace {
    pub(crate) fn apply(&self, input: &mut Vec<u8>) {
        let Ok(mut whole) = serde_json::from_slice::<Value>(input) else {
            return;
        };
        let mut left = self.which.index(count(&whole));
        put(&mut whole, &mut left, &self.by);
        *input = whole.to_string().into_bytes();
    }
}

/// How many values there are, the whole included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum::<usize>(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value that is so many further on; whether it was there.
fn put(value: &mut Value, left: &mut usize, by: &Value) -> bool {
    if *left == 0 {
        value.clone_from(by);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|it| put(it, left, by)),
        Value::Object(map) => map.values_mut().any(|it| put(it, left, by)),
        _ => false,
    }
}
