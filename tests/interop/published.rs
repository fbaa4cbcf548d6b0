//! What `docs/interop.md` says is what happens.

use std::fs;

use dockmaster_tests::checkout;

use crate::{matrix::Matrix, questions::Answer};

const BEGIN: &str = "<!-- made by the test \"interop\" -->\n";
const END: &str = "<!-- end -->\n";

/// The matrix as it stands in the document: a row for each question, a column for each verifier.
fn table(matrix: &Matrix) -> Vec<Vec<String>> {
    let mut head = vec![String::new()];
    head.extend(matrix.verifiers.iter().cloned());
    let rows = matrix.rows.iter().map(|row| {
        let mut cells = vec![row.question.to_owned()];
        cells.extend(row.verdicts.iter().map(|verdict| {
            let word = match verdict.answer {
                Answer::Accepted => "accepted",
                Answer::Refused => "refused",
            };
            word.to_owned()
        }));
        cells
    });
    [head].into_iter().chain(rows).collect()
}

fn render(table: &[Vec<String>]) -> String {
    let mut lines: Vec<_> = table
        .iter()
        .map(|cells| format!("| {} |\n", cells.join(" | ")))
        .collect();
    lines.insert(1, format!("|{}\n", "---|".repeat(table[0].len())));
    lines.concat()
}

fn parse(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.starts_with("|---"));
    lines
        .map(|line| {
            let inner = line.strip_prefix("| ").and_then(|it| it.strip_suffix(" |"));
            let inner = inner.unwrap_or_else(|| panic!("no row of a table: {line}"));
            inner
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// A verifier without its version: it is published which one was asked, and another one that answers the
/// same is no lie.
fn program(verifier: &str) -> &str {
    match verifier.rsplit_once(' ') {
        Some((program, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => program,
        _ => verifier,
    }
}

/// Only the columns of these verifiers, in this order; none where one is missing.
fn columns(table: &[Vec<String>], wanted: &[String]) -> Option<Vec<Vec<String>>> {
    let place = |name: &String| {
        let mut published = table[0].iter();
        published.position(|cell| program(cell) == program(name))
    };
    let places: Option<Vec<_>> = wanted.iter().map(place).collect();
    let places = places?;
    let pick = |row: &Vec<String>| places.iter().map(|&place| row[place].clone()).collect();
    Some(table.iter().map(pick).collect())
}

#[test]
fn the_published_matrix_is_what_the_verifiers_answer() {
    let path = checkout().join("docs/interop.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (published, after) = rest.split_once(END).unwrap();
    let matrix = Matrix::here();
    let here = table(matrix);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|it| it == "1") {
        assert!(matrix.is_whole(), "a verifier is missing: publish nothing");
        fs::write(
            &path,
            format!("{before}{BEGIN}{}{END}{after}", render(&here)),
        )
        .unwrap();
        return;
    }
    // A machine with fewer verifiers answers for those that it has.
    let published = columns(&parse(published), &here[0]);
    assert!(
        published.is_some_and(|it| it[1..] == here[1..]),
        "docs/interop.md says otherwise; if that is right now, run with UPDATE_GOLDEN=1:\n{}",
        render(&here)
    );
}
