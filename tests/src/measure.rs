//! What the benchmarks share: how much they measure, and how they say it.

mod bounds;
mod cpu;
mod memory;
mod samples;

pub use self::{
    bounds::{Bounds, sections},
    cpu::{Cpu, of_this_thread},
    memory::{mib, resident},
    samples::{Samples, head},
};
