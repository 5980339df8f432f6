//! What is kept, on disk, through one door per program: nothing above this room knows of SQLite.

pub mod rendezvous;
