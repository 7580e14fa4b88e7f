//! Whether an EPUB is whole, a book, and free to be read.
//!
//! Only the archive's directory is read, and two small entries. Must never unpack anything to the disk.

use std::io::{Cursor, Read};

use gleaner_model::reason::{Failure, Reason};
use zip::ZipArchive;

use crate::parse::truncated;

/// What says how to read a book (OCF 3.3, section 4.2.6.3.1).
const CONTAINER: &str = "META-INF/container.xml";
const ENCRYPTION: &str = "META-INF/encryption.xml";
/// Licences of the two usual kinds of copy protection.
const LICENSES: [&str; 2] = ["META-INF/rights.xml", "META-INF/license.lcpl"];
/// Fonts are scrambled by these, which hides nothing of the text.
const FONT_ALGORITHMS: [&str; 2] = ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];
const MAX_ENTRY: u64 = 1 << 20;

/// Checks an archive that begins as an EPUB does.
///
/// # Errors
/// `truncated` when its directory is missing, `not_a_pdf` when it is no book, `encrypted` when it is protected.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Failure> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| truncated(format!("the archive's directory cannot be read: {error}")))?;
    if archive.index_for_name(CONTAINER).is_none() {
        return Err(Failure::permanent(Reason::NotAPdf, format!("an archive without {CONTAINER}")));
    }
    let protected = |by: &str| Err(Failure::permanent(Reason::Encrypted, format!("protected: it has {by}")));
    if let Some(license) = LICENSES.iter().find(|name| archive.index_for_name(name).is_some()) {
        return protected(license);
    }
    let mut text = String::new();
    if let Ok(entry) = archive.by_name(ENCRYPTION)
        && entry.take(MAX_ENTRY).read_to_string(&mut text).is_ok()
    {
        let mut algorithms =
            text.split("Algorithm=").skip(1).map(|rest| rest.trim_start_matches(['"', '\'']));
        let is_font = |named: &str| FONT_ALGORITHMS.iter().any(|font| named.starts_with(font));
        if !algorithms.all(is_font) {
            return protected(ENCRYPTION);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::sniff::{Sniffed, sniff};

    /// A book with these entries behind its type.
    pub(crate) fn book(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file("mimetype", stored).unwrap();
        archive.write_all(b"application/epub+zip").unwrap();
        for (name, text) in entries {
            archive.start_file(*name, stored).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn a_book_is_whole_and_free() {
        let container = (CONTAINER, "<container/>");
        let encrypted = |algorithm: &str| format!("<EncryptionMethod Algorithm=\"{algorithm}\"/>");
        let fonts = encrypted(FONT_ALGORITHMS[0]);
        let text = encrypted("http://www.w3.org/2001/04/xmlenc#aes128-cbc");
        let free = book(&[container, ("text.xhtml", "words")]);
        assert_eq!(sniff(&free), Sniffed::Epub);
        assert_eq!(check(&free), Ok(()));
        assert_eq!(check(&book(&[container, (ENCRYPTION, &fonts)])), Ok(()));
        for (what, bytes, reason) in [
            ("cut", free[..free.len() - 40].to_vec(), Reason::Truncated),
            ("no book", book(&[("text.xhtml", "words")]), Reason::NotAPdf),
            ("protected text", book(&[container, (ENCRYPTION, &text)]), Reason::Encrypted),
            ("a license", book(&[container, (LICENSES[0], "")]), Reason::Encrypted),
        ] {
            assert_eq!(check(&bytes).unwrap_err().reason, reason, "{what}");
        }
    }
}
