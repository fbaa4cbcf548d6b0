//! Clients side by side, each with one operation at a time.

use std::{cell::RefCell, time::Instant};

use dockmaster_tests::measure::Samples;
use futures_util::future::join_all;

/// Has the clients do all the jobs, each taking the next one as soon as it is through with its last.
/// Gives the time that each took.
pub(crate) async fn drive<C, J>(
    clients: Vec<C>,
    jobs: impl Iterator<Item = J>,
    operation: impl AsyncFn(&mut C, J),
) -> Samples {
    let jobs = RefCell::new(jobs);
    let samples = RefCell::new(Samples::default());
    let work = async |mut client: C| {
        loop {
            let Some(job) = jobs.borrow_mut().next() else {
                return;
            };
            let begin = Instant::now();
            operation(&mut client, job).await;
            samples.borrow_mut().add(begin.elapsed());
        }
    };
    join_all(clients.into_iter().map(work)).await;
    samples.into_inner()
}
