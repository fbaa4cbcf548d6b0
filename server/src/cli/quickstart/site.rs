//! The hello example, carried in the program.

use std::path::Path;

use super::CliError;

macro_rules! example {
    ($path:literal) => {
        (
            $path,
            include_str!(concat!("../../../../examples/hello/", $path)),
        )
    };
}

const FILES: [(&str, &str); 6] = [
    example!("classification.yaml"),
    example!("site/data/common.yaml"),
    example!("site/modules/base/classes/base.yaml"),
    example!("site/modules/hello/classes/hello.yaml"),
    example!("site/modules/hello/templates/hello.conf.j2"),
    example!("site/site.yaml"),
];

/// Writes the example's files below a directory.
pub(super) fn unpack(dir: &Path) -> Result<(), CliError> {
    for (path, text) in FILES {
        let path = dir.join(path);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| {
            CliError::because(format!("cannot write {}", path.display()), &error, "")
        })?;
    }
    Ok(())
}
