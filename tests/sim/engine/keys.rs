//! The keys of a run: cheap ones, but one run in a hundred uses the real thing, so that nothing rests on the difference.

use std::sync::Arc;

use p2pchat::identity::{Ed25519, Identity, PeerId, Scheme, Signer};

use super::keyed::{Hand, Hands};
use super::rng::Rng;

/// What checks signatures in a run.
pub fn scheme(real: bool) -> Arc<dyn Scheme> {
    if real { Arc::new(Ed25519) } else { Arc::new(Hands) }
}

/// A new key.
pub fn signer(real: bool, rng: &mut Rng) -> Arc<dyn Signer> {
    let seed = rng.bytes::<32>();
    if real { Arc::new(Identity::from_seed(&seed)) } else { Arc::new(Hand(PeerId(seed))) }
}
