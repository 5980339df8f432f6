//! What follows: every decision of p2pchat, as pure state machines.
//!
//! A machine takes `(now, Input)` and appends [`io::Output`]s; it owns no socket, clock, file or ambient randomness, and
//! iterates ordered maps only, so that one seed gives one run. Whoever drives it carries out all outputs of an input, in
//! order, and finishes a [`io::Output::Persist`] before any `Send` or `Tell` behind it: that order is where "nothing is lost"
//! lives.
//!
//! ```text
//!   face ──Command──▶┌──────────┐──Tell(Event)──▶ face
//!  links ──Link─────▶│ node     │──ToPeer, Dial, Close──▶ links
//! server ──Server───▶│  └ room… │──ToServer──▶ server
//!  store ──Fetched──▶└──────────┘──Persist, Fetch──▶ store
//!  clock ──Wake─────▶            ──WakeAt──▶ clock
//! ```

pub mod acquaintances;
pub mod consent;
pub mod event;
pub mod io;
pub mod log;
pub mod marks;
pub mod mentions;
pub mod node;
pub mod overlay;
pub mod private;
pub mod rendezvous;
mod room;
pub mod route;
pub mod time;

pub use event::{Command, Event};
pub use time::Now;
