//! Signatures that name their purpose, and the proof that one was checked.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{PeerId, Scheme, Signature, Signer, encode_into};
use crate::planted::{self, Bug};

/// A SHA-256 over something's purpose and bytes.
pub type Digest = [u8; 32];

/// A shape that can be signed. Its bytes are its postcard encoding; what it is for stands before them, so that a
/// signature under one purpose is worth nothing under another (DESIGN.md §4 rule 12).
pub trait Record: Serialize {
    /// What a signature over this shape means, in a few lower-case words. Never reused, never changed.
    const PURPOSE: &'static str;
    /// Whose key must have signed it.
    fn signer(&self) -> PeerId;
}

/// The bytes that are signed and hashed for something with a purpose: `p2pchat/1 `, the purpose, a zero byte, the
/// postcard encoding.
///
/// The version is that of the protocol. No purpose has a zero byte in it, so no two can run into each other.
pub fn signing_bytes<T: Serialize>(purpose: &str, value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(b"p2pchat/1 ");
    bytes.extend_from_slice(purpose.as_bytes());
    bytes.push(0);
    encode_into(value, &mut bytes);
    bytes
}

/// Something signed, as it came: not to be used before [`Signed::verify`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signed<T> {
    record: T,
    signature: Signature,
}

impl<T: Record> Signed<T> {
    /// Puts a signature that came apart from its record back beside it. Nothing is checked here.
    pub fn from_parts(record: T, signature: Signature) -> Self {
        Signed { record, signature }
    }

    /// The record, before anybody checked it: for finding the context in which to check it, for nothing else.
    pub fn unverified(&self) -> &T {
        &self.record
    }

    /// The signature alone.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Checks the signature by the record's own signer.
    ///
    /// # Errors
    /// [`BadSignature`] when the signer named in the record did not sign it for this purpose.
    pub fn verify(self, scheme: &dyn Scheme) -> Result<Verified<T>, BadSignature> {
        let bytes = signing_bytes(T::PURPOSE, &self.record);
        let unchecked = planted::is(Bug::ConsentUnchecked) && T::PURPOSE == "consent";
        if !unchecked && !scheme.verify(&self.record.signer(), &bytes, &self.signature) {
            return Err(BadSignature);
        }
        Ok(Verified { digest: Sha256::digest(&bytes).into(), signed: self })
    }
}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?})", self.record)
    }
}

/// A record whose signature was checked. Only [`Signed::verify`] and the signer itself can make one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verified<T> {
    signed: Signed<T>,
    digest: Digest,
}

impl<T: Record> Verified<T> {
    /// Signs a record of one's own.
    ///
    /// # Panics
    /// When the record names another signer: a bug of the caller, not of anybody outside.
    pub fn sign(record: T, signer: &dyn Signer) -> Self {
        assert_eq!(record.signer(), signer.id(), "a record is signed by the key it names");
        let bytes = signing_bytes(T::PURPOSE, &record);
        let signature = signer.sign(&bytes);
        Verified { digest: Sha256::digest(&bytes).into(), signed: Signed { record, signature } }
    }

    /// SHA-256 over the signed bytes, signature excluded: the name of this record.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Back to the form that travels.
    pub fn as_signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// Back to the form that travels.
    pub fn into_signed(self) -> Signed<T> {
        self.signed
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.signed.record
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({:?})", self.signed.record)
    }
}

/// The signature does not fit the record, its signer or its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the record, its signer or its purpose")]
pub struct BadSignature;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Ed25519, Identity};

    #[derive(Debug, Clone, Serialize)]
    struct Claim {
        by: PeerId,
        value: u8,
    }

    impl Record for Claim {
        const PURPOSE: &'static str = "claim";
        fn signer(&self) -> PeerId {
            self.by
        }
    }

    /// The same bytes under another purpose.
    #[derive(Debug, Clone, Serialize)]
    struct Confession {
        by: PeerId,
        value: u8,
    }

    impl Record for Confession {
        const PURPOSE: &'static str = "confession";
        fn signer(&self) -> PeerId {
            self.by
        }
    }

    #[test]
    fn a_signature_fits_one_record_one_signer_and_one_purpose() {
        let (alice, mallory) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let claim = Verified::sign(Claim { by: alice.id(), value: 1 }, &alice);
        let signature = claim.as_signed().signature();
        assert!(claim.clone().into_signed().verify(&Ed25519).is_ok());

        let changed = Signed::from_parts(Claim { by: alice.id(), value: 2 }, signature);
        assert_eq!(changed.verify(&Ed25519).unwrap_err(), BadSignature);
        let other_signer = Signed::from_parts(Claim { by: mallory.id(), value: 1 }, signature);
        assert_eq!(other_signer.verify(&Ed25519).unwrap_err(), BadSignature);
        let other_purpose = Signed::from_parts(Confession { by: alice.id(), value: 1 }, signature);
        assert_eq!(other_purpose.verify(&Ed25519).unwrap_err(), BadSignature);
    }
}
