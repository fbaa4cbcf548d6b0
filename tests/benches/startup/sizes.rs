//! The programs on disk.

use dockmaster_tests::{binary, measure::mib};

/// Prints the size of each program.
pub(crate) fn measure() {
    println!("\nThe programs on disk\n");
    for program in ["dockmaster-agent", "dockmaster", "hello-app"] {
        let size = binary(program).metadata().unwrap().len();
        println!("{program}: {} ({size} bytes)", mib(size));
    }
}
