//! Tests of the download, with bodies that arrive as scripted.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::*;
use crate::blobs::hex;
use crate::config::FileKind;
use crate::gathered::{PIECE, WHOLE};
use crate::testing::{Script, body};
use crate::uncached::WORTHWHILE;

async fn download(mut source: Script, length: Option<u64>) -> (Result<Received, Failure>, u64) {
    let size = |text: &str| text.parse().unwrap();
    let config = ContentConfig::new(size("1KiB"), size("3MiB"), vec![FileKind::Pdf]).unwrap();
    let mut bytes = 0;
    let received =
        receive(&mut source, length, sink(NamedTempFile::new().unwrap()), &config, &mut bytes).await;
    (received.map(|sink| sink.finish().unwrap()), bytes)
}

fn sink(file: NamedTempFile) -> Sink {
    Sink::new(Box::new(move || Ok(file)))
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| b'a' + (index % 23) as u8).collect()
}

#[tokio::test]
async fn what_arrives_is_what_is_written() {
    for (length, chunk) in [
        (0, 1),
        (1, 1),
        (3000, 7),
        (WORTHWHILE, 1000),
        (WORTHWHILE, WORTHWHILE),
        (700_000, 8192),
        (PIECE, PIECE),
        (HEAD + 1, 1000),
        (WHOLE + 1, 100_000),
        (WHOLE + 1, PIECE + 1),
    ] {
        let sent = bytes(length);
        for declared in [Some(length as u64), None] {
            let (received, count) = download(body(&sent, chunk), declared).await;
            let received = received.unwrap();
            assert_eq!((count, received.size), (length as u64, length as u64));
            assert_eq!(std::fs::read(received.file.path()).unwrap(), sent);
            assert_eq!(received.sha256, hex(&Sha256::digest(&sent)));
            assert_eq!(received.head, sent[..length.min(HEAD)]);
            assert_eq!(received.tail, sent[length.saturating_sub(TAIL)..]);
            if declared.is_some_and(|length| length <= WHOLE as u64) {
                assert!(received.whole.is_some_and(|whole| whole == sent), "{length} bytes at hand");
            }
        }
    }
}

#[tokio::test]
async fn padding_is_no_part_of_the_end() {
    let sent = [bytes(2000), vec![0; 400_000], b"\r\n".to_vec()].concat();
    let (received, _) = download(body(&sent, 1500), None).await;
    assert_eq!(received.unwrap().tail, sent[2000 - TAIL..2000]);
}

#[tokio::test]
async fn a_wrong_length_is_a_mismatch() {
    for (length, chunk) in [(2000, 100), (200_000, 7000), (200_000, 200_000)] {
        for declared in [length - 1, length + 1, length / 2] {
            let (received, count) = download(body(&bytes(length), chunk), Some(declared as u64)).await;
            let failure = received.unwrap_err();
            assert_eq!(failure.reason, Reason::LengthMismatch);
            assert_eq!(failure.detail, format!("received {length} bytes, declared {declared}"));
            assert_eq!(count, length as u64);
        }
    }
}

#[tokio::test]
async fn the_cap_holds_whatever_is_declared() {
    let (received, count) = download(body(&bytes(4 << 20), 65_536), None).await;
    assert_eq!(received.unwrap_err().reason, Reason::TooLarge);
    assert!(count <= (3 << 20) + 65_536, "stopped at the cap, not at the end: {count}");
    let (received, count) = download(body(&bytes(4 << 20), 65_536), Some(4 << 20)).await;
    assert_eq!(received.unwrap_err().reason, Reason::TooLarge);
    assert_eq!(count, 0, "not even begun");
}

#[tokio::test]
async fn a_broken_body_leaves_its_count_and_no_file() {
    let file = NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let mut count = 0;
    let mut source = body(&bytes(500_000), 5000).then_breaks();
    let config = ContentConfig::default();
    let received = receive(&mut source, None, sink(file), &config, &mut count).await;
    let failure = received.err().unwrap();
    assert_eq!((failure.reason, count), (Reason::Connection, 500_000));
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn peeking_reads_a_beginning_and_forgives() {
    assert_eq!(peek(&mut body(&bytes(100_000), 3000)).await, bytes(100_000)[..HEAD]);
    assert_eq!(peek(&mut body(&bytes(100), 30).then_breaks()).await, bytes(100));
}
