//! A site: modules with their classes, templates and files, and the data hierarchy.

mod class;
mod declaration;
mod form;
mod module;
mod param;
mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crate::{
    data::{Data, Merge},
    names,
    template::Templates,
};
use dockmaster_document::{
    diagnostic::{Diagnostic, Diagnostics, SourceFile},
    suggest,
};

pub use class::Class;
pub(crate) use declaration::{ContentSource, Declaration, Relation, Tree};
pub(crate) use form::{Kind, build, check_title, shape, type_name_list};
pub(crate) use param::Param;

/// A site's files by path (relative, with `/`).
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// A checked site; the default one is empty.
#[derive(Default)]
pub struct Site {
    files: Files,
    classes: BTreeMap<String, Class>,
    data: Arc<Data>,
    templates: Templates,
    warnings: Vec<String>,
}

impl Site {
    /// Reads and checks the files of a site: `site.yaml`, `data/**`, and in `modules/NAME/` the
    /// files `module.yaml`, `classes/*.yaml`, `templates/*` and `files/*`. Others are left alone.
    ///
    /// # Errors
    /// Everything that is wrong, at once: YAML, names, schemas, defaults, templates, names used in
    /// templates, included classes, files and templates that classes name, forms of resources.
    pub fn parse(files: &Files) -> Result<Self, Diagnostics> {
        let mut parts = Parts::default();
        for (path, bytes) in files {
            parts.sort(path, bytes);
        }
        let Parts {
            mut wrong,
            mut warnings,
            settings,
            data,
            modules,
            classes: class_files,
            templates: template_files,
        } = parts;
        let mut site_data = match settings {
            Some(file) => settings::parse(file, &mut wrong),
            None => {
                wrong.push(Diagnostic::new("site.yaml", "there is no such file").hint(
                    "a site is a folder with site.yaml, data/ and modules/; an empty site.yaml will do",
                ));
                Data::default()
            }
        };
        for (path, file) in data {
            match Data::read_file(file) {
                Ok(file) => drop(site_data.files.insert(path, Arc::new(file))),
                Err(error) => wrong.push(error),
            }
        }
        let module_names: BTreeSet<&str> = modules.keys().copied().collect();
        for (name, file) in &modules {
            if let Some(file) = file {
                module::check(*file, name, &module_names, &mut wrong);
            }
        }
        let mut templates = Templates::new();
        for file in template_files {
            wrong.extend(templates.add_file(file).err());
        }
        let mut classes = BTreeMap::new();
        for (name, file) in &class_files {
            let class = class::parse(name, *file, files, &mut templates, &mut wrong);
            classes.insert(name.clone(), class);
        }
        check_includes(&class_files, &classes, &mut wrong);
        check_data(&site_data, &classes, files, &mut wrong, &mut warnings);
        Diagnostics::unless(
            wrong,
            Self {
                files: files.clone(),
                classes,
                data: Arc::new(site_data),
                templates,
                warnings,
            },
        )
    }

    /// The class of this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// The names of all classes, sorted.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().map(String::as_str)
    }

    /// What looks like a mistake but is none for certain.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) const fn data(&self) -> &Arc<Data> {
        &self.data
    }

    pub(crate) const fn templates(&self) -> &Templates {
        &self.templates
    }

    pub(crate) fn file(&self, path: &str) -> Option<&Arc<[u8]>> {
        self.files.get(path)
    }

    /// The text of a line, for errors.
    pub(crate) fn error(&self, path: &str, line: u32, message: impl Into<String>) -> Diagnostic {
        let text = self.file(path).map(|bytes| String::from_utf8_lossy(bytes));
        Diagnostic::new(path, message).at(line, text.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Site of {} files and {} classes",
            self.files.len(),
            self.classes.len()
        )
    }
}

/// The files, sorted by what they are.
#[derive(Default)]
struct Parts<'a> {
    settings: Option<SourceFile<'a>>,
    /// By path below `data/`, without `.yaml`.
    data: Vec<(String, SourceFile<'a>)>,
    modules: BTreeMap<&'a str, Option<SourceFile<'a>>>,
    /// By the class's name.
    classes: BTreeMap<String, SourceFile<'a>>,
    templates: Vec<SourceFile<'a>>,
    wrong: Vec<Diagnostic>,
    warnings: Vec<String>,
}

impl<'a> Parts<'a> {
    fn sort(&mut self, path: &'a str, bytes: &'a [u8]) {
        if path == "site.yaml" {
            self.settings = self.text(path, bytes);
        } else if let Some(inside) = path.strip_prefix("data/") {
            match inside.strip_suffix(".yaml") {
                Some(name) => {
                    let file = self.text(path, bytes);
                    self.data.extend(file.map(|file| (name.to_owned(), file)));
                }
                None => self.warnings.push(format!(
                    "{path}: only files that end with .yaml are data; this one is not read"
                )),
            }
        } else if let Some((module, inside)) = path
            .strip_prefix("modules/")
            .and_then(|inside| inside.split_once('/'))
        {
            self.sort_module(path, bytes, module, inside);
        }
    }

    fn sort_module(&mut self, path: &'a str, bytes: &'a [u8], module: &'a str, inside: &'a str) {
        if !names::is_module(module) {
            if !self.modules.contains_key(module) {
                let message = format!("{module:?} cannot be a module's name");
                self.wrong.push(
                    Diagnostic::new(path, message).hint(
                        "begin with a lowercase letter; use lowercase letters, digits and '_'",
                    ),
                );
            }
            self.modules.insert(module, None);
            return;
        }
        let known = self.modules.entry(module).or_default();
        if inside == "module.yaml" {
            let file = text(path, bytes);
            *known = file.as_ref().ok().copied();
            self.wrong.extend(file.err());
        } else if let Some(class) = inside.strip_prefix("classes/") {
            let Some(class) = class.strip_suffix(".yaml") else {
                self.warnings.push(format!(
                    "{path}: only files that end with .yaml are classes; this one is not read"
                ));
                return;
            };
            let name = if class == module {
                module.to_owned()
            } else {
                format!("{module}::{}", class.replace('/', "::"))
            };
            if !names::is_class(&name) {
                let message = format!("{name:?} cannot be a class");
                self.wrong
                    .push(Diagnostic::new(path, message).hint(names::CLASS_FORM));
                return;
            }
            let file = self.text(path, bytes);
            self.classes.extend(file.map(|file| (name, file)));
        } else if inside.starts_with("templates/") {
            let file = self.text(path, bytes);
            self.templates.extend(file);
        }
    }

    fn text(&mut self, path: &'a str, bytes: &'a [u8]) -> Option<SourceFile<'a>> {
        text(path, bytes)
            .map_err(|error| self.wrong.push(error))
            .ok()
    }
}

fn text<'a>(path: &'a str, bytes: &'a [u8]) -> Result<SourceFile<'a>, Diagnostic> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name: path, text }),
        Err(error) => {
            let message = format!(
                "the file is not UTF-8: byte {} is wrong",
                error.valid_up_to()
            );
            Err(Diagnostic::new(path, message).hint("files that are no text belong into files/"))
        }
    }
}

fn check_includes(
    files: &BTreeMap<String, SourceFile<'_>>,
    classes: &BTreeMap<String, Class>,
    wrong: &mut Vec<Diagnostic>,
) {
    for class in classes.values() {
        for (included, line) in &class.include {
            if !classes.contains_key(included) {
                let hint = suggest::hint(included, classes.keys().map(String::as_str));
                let message = format!("class {included:?} is not in the site");
                wrong.extend(
                    files
                        .get(&class.name)
                        .map(|file| file.error(*line, message).hint(hint)),
                );
            }
        }
    }
}

/// Values in data files that are meant for parameters have to fit them. Where values are merged,
/// only the result can be checked.
fn check_data(
    data: &Data,
    classes: &BTreeMap<String, Class>,
    files: &Files,
    wrong: &mut Vec<Diagnostic>,
    warnings: &mut Vec<String>,
) {
    for file in data.files.values() {
        for (key, (value, line)) in &file.values {
            let Some((class, param)) = names::split_param(key)
                .and_then(|(class, param)| Some((classes.get(class)?, param)))
            else {
                continue;
            };
            let Some(declared) = class.params.get(param) else {
                let hint = suggest::nearest(param, class.params());
                let hint =
                    hint.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
                warnings.push(format!(
                    "{}:{line}: class {} has no parameter {param:?}{hint}",
                    file.name, class.name
                ));
                continue;
            };
            if data.merge(key) == Merge::First {
                for error in declared.errors(value) {
                    let text = files
                        .get(&file.name)
                        .map(|bytes| String::from_utf8_lossy(bytes));
                    let message = format!("{key}: {error}");
                    wrong.push(
                        Diagnostic::new(&file.name, message)
                            .at(*line, text.as_deref().unwrap_or_default()),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::site;

    fn files(files: &[(&str, &[u8])]) -> Files {
        let each = files.iter();
        each.map(|(path, bytes)| ((*path).to_owned(), Arc::from(*bytes)))
            .collect()
    }

    #[test]
    fn a_folder_without_site_yaml_is_no_site() {
        let wrong = Site::parse(&Files::new()).unwrap_err();
        assert!(
            wrong
                .to_string()
                .starts_with("site.yaml: there is no such file")
        );
    }

    #[test]
    fn classes_are_named_by_their_files() {
        let site = site(&[
            ("site.yaml", ""),
            ("README.md", "not read"),
            ("modules/a/classes/a.yaml", ""),
            ("modules/a/classes/b.yaml", ""),
            ("modules/a/classes/c/d.yaml", ""),
            ("modules/a/classes/e.yml", ""),
        ]);
        assert_eq!(site.classes().collect::<Vec<_>>(), ["a", "a::b", "a::c::d"]);
        assert_eq!(site.warnings().len(), 1, "{:?}", site.warnings());
    }

    #[test]
    fn bytes_that_are_no_text_belong_into_files() {
        let mut all = files(&[("site.yaml", b""), ("modules/a/files/x", b"\xff")]);
        assert!(Site::parse(&all).is_ok());
        all.extend(files(&[
            ("modules/a/templates/x", b"\xff"),
            ("modules/a/classes/a.yaml", b"\xff"),
            ("modules/B/x", b""),
        ]));
        let wrong = Site::parse(&all).unwrap_err();
        assert_eq!(wrong.0.len(), 3, "{wrong}");
    }

    #[test]
    fn data_for_parameters_that_no_class_has_is_warned_of() {
        let site = site(&[
            ("site.yaml", ""),
            (
                "data/common.yaml",
                "a.wrkers: 1\na.workers: 2\nelse.where: 3\n",
            ),
            (
                "modules/a/classes/a.yaml",
                "params: { workers: { type: integer } }",
            ),
        ]);
        assert_eq!(
            site.warnings(),
            ["data/common.yaml:1: class a has no parameter \"wrkers\"; did you mean \"workers\"?"]
        );
    }

    #[test]
    fn schemas_reach_for_nothing_outside() {
        let mut all = files(&[("site.yaml", b"")]);
        all.extend(files(&[(
            "modules/a/classes/a.yaml",
            b"params: { x: { $ref: 'https://example.com/schema' }, y: { $ref: 'file:///etc/passwd' } }",
        )]));
        assert_eq!(Site::parse(&all).unwrap_err().0.len(), 2);
    }

    #[test]
    fn a_schema_that_is_itself_is_no_way_to_end_the_program() {
        for schema in [
            "{ $ref: '#' }",
            "{ allOf: [{ $ref: '#' }], default: 1 }",
            "{ $ref: '#/$defs/a', default: 1, $defs: { a: { $ref: '#/$defs/a' } } }",
        ] {
            let class = format!("params:\n  x: {schema}\n");
            let _ = Site::parse(&files(&[
                ("site.yaml", b""),
                ("data/common.yaml", b"a.x: 1"),
                ("modules/a/classes/a.yaml", class.as_bytes()),
            ]));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(
            class in "(params:|include:|resources:|file: /a|exec: x|template: t|when: |content: |mode: |: |\n|\n  |  - |\\{\\{|\\}\\}|\"|\\[|\\]|type: integer|x){0,60}",
            template in "(\\{\\{|\\}\\}|\\{%|%\\}|for|if|endif|in|params\\.x|node|\\||\\(|\\)|'| |\n){0,40}",
            settings in "(hierarchy:|merge:|- |\n|  |\\{\\{|\\}\\}|labels\\.x|: |deep|k){0,30}",
        ) {
            let _ = Site::parse(&files(&[
                ("site.yaml", settings.as_bytes()),
                ("data/common.yaml", settings.as_bytes()),
                ("modules/a/classes/a.yaml", class.as_bytes()),
                ("modules/a/templates/t", template.as_bytes()),
            ]));
        }
    }
}
