//! Hostile answers: bytes that break HTTP, lie about themselves, never end or unpack without end, over TLS that may be
//! wrong. Each has the reason that its row says, none is stored, and none leads to where a trap listens.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Act, RawWeb, Trap, World, pdf};
use tokio::runtime::Runtime;

use crate::holdings::{self, end, files_in, manifest, text};
use crate::papers::json_lines;

/// A file may have 8 MiB, so that what is endless ends soon.
const CONFIG: &str = "
content.max-size = \"8MiB\"
orchestrator.max-attempts = 1
";

/// What happens, to whom, and the reasons that it may have.
struct Row {
    name: &'static str,
    /// Of the host, where TLS goes by it.
    prefix: &'static str,
    acts: Vec<Act>,
    reasons: &'static [&'static str],
}

fn row(name: &'static str, acts: Vec<Act>, reasons: &'static [&'static str]) -> Row {
    Row { name, prefix: "raw", acts, reasons }
}

/// Just these bytes, and the end.
fn raw(name: &'static str, bytes: impl Into<Vec<u8>>, reasons: &'static [&'static str]) -> Row {
    row(name, vec![send(bytes)], reasons)
}

fn send(bytes: impl Into<Vec<u8>>) -> Act {
    Act::Send(bytes.into().into())
}

fn forever(bytes: impl Into<Vec<u8>>) -> Act {
    Act::Forever(bytes.into().into(), Duration::ZERO)
}

/// 200 with these header lines, and this body as it stands.
fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    answer(200, headers, body)
}

fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/pdf\r\n{headers}\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

fn file() -> Vec<u8> {
    pdf::document("hostile", 60_000)
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The start of a file and then nothing that packing would not swallow.
fn bomb() -> Vec<u8> {
    [b"%PDF-1.7\n".as_slice(), &vec![b' '; 6 << 20]].concat()
}

const CONNECTION: &[&str] = &["connection"];
const TRUNCATED: &[&str] = &["truncated"];
const STATUS: &[&str] = &["http_status"];
const TOO_LARGE: &[&str] = &["too_large"];

/// What is no HTTP, or too much of it.
fn heads() -> Vec<Row> {
    let start = || send("HTTP/1.1 200 OK\r\n");
    vec![
        row("headers without end", vec![start(), forever("x-a: 1\r\n".repeat(500))], CONNECTION),
        row("one header without end", vec![start(), send("x-a: "), forever("a".repeat(9000))], CONNECTION),
        row("a status line without end", vec![send("HTTP/1.1 200 "), forever("a".repeat(9000))], CONNECTION),
        raw("ten thousand headers", ok(&"x-a: 1\n".repeat(10_000), file()), CONNECTION),
        raw("a header of a megabyte", ok(&format!("x-a: {}", "a".repeat(1 << 20)), file()), CONNECTION),
        raw("garbage", [0x13_u8, 0x37, 0xff].repeat(300), CONNECTION),
        raw("a file at once, as HTTP/0.9", file(), CONNECTION),
        raw("another version", "HTTP/9.9 200 OK\r\n\r\n", CONNECTION),
        raw("another protocol", "SSH-2.0-OpenSSH_9.9\r\n", CONNECTION),
        raw("a mail server", "220 mail.example.org ESMTP\r\n", CONNECTION),
        raw("HTTP/2 where HTTP/1.1 was agreed", "\0\0\0\x04\0\0\0\0\0", CONNECTION),
        raw("a status of one figure", "HTTP/1.1 2 OK\r\n\r\n", CONNECTION),
        raw("a status of four figures", "HTTP/1.1 2000 OK\r\n\r\n", CONNECTION),
        raw("a status that is no number", "HTTP/1.1 OK\r\n\r\n", CONNECTION),
        raw("a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", CONNECTION),
        raw("a header with a NUL", "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n", CONNECTION),
        raw("a header with a space in its name", "HTTP/1.1 200 OK\r\nx y: a\r\n\r\n", CONNECTION),
        raw("nothing", "", CONNECTION),
        raw("an end in the status line", "HTTP/1.1 20", CONNECTION),
        raw("an end in the headers", "HTTP/1.1 200 OK\r\ncontent-le", CONNECTION),
        row("cut before anything", vec![Act::Cut], CONNECTION),
        row("cut in the headers", vec![send("HTTP/1.1 200 OK\r\nx: "), Act::Cut], CONNECTION),
        raw("101 without having been asked", answer(101, "upgrade: x\nconnection: upgrade", file()), STATUS),
        raw("204 with a body", answer(204, "content-length: 60000", file()), STATUS),
        raw("205 with a body", answer(205, "content-length: 60000", file()), STATUS),
        raw("304 with a body", answer(304, "content-length: 60000", file()), STATUS),
        raw("206 without having been asked", answer(206, "content-range: bytes 0-9/10", file()), STATUS),
        raw("status 999", answer(999, "content-length: 60000", file()), STATUS),
    ]
}

/// Lengths that lie, and chunks that are none.
fn lengths() -> Vec<Row> {
    let chunked = |bytes: &[u8]| ok("transfer-encoding: chunked", bytes);
    vec![
        raw("less than announced", ok("content-length: 90000", file()), &["length_mismatch"]),
        raw("more than announced", ok("content-length: 30000", file()), TRUNCATED),
        raw("something where nothing was announced", ok("content-length: 0", file()), &["empty"]),
        raw("two lengths", ok("content-length: 60000\ncontent-length: 30000", file()), CONNECTION),
        raw("two lengths in one line", ok("content-length: 60000, 30000", file()), CONNECTION),
        raw("a negative length", ok("content-length: -1", file()), CONNECTION),
        raw("a length with a sign", ok("content-length: +60000", file()), CONNECTION),
        raw("a length that is no number", ok("content-length: many", file()), CONNECTION),
        raw("a length beyond numbers", ok("content-length: 99999999999999999999", file()), CONNECTION),
        raw("a length beyond all caps", ok("content-length: 18446744073709551000", file()), TOO_LARGE),
        raw(
            "a length beside chunks",
            ok("content-length: 60000\ntransfer-encoding: chunked", file()),
            &["truncated", "connection"],
        ),
        raw("a chunk of no number", chunked(b"zz\r\nhello\r\n0\r\n\r\n"), TRUNCATED),
        raw("a chunk of no length", chunked(b"\r\nhello\r\n0\r\n\r\n"), TRUNCATED),
        raw("a chunk of a negative length", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), TRUNCATED),
        raw("a chunk beyond numbers", chunked(b"fffffffffffffffff\r\nhello"), TRUNCATED),
        raw("a chunk longer than it says", chunked(b"3\r\nhello\r\n0\r\n\r\n"), TRUNCATED),
        raw("a chunk that is cut", chunked(&chunk(&file())[..30_000]), TRUNCATED),
        raw("no last chunk", chunked(&chunk(&file())), TRUNCATED),
        row("an extension without end", vec![send(chunked(b"5;x=")), forever("a".repeat(9000))], TRUNCATED),
        row(
            "trailers without end",
            vec![
                send(chunked(&[chunk(&file()), b"0\r\n".to_vec()].concat())),
                forever("x-a: 1\r\n".repeat(500)),
            ],
            TRUNCATED,
        ),
        row("a body without end", vec![send(ok("", b"%PDF-1.7\n")), forever("a".repeat(9000))], TOO_LARGE),
        row(
            "chunks without end",
            vec![send(chunked(&chunk(b"%PDF-1.7\n"))), forever(chunk(&[b'a'; 9000]))],
            TOO_LARGE,
        ),
        row("a body that is cut", vec![send(ok("", &file()[..40_000])), Act::Cut], TRUNCATED),
        row(
            "a body of a known length that is cut",
            vec![send(ok("content-length: 60000", &file()[..40_000])), Act::Cut],
            &["length_mismatch"],
        ),
    ]
}

/// What is packed, though nobody asked for that.
fn packings() -> Vec<Row> {
    let packed = |name: &str, bytes: &[u8]| {
        ok(&format!("content-encoding: {name}\ncontent-length: {}", bytes.len()), bytes)
    };
    let twice = gzip(&gzip(&file()));
    vec![
        raw("a bomb of gzip", packed("gzip", &gzip(&bomb())), TOO_LARGE),
        raw("a bomb of gzip by its old name", packed("x-gzip", &gzip(&bomb())), TOO_LARGE),
        raw("a bomb of deflate", packed("deflate", &zlib(&bomb())), TOO_LARGE),
        row(
            "nothing, packed without end",
            vec![
                // A header of gzip, and blocks of no bytes (RFC 1951, section 3.2.4).
                send(ok("content-encoding: gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\xff")),
                forever(b"\0\0\0\xff\xff".repeat(20_000)),
            ],
            CONNECTION,
        ),
        raw("packed twice", packed("gzip, gzip", &twice), &["not_a_pdf"]),
        raw("packed twice, in two lines", packed("gzip\ncontent-encoding: gzip", &twice), &["not_a_pdf"]),
        raw("packed twice, said once", packed("gzip", &twice), &["not_a_pdf"]),
        raw("an unknown packing", packed("rot13", &[b'x'; 5000]), &["not_a_pdf"]),
        raw("zstd", packed("zstd", &[0x28, 0xb5, 0x2f, 0xfd].repeat(2000)), &["not_a_pdf"]),
        raw("what is not packed, said to be", packed("gzip", &file()), CONNECTION),
        raw("brotli that is none", packed("br", &[0xff; 5000]), CONNECTION),
        raw("deflate that is none", packed("deflate", &[0xff; 5000]), CONNECTION),
        raw("half of what was packed", packed("gzip", &gzip(&file())[..1000]), TRUNCATED),
        raw(
            "more behind what was packed",
            packed("gzip", &[gzip(&file()), vec![7; 999]].concat()),
            &["connection", "truncated"],
        ),
    ]
}

/// Places that are none, or are not the only one.
fn places(trap: &str) -> Vec<Row> {
    let moved = |headers: &str| answer(302, headers, "");
    vec![
        raw("no place", moved(""), STATUS),
        raw("an empty place", moved("location:"), &["redirect_loop"]),
        raw("a place that is no URL", moved("location: http://["), STATUS),
        raw(
            "two places, the first forbidden",
            moved(&format!("location: {trap}\nlocation: /x")),
            &["private_address"],
        ),
        raw(
            "two places, the second forbidden",
            moved(&format!("location: ?a\nlocation: {trap}")),
            &["redirect_loop"],
        ),
        raw(
            "a place that is not UTF-8",
            [b"HTTP/1.1 302 X\r\nlocation: /\xff\xfe\r\n\r\n".as_slice()].concat(),
            STATUS,
        ),
        raw(
            "a place with its scheme left out",
            moved(&format!("location: {}", &trap[5..])),
            &["private_address"],
        ),
        raw("a place that climbs", moved("location: ../../../../../?a"), &["redirect_loop"]),
        raw("a place of 100 KiB", moved(&format!("location: /{}", "a".repeat(100 << 10))), &["denied"]),
        raw("several choices", answer(300, &format!("location: {trap}"), ""), STATUS),
        raw(
            "a place without a redirect",
            ok(&format!("location: {trap}\ncontent-length: 0"), ""),
            &["empty"],
        ),
        raw(
            "a refreshing page",
            ok(&format!("refresh: 0; url={trap}"), "<!DOCTYPE html><html>"),
            &["html_instead_of_pdf", "too_small"],
        ),
        raw("another service", ok("alt-svc: h3=\":8443\"; ma=86400\ncontent-length: 0", ""), &["empty"]),
        raw(
            "a place beside a cookie",
            moved("location: ?a\nset-cookie: a=b; Domain=example.org"),
            &["redirect_loop"],
        ),
    ]
}

fn certificates() -> Vec<Row> {
    let good = || vec![send(ok("content-length: 60000", file()))];
    let of = |prefix, name| Row { name, prefix, acts: good(), reasons: &["tls"] };
    vec![
        of("expired", "a certificate of yesterday"),
        of("other-name", "a certificate of somebody else"),
        of("self-signed", "a certificate of its own"),
        of("plain", "no TLS at all"),
    ]
}

/// A file of its own at each host of the table; nobody but the trap's address is beside it.
fn bench(runtime: &Runtime, rows: &[Row], config: &str) -> (Bench, RawWeb) {
    let scripts: HashMap<String, Vec<Act>> =
        rows.iter().enumerate().map(|(n, row)| (host(n, row), row.acts.clone())).collect();
    let web = runtime.block_on(RawWeb::start(scripts)).unwrap();
    let mut bench = holdings::bench(World::new());
    let (ca, plain) = (bench.file("raw.pem", web.ca_pem()), bench.sim().plain_addr());
    let of_sim = bench.path("ca.pem");
    bench.configure(CONFIG).configure(config).configure(&format!(
        "egress.extra-ca-certs = [{ca:?}, {of_sim:?}]\n[egress.connect-to]\n\"*.hostile.example.org:443\" = \"{}\"\n\
         \"*.plain.hostile.example.org:443\" = \"{plain}\"",
        web.addr()
    ));
    (bench, web)
}

fn host(n: usize, row: &Row) -> String {
    match row.prefix {
        "plain" => format!("n{n}.plain.hostile.example.org"),
        prefix => format!("{prefix}.n{n}.hostile.example.org"),
    }
}

fn expect(bench: &Bench, rows: &[Row]) {
    let urls: Vec<String> =
        rows.iter().enumerate().map(|(n, row)| format!("https://{}/file.pdf", host(n, row))).collect();
    let list = bench.file("list", &urls.join("\n"));
    bench.run(&["get", "--input", &list]).expect_code(1);
    let jobs = json_lines(bench, &["queue", "list"]);
    let mut wrong = Vec::new();
    for (url, row) in urls.iter().zip(rows) {
        let job = jobs.iter().find(|job| text(job, "artifact_id") == format!("url:{url}")).unwrap();
        let (state, reason) = end(job);
        if state != "error" || !row.reasons.contains(&reason) {
            wrong.push(format!(
                "{}: {state} {reason}, not {:?}: {}",
                row.name,
                row.reasons,
                text(job, "detail")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    for part in ["blobs", "files", "tmp"] {
        assert_eq!(files_in(bench, part), Vec::<std::path::PathBuf>::new(), "{part}");
    }
    assert!(manifest(bench).iter().all(|record| record["sha256"].is_null() && record["path"].is_null()));
}

#[test]
fn hostile_answers_have_their_reasons_and_leave_nothing_behind() {
    let runtime = Runtime::new().unwrap();
    let trap = runtime.block_on(Trap::start()).unwrap();
    let forbidden = format!("http://{}:8080/x", trap.address());
    let parts = [heads(), lengths(), packings(), places(&forbidden), certificates()];
    let rows: Vec<Row> = parts.into_iter().flatten().collect();
    let (bench, web) = bench(&runtime, &rows, "");
    expect(&bench, &rows);
    assert_eq!(trap.connections(), 0);
    for prefix in ["expired", "self-signed", "other-name"] {
        assert!(web.heads(prefix).is_empty(), "{prefix} was asked");
    }
    let heads = web.heads("").join("\n").to_lowercase();
    assert!(!heads.contains("\r\ncookie:") && !heads.contains("\r\nauthorization:"));
}

/// What comes too slowly ends by the clock, wherever it is slow.
#[test]
fn answers_that_never_come_to_an_end_are_given_up() {
    let runtime = Runtime::new().unwrap();
    let pause = Duration::from_millis(100);
    let slowly =
        |start: &str, bytes: &'static str| vec![send(start), Act::Forever(bytes.as_bytes().into(), pause)];
    let rows = [
        row("silence", vec![Act::Hang], &["timeout"]),
        row("a status line, letter by letter", slowly("HTTP/1.1 200 ", "a"), &["timeout"]),
        row("headers, letter by letter", slowly("HTTP/1.1 200 OK\r\nx: ", "a"), &["timeout"]),
        row("headers, line by line", slowly("HTTP/1.1 200 OK\r\n", "x: a\r\n"), &["timeout"]),
        row("100 without end", vec![forever("HTTP/1.1 100 Continue\r\n\r\n")], &["timeout", "connection"]),
        row("103 without end", slowly("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"), &["timeout"]),
        row("headers and silence", vec![send(ok("content-length: 60000", "")), Act::Hang], &["timeout"]),
        row("half a file and silence", vec![send(ok("", &file()[..30_000])), Act::Hang], &["timeout"]),
        row(
            "half a chunk and silence",
            vec![send(ok("transfer-encoding: chunked", b"ea60\r\n%PDF")), Act::Hang],
            &["timeout"],
        ),
        row("a file, letter by letter", slowly("HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n", "a"), &["timeout"]),
    ];
    let config = "egress = { timeout = \"1s\", idle-timeout = \"1s\" }\norchestrator.fetch-deadline = \"3s\"";
    let (bench, _web) = bench(&runtime, &rows, config);
    expect(&bench, &rows);
}

/// The same server, and answers that are odd but sound: what refuses the others does not refuse these.
#[test]
fn odd_answers_that_are_sound_are_kept() {
    let runtime = Runtime::new().unwrap();
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(50);
    let packed = |name: &str, bytes: &[u8]| {
        ok(&format!("content-encoding: {name}\ncontent-length: {}", bytes.len()), bytes)
    };
    let of = |n: usize| pdf::document(&format!("sound {n}"), 60_000);
    let rows = [
        raw("hints before", [early.into_bytes(), ok("content-length: 60000", of(0))].concat(), &["ok"]),
        raw("no length", ok("", of(1)), &["ok"]),
        raw(
            "trailers",
            ok(
                "transfer-encoding: chunked",
                [chunk(&of(2)), b"0\r\nx-a: 1\r\nlocation: /x\r\n\r\n".to_vec()].concat(),
            ),
            &["ok"],
        ),
        raw("packed unasked", packed("gzip", &gzip(&of(3))), &["ok"]),
        raw(
            "packed in two members",
            packed("gzip", &[gzip(&of(4)[..999]), gzip(&of(4)[999..])].concat()),
            &["ok"],
        ),
        raw("deflated unasked", packed("deflate", &zlib(&of(5))), &["ok"]),
        raw("a packing that is none", packed("utf-8", &of(6)), &["ok"]),
        raw("the same length twice", ok("content-length: 60000\ncontent-length: 60000", of(7)), &["ok"]),
    ];
    let (bench, _web) = bench(&runtime, &rows, "");
    let urls: Vec<String> =
        rows.iter().enumerate().map(|(n, row)| format!("https://{}/file.pdf", host(n, row))).collect();
    let list = bench.file("list", &urls.join("\n"));
    bench.run(&["get", "--input", &list]);
    for (job, row) in json_lines(&bench, &["queue", "list"]).iter().zip(&rows) {
        assert_eq!(end(job), ("done", "ok"), "{}: {job}", row.name);
    }
    assert_eq!(files_in(&bench, "files").len(), rows.len());
}
