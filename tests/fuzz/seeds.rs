//! Writes right inputs for a target into `corpus/TARGET`.

#[path = "../garbage/seeds.rs"]
mod seeds;
#[path = "../garbage/targets.rs"]
mod targets;

use std::{fs, io};

fn main() -> io::Result<()> {
    for target in std::env::args().skip(1) {
        let folder = format!("corpus/{target}");
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::seeds(&target).into_iter().enumerate() {
            fs::write(format!("{folder}/seed-{number}"), seed)?;
        }
    }
    Ok(())
}
