//! Packed bodies that are more than they seem.

use std::io::Write;

use super::*;

const ZEROS: usize = 30 << 20;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Packed by async-compression, whose other half unpacks.
async fn brotli(bytes: &[u8]) -> Vec<u8> {
    use tokio::io::AsyncReadExt;
    let mut packed = Vec::new();
    let mut encoder = async_compression::tokio::bufread::BrotliEncoder::new(bytes);
    encoder.read_to_end(&mut packed).await.unwrap();
    packed
}

/// Bytes that no packing makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A server that packs as its path says.
async fn world() -> World {
    let zeros = vec![0; ZEROS];
    let bombs = [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("br", brotli(&zeros).await)];
    let sound = [
        ("gzip", gzip(&noise(3 << 20))),
        ("deflate", zlib(&noise(3 << 20))),
        ("br", brotli(&noise(3 << 20)).await),
    ];
    World::new(move |asked| {
        let Some((kind, packing)) = asked.path[1..].split_once('/') else {
            return Reply::status(404, "", "");
        };
        let list = if kind == "bomb" { &bombs } else { &sound };
        let (_, bytes) = list.iter().find(|(of, _)| *of == packing).unwrap();
        Reply::raw(200, &format!("content-encoding: {packing}\ncontent-length: {}", bytes.len()), &bytes[..])
    })
    .await
}

async fn fetch(world: &World, path: &str, scope: &Scope) -> (usize, Result<(), EgressError>) {
    let url = format!("https://api.example.org/{path}");
    let request = Request::get(url.parse().unwrap(), 64 << 20);
    let mut response = world.egress.send(request, scope).await.unwrap();
    assert!(!response.headers.contains_key("content-encoding"), "what is handed out is not packed");
    let mut received = 0;
    loop {
        match response.body.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => return (received, Ok(())),
            Err(error) => return (received, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_bomb_is_too_large_long_before_its_cap() {
    let world = world().await;
    for packing in ["gzip", "deflate", "br"] {
        for scope in [download(), plugin(policy(&["*"]))] {
            let (received, end) = fetch(&world, &format!("bomb/{packing}"), &scope).await;
            let error = end.unwrap_err();
            assert!(matches!(error, EgressError::Bomb { ratio: 100, .. }), "{packing}: {error}");
            assert_eq!(error.failure().reason.as_str(), "too_large");
            assert!(received < 8 << 20, "{packing}: {received} of {ZEROS} bytes were handed out");
        }
    }
}

#[tokio::test]
async fn what_is_packed_soundly_comes_out_whole() {
    let world = world().await;
    for packing in ["gzip", "deflate", "br"] {
        let (received, end) = fetch(&world, &format!("sound/{packing}"), &plugin(policy(&["*"]))).await;
        assert_eq!((received, end.is_ok()), (3 << 20, true), "{packing}");
    }
}

#[tokio::test]
async fn a_small_page_may_be_packed_as_well_as_it_can_be() {
    let page = gzip(&[b' '; 1 << 20]);
    assert!((1 << 20) / page.len() > 500);
    let world = World::new(move |_| {
        Reply::raw(200, &format!("content-encoding: x-gzip\ncontent-length: {}", page.len()), &page[..])
    })
    .await;
    let (received, end) = fetch(&world, "page", &plugin(policy(&["*"]))).await;
    assert_eq!((received, end.is_ok()), (1 << 20, true));
}

/// Nothing comes out of these, however much goes in: a header of gzip, and blocks without bytes.
#[tokio::test]
async fn packed_bytes_are_bounded_too() {
    let blocks = b"\0\0\0\xff\xff".repeat(500_000);
    let empty = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff".as_slice(), &blocks].concat();
    let world = World::new(move |_| Reply::raw(200, "content-encoding: gzip", &empty[..])).await;
    let collect = async |cap| {
        let request = Request::get("https://api.example.org/".parse().unwrap(), cap);
        world.egress.send(request, &download()).await.unwrap().body.collect().await.unwrap_err()
    };
    let error = collect(1000).await;
    assert!(matches!(error, EgressError::TooLarge { cap: 1000, .. }), "{error}");
    let error = collect(u64::MAX).await;
    assert!(error.to_string().contains("unpack to less than half"), "{error}");
}

#[tokio::test]
async fn packings_that_are_not_known_or_nested_are_left_as_they_are() {
    let twice = gzip(&gzip(b"text"));
    let length = twice.len();
    let world = World::new(move |asked| {
        let named = asked.path[1..].replace('+', ", ");
        Reply::raw(200, &format!("content-encoding: {named}\ncontent-length: {length}"), &twice[..])
    })
    .await;
    for packing in ["gzip+gzip", "zstd", "rot13", "identity"] {
        let url = format!("https://api.example.org/{packing}");
        let response = world.get(&url, &plugin(policy(&["*"]))).await.unwrap();
        assert!(response.headers.contains_key("content-encoding"), "{packing}: whoever reads it is told");
        assert_eq!(response.body.collect().await.unwrap().len(), length, "{packing}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_not_unpacked() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/304" => Reply::raw(304, "content-encoding: gzip", ""),
        "/204" => Reply::raw(204, "content-encoding: br", ""),
        _ => Reply::raw(200, "content-encoding: gzip\ncontent-length: 0", ""),
    })
    .await;
    for path in ["304", "204", "200"] {
        assert_eq!(world.text(&format!("https://api.example.org/{path}")).await.unwrap(), "", "{path}");
    }
    let mut request = Request::get("https://api.example.org/head".parse().unwrap(), 1000);
    request.method = http::Method::HEAD;
    let response = world.egress.send(request, &plugin(policy(&["*"]))).await.unwrap();
    assert_eq!(response.body.collect().await.unwrap().len(), 0);
}
