//! One who has the overview open, as the script of the page keeps it current: hears that something has changed, and asks
//! for the page again, over a connection that stays. And the requests that measurements send themselves.
//!
//! Must never ask more often than the page would.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::watched::pause;

/// How long a server may take to listen, or to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address on which nobody listens now.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A connection to a server.
pub(super) struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// As soon as somebody listens.
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let began = Instant::now();
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && began.elapsed() < PATIENCE => {
                    pause(Duration::from_millis(2));
                }
                Err(error) => return Err(error).with_context(|| format!("cannot connect to {address}")),
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    fn send(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\n\r\n", self.address);
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    /// The status and, where one is given, the length.
    fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let (mut status, mut length) = (None, None);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("{} closed the connection", self.address);
            }
            let line = line.trim_end().to_ascii_lowercase();
            match (status, line.strip_prefix("content-length: ")) {
                (None, _) => status = line.split(' ').nth(1).and_then(|status| status.parse().ok()),
                (_, Some(text)) => length = Some(text.parse()?),
                (Some(status), None) if line.is_empty() => return Ok((status, length)),
                _ => {}
            }
        }
    }

    /// Asks for a page and reads it whole.
    pub(super) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.send(path)?;
        let (status, length) = self.head()?;
        let mut body = vec![0; length.with_context(|| format!("{path} has no length"))?];
        self.stream.read_exact(&mut body)?;
        if status != 200 {
            bail!("{path} was answered with {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

/// Watches until the server ends; then, how many pages it was given.
pub(super) fn watch(address: SocketAddr) -> JoinHandle<Result<usize>> {
    std::thread::spawn(move || {
        let mut pages = Connection::open(address)?;
        let mut events = Connection::open(address)?;
        pages.get("/")?;
        events.send("/api/v1/events")?;
        events.head()?;
        let mut seen = 1;
        let mut line = String::new();
        while events.stream.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.starts_with("event: change") {
                // The run may end in the middle of it.
                let Ok(_) = pages.get("/") else { break };
                seen += 1;
            }
            line.clear();
        }
        Ok(seen)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers so many requests of each connection, and lets it go.
    fn server(answers: [&'static [&'static str]; 2]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let streams: Vec<_> = answers.iter().map(|_| listener.accept().unwrap().0).collect();
            let serve = |(mut stream, answers): (TcpStream, &'static [&'static str])| {
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    for answer in answers {
                        while !lines.next().unwrap().unwrap().is_empty() {}
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                })
            };
            let threads: Vec<_> = streams.into_iter().zip(answers).map(serve).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        address
    }

    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    #[test]
    fn each_change_is_followed_by_a_page() {
        const TOLD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: watching\n\n\
                            event: change\ndata: {}\n\nevent: change\ndata: {}\n\n";
        let address = server([&[PAGE, PAGE, PAGE], &[TOLD]]);
        assert_eq!(watch(address).join().unwrap().unwrap(), 3);
    }

    #[test]
    fn another_answer_than_the_page_is_a_failure() {
        let address = server([&["HTTP/1.1 503 no\r\ncontent-length: 4\r\n\r\nbusy"], &[]]);
        let mut connection = Connection::open(address).unwrap();
        let _other = Connection::open(address).unwrap();
        let failure = connection.get("/jobs").unwrap_err().to_string();
        assert!(failure.contains("503") && failure.contains("busy"), "{failure}");
    }
}
