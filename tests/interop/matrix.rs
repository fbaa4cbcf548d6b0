//! Every verifier is asked every question.

use std::{sync::OnceLock, thread};

use crate::{
    questions::{Answer, questions},
    verifiers::{NUMBER, Verdict, verifiers},
};

/// What all answered.
pub(crate) struct Matrix {
    pub(crate) verifiers: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// What was answered to one question, by each verifier.
pub(crate) struct Row {
    pub(crate) question: &'static str,
    pub(crate) right: Answer,
    pub(crate) verdicts: Vec<Verdict>,
}

impl Matrix {
    /// What was answered on this machine; asked once.
    pub(crate) fn here() -> &'static Self {
        static HERE: OnceLock<Matrix> = OnceLock::new();
        HERE.get_or_init(|| {
            let (verifiers, questions) = (verifiers(), questions());
            let columns: Vec<Vec<Verdict>> = thread::scope(|scope| {
                let asked: Vec<_> = verifiers
                    .iter()
                    .map(|it| scope.spawn(|| questions.iter().map(|each| it.ask(each)).collect()))
                    .collect();
                asked.into_iter().map(|it| it.join().unwrap()).collect()
            });
            let row = |index: usize| Row {
                question: questions[index].text,
                right: questions[index].right,
                verdicts: columns.iter().map(|column| column[index].clone()).collect(),
            };
            Self {
                verifiers: verifiers.iter().map(|it| it.name()).collect(),
                rows: (0..questions.len()).map(row).collect(),
            }
        })
    }

    /// Whether no verifier was missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.verifiers.len() == NUMBER
    }
}

#[test]
fn every_verifier_accepts_what_is_right_and_refuses_what_is_wrong() {
    let matrix = Matrix::here();
    let mut wrong = Vec::new();
    for row in &matrix.rows {
        println!("{}: {:?}", row.question, row.right);
        for (verifier, verdict) in matrix.verifiers.iter().zip(&row.verdicts) {
            println!("  {verifier}: {:?} {}", verdict.answer, verdict.reason);
            if verdict.answer != row.right {
                wrong.push(format!("{verifier}: {}", row.question));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
