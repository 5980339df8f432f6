//! Ed25519 keys (RFC 8032): the identity of a person's client.

use std::cmp::Ordering;
use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Fingerprint;

/// A public key: who somebody is, whatever they call themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerId(pub [u8; 32]);

impl Ord for PeerId {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(&self.0, &other.0)
    }
}

impl PartialOrd for PeerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of two hashes or keys, byte by byte. Nearly always the first eight bytes tell it, and a number is compared faster than
/// bytes are: an entry is looked for in some dozens of ordered maps on its way.
pub fn in_order(one: &[u8; 32], other: &[u8; 32]) -> Ordering {
    let begins = |bytes: &[u8; 32]| {
        let [a, b, c, d, e, f, g, h, ..] = *bytes;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    };
    begins(one).cmp(&begins(other)).then_with(|| one.cmp(other))
}

impl PeerId {
    /// The words by which people compare this key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_key(&self.0)
    }
}

/// Ids are public; a log line needs no more than their beginning.
impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer:")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An Ed25519 signature: R and S, 32 bytes each.
///
/// Two halves because serde stops at arrays of 32; on the wire they are 64 bytes in a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature(pub [u8; 32], pub [u8; 32]);

impl Signature {
    /// From the 64 bytes of RFC 8032.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut halves = ([0; 32], [0; 32]);
        halves.0.copy_from_slice(&bytes[..32]);
        halves.1.copy_from_slice(&bytes[32..]);
        Signature(halves.0, halves.1)
    }

    /// The 64 bytes of RFC 8032.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&self.1);
        bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("signature")
    }
}

/// Checks signatures. A trait so that a simulator may swap Ed25519 for something a thousand times cheaper.
pub trait Scheme: Send + Sync + fmt::Debug {
    /// Whether `key` signed exactly `message`.
    fn verify(&self, key: &PeerId, message: &[u8], signature: &Signature) -> bool;
}

/// Makes signatures under one key.
pub trait Signer: Send + Sync + fmt::Debug {
    /// The public half.
    fn id(&self) -> PeerId;
    /// Signs `message`, which must already name its purpose ([`super::signing_bytes`]).
    fn sign(&self, message: &[u8]) -> Signature;
}

/// The scheme that is used on any real network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ed25519;

impl Scheme for Ed25519 {
    /// Strict verification: keys and R of small order are refused, so that a signature fits one message and one key only
    /// (THREATS.md row 30).
    fn verify(&self, key: &PeerId, message: &[u8], signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&key.0) else { return false };
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.to_bytes())).is_ok()
    }
}

/// A secret key. It is never split from its public half, never printed, and wiped when dropped.
pub struct Identity(SigningKey);

impl Identity {
    /// The identity that a 32-byte seed stands for.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Identity(SigningKey::from_bytes(seed))
    }

    /// The seed, to be kept in a file that nobody else can read, and nowhere else.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// PKCS#8 (RFC 8410) of the secret key, for the TLS certificate made of it.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        // SEQUENCE { version 0, AlgorithmIdentifier { 1.3.101.112 }, OCTET STRING { OCTET STRING seed } }
        const PREFIX: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let mut der = Zeroizing::new(Vec::with_capacity(48));
        der.extend_from_slice(&PREFIX);
        der.extend_from_slice(self.0.as_bytes());
        der
    }
}

impl Signer for Identity {
    fn id(&self) -> PeerId {
        PeerId(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Signature {
        use ed25519_dalek::Signer as _;
        Signature::from_bytes(&self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8032_test_2_is_reproduced() {
        let seed = hex32("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let identity = Identity::from_seed(&seed);
        assert_eq!(identity.id().0, hex32("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
        let signature = identity.sign(&[0x72]);
        assert_eq!(signature.0, hex32("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"));
        assert!(Ed25519.verify(&identity.id(), &[0x72], &signature));
        assert!(!Ed25519.verify(&identity.id(), &[0x73], &signature));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral element "verifies" R = S·B for every message under lax rules.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert!(!Ed25519.verify(&PeerId(neutral), b"anything", &Signature(neutral, [0; 32])));
    }

    #[test]
    fn debug_never_shows_the_seed() {
        let identity = Identity::from_seed(&[0xab; 32]);
        assert!(!format!("{identity:?}").contains("abab"));
    }

    fn hex32(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }
}
