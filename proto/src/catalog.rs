//! Catalogs: the resources of one node, in order.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    id::{Digest, IdError, Revision, serde_as_text},
    resource::{Content, ResourceKind},
};

/// The version that this code writes.
pub const CATALOG_VERSION: u32 = 1;
/// The largest catalog in bytes that an agent takes.
pub const MAX_CATALOG_BYTES: usize = 16 << 20;

/// The resources of one node in the order in which they are applied. Canonical JSON (the order of
/// fields is the one below, no white space), addressed by the SHA-256 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The version of the format, 1.
    pub version: u32,
    /// The environment that the classification chose.
    pub environment: String,
    /// The classes in it, in the order of inclusion.
    pub classes: Vec<String>,
    /// The resources in an order that satisfies every edge.
    pub resources: Vec<Resource>,
    /// What comes before what, explicit and automatic.
    pub edges: Vec<Edge>,
}

/// The documents in force when a catalog was compiled. They travel beside it (headers, listings)
/// and not in it: a change that leaves a node's resources alone must leave its catalog's digest alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revisions {
    /// The classification's.
    pub classification: Revision,
    /// The site's.
    pub site: Revision,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Type and parameters.
    #[serde(flatten)]
    pub kind: ResourceKind,
    /// A path for files, directories and links; a name for the others. Unique within its type.
    pub title: String,
    /// Where it was declared.
    pub source: Source,
}

impl Resource {
    /// The reference by which others name it.
    #[must_use]
    pub fn reference(&self) -> ResourceRef {
        ResourceRef {
            type_name: self.kind.type_name().to_owned(),
            title: self.title.clone(),
        }
    }
}

/// Where something was declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The module.
    pub module: String,
    /// The file, relative to the site's root.
    pub file: String,
    /// The line, counted from 1; 0 when unknown.
    pub line: u32,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A reference to a resource, written `type[title]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceRef {
    /// The type, such as `file`.
    pub type_name: String,
    /// The title.
    pub title: String,
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.type_name, self.title)
    }
}

impl FromStr for ResourceRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts = text.strip_suffix(']').and_then(|text| text.split_once('['));
        match parts {
            Some((type_name, title))
                if !title.is_empty()
                    && ["file", "directory", "symlink", "exec", "process"].contains(&type_name) =>
            {
                Ok(Self {
                    type_name: type_name.to_owned(),
                    title: title.to_owned(),
                })
            }
            _ => Err(IdError::new(
                "a resource reference",
                "TYPE[TITLE] with TYPE one of file, directory, symlink, exec, process",
                text,
            )),
        }
    }
}

serde_as_text!(ResourceRef);

/// `from` comes before `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// What comes first.
    pub from: ResourceRef,
    /// What comes after.
    pub to: ResourceRef,
    /// What it means.
    pub kind: EdgeKind,
}

/// What an edge means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// Order only; when `from` fails, `to` is skipped.
    Before,
    /// Order, and when `from` changed, `to` is refreshed (a process reloads, an exec runs).
    Notify,
    /// Order that follows from the resources themselves (a file and its parent directory).
    Automatic,
}

impl Catalog {
    /// The canonical bytes: what is served, stored and hashed.
    ///
    /// # Panics
    /// Never: every part of a catalog is serialisable.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "strings, numbers and enums always serialise; no map has a non-string key"
    )]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a catalog serialises")
    }

    /// The digest of the canonical bytes: the catalog's name and ETag.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The digests of all blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.resources
            .iter()
            .filter_map(|resource| match &resource.kind {
                ResourceKind::File(file) => match &file.content {
                    Some(Content::Blob { sha256, .. }) => Some(*sha256),
                    _ => None,
                },
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::File;

    #[test]
    fn a_reference_reads_back_as_written() {
        for text in ["file[/etc/a[b].conf]", "process[app]"] {
            assert_eq!(text.parse::<ResourceRef>().unwrap().to_string(), text);
        }
        for bad in ["file[]", "file", "thing[x]", "file[x"] {
            assert!(bad.parse::<ResourceRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_catalog_survives_the_wire_with_its_digest() {
        let catalog = Catalog {
            version: CATALOG_VERSION,
            environment: "production".into(),
            classes: vec!["motd".into()],
            resources: vec![Resource {
                kind: ResourceKind::File(File {
                    content: Some(Content::Inline("hi".into())),
                    ..File::default()
                }),
                title: "/etc/motd".into(),
                source: Source {
                    module: "motd".into(),
                    file: "modules/motd/classes/motd.yaml".into(),
                    line: 3,
                },
            }],
            edges: vec![],
        };
        let again: Catalog = serde_json::from_slice(&catalog.to_bytes()).unwrap();
        assert_eq!(again, catalog);
        assert_eq!(again.digest(), catalog.digest());
    }
}
