//! The floor: the least that a full mesh on quinn has to do. Each line has a SHA-256 id chained to the one before, lines
//! that wait together share one Ed25519 signature (a lone line has its own), each link has a queue and a writer that sends
//! all that waits, readers drop duplicates and verify. Nothing is kept, confirmed or repaired, and nobody asks who may come in.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use tokio::sync::mpsc;

use crate::cases::{Lately, Ledger, Mesh};

/// Lines under one signature, as in the product.
const RUN_MAX: usize = 64;

pub struct Floor {
    members: Vec<mpsc::Sender<String>>,
    /// Dropping an endpoint ends its links.
    _endpoints: Vec<Endpoint>,
}

impl Mesh for Floor {
    fn size(&self) -> usize {
        self.members.len()
    }

    async fn say(&self, member: usize, line: String) {
        self.members[member].send(line).await.expect("members live as long as the room");
    }

    fn confirmed(&self) -> bool {
        true
    }
}

/// What a member keeps, shared by the readers of its links.
struct Member {
    keys: Arc<Vec<Vec<u8>>>,
    lately: Mutex<Lately>,
    ledger: Arc<Ledger>,
}

impl Floor {
    pub async fn new(size: usize, ledger: Arc<Ledger>) -> Self {
        let made = rcgen::generate_simple_self_signed(["floor".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let certificate: CertificateDer<'static> = made.cert.into();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root");
        let client = ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client");
        let server = ServerConfig::with_single_cert(vec![certificate], key).expect("a server");
        let mut endpoints = Vec::new();
        for _ in 0..size {
            let loopback = "127.0.0.1:0".parse().expect("an address");
            let mut endpoint = Endpoint::server(server.clone(), loopback).expect("a socket");
            endpoint.set_default_client_config(client.clone());
            endpoints.push(endpoint);
        }
        let pairs: Vec<Ed25519KeyPair> = (0..size).map(|_| Ed25519KeyPair::generate().expect("a key")).collect();
        let keys = Arc::new(pairs.iter().map(|pair| pair.public_key().as_ref().to_vec()).collect::<Vec<_>>());
        let members: Vec<Arc<Member>> = (0..size)
            .map(|_| Arc::new(Member { keys: keys.clone(), lately: Mutex::default(), ledger: ledger.clone() }))
            .collect();
        let mut queues: Vec<Vec<mpsc::Sender<bytes::Bytes>>> = vec![Vec::new(); size];
        for dialler in 0..size {
            for answerer in dialler + 1..size {
                let address = endpoints[answerer].local_addr().expect("an address");
                let dialled = endpoints[dialler].connect(address, "floor").expect("a dial");
                let (dialled, accepted) =
                    tokio::join!(dialled, async { endpoints[answerer].accept().await.expect("an endpoint").await });
                for (who, connection) in [(dialler, dialled), (answerer, accepted)] {
                    let connection = connection.expect("a link");
                    let stream = connection.open_uni().await.expect("a stream");
                    let (queue, waiting) = mpsc::channel(64);
                    queues[who].push(queue);
                    tokio::spawn(write(stream, waiting));
                    tokio::spawn(read(connection, members[who].clone()));
                }
            }
        }
        let members = pairs.into_iter().zip(queues).enumerate().map(|(number, (pair, links))| {
            let (lines, said) = mpsc::channel(1024);
            tokio::spawn(speak(number as u16, pair, said, links));
            lines
        });
        Floor { members: members.collect(), _endpoints: endpoints }
    }
}

/// A frame: length, author, number of lines, the lines with a length each, a signature over the last id.
async fn speak(
    author: u16,
    pair: Ed25519KeyPair,
    mut said: mpsc::Receiver<String>,
    links: Vec<mpsc::Sender<bytes::Bytes>>,
) {
    let mut previous = [0; 32];
    let mut run = Vec::new();
    while said.recv_many(&mut run, RUN_MAX).await > 0 {
        let mut frame = vec![0; 4];
        frame.extend_from_slice(&author.to_be_bytes());
        frame.push(run.len() as u8);
        for line in run.drain(..) {
            previous = id_of(&previous, author, line.as_bytes());
            frame.extend_from_slice(&(line.len() as u16).to_be_bytes());
            frame.extend_from_slice(line.as_bytes());
        }
        frame.extend_from_slice(pair.sign(&previous).as_ref());
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let frame = bytes::Bytes::from(frame);
        for link in &links {
            let _ = link.send(frame.clone()).await;
        }
    }
}

fn id_of(previous: &[u8; 32], author: u16, line: &[u8]) -> [u8; 32] {
    let hashed = [&previous[..], &author.to_be_bytes(), line].concat();
    digest(&SHA256, &hashed).as_ref().try_into().expect("32 bytes")
}

async fn write(mut stream: SendStream, mut waiting: mpsc::Receiver<bytes::Bytes>) {
    let mut frames = Vec::new();
    while waiting.recv_many(&mut frames, 64).await > 0 {
        if stream.write_all_chunks(&mut frames).await.is_err() {
            return;
        }
        frames.clear();
    }
}

async fn read(connection: Connection, member: Arc<Member>) {
    let Ok(mut stream) = connection.accept_uni().await else { return };
    let mut previous = [0; 32];
    let (mut header, mut frame) = ([0; 4], Vec::new());
    while stream.read_exact(&mut header).await.is_ok() {
        frame.resize(u32::from_be_bytes(header) as usize, 0);
        if fill(&mut stream, &mut frame).await.is_none() {
            return;
        }
        previous = hear(&frame, previous, &member);
    }
}

async fn fill(stream: &mut RecvStream, frame: &mut [u8]) -> Option<()> {
    stream.read_exact(frame).await.ok()
}

fn hear(frame: &[u8], mut previous: [u8; 32], member: &Member) -> [u8; 32] {
    let (body, signature) = frame.split_at(frame.len() - 64);
    let author = u16::from_be_bytes([body[0], body[1]]);
    let mut rest = &body[3..];
    let mut fresh = Vec::with_capacity(usize::from(body[2]));
    let mut lately = member.lately.lock().expect("nobody panics with the lock");
    for _ in 0..body[2] {
        let (line, behind) = rest[2..].split_at(usize::from(u16::from_be_bytes([rest[0], rest[1]])));
        rest = behind;
        previous = id_of(&previous, author, line);
        if lately.insert(previous) {
            fresh.push(line);
        }
    }
    drop(lately);
    let key = UnparsedPublicKey::new(&ED25519, &member.keys[usize::from(author)]);
    key.verify(&previous, signature).expect("the floor has no liars");
    for line in fresh {
        // The product gives its user a text of its own too.
        let line = String::from_utf8(line.to_vec()).expect("lines are text");
        member.ledger.note(&line);
    }
    previous
}
