//! Sealing: what only one reader can open, and what tells the reader who sealed it. HPKE (RFC 9180) in mode Auth, with keys
//! that live as long as the program runs. The identity's own key never seals anything (THREATS.md row 30).

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use rand::CryptoRng;

type Kem = X25519HkdfSha256;
type PublicKey = <Kem as hpke::Kem>::PublicKey;

/// What opens and seals: both halves of a key.
pub struct Sealer {
    secret: <Kem as hpke::Kem>::PrivateKey,
    public: PublicKey,
}

impl Sealer {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let (secret, public) = Kem::gen_keypair_with_rng(rng);
        Sealer { secret, public }
    }

    /// The half that others may know.
    pub fn public(&self) -> [u8; 32] {
        self.public.to_bytes().into()
    }

    /// Seals `plain` for whoever has the other half of `to`: the encapsulated key, and the ciphertext. What `bound` says must
    /// be said again to open it. `None` if `to` is no key.
    pub fn seal(
        &self,
        to: &[u8; 32],
        bound: &[u8],
        plain: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Option<([u8; 32], Vec<u8>)> {
        let to = PublicKey::from_bytes(to).ok()?;
        let mode = OpModeS::Auth((self.secret.clone(), self.public.clone()));
        let (enc, sealed) =
            hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(&mode, &to, bound, plain, b"", rng)
                .ok()?;
        Some((enc.to_bytes().into(), sealed))
    }

    /// Opens what whoever has the other half of `from` sealed for us; `None` if it is anything else.
    pub fn open(&self, from: &[u8; 32], bound: &[u8], enc: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
        let mode = OpModeR::Auth(PublicKey::from_bytes(from).ok()?);
        let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).ok()?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(&mode, &self.secret, &enc, bound, sealed, b"").ok()
    }
}

/// Secrets are never printed.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealer")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn only_the_reader_opens_and_knows_who_sealed() {
        let mut rng = StdRng::from_seed([1; 32]);
        let [ann, ben, eve] = [(); 3].map(|()| Sealer::generate(&mut rng));
        let (enc, sealed) = ann.seal(&ben.public(), b"between us", b"hello", &mut rng).unwrap();
        assert_eq!(ben.open(&ann.public(), b"between us", &enc, &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(eve.open(&ann.public(), b"between us", &enc, &sealed), None, "another reader");
        assert_eq!(ben.open(&eve.public(), b"between us", &enc, &sealed), None, "another author");
        assert_eq!(ben.open(&ann.public(), b"between others", &enc, &sealed), None, "another place");
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(ben.open(&ann.public(), b"between us", &enc, &other), None, "byte {at}");
        }
        assert!(!sealed.windows(5).any(|window| window == b"hello"));
    }

    #[test]
    fn keys_of_small_order_seal_and_open_nothing() {
        let mut rng = StdRng::from_seed([1; 32]);
        let ann = Sealer::generate(&mut rng);
        assert!(ann.seal(&[0; 32], b"", b"hello", &mut rng).is_none());
        assert_eq!(ann.open(&[0; 32], b"", &ann.public(), &[0; 32]), None);
    }
}
