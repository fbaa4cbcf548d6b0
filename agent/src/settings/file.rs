//! The file of settings: the part of YAML that is `key: value`, a line each, with comments.

use super::Flags;

/// Reads the file.
///
/// # Errors
/// All errors, each with its line, counted from 1.
pub(super) fn parse(text: &str) -> Result<Flags, Vec<(usize, String)>> {
    let mut flags = Flags::default();
    let mut errors = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Err(error) = take(&mut flags, line) {
            errors.push((index + 1, error));
        }
    }
    if errors.is_empty() {
        Ok(flags)
    } else {
        Err(errors)
    }
}

fn take(flags: &mut Flags, line: &str) -> Result<(), String> {
    let line = line.trim_end();
    if line.is_empty() || line.trim_start().starts_with('#') || line == "---" {
        return Ok(());
    }
    let (key, value) = line
        .split_once(':')
        .filter(|(_, value)| value.is_empty() || value.starts_with(' '))
        .ok_or_else(|| "expected \"key: value\"".to_owned())?;
    let value = unquote(value.trim())?;
    let slot = match key {
        "master" => &mut flags.master,
        "trust" => &mut flags.trust,
        "trust_file" => &mut flags.trust_file,
        "run_dir" => &mut flags.run_dir,
        "token_file" => &mut flags.token_file,
        "machine_id" => &mut flags.machine_id,
        "bind" => &mut flags.bind,
        "root" => &mut flags.root,
        _ => {
            return Err(format!(
                "{key:?} is no setting; there are master, trust, trust_file, token_file, machine_id, run_dir, bind, root"
            ));
        }
    };
    match slot {
        Some(_) => Err(format!("{key:?} is given twice")),
        None => {
            *slot = Some(value.to_owned());
            Ok(())
        }
    }
}

fn unquote(value: &str) -> Result<&str, String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (inside, after) = rest
                .split_once(quote)
                .ok_or_else(|| "the quotation mark is not closed".to_owned())?;
            let after = after.trim_start();
            if inside.contains('\\') || !(after.is_empty() || after.starts_with('#')) {
                return Err("only plain quoted text is read here".to_owned());
            }
            return Ok(inside);
        }
    }
    let plain = value.split(" #").next().unwrap_or_default().trim_end();
    if plain.starts_with(['[', '{', '&', '*', '|', '>', '!']) {
        return Err("only plain text is read here".to_owned());
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_and_quotes_are_understood() {
        let flags =
            parse("---\n# who\nmaster: 10.0.0.1:8140  # there\ntrust: \"sha256:ab\"\n\nbind: ''\n")
                .unwrap();
        assert_eq!(flags.master.as_deref(), Some("10.0.0.1:8140"));
        assert_eq!(flags.trust.as_deref(), Some("sha256:ab"));
        assert_eq!(flags.bind.as_deref(), Some(""));
    }

    #[test]
    fn every_wrong_line_is_named() {
        let errors =
            parse("mastre: x\nmaster: 1\nmaster: 2\nnothing\n  trust: x\nroot: [a]\nbind: \"x\n")
                .unwrap_err();
        let lines: Vec<usize> = errors.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 7]);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in "(\\PC|\n|: |\"|#)*") {
            let _ = parse(&text);
        }
    }
}
