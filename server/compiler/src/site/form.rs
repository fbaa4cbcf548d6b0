//! Types of resources, their parameters, and the forms that YAML values take on the way to them.

use dockmaster_proto::resource::{Content, Directory, Exec, File, Process, ResourceKind, Symlink};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A resource's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Exec,
    Process,
}

/// What a parameter's value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    AbsolutePath,
    Owner,
    Mode,
    Count,
    Switch,
    Command,
    Environment,
    Reload,
    Ensure,
    Restart,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::File,
        Self::Directory,
        Self::Symlink,
        Self::Exec,
        Self::Process,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Exec => "exec",
            Self::Process => "process",
        }
    }

    pub(crate) fn of(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == key)
    }

    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }

    const fn forms(self) -> &'static [(&'static str, Form)] {
        match self {
            Self::File => &[
                ("ensure", Form::Ensure),
                ("owner", Form::Owner),
                ("group", Form::Owner),
                ("mode", Form::Mode),
                ("validate", Form::Command),
            ],
            Self::Directory => &[
                ("ensure", Form::Ensure),
                ("owner", Form::Owner),
                ("group", Form::Owner),
                ("mode", Form::Mode),
            ],
            Self::Symlink => &[("ensure", Form::Ensure), ("target", Form::Text)],
            Self::Exec => &[
                ("command", Form::Command),
                ("cwd", Form::AbsolutePath),
                ("user", Form::Owner),
                ("env", Form::Environment),
                ("timeout_s", Form::Count),
                ("creates", Form::AbsolutePath),
                ("onlyif", Form::Command),
                ("unless", Form::Command),
                ("refreshonly", Form::Switch),
                ("tries", Form::Count),
            ],
            Self::Process => &[
                ("command", Form::Command),
                ("env", Form::Environment),
                ("user", Form::Owner),
                ("cwd", Form::AbsolutePath),
                ("restart", Form::Restart),
                ("reload", Form::Reload),
                ("stop_grace_s", Form::Count),
            ],
        }
    }

    pub(crate) fn form(self, key: &str) -> Option<Form> {
        let mut forms = self.forms().iter();
        forms.find(|(name, _)| *name == key).map(|(_, form)| *form)
    }

    /// Every key that a resource of this type may have beside its title.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static str> {
        let contents: &[&str] = if self == Self::File {
            &["content", "template", "source"]
        } else {
            &[]
        };
        let common = ["when", "require", "before", "notify", "subscribe"];
        self.forms()
            .iter()
            .map(|(name, _)| *name)
            .chain(contents.iter().copied())
            .chain(common)
    }
}

/// All types, for errors.
pub(crate) fn type_name_list() -> String {
    Kind::names().collect::<Vec<_>>().join(", ")
}

/// Checks a title: a path has one spelling, or two resources could be one file.
pub(crate) fn check_title(kind: Kind, title: &str) -> Result<(), String> {
    let kind_name = kind.name();
    match kind {
        Kind::File | Kind::Directory | Kind::Symlink => {
            check_path(title).map_err(|why| format!("the title of a {kind_name}, {title:?}, {why}"))
        }
        Kind::Exec | Kind::Process
            if title.is_empty() || title.len() > 256 || title.chars().any(char::is_control) =>
        {
            Err(format!(
                "the title of a {kind_name} has to be 1 to 256 bytes in one line"
            ))
        }
        Kind::Exec | Kind::Process => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(inside) = path.strip_prefix('/') else {
        return Err("has to be an absolute path");
    };
    if inside.is_empty() {
        return Err("is the root directory, which is left alone");
    }
    if path.len() > 4095 || path.chars().any(char::is_control) {
        return Err("is no path that a system would take");
    }
    if inside
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err("has to be written without \"//\", \".\", \"..\" and a '/' at its end");
    }
    Ok(())
}

/// Brings a value into its parameter's form.
///
/// # Errors
/// What the value has to be instead, to stand behind the parameter's name.
pub(crate) fn shape(form: Form, value: &Value) -> Result<Value, String> {
    let expected = |what: &str| Err(format!("has to be {what}, not {value}"));
    match (form, value) {
        (Form::Text, Value::String(text)) if !text.is_empty() => Ok(value.clone()),
        (Form::Text, Value::Number(_)) => Ok(Value::String(value.to_string())),
        (Form::Text, _) => expected("text"),
        (Form::AbsolutePath, Value::String(path)) if path.starts_with('/') => Ok(value.clone()),
        (Form::AbsolutePath, _) => expected("an absolute path"),
        (Form::Owner, Value::String(text)) if !text.is_empty() => Ok(text
            .parse::<u32>()
            .map_or_else(|_| value.clone(), |id| json!(id))),
        (Form::Owner, Value::Number(number))
            if number.as_u64().is_some_and(|id| u32::try_from(id).is_ok()) =>
        {
            Ok(value.clone())
        }
        (Form::Owner, _) => expected("a name or a number"),
        (Form::Mode, Value::String(text)) => match text.parse::<dockmaster_proto::resource::Mode>()
        {
            Ok(mode) => Ok(Value::String(mode.to_string())),
            Err(_) => expected("three or four octal digits, such as \"0644\""),
        },
        (Form::Mode, _) => expected("three or four octal digits in quotes, such as \"0644\""),
        (Form::Count, _) => match as_text(value).and_then(|text| text.parse::<u32>().ok()) {
            Some(count) => Ok(json!(count)),
            None => expected("a whole number from 0 up"),
        },
        (Form::Switch, _) => match as_text(value).as_deref() {
            Some("true") => Ok(Value::Bool(true)),
            Some("false") => Ok(Value::Bool(false)),
            _ => expected("true or false"),
        },
        (Form::Command, _) => {
            command(value).map_or_else(|| expected("a list of a program and its arguments"), Ok)
        }
        (Form::Environment, Value::Object(map)) => {
            environment(map).map_or_else(|| expected("a mapping of names to text"), Ok)
        }
        (Form::Environment, _) => expected("a mapping of names to text"),
        (Form::Reload, _) => reload(value).map_or_else(
            || expected("restart, { signal: HUP } or { command: [program, argument] }"),
            Ok,
        ),
        (Form::Ensure, Value::String(text)) if ["present", "absent"].contains(&text.as_str()) => {
            Ok(value.clone())
        }
        (Form::Ensure, _) => expected("present or absent"),
        (Form::Restart, Value::String(text))
            if ["never", "on-failure", "always"].contains(&text.as_str()) =>
        {
            Ok(value.clone())
        }
        (Form::Restart, _) => expected("never, on-failure or always"),
    }
}

/// A scalar as it would stand in a shell: commands and environments know only text.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn command(value: &Value) -> Option<Value> {
    let words: Vec<String> = value
        .as_array()?
        .iter()
        .map(as_text)
        .collect::<Option<_>>()?;
    let fits = words.first().is_some_and(|program| !program.is_empty())
        && !words.iter().any(|word| word.contains('\0'));
    fits.then(|| json!(words))
}

fn environment(map: &Map<String, Value>) -> Option<Value> {
    let pairs = map.iter().map(|(name, value)| {
        let fits = !name.is_empty() && !name.contains(['=', '\0']);
        let value = as_text(value).filter(|value| fits && !value.contains('\0'))?;
        Some((name.clone(), Value::String(value)))
    });
    pairs.collect::<Option<Map<_, _>>>().map(Value::Object)
}

const SIGNALS: [&str; 7] = ["HUP", "USR1", "USR2", "INT", "TERM", "QUIT", "WINCH"];

fn reload(value: &Value) -> Option<Value> {
    if value == "restart" {
        return Some(value.clone());
    }
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (key, value) = map.iter().next()?;
    match key.as_str() {
        "signal" => {
            let name = value.as_str()?.to_ascii_uppercase();
            let name = name.strip_prefix("SIG").unwrap_or(&name);
            SIGNALS.contains(&name).then(|| json!({"signal": name}))
        }
        "command" => command(value).map(|command| json!({"command": command})),
        _ => None,
    }
}

/// Makes the resource of parameters that were brought into form.
///
/// # Errors
/// When a parameter that must be there is not.
pub(crate) fn build(
    kind: Kind,
    params: Map<String, Value>,
    content: Option<Content>,
) -> Result<ResourceKind, String> {
    fn read<T: DeserializeOwned>(params: Map<String, Value>) -> Result<T, String> {
        serde_json::from_value(Value::Object(params)).map_err(|error| error.to_string())
    }
    Ok(match kind {
        Kind::File => ResourceKind::File(File {
            content,
            ..read(params)?
        }),
        Kind::Directory => ResourceKind::Directory(read::<Directory>(params)?),
        Kind::Symlink => ResourceKind::Symlink(read::<Symlink>(params)?),
        Kind::Exec => ResourceKind::Exec(read::<Exec>(params)?),
        Kind::Process => ResourceKind::Process(read::<Process>(params)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_brought_into_form_or_refused_with_what_they_should_be() {
        for (form, value, expected) in [
            (Form::Owner, json!("1000"), json!(1000)),
            (Form::Owner, json!("www"), json!("www")),
            (Form::Mode, json!("755"), json!("0755")),
            (Form::Count, json!("10"), json!(10)),
            (Form::Switch, json!("true"), json!(true)),
            (Form::Command, json!(["sleep", 1]), json!(["sleep", "1"])),
            (
                Form::Environment,
                json!({"A": 1, "B": true}),
                json!({"A": "1", "B": "true"}),
            ),
            (Form::Reload, json!("restart"), json!("restart")),
            (
                Form::Reload,
                json!({"signal": "SIGHUP"}),
                json!({"signal": "HUP"}),
            ),
            (
                Form::Reload,
                json!({"command": ["x"]}),
                json!({"command": ["x"]}),
            ),
        ] {
            assert_eq!(shape(form, &value), Ok(expected));
        }
        for (form, value) in [
            (Form::Mode, json!(644)),
            (Form::Count, json!(-1)),
            (Form::Command, json!("sleep 1")),
            (Form::Command, json!([])),
            (Form::Reload, json!({"signal": "KILL"})),
            (Form::Ensure, json!("abesnt")),
            (Form::Environment, json!({"A=B": "x"})),
            (Form::AbsolutePath, json!("etc")),
        ] {
            assert!(
                shape(form, &value).unwrap_err().starts_with("has to be"),
                "{value}"
            );
        }
    }

    #[test]
    fn a_path_has_one_spelling() {
        assert!(check_title(Kind::File, "/etc/motd").is_ok());
        for bad in [
            "etc/motd",
            "/",
            "/etc/",
            "/etc//motd",
            "/etc/../motd",
            "/./x",
            "/a\nb",
            "",
        ] {
            assert!(check_title(Kind::File, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_parameter_of_a_type_is_one_of_the_resource() {
        for kind in Kind::ALL {
            for (key, _) in kind.forms() {
                let error = build(
                    kind,
                    Map::from_iter([((*key).to_owned(), json!([{}]))]),
                    None,
                )
                .unwrap_err();
                assert!(!error.contains("unknown field"), "{key}: {error}");
            }
            let error = build(
                kind,
                Map::from_iter([("no_such".to_owned(), json!(1))]),
                None,
            );
            assert!(error.unwrap_err().contains("unknown field"));
        }
    }
}
