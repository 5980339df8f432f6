//! The chat program without a face: the driver that carries out what the core decides.

pub mod api;
pub mod config;
pub mod identity_file;

/// Starts a chat.
///
/// # Errors
/// [`api::StartError`]: no identity, no history or no socket.
pub async fn start(options: api::Options) -> Result<api::Chat, api::StartError> {
    // The one call site is `src/bin/p2pchat.rs`; the driver takes this function's place.
    Err(api::StartError::Listen { listen: options.listen, why: std::io::ErrorKind::Unsupported.into() })
}
