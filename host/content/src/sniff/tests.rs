//! Tests of sniffing: tables of bytes, and the recorded landing pages when they are at hand.

use super::*;

#[test]
fn bytes_tell_what_they_are() {
    let late = [&[b' '; 1000][..], b"%PDF-1.4"].concat();
    let too_late = [&[b' '; 1024][..], b"%PDF-1.4"].concat();
    let table: [(&[u8], &str); 21] = [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xef\xbb\xbf\r\n %PDF-1.7\n", "application/pdf"),
        (b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n", "application/pdf"),
        (&late, "application/pdf"),
        (&too_late, "text/plain"),
        (b"<!DOCTYPE html><p>%PDF-1.4</p>", "text/html"),
        (b"\xef\xbb\xbf\n<HTML lang=en>", "text/html"),
        (b"<!-- cached -->\n<html>", "text/html"),
        (b"<?xml version=\"1.0\"?><!DOCTYPE html PUBLIC \"x\">", "text/html"),
        (b"Error: <html><body>gone", "text/html"),
        (b"<?xml version=\"1.0\"?><article>", "application/xml"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "application/xml"),
        (
            b"<?xml version=\"1.0\"?><article article-type=\"research-article\"><front>",
            "application/jats+xml",
        ),
        (
            b"<!DOCTYPE article PUBLIC \"-//NLM//DTD Journal Publishing DTD v2.3//EN\" \"x\"><article>",
            "application/jats+xml",
        ),
        (
            b"PK\x03\x0423456789012345678901234567890123456789mimetypeapplication/epub+zipPK",
            "application/zip",
        ),
        (b"{\"error\": \"not found\"}", "application/json"),
        (b"\x1f\x8b\x08", "application/gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"%!PS-Adobe-3.0", "application/postscript"),
        (b"Not found", "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
    ];
    for (bytes, media_type) in table {
        assert_eq!(sniff(bytes).media_type(), media_type, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn pages_tell_what_they_want() {
    let article = format!("<html><title>An article</title><body>{}", "word ".repeat(500));
    let with = |rest: &str| format!("{article}{rest}");
    for (html, wants) in [
        ("<title>Just a moment...</title>".to_owned(), Page::Challenge("cloudflare")),
        ("<title>Attention Required! | Cloudflare</title>".into(), Page::Challenge("cloudflare")),
        ("<title>x</title><script>window._cf_chl_opt={}</script>".into(), Page::Challenge("cloudflare")),
        ("<p>Checking your browser before accessing a.example</p>".into(), Page::Challenge("browser check")),
        ("<title>Preparing to download ...</title>".into(), Page::Challenge("proof of work")),
        ("<script>const name = 'cloudpmc-viewer-pow'</script>".into(), Page::Challenge("proof of work")),
        ("<noscript>Enable JavaScript and cookies to continue".into(), Page::Challenge("browser check")),
        ("<script>AwsWafIntegration.getToken()</script>".into(), Page::Challenge("aws waf")),
        ("<title>Making sure you&#39;re not a bot!</title>".into(), Page::Challenge("anubis")),
        ("<form><div class=\"h-captcha\"></div></form>".into(), Page::Challenge("captcha")),
        ("<form><div class='g-recaptcha'></div></form>".into(), Page::Challenge("captcha")),
        ("<title>Sign In | Publisher</title>".into(), Page::Login("sign in")),
        ("<title>University - Log in</title>".into(), Page::Login("log in")),
        ("<form><input name=\"SAMLRequest\"></form>".into(), Page::Login("saml")),
        ("<form action=\"/idp/profile/SAML2/POST/SSO\">".into(), Page::Login("shibboleth")),
        ("<form><input type=\"password\"></form>".into(), Page::Login("password")),
        // An article may have a captcha in its comment form, a login box, and links to its login.
        (with("<div class=\"g-recaptcha\">"), Page::Plain),
        (with("<input type=\"password\">"), Page::Plain),
        (with("<a href=\"/Shibboleth.sso/Login\">"), Page::Plain),
        (with("<script src=\"/cdn-cgi/challenge-platform/scripts/jsd/main.js\">"), Page::Plain),
        ("<title>Sign in to your account</title>".into(), Page::Login("sign in")),
        // Titles of articles may begin like those of gates.
        ("<title>Just a moment of inertia</title>".into(), Page::Plain),
        ("<title>Login behaviour of students</title>".into(), Page::Plain),
        ("<title>CAPTCHA design</title>".into(), Page::Plain),
        (String::new(), Page::Plain),
    ] {
        assert_eq!(page(html.as_bytes()), wants, "{html}");
    }
}
