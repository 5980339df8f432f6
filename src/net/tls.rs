//! Who is believed. TLS 1.3 only, hybrid post-quantum key exchange first, no resumption, no 0-RTT.
//!
//! - Towards a peer, exactly one Ed25519 key is believed: the one that was dialled. Dates and names say nothing.
//! - From a peer, any Ed25519 key that proves itself is let through the handshake; membership is checked after it. Newcomers who
//!   knock show no certificate, and speak another protocol; they prove their key in their hello.
//! - Towards a server, any certificate whose key proves itself is let through; the caller gets its [`ServerCertificate`]
//!   and decides before a byte is sent. This is the only file that says `dangerous()`.
//!
//! Resumption is off because a resumed session skips these checks: a key that was since banned could come back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SerialNumber};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::identity::{Fingerprint, Identity, PeerId};
use crate::wire::{ALPN_HOST, ALPN_PEER, ALPN_RENDEZVOUS};

/// What a dialled server showed, all of it proved to be its own, none of it believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCertificate {
    /// The words of its public key, for people to compare and for the client to remember.
    pub fingerprint: Fingerprint,
    /// Whether a public authority vouches for it under the host name that was dialled: then it needs no pin.
    pub publicly_valid: bool,
    /// The key of the member that answered, if it was a member and no server; the fingerprint is the key's, then.
    pub member: Option<PeerId>,
}

impl ServerCertificate {
    /// What is known once the handshake has settled which protocol is spoken; `None` if a member's certificate has no identity
    /// key.
    pub(super) fn of(connection: &quinn::Connection, noted: ServerCertificate) -> Option<Self> {
        if !speaks(connection, ALPN_HOST) {
            return Some(noted);
        }
        let key = proved_key(connection)?;
        Some(ServerCertificate { fingerprint: key.fingerprint(), publicly_valid: false, member: Some(key) })
    }
}

/// Whether a finished handshake settled on this protocol.
pub(super) fn speaks(connection: &quinn::Connection, alpn: &[u8]) -> bool {
    let data =
        connection.handshake_data().and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    data.is_some_and(|data| data.protocol.as_deref() == Some(alpn))
}

/// The TLS of one peer: its certificate, and both roles between peers.
pub(super) struct PeerTls {
    chain: Vec<CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl PeerTls {
    /// A self-signed certificate whose public key is the identity. Its number is a random one: whoever meets the same key
    /// with another certificate knows that the program behind it was started anew ([`life`]).
    pub(super) fn new(identity: &Identity) -> Self {
        let key = PrivatePkcs8KeyDer::from(identity.pkcs8().to_vec());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)
            .expect("PKCS#8 of an identity is an Ed25519 key pair");
        let certificate = CertificateParams::new(vec![PEER_NAME.to_owned()])
            .and_then(|mut params| {
                params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
                params.self_signed(&pair)
            })
            .expect("a constant DNS name and an Ed25519 key make a certificate");
        PeerTls { chain: vec![certificate.into()], key }
    }

    /// For accepting: asks for a certificate, takes any Ed25519 key.
    pub(super) fn accepting(&self) -> Arc<QuicServerConfig> {
        let verifier = PeerVerifier { expected: None, wrong_key: Arc::default(), provider: provider() };
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect(PROVIDER_KNOWS_TLS13)
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(self.chain.clone(), self.key.clone_key().into())
            .expect("the key belongs to the certificate that was made from it");
        config.alpn_protocols = vec![ALPN_PEER.to_vec(), ALPN_HOST.to_vec()];
        quic_server(config)
    }

    /// For dialling exactly `expected`; the flag is raised when somebody else answers.
    pub(super) fn dialling(&self, expected: PeerId) -> (Arc<QuicClientConfig>, Arc<AtomicBool>) {
        let wrong_key = Arc::new(AtomicBool::new(false));
        let verifier =
            PeerVerifier { expected: Some(expected), wrong_key: Arc::clone(&wrong_key), provider: provider() };
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect(PROVIDER_KNOWS_TLS13)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key().into())
            .expect("the key belongs to the certificate that was made from it");
        config.alpn_protocols = vec![ALPN_PEER.to_vec()];
        // A name in clear would tell the network who is being dialled.
        config.enable_sni = false;
        (quic_client(config), wrong_key)
    }
}

/// For dialling a server; the note is written during the handshake.
pub(super) fn dialling_server() -> (Arc<QuicClientConfig>, Arc<OnceLock<ServerCertificate>>) {
    dialling_server_with_alpns(&[ALPN_RENDEZVOUS, ALPN_HOST])
}

/// The same for any protocol, so that tests can speak another one.
#[cfg(test)]
pub(super) fn dialling_server_with_alpn(alpn: &[u8]) -> (Arc<QuicClientConfig>, Arc<OnceLock<ServerCertificate>>) {
    dialling_server_with_alpns(&[alpn])
}

fn dialling_server_with_alpns(alpns: &[&[u8]]) -> (Arc<QuicClientConfig>, Arc<OnceLock<ServerCertificate>>) {
    let note = Arc::new(OnceLock::new());
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let public = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .expect("the public roots are not empty and no revocation list is given");
    let verifier = NotingVerifier { note: Arc::clone(&note), public, provider: provider() };
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect(PROVIDER_KNOWS_TLS13)
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = alpns.iter().map(|alpn| alpn.to_vec()).collect();
    (quic_client(config), note)
}

/// For serving clients, which prove their key in their hello and not by TLS. Fails when the key is of an unknown kind or
/// isn't the certificate's.
fn serving(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<QuicServerConfig>, Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN_RENDEZVOUS.to_vec()];
    Ok(quic_server(config))
}

/// What a server shows and proves: a certificate chain with its key, of which is known that they fit.
pub struct ServerKey {
    pub(super) tls: Arc<QuicServerConfig>,
    /// The private key.
    pub(super) secret: Zeroizing<Vec<u8>>,
    fingerprint: Fingerprint,
}

impl ServerKey {
    /// Out of two PEM texts: a chain, the server's own certificate first, and the key of that one (PKCS#8, PKCS#1 or
    /// SEC 1).
    ///
    /// # Errors
    /// [`ServerKeyError`] names the text that is at fault.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ServerKeyError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| ServerKeyError::Certificate)?;
        let fingerprint = chain.first().and_then(certificate_fingerprint).ok_or(ServerKeyError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| ServerKeyError::Key)?;
        let secret = Zeroizing::new(key.secret_der().to_vec());
        let tls = serving(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => ServerKeyError::Mismatch,
            _ => ServerKeyError::Key,
        })?;
        Ok(ServerKey { tls, secret, fingerprint })
    }

    /// A new self-signed certificate and its key, as PEM texts. Its names and dates mean nothing: clients pin the key.
    pub fn new_pem() -> (String, Zeroizing<String>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .expect("a constant DNS name and a fresh key make a certificate");
        (made.cert.pem(), Zeroizing::new(made.signing_key.serialize_pem()))
    }

    /// The words of the public key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Never shows the key.
impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerKey({})", self.fingerprint)
    }
}

/// Why two texts are not a server's certificate and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerKeyError {
    /// The first holds no certificate, or one that isn't X.509 version 3.
    #[error("it holds no X.509 version 3 certificate in PEM form")]
    Certificate,
    /// The second holds no private key, or one of an unknown kind.
    #[error("it holds no private key in PEM form that this program understands")]
    Key,
    /// The key is another certificate's.
    #[error("the key does not belong to the certificate")]
    Mismatch,
}

/// The words of a certificate's public key; `None` if it is no X.509 v3 certificate.
fn certificate_fingerprint(certificate: &CertificateDer<'_>) -> Option<Fingerprint> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Fingerprint::of_spki(parsed.subject_public_key_info().as_ref()))
}

/// The key that the other side of a finished handshake proved.
pub(super) fn proved_key(connection: &quinn::Connection) -> Option<PeerId> {
    key_of(&certificate(connection)?).ok()
}

/// Which of its lives the peer at the other end of a finished handshake is in: the SHA-256 of its certificate, which is made
/// anew at each start. A peer whose certificate stays the same seems to live on, which costs nothing but time.
pub(super) fn life(connection: &quinn::Connection) -> [u8; 32] {
    certificate(connection).map_or([0; 32], |certificate| Sha256::digest(&certificate).into())
}

fn certificate(connection: &quinn::Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}

/// The name that peers' certificates carry and dials use; nobody looks at it.
pub(super) const PEER_NAME: &str = "peer.invalid";

const PROVIDER_KNOWS_TLS13: &str = "the provider's suites are those of TLS 1.3";

/// An Ed25519 SubjectPublicKeyInfo (RFC 8410) up to its 32 bytes of key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn key_of(certificate: &CertificateDer<'_>) -> Result<PeerId, Error> {
    let spki = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    spki.strip_prefix(&SPKI_PREFIX)
        .and_then(|key| key.try_into().ok())
        .map(PeerId)
        .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Handed in wherever it is needed, never installed for the process: a library must not change what others negotiate.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = PROVIDER.get_or_init(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
        Arc::new(provider)
    });
    Arc::clone(made)
}

fn quic_server(mut config: rustls::ServerConfig) -> Arc<QuicServerConfig> {
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Arc::new(QuicServerConfig::try_from(config).expect("the provider has QUIC's initial cipher suite"))
}

fn quic_client(mut config: rustls::ClientConfig) -> Arc<QuicClientConfig> {
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(QuicClientConfig::try_from(config).expect("the provider has QUIC's initial cipher suite"))
}

/// Checks peers, in both roles.
#[derive(Debug)]
struct PeerVerifier {
    /// The key that was dialled; `None` when accepting.
    expected: Option<PeerId>,
    /// Raised when a dialled peer showed another key.
    wrong_key: Arc<AtomicBool>,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    fn check(&self, certificate: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !intermediates.is_empty() {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        }
        let key = key_of(certificate)?;
        if self.expected.is_some_and(|expected| expected != key) {
            self.wrong_key.store(true, Ordering::Relaxed);
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(())
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signed.scheme != SignatureScheme::ED25519 {
            return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
        }
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
}

/// What a peer's verifier says of signatures, alike on both sides of a handshake: rustls asks by one trait for each.
macro_rules! ed25519_signatures_only {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check_signature(message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    ed25519_signatures_only!();
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Newcomers who knock show none; a link without one is no link.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    ed25519_signatures_only!();
}

/// Notes what a server shows and lets it through, if it owns the key.
#[derive(Debug)]
struct NotingVerifier {
    note: Arc<OnceLock<ServerCertificate>>,
    public: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let fingerprint =
            certificate_fingerprint(end_entity).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let publicly_valid = self.public.verify_server_cert(end_entity, intermediates, name, ocsp, now).is_ok();
        // Several addresses of one server may be tried at once, each with a note of its own, so it is written once.
        let _ = self.note.set(ServerCertificate { fingerprint, publicly_valid, member: None });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;
    use rustls::quic::{ClientConnection, ServerConnection, Version};

    use super::*;
    use crate::identity::Signer as _;

    /// A whole handshake in memory, between the configurations that are used on the wire.
    #[test]
    fn key_exchange_is_hybrid_post_quantum_and_nothing_can_be_resumed() {
        let (client_tls, server_tls) = (PeerTls::new(&Identity::from_seed(&[1; 32])), Identity::from_seed(&[2; 32]));
        let verifier = || PeerVerifier { expected: None, wrong_key: Arc::default(), provider: provider() };
        let mut client = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier()))
            .with_client_auth_cert(client_tls.chain.clone(), client_tls.key.clone_key().into())
            .unwrap();
        client.resumption = Resumption::disabled();
        let served = PeerTls::new(&server_tls);
        let mut server = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(verifier()))
            .with_single_cert(served.chain.clone(), served.key.clone_key().into())
            .unwrap();
        server.send_tls13_tickets = 0;
        let name = ServerName::try_from(PEER_NAME).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), Version::V1, name, vec![]).unwrap();
        let mut server = ServerConnection::new(Arc::new(server), Version::V1, vec![]).unwrap();
        let mut bytes = Vec::new();
        for _ in 0..6 {
            // A change of keys separates two encryption levels; each level's bytes are handed over on their own.
            while client.write_hs(&mut bytes).is_some() || !bytes.is_empty() {
                server.read_hs(&std::mem::take(&mut bytes)).unwrap();
            }
            while server.write_hs(&mut bytes).is_some() || !bytes.is_empty() {
                client.read_hs(&std::mem::take(&mut bytes)).unwrap();
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(server.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_eq!(client.tls13_tickets_received(), 0);
        let proved = key_of(&server.peer_certificates().unwrap()[0]).unwrap();
        assert_eq!(proved, Identity::from_seed(&[1; 32]).id());
    }

    #[test]
    fn a_made_certificate_fits_its_key_and_no_other() {
        let ((certificate, key), (_, other)) = (ServerKey::new_pem(), ServerKey::new_pem());
        let made = |chain: &str, key: &str| ServerKey::from_pem(chain.as_bytes(), key.as_bytes());
        let one = made(&certificate, &key).unwrap();
        assert_eq!(one.fingerprint(), made(&certificate, &key).unwrap().fingerprint());
        assert_eq!(made(&certificate, &other).unwrap_err(), ServerKeyError::Mismatch);
        assert_eq!(made(&certificate, &certificate).unwrap_err(), ServerKeyError::Key);
        assert_eq!(made(&key, &key).unwrap_err(), ServerKeyError::Certificate);
        assert_eq!(made("", "").unwrap_err(), ServerKeyError::Certificate);
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }

    #[test]
    fn only_exactly_an_ed25519_key_is_a_peer() {
        let identity = Identity::from_seed(&[3; 32]);
        assert_eq!(key_of(&PeerTls::new(&identity).chain[0]).unwrap(), identity.id());
        let other = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        assert!(key_of(other.cert.der()).is_err(), "a P-256 key is no identity");
        assert!(key_of(&CertificateDer::from(vec![0x30, 0x00])).is_err());
    }

    #[test]
    fn a_certificate_is_publicly_valid_for_its_own_host_and_under_a_trusted_root_only() {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let authority = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).unwrap();
            (certificate, Issuer::new(params, key))
        };
        let (trusted, issuer) = authority("trusted");
        let (_, stranger) = authority("stranger");
        let leaf = |issuer: &Issuer<'_, KeyPair>| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["chat.example.org".to_owned()]).unwrap();
            params.signed_by(&key, issuer).unwrap().der().clone()
        };
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let public = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
        let is_valid = |certificate: &CertificateDer<'_>, host: &'static str| {
            let note = Arc::new(OnceLock::new());
            let verifier = NotingVerifier { note: note.clone(), public: public.clone(), provider: provider() };
            let host = ServerName::try_from(host).unwrap();
            // Whatever is found out, the handshake goes on: the application decides.
            verifier.verify_server_cert(certificate, &[], &host, &[], UnixTime::now()).unwrap();
            note.get().unwrap().publicly_valid
        };
        assert!(is_valid(&leaf(&issuer), "chat.example.org"));
        assert!(!is_valid(&leaf(&issuer), "other.example.org"));
        assert!(!is_valid(&leaf(&stranger), "chat.example.org"));
    }
}
