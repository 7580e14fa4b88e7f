//! Makes PDF files that are real: header, objects, cross-reference table, trailer, and as many bytes as asked for.
//!
//! The same seed and size give the same bytes, so a test can tell a file's hash beforehand. Must never read a clock.

use std::fmt::Write;

/// A PDF of `size` bytes whose text names `seed`. A size too small for its pages gives the smallest one (about 700 bytes).
pub fn document(seed: &str, size: usize) -> Vec<u8> {
    let mut random = Random::from_text(seed);
    let pages = 1 + random.next() as usize % if size < 2048 { 1 } else { 9 };
    let bare = Writer::default().write(seed, pages, &[]);
    let filler: Vec<u8> = (0..size.saturating_sub(bare.len())).map(|_| (random.next() >> 32) as u8).collect();
    Writer::default().write(seed, pages, &filler)
}

/// Writes objects and remembers where they start.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

impl Writer {
    /// Objects: 1 catalog, 2 page tree, 3 font, 4 filler, then a page and its text for each page.
    fn write(mut self, seed: &str, pages: usize, filler: &[u8]) -> Vec<u8> {
        self.bytes.extend_from_slice(b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n");
        let kids = (0..pages).fold(String::new(), |mut kids, page| {
            let _ = write!(kids, "{} 0 R ", 5 + 2 * page);
            kids
        });
        self.object("<< /Type /Catalog /Pages 2 0 R >>");
        self.object(&format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.trim_end()));
        self.object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
        self.stream(filler);
        for page in 0..pages {
            self.object(&format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] \
                 /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
                6 + 2 * page
            ));
            let text =
                format!("BT /F1 9 Tf 40 800 Td (Page {} of {pages}: {}) Tj ET", page + 1, escaped(seed));
            self.stream(text.as_bytes());
        }
        self.finish()
    }

    fn start(&mut self) {
        self.offsets.push(self.bytes.len());
        let number = self.offsets.len();
        self.text(&format!("{number} 0 obj\n"));
    }

    fn object(&mut self, text: &str) {
        self.start();
        self.text(text);
        self.text("\nendobj\n");
    }

    fn stream(&mut self, content: &[u8]) {
        self.start();
        // Numbers of fixed width keep the length of everything else independent of the filler's.
        self.text(&format!("<< /Length {:010} >>\nstream\n", content.len()));
        self.bytes.extend_from_slice(content);
        self.text("\nendstream\nendobj\n");
    }

    fn finish(mut self) -> Vec<u8> {
        let table = self.bytes.len();
        let count = self.offsets.len() + 1;
        self.text(&format!("xref\n0 {count}\n0000000000 65535 f \n"));
        for offset in std::mem::take(&mut self.offsets) {
            self.text(&format!("{offset:010} 00000 n \n"));
        }
        self.text(&format!("trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table:010}\n%%EOF\n"));
        self.bytes
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// The seed as the inside of a PDF string: ASCII, brackets and backslashes escaped.
fn escaped(seed: &str) -> String {
    seed.chars()
        .map(|c| match c {
            '(' | ')' | '\\' => format!("\\{c}"),
            ' '..='~' => c.to_string(),
            _ => "?".to_owned(),
        })
        .collect()
}

/// SplitMix64, seeded by FNV-1a: a few lines that give the same numbers on every machine and in every release.
struct Random(u64);

impl Random {
    fn from_text(text: &str) -> Self {
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A size between 24 KiB and 1 MiB that depends on the seed alone: most are small, as papers are.
pub fn size_for(seed: &str) -> usize {
    let mut random = Random::from_text(seed);
    let ceiling = 64 << (random.next() % 5);
    (24 + random.next() as usize % (ceiling - 24)) * 1024 + random.next() as usize % 1024
}
