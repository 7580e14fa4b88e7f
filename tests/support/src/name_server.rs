//! A name server on loopback that answers as a test wants it to.
//!
//! Must never be asked for real names: whatever it is not told about does not exist.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What a name has: addresses, and for how many seconds that may be kept. None: there is no such name.
pub type Answer = Option<(Vec<IpAddr>, u32)>;

/// How often each name was asked for, by kind of record.
type Asked = Arc<Mutex<HashMap<(String, u16), usize>>>;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    asked: Asked,
    ended: Arc<AtomicBool>,
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// For how many seconds it may be kept that there is no such name.
const WITHOUT: u32 = 60;

impl NameServer {
    /// `answer` is told a name in lower case without its last dot, and how often it was asked for before.
    ///
    /// # Panics
    /// When no port is free.
    #[expect(clippy::panic, reason = "a test stops where its world cannot be set up")]
    pub fn start(answer: impl Fn(&str, usize) -> Answer + Send + 'static) -> Self {
        let bound = UdpSocket::bind("127.0.0.1:0").and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (address, socket) = bound.unwrap_or_else(|error| panic!("no port on loopback: {error}"));
        let (asked, ended) = (Asked::default(), Arc::new(AtomicBool::new(false)));
        let (counts, stop) = (Arc::clone(&asked), Arc::clone(&ended));
        thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(reply) = reply(&packet[..length], &answer, &counts) {
                    // Whoever asked may be gone.
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Self { address, asked, ended }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often the IPv4 addresses of a name were asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(name.to_owned(), A))
            .copied()
            .unwrap_or(0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread; if it cannot, the thread waits on, and ends with the process.
        let _ = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[0], self.address));
    }
}

/// The answer to a query (RFC 1035, section 4.1); none for what is no query of one question.
fn reply(query: &[u8], answer: &dyn Fn(&str, usize) -> Answer, asked: &Asked) -> Option<Vec<u8>> {
    let (id, mut at, mut labels) = (query.get(..2)?, 12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let name = labels.join(".");
    let question = query.get(12..at + 4)?;
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let before = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.entry((name.clone(), kind)).or_default();
        *count += 1;
        *count - 1
    };
    let found = answer(&name, before);
    let code: u8 = if found.is_some() { 0 } else { 3 };
    let (addresses, ttl) = found.unwrap_or((Vec::new(), WITHOUT));
    let of_kind = addresses.into_iter().filter(|address| kind == if address.is_ipv4() { A } else { AAAA });
    let records: Vec<Vec<u8>> = of_kind.map(|address| record(kind, ttl, &octets(address))).collect();

    let mut reply = [id, &[0x81, 0x80 | code], &[0, 1]].concat();
    reply.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    // Without a record there is one that says for how long that may be kept (RFC 2308).
    reply.extend([0, u8::from(records.is_empty()), 0, 0]);
    reply.extend(question);
    if records.is_empty() {
        // SOA: two empty names, and five numbers of which the last is the time.
        reply.extend(record(6, ttl, &[&[0; 18][..], &ttl.to_be_bytes()].concat()));
    }
    reply.extend(records.concat());
    Some(reply)
}

/// A record of the name that was asked for.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(0);
    [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}
