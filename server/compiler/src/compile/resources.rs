//! Declarations become resources: titles, parameters and contents are rendered.

use std::{collections::BTreeMap, sync::Arc};

use dockmaster_proto::{
    catalog::{Resource, ResourceRef, Source},
    id::Digest,
    resource::{Content, ResourceKind},
};
use serde_json::{Map, Value};

use crate::{
    site::{self, Class, ContentSource, Declaration, Relation, Site, Tree},
    template::Context,
};
use dockmaster_document::diagnostic::Diagnostic;

/// What the classes of one node declare.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) drafts: Vec<Draft>,
    /// Resources whose `when` does not hold.
    pub(super) left_out: BTreeMap<ResourceRef, Source>,
    pub(super) blobs: BTreeMap<Digest, Arc<[u8]>>,
}

/// A resource that has not found its place in the order yet.
pub(super) struct Draft {
    pub(super) resource: Resource,
    pub(super) relations: Vec<DraftRelation>,
}

/// A relation to another resource, which may not be there.
pub(super) struct DraftRelation {
    pub(super) relation: Relation,
    pub(super) to: ResourceRef,
    pub(super) line: u32,
}

/// Adds the resources of one class.
pub(super) fn collect(
    site: &Site,
    class: &Class,
    context: &Context,
    into: &mut Collected,
    wrong: &mut Vec<Diagnostic>,
) {
    for declaration in &class.resources {
        let renderer = Renderer {
            site,
            class,
            context,
            declaration,
        };
        if let Err(error) = renderer.collect(into) {
            wrong.push(error);
        }
    }
}

struct Renderer<'a> {
    site: &'a Site,
    class: &'a Class,
    context: &'a Context,
    declaration: &'a Declaration,
}

impl Renderer<'_> {
    fn collect(&self, into: &mut Collected) -> Result<(), Diagnostic> {
        let declaration = self.declaration;
        let templates = self.site.templates();
        let source = Source {
            module: self.class.module.clone(),
            file: self.class.file.clone(),
            line: declaration.line,
        };
        let when = declaration.when.as_ref();
        if !when.map_or(Ok(true), |when| templates.holds(when, self.context))? {
            // Its title may only make sense where it is wanted; it serves errors of others.
            if let Ok(title) = templates.text(&declaration.title, self.context) {
                let type_name = declaration.kind.name().to_owned();
                into.left_out
                    .insert(ResourceRef { type_name, title }, source);
            }
            return Ok(());
        }
        let title = templates.text(&declaration.title, self.context)?;
        site::check_title(declaration.kind, &title)
            .map_err(|why| self.error(declaration.title.line, why))?;
        let content = self.content(&mut into.blobs)?;
        let kind = self.kind(content)?;
        self.check_command(&kind, &title)?;
        into.drafts.push(Draft {
            resource: Resource {
                kind,
                title,
                source,
            },
            relations: self.relations()?,
        });
        Ok(())
    }

    fn check_command(&self, kind: &ResourceKind, title: &str) -> Result<(), Diagnostic> {
        match kind {
            ResourceKind::Process(process) if process.command.is_none() && title != "app" => {
                let message = format!("process {title:?} has no \"command\"");
                let hint = "only process[app] can do without: it takes the one that the container was started with";
                Err(self.error(self.declaration.line, message).hint(hint))
            }
            _ => Ok(()),
        }
    }

    fn kind(&self, content: Option<Content>) -> Result<ResourceKind, Diagnostic> {
        let kind = self.declaration.kind;
        let mut params = Map::new();
        for param in &self.declaration.params {
            let value = self.tree(&param.value)?;
            // The reader took only keys of this type.
            let Some(form) = kind.form(&param.key) else {
                continue;
            };
            // A template that renders to none leaves the parameter out.
            if value.is_null() {
                continue;
            }
            let value = site::shape(form, &value)
                .map_err(|why| self.error(param.line, format!("{:?} {why}", param.key)))?;
            params.insert(param.key.clone(), value);
        }
        site::build(kind, params, content).map_err(|why| self.error(self.declaration.line, why))
    }

    fn tree(&self, tree: &Tree) -> Result<Value, Diagnostic> {
        match tree {
            Tree::Fixed(value) => Ok(value.clone()),
            Tree::Text(text) => self.site.templates().value(text, self.context),
            Tree::List(items) => items.iter().map(|item| self.tree(item)).collect(),
            Tree::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.tree(value)?)));
                pairs.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }

    fn content(
        &self,
        blobs: &mut BTreeMap<Digest, Arc<[u8]>>,
    ) -> Result<Option<Content>, Diagnostic> {
        let templates = self.site.templates();
        let bytes: Arc<[u8]> = match &self.declaration.content {
            None => return Ok(None),
            Some(ContentSource::Text(text)) => {
                templates.text(text, self.context)?.into_bytes().into()
            }
            Some(ContentSource::Template(path)) => {
                templates.render(path, self.context)?.into_bytes().into()
            }
            Some(ContentSource::File(path)) => match self.site.file(path) {
                Some(bytes) => Arc::clone(bytes),
                None => {
                    return Err(
                        self.error(self.declaration.line, format!("there is no file {path}"))
                    );
                }
            },
        };
        let short = bytes.len() < Content::INLINE_LIMIT;
        if let Some(text) = std::str::from_utf8(&bytes).ok().filter(|_| short) {
            return Ok(Some(Content::Inline(text.to_owned())));
        }
        let sha256 = Digest::of(&bytes);
        let size = bytes.len() as u64;
        blobs.insert(sha256, bytes);
        Ok(Some(Content::Blob { sha256, size }))
    }

    fn relations(&self) -> Result<Vec<DraftRelation>, Diagnostic> {
        let declared = self.declaration.relations.iter();
        declared
            .map(|declared| {
                let to = self.site.templates().text(&declared.to, self.context)?;
                let to: ResourceRef = to
                    .parse()
                    .map_err(|error| self.error(declared.line, format!("{error}")))?;
                Ok(DraftRelation {
                    relation: declared.relation,
                    to,
                    line: declared.line,
                })
            })
            .collect()
    }

    fn error(&self, line: u32, message: impl Into<String>) -> Diagnostic {
        self.site.error(&self.class.file, line, message)
    }
}
