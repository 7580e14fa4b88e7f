//! Downloads from nginx on loopback, side by side with wget2, curl and aria2, which are run when they are installed.
//! It never installs anything, and never judges.

use super::disk;
use super::figure::Figures;
use super::gleaner::Gleaner;
use super::place::Place;
use crate::stage::say;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long nginx may take to answer at first.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a peer is started, in the directory with `urls.txt` and `curl.cfg`; its files go to `out`.
const PEERS: [(&str, &str, &[&str]); 3] = [
    ("wget2", "wget2", &["-q", "--max-threads=16", "--robots=off", "-P", "out", "-i", "urls.txt"]),
    ("curl", "curl", &["-s", "--parallel", "--parallel-max", "16", "-K", "curl.cfg"]),
    ("aria2", "aria2c", &["-q", "-j16", "-x1", "--file-allocation=none", "-d", "out", "-i", "urls.txt"]),
];

/// `content.vs_wget2`, `content.vs_curl` and `content.vs_aria2`: the time that 2000 files of 256 KiB take, over the
/// peer's. Theirs end in the page cache; Gleaner's are resolved, hashed, checked, durable and recorded. `content.vs_disk`:
/// the same over the time in which the disk takes such files at best. Then `content.second_run`: the same list once more.
pub(super) fn side_by_side(place: &Place) -> Result<()> {
    const SIZE: usize = 256 << 10;
    let Some(web) = Nginx::start(place, 2000, SIZE)? else { return Ok(()) };
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let peers = web.peers(place, &PEERS)?;
        let written = web.dir.join("written");
        let disk = disk::seconds(&written, web.files, SIZE)?;
        place.put_away(&written)?;
        let (gleaner, list) = web.gleaner(place)?;
        let took = gleaner.run(&["get", "--input", &list])?;
        web.expect_all(&gleaner.library.join("files"))?;
        figures.add("content.get_256k", "s", took);
        figures.add("content.vs_disk", "ratio", took / disk);
        figures.add("content.disk_256k", "s", disk);
        for (name, seconds) in peers {
            figures.add(&format!("content.vs_{name}"), "ratio", took / seconds);
            figures.add(&format!("content.{name}_256k"), "s", seconds);
        }
        figures.add("content.second_run", "s", gleaner.run(&["get", "--input", &list])?);
    }
    figures.print()
}

/// `content.small_vs_wget2`: files a second of 20 000 files of 8 KiB, over wget2's.
pub(super) fn small_files(place: &Place) -> Result<()> {
    let Some(web) = Nginx::start(place, 20_000, 8 << 10)? else { return Ok(()) };
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let peers = web.peers(place, &PEERS[..1])?;
        let (gleaner, list) = web.gleaner(place)?;
        let took = gleaner.run(&["get", "--input", &list])?;
        web.expect_all(&gleaner.library.join("files"))?;
        figures.add("content.small_files", "files/s", web.files as f64 / took);
        for (_, seconds) in peers {
            figures.add("content.small_vs_wget2", "ratio", seconds / took);
        }
    }
    figures.print()
}

/// `content.big_file_rss`: the most memory that is resident while a file of 4 GB comes.
pub(super) fn big_file(place: &Place) -> Result<()> {
    let Some(web) = Nginx::start(place, 1, 4_000_000_000)? else { return Ok(()) };
    let mut figures = Figures::default();
    let (gleaner, list) = web.gleaner(place)?;
    let seen = gleaner.watch(&["get", "--input", &list])?;
    web.expect_all(&gleaner.library.join("files"))?;
    figures.add("content.big_file_rss", "MB", seen.peak_mb);
    figures.print()
}

/// nginx with files; it ends with this value.
struct Nginx {
    child: Child,
    dir: PathBuf,
    files: usize,
    configuration: PathBuf,
}

impl Nginx {
    /// Makes so many files of that size and serves them. `None`, and a word about it, without nginx.
    fn start(place: &Place, files: usize, size: usize) -> Result<Option<Self>> {
        if !is_there("nginx") {
            say("no nginx is installed: downloads are not measured side by side");
            return Ok(None);
        }
        let dir = place.fresh("downloads")?;
        // A free port: it is given back just before nginx takes it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        write_files(&dir, files, size, port)?;
        let configuration = configure(place, &dir, port)?;
        // Else the system writes them out while something is measured.
        Command::new("sync").arg("-f").arg(&dir).status().context("cannot run sync")?;
        let nginx = dir.join("nginx.conf");
        let (root, shown) = (dir.join("www"), dir.display());
        let text = format!(
            "daemon off; worker_processes 1; pid {shown}/nginx.pid; error_log {shown}/error.log; user root;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; keepalive_requests 100000;\n\
             server {{ listen 127.0.0.1:{port}; root {}; }} }}\n",
            root.display()
        );
        fs::write(&nginx, text)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&nginx).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot start nginx")?;
        let web = Self { child, dir, files, configuration };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > PATIENCE {
                bail!("nginx does not answer; see {}/error.log", web.dir.display());
            }
            super::watched::pause(Duration::from_millis(10));
        }
        Ok(Some(web))
    }

    /// The seconds that each installed peer takes.
    fn peers(
        &self,
        place: &Place,
        peers: &[(&'static str, &str, &[&str])],
    ) -> Result<Vec<(&'static str, f64)>> {
        let mut seconds = Vec::new();
        for (name, program, arguments) in peers {
            if !is_there(program) {
                say(format_args!("{program} is not installed: nothing to compare with"));
                continue;
            }
            let out = self.dir.join("out");
            fs::create_dir(&out)?;
            let started = Instant::now();
            let mut command = Command::new(program);
            command.args(*arguments).current_dir(&self.dir);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            seconds.push((*name, started.elapsed().as_secs_f64()));
            self.expect_all(&out)?;
            // What is left in the page cache would be written out while the next is measured.
            place.put_away(&out)?;
        }
        Ok(seconds)
    }

    /// Gleaner on a library that is not there yet, and the list of works.
    fn gleaner(&self, place: &Place) -> Result<(Gleaner, String)> {
        let list = self.dir.join("works.jsonl").to_string_lossy().into_owned();
        Ok((place.empty_library(self.configuration.clone())?, list))
    }

    fn expect_all(&self, dir: &Path) -> Result<()> {
        let found = fs::read_dir(dir)?.count();
        if found != self.files {
            bail!("{} has {found} files of {}", dir.display(), self.files);
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM, which its worker is told of; killed, it would leave that behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// PDFs that differ and cannot be compressed away, with all that a parser looks for; lists of them for everybody.
fn write_files(dir: &Path, files: usize, size: usize, port: u16) -> Result<()> {
    fs::create_dir(dir.join("www"))?;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let block: Vec<u8> = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        (noise >> 32) as u8
    })
    .take(256 << 10)
    .collect();
    let (mut urls, mut curl, mut works) = (String::new(), String::new(), String::new());
    for n in 0..files {
        let mut file = BufWriter::new(File::create(dir.join(format!("www/{n}.pdf")))?);
        write_pdf(&mut file, n, size, &block)?;
        file.flush()?;
        let url = format!("http://127.0.0.1:{port}/{n}.pdf");
        writeln!(urls, "{url}")?;
        writeln!(curl, "url=\"{url}\"\noutput=\"out/{n}.pdf\"")?;
        writeln!(works, "{{\"url\":\"http://files.example.org/{n}.pdf\",\"title\":\"Work number {n}\"}}")?;
    }
    for (name, text) in [("urls.txt", urls), ("curl.cfg", curl), ("works.jsonl", works)] {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

/// A PDF of one page and about `size` bytes, most of them the page's content, made of `block` again and again.
fn write_pdf(file: &mut impl std::io::Write, n: usize, size: usize, block: &[u8]) -> Result<()> {
    let length = size.saturating_sub(450);
    let mut head = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (number, object) in [
        "<< /Type /Catalog /Pages 2 0 R >>\nendobj\n".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>\nendobj\n".to_owned(),
        format!("<< /Length {length} >>\nstream\n"),
    ]
    .into_iter()
    .enumerate()
    {
        writeln!(table, "{:010} 00000 n ", head.len())?;
        head.extend(format!("{} 0 obj\n{object}", number + 1).bytes());
    }
    file.write_all(&head)?;
    // The same noise in every file, but for its number.
    let number = format!("{n:016}");
    file.write_all(number.as_bytes())?;
    let mut left = length.saturating_sub(number.len());
    while left > 0 {
        let piece = left.min(block.len());
        file.write_all(&block[..piece])?;
        left -= piece;
    }
    let end = "\nendstream\nendobj\n";
    let start = head.len() + length.max(number.len()) + end.len();
    write!(file, "{end}xref\n0 5\n{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n")?;
    Ok(())
}

/// `direct` and no other resolver; limits out of the way but for 16 at once; a larger `max-size`.
fn configure(place: &Place, dir: &Path, port: u16) -> Result<PathBuf> {
    let mut text = format!(
        "contact = \"bench@example.org\"\n\
         [egress]\nconnect-to = {{ \"*:80\" = \"127.0.0.1:{port}\" }}\n\
         [limits]\ndefault-host = {{ concurrency = 16, rate = \"100000/s\", burst = 100000 }}\n\
         [content]\nmax-size = \"8GiB\"\n\
         [tiers]\nlist = [{{ name = \"direct\", resolvers = [\"direct\"] }}]\n"
    );
    for bundled in fs::read_dir(place.target.join("plugins"))? {
        let name = bundled?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| name != "direct") {
            writeln!(text, "[resolvers.{name}]\nenabled = false")?;
        }
    }
    let path = dir.join("gleaner.toml");
    fs::write(&path, text)?;
    Ok(path)
}

fn is_there(program: &str) -> bool {
    let found = |dir: PathBuf| dir.join(program).is_file();
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_differ_and_every_list_has_them() {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path(), 2, 2000, 7).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let bytes = |n: usize| fs::read(dir.path().join(format!("www/{n}.pdf"))).unwrap();
        assert!(bytes(0) != bytes(1) && (1900..2100).contains(&bytes(0).len()), "{}", bytes(0).len());
        let text = String::from_utf8_lossy(&bytes(0)).into_owned();
        let (_, start) = text.split_once("startxref\n").unwrap();
        let start: usize = start.lines().next().unwrap().parse().unwrap();
        let table = String::from_utf8(bytes(0)[start..].to_vec()).unwrap();
        let mut lines = table.lines().skip(2).take(5).map(|line| line[..10].parse::<usize>().unwrap());
        assert_eq!((&table[..9], lines.next()), ("xref\n0 5\n", Some(0)));
        for (number, at) in (1..).zip(lines) {
            assert!(bytes(0)[at..].starts_with(format!("{number} 0 obj\n").as_bytes()), "{number}");
        }
        assert_eq!(read("urls.txt"), "http://127.0.0.1:7/0.pdf\nhttp://127.0.0.1:7/1.pdf\n");
        assert_eq!((read("curl.cfg").lines().count(), read("works.jsonl").lines().count()), (4, 2));
    }
}
