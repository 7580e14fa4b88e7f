//! A collector on loopback that takes what it is sent and counts it. It never looks into an export.

use anyhow::Result;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One that listens until the program ends.
pub(super) struct Collector {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    exports: AtomicU64,
    bytes: AtomicU64,
}

impl Collector {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let shared = Arc::clone(&shared);
                // A connection that breaks off is the exporter's to tell.
                std::thread::spawn(move || take(stream, &shared));
            }
        });
        Ok(Self { address, counts })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` names.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Exports and their bytes so far.
    pub(super) fn got(&self) -> (u64, u64) {
        (self.counts.exports.load(Ordering::Relaxed), self.counts.bytes.load(Ordering::Relaxed))
    }
}

fn take(stream: TcpStream, counts: &Counts) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end().to_ascii_lowercase().strip_prefix("content-length: ") {
                Some(text) => length = text.parse().map_err(std::io::Error::other)?,
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        std::io::copy(&mut input.by_ref().take(length), &mut std::io::sink())?;
        counts.exports.fetch_add(1, Ordering::Relaxed);
        counts.bytes.fetch_add(length, Ordering::Relaxed);
        input.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_sent_is_counted_and_answered() {
        let collector = Collector::start().unwrap();
        let mut stream = BufReader::new(TcpStream::connect(collector.address).unwrap());
        for body in ["abc", "defgh"] {
            let request = format!("POST /v1/traces HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.get_mut().write_all(request.as_bytes()).unwrap();
            let mut answer = [0; 38];
            stream.read_exact(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        }
        assert_eq!(collector.got(), (2, 8));
    }
}
