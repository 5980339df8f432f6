//! Signatures that cost next to nothing: a keyed hash of the key and the message, for rooms of a thousand and runs of thousands.
//!
//! Anybody could compute one, but nobody in the tests does: liars sign with the signers they hold, like everybody else. What it has
//! to keep apart is who signed what.

use p2pchat::identity::{PeerId, Scheme, Signature, Signer};

/// Checks them.
#[derive(Debug, Clone, Copy)]
pub struct Hands;

impl Scheme for Hands {
    fn verify(&self, key: &PeerId, message: &[u8], signature: &Signature) -> bool {
        *signature == sign(key, message)
    }
}

/// Makes those of one key.
#[derive(Debug, Clone, Copy)]
pub struct Hand(pub PeerId);

impl Signer for Hand {
    fn id(&self) -> PeerId {
        self.0
    }

    fn sign(&self, message: &[u8]) -> Signature {
        sign(&self.0, message)
    }
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
