//! A master that loses its power, and one that loses its index.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod full_disk;
mod index;
mod kill;
mod random;
