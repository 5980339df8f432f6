//! How a program that was killed and started again tells those who still talk to its former self.
//!
//! QUIC answers packets of connections it knows nothing of with a stateless reset, which the other side believes if it carries
//! the token that was agreed on when the connection began (RFC 9000, section 10.3). Tokens are made of the connection's id and a
//! key. With a key of chance, as quinn has it by default, a restart forgets them, and the other side waits for its idle
//! time; this one is made of the program's own lasting secret.

use std::sync::Arc;

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes of a connection's id, as quinn has them by default.
const ID_BYTES: usize = 8;

/// Settings under which a restart is noticed with the other side's next packet. `secret` is the private key that the program
/// shows its certificate with; nothing of it can be told from what is sent.
pub(super) fn surviving_restarts(secret: &[u8]) -> EndpointConfig {
    let key = Sha256::new().chain_update("p2pchat/1 reset tokens\0").chain_update(secret).finalize();
    let mut config = EndpointConfig::new(Arc::new(ResetKey(Zeroizing::new(key.into()))));
    config.cid_generator(|| Box::new(AnyId));
    config
}

/// Makes the tokens. Hashed twice, so that none can be made longer by whoever has seen one.
struct ResetKey(Zeroizing<[u8; 32]>);

impl ResetKey {
    fn token(&self, id: &[u8]) -> [u8; 32] {
        let inner = Sha256::new().chain_update(*self.0).chain_update(id).finalize();
        Sha256::new().chain_update(*self.0).chain_update(inner).finalize().into()
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.token(data));
    }

    fn signature_len(&self) -> usize {
        32
    }

    /// An endpoint makes tokens, and never checks one by its key.
    fn verify(&self, _data: &[u8], _signature: &[u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }
}

/// Ids of chance, of which each could be one from before the restart. quinn's own carry a mark of the process that made them,
/// and packets with another mark get no answer.
struct AnyId;

impl ConnectionIdGenerator for AnyId {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; ID_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
