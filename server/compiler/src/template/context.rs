//! What templates see. Everything that differs between nodes is handed out by objects that note
//! that it was read.

use std::sync::Arc;

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Enumerator, Kwargs, Object, Serde, ValueKind, from_args},
};

use crate::{
    data::Data,
    fleet::{Fleet, PeerQuery},
    inputs::{Field, Input, Recorder},
};

/// What the templates of one class see while one node's catalog is compiled.
#[derive(Clone)]
pub(crate) struct Context(Value);

impl Context {
    /// The words that templates may use.
    pub(super) const WORDS: [&'static str; 6] =
        ["params", "node", "labels", "environment", "data", "peers"];

    pub(crate) fn new(
        params: &serde_json::Value,
        environment: &str,
        recorder: &Arc<Recorder>,
        data: &Arc<Data>,
        fleet: &Fleet,
    ) -> Self {
        let labels = Value::from_object(LabelMap {
            recorder: Arc::clone(recorder),
            of: LabelPart::Value,
        });
        let node = NodeMap {
            recorder: Arc::clone(recorder),
            labels: labels.clone(),
        };
        let data = DataFunction {
            recorder: Arc::clone(recorder),
            data: Arc::clone(data),
            environment: environment.to_owned(),
        };
        let peers = PeersFunction {
            recorder: Arc::clone(recorder),
            fleet: fleet.clone(),
        };
        Self(Value::from_pairs([
            ("params", from_json(params)),
            ("node", Value::from_object(node)),
            ("labels", labels),
            ("environment", Value::from(environment)),
            ("data", Value::from_object(data)),
            ("peers", Value::from_object(peers)),
        ]))
    }

    pub(super) fn value(&self) -> Value {
        self.0.clone()
    }
}

fn from_json(json: &serde_json::Value) -> Value {
    Serde(json).into()
}

fn error(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// `node`.
#[derive(Debug)]
struct NodeMap {
    recorder: Arc<Recorder>,
    labels: Value,
}

impl Object for NodeMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let recorder = Arc::clone(&self.recorder);
        match key.as_str()? {
            "labels" => Some(self.labels.clone()),
            "label_tiers" => Some(Value::from_object(LabelMap {
                recorder,
                of: LabelPart::Tier,
            })),
            "limits" => Some(Value::from_object(LimitsMap(recorder))),
            name => {
                let (_, field) = Field::OF_NODE
                    .into_iter()
                    .find(|(known, _)| *known == name)?;
                let value = from_json(&field.value(recorder.read(Input::Field(field))));
                // A node without an address has no `ip`, and a strict template says so.
                (value.kind() != ValueKind::None).then_some(value)
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let fields = Field::OF_NODE.into_iter().map(|(name, _)| name);
        let names = fields.chain(["labels", "label_tiers", "limits"]);
        Enumerator::Values(names.map(Value::from).collect())
    }
}

/// `node.limits`.
#[derive(Debug)]
struct LimitsMap(Arc<Recorder>);

impl Object for LimitsMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let (_, field) = Field::OF_LIMITS
            .into_iter()
            .find(|(known, _)| *known == name)?;
        Some(from_json(&field.value(self.0.read(Input::Field(field)))))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            Field::OF_LIMITS
                .into_iter()
                .map(|(name, _)| Value::from(name))
                .collect(),
        )
    }
}

/// `labels` and `node.label_tiers`.
#[derive(Debug)]
struct LabelMap {
    recorder: Arc<Recorder>,
    of: LabelPart,
}

#[derive(Debug, Clone, Copy)]
enum LabelPart {
    Value,
    Tier,
}

impl Object for LabelMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        match self.of {
            LabelPart::Value => {
                let node = self.recorder.read(Input::Label(key.to_owned()));
                node.labels.get(key).map(|label| Value::from(&label.value))
            }
            LabelPart::Tier => {
                let node = self.recorder.read(Input::LabelTier(key.to_owned()));
                node.labels
                    .get(key)
                    .map(|label| Value::from(label.tier.as_str()))
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let all = match self.of {
            LabelPart::Value => Input::Labels,
            LabelPart::Tier => Input::LabelTiers,
        };
        let node = self.recorder.read(all);
        Enumerator::Values(
            node.labels
                .iter()
                .map(|(key, _)| Value::from(key))
                .collect(),
        )
    }
}

/// `data(key)` and `data(key, default)`.
#[derive(Debug)]
struct DataFunction {
    recorder: Arc<Recorder>,
    data: Arc<Data>,
    environment: String,
}

impl Object for DataFunction {
    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (key, default): (&str, Option<Value>) = from_args(args)?;
        if !self.data.has_key(key) {
            return default.ok_or_else(|| {
                error(format!(
                    "no file below data/ has {key:?}; add it, or write data({key:?}, DEFAULT)"
                ))
            });
        }
        let node = self.recorder.read(Input::Hierarchy);
        match self.data.find(key, &self.environment, node) {
            Some(found) => Ok(from_json(&found.value)),
            None => default.ok_or_else(|| {
                let paths = self.data.paths(&self.environment, node).join(", ");
                error(format!(
                    "no data file of this node has {key:?}; looked into: {paths}"
                ))
            }),
        }
    }
}

/// `peers(selector)` and `peers(selector, network=…)`.
#[derive(Debug)]
struct PeersFunction {
    recorder: Arc<Recorder>,
    fleet: Fleet,
}

impl Object for PeersFunction {
    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (selector, options): (&str, Kwargs) = from_args(args)?;
        let network: Option<String> = options.get("network")?;
        options.assert_all_used()?;
        let query = PeerQuery::new(selector, network).map_err(|wrong| error(wrong.to_string()))?;
        self.recorder.read(Input::Peers(query.clone()));
        Ok(self.fleet.peers(&query).value().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{template::Templates, testing::node};
    use dockmaster_document::diagnostic::SourceFile;

    /// What a template reads and renders.
    fn render(text: &str) -> (Result<String, String>, Vec<Input>) {
        let mut templates = Templates::new();
        let file = SourceFile {
            name: "modules/m/templates/t",
            text,
        };
        templates.add_file(file).unwrap();
        let mut node = node("n1", &[("role", "web"), ("tier", "front")]);
        node.limits.memory_bytes = Some(58_720_256);
        node.limits.cpu_millis = Some(500);
        let recorder = Recorder::new(&node);
        let fleet = Fleet::new([Arc::new(node)]);
        let context = Context::new(
            &serde_json::json!({"x": {"y": [1, 2]}}),
            "test",
            &recorder,
            &Arc::default(),
            &fleet,
        );
        let output = templates
            .render(file.name, &context)
            .map_err(|error| error.to_string());
        (output, recorder.reads().iter().cloned().collect())
    }

    #[test]
    fn only_what_a_template_reads_is_noted() {
        let (output, reads) = render("{{ params.x.y[1] }} {{ environment }}\n");
        assert_eq!(output.unwrap(), "2 test\n");
        assert_eq!(reads, []);
        let (output, reads) = render(
            "{{ node.ip }} {{ labels.role }} {{ node.limits.memory_bytes | mib }} {{ node.limits.cpus }}",
        );
        assert_eq!(output.unwrap(), "172.17.0.2 web 56 0.5");
        assert_eq!(
            reads,
            [
                Input::Field(Field::Ip),
                Input::Field(Field::MemoryBytes),
                Input::Field(Field::Cpus),
                Input::Label("role".into())
            ]
        );
    }

    #[test]
    fn a_label_that_is_not_there_was_read_all_the_same() {
        let (output, reads) = render(
            "{% if labels.canary is defined %}x{% endif %}{{ labels['tier'] | default('none') }}",
        );
        assert_eq!(output.unwrap(), "front");
        assert_eq!(
            reads,
            [Input::Label("canary".into()), Input::Label("tier".into())]
        );
        let (output, reads) = render("{{ 'canary' in labels }}");
        assert_eq!(output.unwrap(), "false");
        assert_eq!(reads, [Input::Label("canary".into())]);
    }

    #[test]
    fn going_through_all_labels_reads_them_all() {
        for text in [
            "{% for key, value in labels|items %}{{ key }}{% endfor %}",
            "{{ labels }}",
            "{{ labels | length }}",
            "{% for key in node.label_tiers %}{{ key }}{% endfor %}",
            "{{ node.labels | tojson }}",
            "{{ dict(labels) }}",
            "{{ node }}",
        ] {
            let (output, reads) = render(text);
            output.unwrap();
            let all = [Input::Labels, Input::LabelTiers];
            assert!(
                reads.iter().any(|read| all.contains(read)),
                "{text}: {reads:?}"
            );
        }
    }

    #[test]
    fn peers_are_lists_that_can_be_gone_through() {
        let (output, reads) = render(
            "{% for peer in peers('role=web') %}{{ peer.ip }} {{ peer.labels.tier }}\n{% endfor %}",
        );
        assert_eq!(output.unwrap(), "172.17.0.2 front\n");
        assert_eq!(reads.len(), 1);
        assert_eq!(render("{{ peers('role=web', network='h1/bridge')|length }}{{ peers('', network='x')|length }}").0.unwrap(), "10");
        let error = render("\n{{ peers('role=') }}{{ peers('role==') }}{{ peers('(') }}")
            .0
            .unwrap_err();
        assert!(
            error.starts_with("modules/m/templates/t:2: column 2 of selector"),
            "{error}"
        );
        assert!(
            render("{{ peers('', netwrk='x') }}")
                .0
                .unwrap_err()
                .contains("netwrk")
        );
    }

    #[test]
    fn what_is_undefined_is_an_error_that_names_it() {
        let error = render("a\nb {{ node.nmae }}\n").0.unwrap_err();
        assert!(
            error.starts_with("modules/m/templates/t:2: `node.nmae` is undefined"),
            "{error}"
        );
        let error = render("{{ node.limits.cpus }}{{ none }}").0.unwrap_err();
        assert!(error.contains("none, which has no text"), "{error}");
        let error = render("{{ data('x') }}").0.unwrap_err();
        assert!(error.contains("no file below data/ has \"x\""), "{error}");
        assert_eq!(render("{{ data('x', 5) }}").0.unwrap(), "5");
    }

    #[test]
    fn a_template_that_includes_itself_is_stopped() {
        assert!(
            render("{% include 't' %}")
                .0
                .unwrap_err()
                .contains("recursion limit")
        );
    }

    #[test]
    fn a_template_that_never_ends_or_grows_is_stopped() {
        let error = render(
            "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        )
        .0
        .unwrap_err();
        assert!(error.contains("more work"), "{error}");
        let error = render("{% for a in range(100000) %}{{ 'x' * 1000 }}{% endfor %}")
            .0
            .unwrap_err();
        assert!(error.contains("larger than 4194304 bytes"), "{error}");
    }
}
