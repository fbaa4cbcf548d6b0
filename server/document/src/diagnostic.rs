//! What is wrong, where, and what to do about it: all of it at once.

use std::fmt;

use dockmaster_proto::api::documents::NodeName;

use crate::yaml::YamlError;

/// The longest part of a line that an error shows, in characters.
const MAX_EXCERPT: usize = 160;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, relative to the site's root, or the name of the classification.
    pub file: String,
    /// The line, counted from 1; 0 when the whole file is meant.
    pub line: u32,
    /// The node whose catalog it keeps from being compiled; none when it is wrong for all.
    pub node: Option<Box<NodeName>>,
    /// What is wrong.
    pub message: String,
    /// The text of the line; empty when there is none.
    pub excerpt: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Diagnostic {
    /// Something wrong in a file as a whole.
    #[must_use]
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            node: None,
            message: message.into(),
            excerpt: String::new(),
            hint: String::new(),
        }
    }

    /// The module that the file belongs to; empty outside of modules.
    #[must_use]
    pub fn module(&self) -> &str {
        let inside = self.file.strip_prefix("modules/").unwrap_or_default();
        inside.split_once('/').map_or("", |(module, _)| module)
    }

    /// The same with a line (counted from 1) of the file's text.
    #[must_use]
    pub fn at(mut self, line: u32, text: &str) -> Self {
        self.line = line;
        let shown = (line as usize)
            .checked_sub(1)
            .and_then(|index| text.lines().nth(index))
            .unwrap_or_default();
        self.excerpt = shown.trim_end().chars().take(MAX_EXCERPT).collect();
        self
    }

    /// The same with an advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same for one node.
    #[must_use]
    pub fn for_node(mut self, node: &NodeName) -> Self {
        self.node = Some(Box::new(node.clone()));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(node) = &self.node {
            write!(f, " (node {})", node.name)?;
        }
        if !self.excerpt.is_empty() {
            write!(f, "\n{:>5} | {}", self.line, self.excerpt)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  {}", self.hint)?;
        }
        Ok(())
    }
}

/// Everything that is wrong; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// `value` when nothing is wrong.
    ///
    /// # Errors
    /// When something is.
    pub fn unless<T>(wrong: Vec<Diagnostic>, value: T) -> Result<T, Self> {
        if wrong.is_empty() {
            Ok(value)
        } else {
            Err(Self::sorted(wrong))
        }
    }

    /// These, by file and line.
    pub fn sorted(mut wrong: Vec<Diagnostic>) -> Self {
        wrong.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Self(wrong)
    }

    /// The same, said of another node: nodes of one configuration share their errors as they share
    /// their catalogs.
    #[must_use]
    pub fn for_node(&self, node: &NodeName) -> Self {
        let each = self.0.iter().cloned();
        Self(
            each.map(|diagnostic| match diagnostic.node {
                Some(_) => diagnostic.for_node(node),
                None => diagnostic,
            })
            .collect(),
        )
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// A file that is being read, with its text at hand for errors.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    /// Its name, as errors show it.
    pub name: &'a str,
    /// All of its text.
    pub text: &'a str,
}

impl SourceFile<'_> {
    /// Something wrong in a line, counted from 1.
    #[must_use]
    pub fn error(&self, line: u32, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.name, message).at(line, self.text)
    }

    /// That the text is no YAML.
    #[must_use]
    pub fn yaml_error(&self, error: &YamlError) -> Diagnostic {
        let in_list = error.message.contains("',' or ']'");
        let message = format!("column {}: {}", error.at.column, error.message);
        self.error(error.at.line, message).hint(if in_list {
            "inside of [ ], references such as \"process[app]\" have to stand in quotes"
        } else {
            ""
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_line_and_node_and_shows_the_line() {
        let file = SourceFile {
            name: "modules/nginx/classes/nginx.yaml",
            text: "a:\n  workerz: 4\n",
        };
        let node = NodeName {
            name: "web-1".into(),
            id: dockmaster_proto::id::ContainerId::from_bytes([1; 32]),
        };
        let diagnostic = file
            .error(2, "parameter \"workerz\" is not one of class nginx")
            .hint("did you mean \"workers\"?")
            .for_node(&node);
        assert_eq!(diagnostic.module(), "nginx");
        assert_eq!(
            diagnostic.to_string(),
            "modules/nginx/classes/nginx.yaml:2: parameter \"workerz\" is not one of class nginx (node web-1)\n    \
             2 |   workerz: 4\n  did you mean \"workers\"?"
        );
    }
}
