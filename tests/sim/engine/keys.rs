//! Signatures that cost next to nothing: a keyed hash of the key and the message.
//!
//! Anybody could compute one, but nobody here does: liars sign with the signers they hold, like everybody else. One run in
//! a hundred uses the real thing, so that nothing rests on the difference.

use std::sync::Arc;

use p2pchat::identity::{Ed25519, Identity, PeerId, Scheme, Signature, Signer};

use super::rng::Rng;

/// Checks the cheap signatures.
#[derive(Debug)]
struct Cheap;

impl Scheme for Cheap {
    fn verify(&self, key: &PeerId, message: &[u8], signature: &Signature) -> bool {
        *signature == sign(key, message)
    }
}

/// Makes the cheap signatures of one key.
#[derive(Debug)]
struct CheapSigner(PeerId);

impl Signer for CheapSigner {
    fn id(&self) -> PeerId {
        self.0
    }

    fn sign(&self, message: &[u8]) -> Signature {
        sign(&self.0, message)
    }
}

/// What checks signatures in a run.
pub fn scheme(real: bool) -> Arc<dyn Scheme> {
    if real { Arc::new(Ed25519) } else { Arc::new(Cheap) }
}

/// A new key.
pub fn signer(real: bool, rng: &mut Rng) -> Arc<dyn Signer> {
    let seed = rng.bytes::<32>();
    if real { Arc::new(Identity::from_seed(&seed)) } else { Arc::new(CheapSigner(PeerId(seed))) }
}

fn sign(key: &PeerId, message: &[u8]) -> Signature {
    let (mut one, mut two) = (0x243f_6a88_85a3_08d3_u64, 0x1319_8a2e_0370_7344_u64);
    let mut take = |word: u64| {
        one = (one ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        one ^= one >> 29;
        two = (two.rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        two ^= two >> 32;
    };
    for part in key.0.chunks(8).chain(message.chunks(8)) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        take(u64::from_le_bytes(word));
    }
    take(message.len() as u64);
    let mut half = [0; 32];
    half[..8].copy_from_slice(&one.to_le_bytes());
    half[8..16].copy_from_slice(&two.to_le_bytes());
    Signature(half, [0; 32])
}
