//! What bytes are, from their beginning.
//!
//! Pure functions. Must never believe a header or a file name: only the bytes count.

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// `%PDF-` within the first KiB.
    Pdf,
    /// A web page, well-formed or not.
    Html,
    /// XML whose root is a JATS article.
    Jats,
    /// XML that is neither.
    Xml,
    /// A ZIP archive that says that it is an EPUB.
    Epub,
    /// Something else, by its media type.
    Other(&'static str),
}

impl Sniffed {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Html => "text/html",
            Self::Jats => "application/jats+xml",
            Self::Xml => "application/xml",
            Self::Epub => "application/epub+zip",
            Self::Other(media_type) => media_type,
        }
    }
}

/// `%PDF-` counts up to here (ISO 32000-1, annex H, implementation note 13).
const MAGIC_WITHIN: usize = 1024;

const EPUB: &[u8] = b"mimetypeapplication/epub+zip";

const MAGIC: [(&[u8], &str); 10] = [
    (b"\x1f\x8b", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"%!PS", "application/postscript"),
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"\xd0\xcf\x11\xe0", "application/msword"),
    (b"{\\rtf", "application/rtf"),
    (b"AT&TFORM", "image/vnd.djvu"),
];

/// What a body that begins like this is. `head` should have [`crate::download::HEAD`] bytes, or all.
pub(crate) fn sniff(head: &[u8]) -> Sniffed {
    let start = after_mark_and_space(head);
    // A page may quote `%PDF-`; a PDF never starts with a tag.
    if start.first() == Some(&b'<') {
        return match start {
            article if is_jats(article) => Sniffed::Jats,
            page if is_page(page) => Sniffed::Html,
            _ => Sniffed::Xml,
        };
    }
    // OCF 3.3, section 4.3: the first entry is `mimetype`, stored as it is, right behind a header of 30 bytes.
    if start.starts_with(b"PK\x03\x04") && start.get(30..).is_some_and(|at| at.starts_with(EPUB)) {
        return Sniffed::Epub;
    }
    if contains(&head[..head.len().min(MAGIC_WITHIN)], b"%PDF-") {
        return Sniffed::Pdf;
    }
    if let Some((_, media_type)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Sniffed::Other(media_type);
    }
    if is_page(start) {
        return Sniffed::Html;
    }
    let is_text = String::from_utf8_lossy(start).chars().all(|c| !c.is_control() || c.is_whitespace());
    match start.first() {
        Some(b'{' | b'[') if is_text => Sniffed::Other("application/json"),
        _ if is_text => Sniffed::Other("text/plain"),
        _ => Sniffed::Other("application/octet-stream"),
    }
}

/// Without a byte order mark and white space before the text.
fn after_mark_and_space(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

fn is_page(start: &[u8]) -> bool {
    const TAGS: [&[u8]; 7] =
        [b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta ", b"<title"];
    let start = start[..start.len().min(MAGIC_WITHIN)].to_ascii_lowercase();
    TAGS.iter().any(|tag| contains(&start, tag))
}

/// An `<article>` with one of the marks that JATS and its NLM forerunners carry: web pages have articles too.
fn is_jats(start: &[u8]) -> bool {
    const MARKS: [&[u8]; 5] = [b"JATS", b"//NLM//DTD", b"article-type=", b"dtd-version=", b"<front"];
    let start = &start[..start.len().min(4 * MAGIC_WITHIN)];
    let lower = start.to_ascii_lowercase();
    let is_web = contains(&lower, b"<html") || contains(&lower, b"<!doctype html");
    !is_web && contains(start, b"<article") && MARKS.iter().any(|mark| contains(start, mark))
}

/// Whether `part` is in `bytes`.
pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What a web page wants from its reader, and what gave it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// Proof of a human or a browser; whose gate it is.
    Challenge(&'static str),
    /// A login; of which kind.
    Login(&'static str),
    /// Nothing: a page to read.
    Plain,
}

/// Found anywhere in a page, these mean a gate. Scripts that gates share with ordinary pages (Cloudflare's
/// beacon, a captcha in a comment form) are not among them.
const CHALLENGES: [(&str, &str); 23] = [
    ("_cf_chl_opt", "cloudflare"),
    ("cf-browser-verification", "cloudflare"),
    ("challenge-error-text", "cloudflare"),
    ("checking your browser", "browser check"),
    ("enable javascript and cookies to continue", "browser check"),
    ("please enable cookies and javascript to continue", "browser check"),
    ("verifying you are human", "browser check"),
    ("verify you are human", "browser check"),
    ("verify that you are not a robot", "browser check"),
    ("making sure you're not a bot", "anubis"),
    ("making sure you&#39;re not a bot", "anubis"),
    ("/.within.website/x/cmd/anubis", "anubis"),
    ("cloudpmc-viewer-pow", "proof of work"),
    ("awswafintegration", "aws waf"),
    ("awswafcookiedomainlist", "aws waf"),
    ("window.gokuprops", "aws waf"),
    ("_incapsula_resource", "imperva"),
    ("captcha-delivery.com", "datadome"),
    ("px-captcha", "perimeterx"),
    ("validate.perfdrive.com", "radware"),
    ("sec-if-cpt-container", "akamai"),
    ("ddos-guard", "ddos-guard"),
    ("our systems have detected unusual traffic", "google"),
];

/// In the title these mean a gate; in the text they could be anything.
const CHALLENGE_TITLES: [(&str, &str); 9] = [
    ("just a moment", "cloudflare"),
    ("attention required", "cloudflare"),
    ("preparing to download", "proof of work"),
    ("human verification", "captcha"),
    ("are you a robot", "captcha"),
    ("captcha", "captcha"),
    ("security check", "captcha"),
    ("bot verification", "captcha"),
    ("ddos protection", "browser check"),
];

/// Captchas that make a gate of a page that has little else.
const CAPTCHAS: [&str; 4] = ["h-captcha", "hcaptcha.com", "g-recaptcha", "cf-turnstile"];

/// A page with more text than this in its first bytes is not a bare gate.
const GATE_WORDS: usize = 120;

const LOGINS: [(&str, &str); 6] = [
    ("name=\"samlrequest\"", "saml"),
    ("name=\"samlresponse\"", "saml"),
    ("/idp/profile/saml2", "shibboleth"),
    ("/shibboleth.sso/login", "shibboleth"),
    ("/idp/authn/", "shibboleth"),
    ("login.openathens.net/auth", "openathens"),
];

const LOGIN_TITLES: [(&str, &str); 8] = [
    ("sign in", "sign in"),
    ("log in", "log in"),
    ("login", "log in"),
    ("logon", "log in"),
    ("anmelden", "log in"),
    ("connexion", "log in"),
    ("iniciar sesi", "log in"),
    ("find your institution", "institution"),
];

/// What the web page that begins like this wants.
pub(crate) fn page(head: &[u8]) -> Page {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let title = title(&text);
    if let Some(gate) = named(&CHALLENGES, &text).or_else(|| titled(&CHALLENGE_TITLES, title)) {
        return Page::Challenge(gate);
    }
    if let Some(kind) = titled(&LOGIN_TITLES, title) {
        return Page::Login(kind);
    }
    let is_bare = words(&text) < GATE_WORDS;
    if is_bare && CAPTCHAS.iter().any(|captcha| text.contains(captcha)) {
        return Page::Challenge("captcha");
    }
    match named(&LOGINS, &text) {
        // Articles link to these; a page that is little else is one.
        Some(kind) if is_bare => Page::Login(kind),
        _ if is_bare && text.contains("type=\"password\"") => Page::Login("password"),
        _ => Page::Plain,
    }
}

fn named(markers: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    markers.iter().find(|(marker, _)| text.contains(marker)).map(|(_, name)| *name)
}

/// As [`named`], for a title one part of which says that and no more, or says to what.
fn titled(markers: &[(&str, &'static str)], title: &str) -> Option<&'static str> {
    let mut parts = title.split(['|', '-', '–', '—', ':', '·']).map(|part| part.trim_matches(is_dressing));
    let says = |part: &str, marker: &str| {
        part.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(" to "))
    };
    parts.find_map(|part| markers.iter().find(|(marker, _)| says(part, marker)).map(|(_, name)| *name))
}

fn is_dressing(c: char) -> bool {
    c.is_whitespace() || matches!(c, '.' | '…' | '!' | '?')
}

fn title(text: &str) -> &str {
    let inside = || {
        let (_, rest) = text.split_once("<title")?;
        let (_, rest) = rest.split_once('>')?;
        Some(rest.split_once("</title").map_or(rest, |(title, _)| title))
    };
    inside().unwrap_or_default()
}

/// Words outside of tags, scripts and styles.
pub(crate) fn words(text: &str) -> usize {
    let mut count = 0;
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        count += before.split_whitespace().count();
        let end = if tag.starts_with("script") {
            "</script"
        } else if tag.starts_with("style") {
            "</style"
        } else {
            ">"
        };
        rest = tag.split_once(end).map_or("", |(_, after)| after);
    }
    count + rest.split_whitespace().count()
}

#[cfg(test)]
mod tests;
