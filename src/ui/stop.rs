//! Being told to stop from outside: SIGTERM, SIGINT, SIGHUP.
//!
//! The first lets the chat end well; the second ends the program where it stands, with the terminal as it was.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::exit::Exit;
use super::{terminal, tui};

/// Listens from now on. Yields once, at the first signal; must be called within a tokio runtime.
///
/// # Errors
/// When the system won't let us listen.
pub fn on_signals() -> std::io::Result<mpsc::Receiver<()>> {
    let (tell, told) = mpsc::channel(1);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut first = true;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {}
            }
            if !first {
                // The face may be stuck in a write that nobody reads; waiting for it would be no end at all.
                terminal::restore();
                tui::screen::restore();
                std::process::exit(Exit::Failed as i32);
            }
            first = false;
            let _ = tell.try_send(());
        }
    });
    Ok(told)
}

/// The moment after which a chat that was asked to end is cut off.
pub fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(crate::peer::api::limits::QUIT_WITHIN_S)
}

/// Waits for `deadline`; forever if there is none.
pub async fn reached(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
