//! Whether a PDF opens, has pages, and has all of them, as far as a safe parser can tell.
//!
//! Must never refuse a file because the parser does not understand it.

use gleaner_model::reason::{Failure, Reason};
use lopdf::{Document, LoadOptions, Object, ObjectId};

use crate::parse::truncated;
use crate::sniff::contains;

/// What one compressed stream may expand to while a file is looked into.
const MAX_STREAM: usize = 16 << 20;

/// The parameters of a linearised file stand in its first object (ISO 32000-1, annex F.3.3).
const PARAMETERS_WITHIN: usize = 1024;

/// What the parser made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// It has so many pages.
    Pages(u32),
    /// It opens, and has none.
    NoPages,
    /// It asks for a password.
    Password,
    /// The parser does not understand it.
    Unknown,
}

/// Checks a whole file. `pages`: how many the work is known to have.
///
/// # Errors
/// `truncated` when it was linearised for more bytes or has one page of many, `encrypted` when it opens only with a
/// password, `not_a_pdf` when it has no page.
pub(crate) fn check(bytes: &[u8], pages: Option<u32>) -> Result<(), Failure> {
    // Its first part ends like a whole file, so a cut behind it shows only here.
    if let Some(length) = linearised_length(bytes).filter(|length| *length > bytes.len() as u64) {
        let detail = format!("linearised for {length} bytes, and has {}", bytes.len());
        return Err(truncated(detail));
    }
    match (open(bytes), pages) {
        (Opened::Pages(1), Some(pages)) => {
            Err(truncated(format!("one page of {pages}: a preview of the first page")))
        }
        (Opened::NoPages, _) => Err(Failure::permanent(Reason::NotAPdf, "it has no page")),
        (Opened::Password, _) => Err(Failure::permanent(Reason::Encrypted, "it opens only with a password")),
        (Opened::Pages(_) | Opened::Unknown, _) => Ok(()),
    }
}

/// The length that a linearised file says it has, counted from its `%PDF-`.
fn linearised_length(bytes: &[u8]) -> Option<u64> {
    let start = bytes.windows(5).position(|window| window == b"%PDF-")?;
    let head = &bytes[start..bytes.len().min(start + PARAMETERS_WITHIN)];
    let parameters = &head[..head.windows(6).position(|window| window == b"endobj")?];
    if !contains(parameters, b"/Linearized") {
        return None;
    }
    let at = parameters.windows(2).position(|key| key == b"/L")?;
    // `/Linearized` begins with it too.
    let keys = (at..parameters.len() - 1).filter(|at| &parameters[*at..at + 2] == b"/L");
    let value = keys.map(|at| parameters[at + 2..].trim_ascii_start());
    value.filter_map(number).next().map(|length| length.saturating_add(start as u64))
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

fn open(bytes: &[u8]) -> Opened {
    match Document::load_metadata_mem(bytes) {
        Ok(metadata) if metadata.page_count > 0 => Opened::Pages(metadata.page_count),
        // Zero may also mean that the count or the password could not be read: look closer.
        Ok(_) => open_thoroughly(bytes),
        Err(_) => Opened::Unknown,
    }
}

fn open_thoroughly(bytes: &[u8]) -> Opened {
    let options = LoadOptions {
        filter: Some(of_the_page_tree),
        max_decompressed_size: Some(MAX_STREAM),
        ..LoadOptions::default()
    };
    let Ok(document) = Document::load_mem_with_options(bytes, options) else { return Opened::Unknown };
    if document.is_encrypted() {
        return match document.authenticate_password("") {
            Err(
                lopdf::Error::InvalidPassword
                | lopdf::Error::Decryption(lopdf::encryption::DecryptionError::IncorrectPassword),
            ) => Opened::Password,
            _ => Opened::Unknown,
        };
    }
    let has_page_tree = document
        .catalog()
        .and_then(|catalog| catalog.get_deref(b"Pages", &document))
        .and_then(Object::as_dict)
        .and_then(|pages| pages.get_deref(b"Kids", &document))
        .and_then(Object::as_array)
        .is_ok();
    match u32::try_from(document.page_iter().count()) {
        // What a repaired file lacks may have been lost in the repair.
        Ok(0) if has_page_tree && document.xref_recovery.is_none() => Opened::NoPages,
        Ok(0) | Err(_) => Opened::Unknown,
        Ok(pages) => Opened::Pages(pages),
    }
}

/// Keeps what pages are counted by, so that a file cannot unfold in memory.
fn of_the_page_tree(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let keep = match object {
        Object::Stream(_) | Object::String(..) => false,
        Object::Dictionary(dictionary) => !dictionary.has(b"Contents") || dictionary.has_type(b"Page"),
        _ => true,
    };
    keep.then(|| (id, object.clone()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing;

    /// Opens any bytes; that this returns is the test.
    pub(crate) fn opens(bytes: &[u8]) {
        let _ = check(bytes, Some(9));
    }

    /// What is said of files that are refused.
    pub(crate) fn refusals() -> [String; 4] {
        let cut = linearised("/L 99999");
        let files =
            [testing::pdf(0, "text", 100), testing::encrypted("sesame"), testing::pdf(1, "text", 100), cut];
        files.map(|bytes| check(&bytes, Some(23)).unwrap_err().detail)
    }

    /// A file whose first object has the parameters.
    fn linearised(length: &str) -> Vec<u8> {
        let mut pdf = testing::pdf(2, "text", 100);
        let parameters = format!("9 0 obj\n<</Linearized 1/O 3{length}/N 2/H [1 2]>>\nendobj\n");
        pdf.splice(15..15, parameters.bytes());
        pdf
    }

    #[test]
    fn the_parser_tells_what_it_knows() {
        let pages = testing::pdf(3, "text", 100);
        let mut no_pages = testing::pdf(0, "text", 100);
        assert_eq!(open(&pages), Opened::Pages(3));
        assert_eq!(open(&no_pages), Opened::NoPages);
        no_pages.truncate(no_pages.len() / 4);
        for unknown in [no_pages.as_slice(), b"%PDF-1.4 and then nothing of the kind %%EOF", b""] {
            assert_eq!(open(unknown), Opened::Unknown);
        }
    }

    #[test]
    fn a_count_of_zero_is_not_believed() {
        let pdf = String::from_utf8_lossy(&testing::pdf(2, "text", 100)).replace("/Count 2", "/Count 0");
        assert_eq!(open(pdf.as_bytes()), Opened::Pages(2));
    }

    #[test]
    fn only_a_password_to_open_makes_it_encrypted() {
        assert_eq!(open(&testing::encrypted("")), Opened::Pages(1));
        assert_eq!(open(&testing::encrypted("sesame")), Opened::Password);
    }

    #[test]
    fn a_linearised_file_says_how_long_it_is() {
        let length = linearised("/L 1000").len() as u64;
        for (text, said) in [
            (format!("/L {length}"), Some(length)),
            ("/L 99999".into(), Some(99999)),
            ("/L\n7".into(), Some(7)),
            (String::new(), None),
            ("/L (7)".into(), None),
            ("/L 99999999999999999999999".into(), None),
        ] {
            assert_eq!(linearised_length(&linearised(&text)), said, "{text}");
        }
        assert_eq!(linearised_length(&testing::pdf(1, "/L 7", 100)), None);
        let junk = [b"junk".as_slice(), &linearised("/L 99999")].concat();
        assert_eq!(linearised_length(&junk), Some(99999 + 4));
        // What was added behind it makes it longer; what is missing makes it half a file.
        assert_eq!(check(&linearised("/L 99"), None), Ok(()));
        assert_eq!(check(&linearised("/L 99999"), None).unwrap_err().reason, Reason::Truncated);
    }

    /// Each of its 40 streams expands to 32 MiB, which together no machine has to spare for one file.
    #[test]
    fn a_file_does_not_unfold_in_memory() {
        use lopdf::{Dictionary, Stream};
        let mut document = Document::with_version("1.5");
        for _ in 0..40 {
            let kind = Dictionary::from_iter([
                ("Type", Object::from("ObjStm")),
                ("N", 1.into()),
                ("First", 4.into()),
            ]);
            let mut stream = Stream::new(kind, vec![b' '; 32 << 20]);
            stream.dict.set("Type", Object::Name(b"ObjStm".to_vec()));
            stream.compress().unwrap();
            document.add_object(stream);
        }
        let pages = document
            .add_object(Dictionary::from_iter([("Kids", Object::Array(Vec::new())), ("Count", 0.into())]));
        let catalog = document.add_object(Dictionary::from_iter([("Pages", Object::Reference(pages))]));
        document.trailer.set("Root", catalog);
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        assert!(bytes.len() < 4 << 20, "{}", bytes.len());
        assert_ne!(open_thoroughly(&bytes), Opened::Password);
    }
}
