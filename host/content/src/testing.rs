//! What the tests are made of: small real PDFs, bodies that arrive as scripted.
//!
//! Must never be part of a build.

use std::collections::VecDeque;

use bytes::Bytes;
use gleaner_model::reason::{Failure, Reason};

use crate::download::ByteSource;

/// A valid PDF of so many pages and about `padding` bytes more; different texts make different files.
pub(crate) fn pdf(pages: usize, text: &str, padding: usize) -> Vec<u8> {
    let kids: Vec<_> = (0..pages).map(|page| format!("{} 0 R", page + 4)).collect();
    let stream = format!("BT /F1 12 Tf ({text}) Tj ET\n{}", "% padding\n".repeat(padding / 10));
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
    ];
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 3 0 R >>";
    objects.extend(std::iter::repeat_n(page.to_owned(), pages));

    let mut bytes = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = String::from("0000000000 65535 f \n");
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let (start, size) = (bytes.len(), objects.len() + 1);
    let trailer = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    bytes.extend(format!("xref\n0 {size}\n{table}{trailer}").bytes());
    bytes
}

/// The PDF again, encrypted: the owner's password is set, the user's is `user_password`.
pub(crate) fn encrypted(user_password: &str) -> Vec<u8> {
    use lopdf::{Document, EncryptionState, EncryptionVersion, Object, Permissions, StringFormat};
    let mut document = Document::load_mem(&pdf(1, "secret", 2000)).unwrap();
    let id = || Object::String(b"0123456789abcdef".to_vec(), StringFormat::Hexadecimal);
    document.trailer.set("ID", Object::Array(vec![id(), id()]));
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password,
        key_length: 128,
        permissions: Permissions::empty(),
    };
    let state = EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// A body that arrives chunk by chunk and then ends, or breaks.
pub(crate) struct Script {
    chunks: VecDeque<Bytes>,
    breaks: bool,
}

/// The body in chunks of so many bytes.
pub(crate) fn body(bytes: &[u8], chunk: usize) -> Script {
    Script { chunks: bytes.chunks(chunk).map(Bytes::copy_from_slice).collect(), breaks: false }
}

impl Script {
    /// The connection breaks after the last chunk.
    pub(crate) fn then_breaks(mut self) -> Self {
        self.breaks = true;
        self
    }
}

impl ByteSource for Script {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.chunks.pop_front() {
            None if self.breaks => Err(Failure::transient(Reason::Connection, "reset")),
            chunk => Ok(chunk),
        }
    }
}
