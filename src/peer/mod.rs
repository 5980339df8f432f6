//! The chat program without a face: the driver that carries out what the core decides.

pub mod api;
pub mod identity_file;
