//! How people compare keys: eight words, read aloud.

use std::fmt;

use bip39::Language;
use sha2::{Digest as _, Sha256};

/// Words in a fingerprint. Eleven bits each: 88 bits in all, out of reach of somebody who searches keys until one reads
/// alike (64 bits would not be).
const WORDS: usize = 8;

/// A key as eight words of the BIP 39 English list, of which the first four letters already tell any two apart.
///
/// The words are the first 88 bits of SHA-256 over a purpose and the key, most significant bit first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u16; WORDS]);

impl Fingerprint {
    /// The fingerprint of a person's Ed25519 key.
    pub fn of_key(key: &[u8; 32]) -> Self {
        Self::of(b"p2pchat/1 fingerprint key\0", key)
    }

    /// The fingerprint of a server's certificate, over its DER-encoded SubjectPublicKeyInfo, so that a renewed
    /// certificate for the same key reads the same.
    pub fn of_spki(spki: &[u8]) -> Self {
        Self::of(b"p2pchat/1 fingerprint spki\0", spki)
    }

    fn of(purpose: &[u8], bytes: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(purpose).chain_update(bytes).finalize();
        let mut bits = digest.iter().flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1));
        Fingerprint(std::array::from_fn(|_| {
            bits.by_ref().take(11).fold(0, |number, bit| (number << 1) | u16::from(bit))
        }))
    }

    /// The words, in order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|&index| Language::English.word_list()[usize::from(index)])
    }

    /// All 88 bits, the first word's first.
    pub fn to_bytes(self) -> [u8; 11] {
        let mut bits = self.0.iter().flat_map(|word| (0..11).rev().map(move |bit| (word >> bit) & 1));
        std::array::from_fn(|_| bits.by_ref().take(8).fold(0, |byte, bit| (byte << 1) | u8::from(bit == 1)))
    }

    /// The fingerprint of these bits; any are one.
    pub fn from_bytes(bytes: &[u8; 11]) -> Self {
        let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1));
        Fingerprint(std::array::from_fn(|_| {
            bits.by_ref().take(11).fold(0, |number, bit| (number << 1) | u16::from(bit))
        }))
    }

    /// The first two words: enough to tell two people of one name apart on screen, never enough to verify anybody.
    pub fn tag(&self) -> String {
        self.words().take(2).collect::<Vec<_>>().join("-")
    }
}

/// Joined by hyphens, so that a double click selects all of it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().enumerate().try_for_each(|(at, word)| {
            if at > 0 {
                f.write_str("-")?;
            }
            f.write_str(word)
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut indices = [0; WORDS];
        let mut words = text.split('-');
        for index in &mut indices {
            let word = words.next().ok_or(NotAFingerprint)?;
            *index = Language::English.find_word(word).ok_or(NotAFingerprint)?;
        }
        words.next().is_none().then_some(Fingerprint(indices)).ok_or(NotAFingerprint)
    }
}

/// The text is not eight known words joined by hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is eight words of the BIP 39 English list joined by hyphens")]
pub struct NotAFingerprint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_the_same_everywhere() {
        let fingerprint = Fingerprint::of_key(&[7; 32]);
        assert_eq!(fingerprint.to_string(), PINNED);
        assert_eq!(PINNED.parse(), Ok(fingerprint));
        assert_eq!(Fingerprint::from_bytes(&fingerprint.to_bytes()), fingerprint);
        assert_eq!(fingerprint.tag(), PINNED.split('-').take(2).collect::<Vec<_>>().join("-"));
    }

    const PINNED: &str = "tenant-fiction-axis-panda-post-crew-pulse-mention";

    #[test]
    fn keys_and_certificates_never_share_a_fingerprint() {
        assert_ne!(Fingerprint::of_key(&[7; 32]), Fingerprint::of_spki(&[7; 32]));
    }

    #[test]
    fn a_missing_or_surplus_word_is_refused() {
        assert!("able".parse::<Fingerprint>().is_err());
        assert!(format!("{}-able", Fingerprint::of_key(&[7; 32])).parse::<Fingerprint>().is_err());
    }
}
