//! Text to nodes with positions.
//!
//! `serde_yaml` has no public way to ask where a value stands, but it writes the position into any
//! error that leaves a value's visitor. So scalars and keys are put into a slot and then "fail";
//! the position is cut from the error's text (the crate is final at 0.9.34, and a test would notice).
//! Lists and mappings must not fail, or the parser would lose its place behind them: they take
//! the position of the first thing in them.

use std::{collections::HashSet, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::Number;

use super::{Entry, MAX_DEPTH, MAX_VALUES, Node, Position, Value, YamlError};

const LONGEST_KEY: usize = 1024;

pub(super) fn read(text: &str) -> Result<Node, YamlError> {
    let mut reader = Reader {
        here: Position::START,
        left: MAX_VALUES,
        fatal: None,
    };
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok(Node {
            at: Position::START,
            value: Value::Null,
        });
    };
    let node = reader.node(0, first)?;
    if documents.next().is_some() {
        return Err(YamlError {
            at: reader.here,
            message: "there is more than one document; remove what begins with \"---\"".to_owned(),
        });
    }
    Ok(node)
}

struct Reader {
    /// The last position seen.
    here: Position,
    left: usize,
    /// What ended the reading, when that was not the parser.
    fatal: Option<YamlError>,
}

impl Reader {
    /// Reads one value. After an error the parser has lost its place: give up.
    fn node<'de, D: Deserializer<'de>>(
        &mut self,
        depth: usize,
        from: D,
    ) -> Result<Node, YamlError> {
        let mut slot = None;
        let result = Seed {
            reader: self,
            depth,
            slot: &mut slot,
        }
        .deserialize(from);
        self.settle(slot, result.err().map(|error| error.to_string()).as_deref())
    }

    fn settle(&mut self, slot: Option<Node>, error: Option<&str>) -> Result<Node, YamlError> {
        if let Some(fatal) = self.fatal.take() {
            return Err(fatal);
        }
        let (position, message) = match error {
            Some(error) => split_position(error),
            None => (None, ""),
        };
        if let Some(position) = position {
            self.here = position;
        } else if message.ends_with(TAKEN) {
            // The very beginning is the one position that is not written out.
            self.here = Position::START;
        }
        match slot {
            Some(
                node @ Node {
                    value: Value::List(_) | Value::Map(_),
                    ..
                },
            ) if error.is_none() => Ok(node),
            Some(node) if message.ends_with(TAKEN) => Ok(Node {
                at: self.here,
                ..node
            }),
            _ => Err(YamlError {
                at: self.here,
                message: message.to_owned(),
            }),
        }
    }

    fn count(&mut self, at: Position) -> Result<(), YamlError> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(YamlError {
                at,
                message: format!("more than {MAX_VALUES} values; split the document"),
            }),
        }
    }

    fn fail(&mut self, at: Position, message: impl Into<String>) {
        self.fatal.get_or_insert(YamlError {
            at,
            message: message.into(),
        });
    }
}

/// The text of the error by which a scalar "fails". No YAML can contain it unescaped.
const TAKEN: &str = "\u{1}taken";

/// Cuts the position off: at the end where it was put behind [`TAKEN`], since what stands before
/// is keys of the document; else the first one, since the parser's own errors go on with where it
/// began what it could not end.
fn split_position(text: &str) -> (Option<Position>, &str) {
    const BEFORE: &str = " at line ";
    let parts = if text.contains(TAKEN) {
        text.rsplit_once(BEFORE)
    } else {
        text.split_once(BEFORE)
    };
    let parts = parts.and_then(|(message, position)| {
        let position = position.split([',', '\n']).next()?;
        let (line, column) = position.split_once(" column ")?;
        let position = Position {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        };
        Some((Some(position), message))
    });
    parts.unwrap_or((None, text))
}

struct Seed<'a> {
    reader: &'a mut Reader,
    depth: usize,
    slot: &'a mut Option<Node>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn take<E: serde::de::Error>(self, value: Value) -> Result<(), E> {
        *self.slot = Some(Node {
            at: self.reader.here,
            value,
        });
        Err(E::custom(TAKEN))
    }

    /// Whether another list or mapping may begin here.
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth < MAX_DEPTH {
            return Ok(());
        }
        let here = self.reader.here;
        self.reader.fail(
            here,
            format!("nested deeper than {MAX_DEPTH} levels; write it flatter"),
        );
        Err(E::custom("too deep"))
    }

    /// Reads one value inside of this one, by `step`; `None` when there is no more.
    fn inner<T, E: serde::de::Error>(
        &mut self,
        step: impl FnOnce(Seed<'_>) -> Result<Option<T>, E>,
    ) -> Result<Option<Node>, E> {
        let mut slot = None;
        let seed = Seed {
            reader: &mut *self.reader,
            depth: self.depth + 1,
            slot: &mut slot,
        };
        let error = match step(seed) {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => None,
            Err(error) => Some(error.to_string()),
        };
        let node = self.reader.settle(slot, error.as_deref()).and_then(|node| {
            self.reader.count(node.at)?;
            Ok(node)
        });
        node.map(Some).map_err(|error| {
            self.reader.fail(error.at, error.message);
            E::custom("told by the reader")
        })
    }

    fn key<E: serde::de::Error>(
        &mut self,
        node: Node,
        seen: &mut HashSet<String>,
    ) -> Result<String, E> {
        let key = match node.value {
            Value::String(text) => text,
            Value::Number(number) if !number.is_f64() => number.to_string(),
            _ => {
                self.reader.fail(
                    node.at,
                    "a key has to be text or a whole number; put it in quotes",
                );
                return Err(E::custom("key"));
            }
        };
        if key.len() > LONGEST_KEY {
            self.reader
                .fail(node.at, format!("a key of more than {LONGEST_KEY} bytes"));
            return Err(E::custom("key"));
        }
        if !seen.insert(key.clone()) {
            self.reader
                .fail(node.at, format!("key {key:?} stands here a second time"));
            return Err(E::custom("key"));
        }
        Ok(key)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.take(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.take(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.take(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.take(Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.take(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match Number::from_f64(value) {
            Some(number) => self.take(Value::Number(number)),
            None => Err(E::custom("not a finite number")),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.take(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.enter()?;
        let here = self.reader.here;
        let mut items = Vec::new();
        while let Some(item) = self.inner(|seed| list.next_element_seed(seed))? {
            items.push(item);
        }
        let at = items.first().map_or(here, |item| item.at);
        *self.slot = Some(Node {
            at,
            value: Value::List(items),
        });
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter()?;
        let here = self.reader.here;
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        while let Some(node) = self.inner(|seed| map.next_key_seed(seed))? {
            let at = node.at;
            let key = self.key(node, &mut seen)?;
            let Some(value) = self.inner(|seed| map.next_value_seed(seed).map(Some))? else {
                break;
            };
            entries.push(Entry { at, key, value });
        }
        let at = entries.first().map_or(here, |entry| entry.at);
        *self.slot = Some(Node {
            at,
            value: Value::Map(entries),
        });
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
        let tag = data
            .variant::<String>()
            .map_or_else(|_| "?".to_owned(), |(tag, _)| tag);
        Err(A::Error::custom(format!(
            "tag !{tag} is not known here; remove it"
        )))
    }
}
