//! The ledger on a real disk: commits, reads, crashes, faults and recovery.

mod commit;
mod crash;
mod damage;
mod faults;
mod fixture;
mod read;
mod recovery;
