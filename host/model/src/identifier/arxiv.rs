//! arXiv identifiers: `YYMM.NNNN`, `YYMM.NNNNN` since 2015, `archive/YYMMNNN` before April 2007.
//!
//! Must never drop a version that was given: `v1` and `v2` may be different texts.

/// The normal form: no prefix, no `.pdf`, the archive as it is spelt, the version kept.
pub(super) fn normalise(text: &str) -> Result<String, &'static str> {
    let text = text.split_once('#').map_or(text, |(head, _)| head);
    let text = text.split_once('?').map_or(text, |(head, _)| head);
    let text = strip_class(text.trim());
    let text = strip_prefix(text);
    let text = text.strip_suffix(".pdf").unwrap_or(text).trim_end_matches('/');
    if is_arxiv_id(text) {
        Ok(text.to_owned())
    } else {
        Err("an arXiv id looks like 1706.03762, 1706.03762v2 or hep-th/9711200")
    }
}

/// Whether the text is exactly an arXiv id.
pub(super) fn is_arxiv_id(text: &str) -> bool {
    let (base, version) = match text.rsplit_once('v') {
        Some((base, version)) if version.bytes().all(|b| b.is_ascii_digit()) => (base, Some(version)),
        _ => (text, None),
    };
    let version_fits = version.is_none_or(|v| (1..=3).contains(&v.len()) && !v.starts_with('0'));
    version_fits && (is_new(base) || is_old(base))
}

fn is_new(base: &str) -> bool {
    let Some((yymm, number)) = base.split_once('.') else { return false };
    let Some(yymm) = year_and_month(yymm) else { return false };
    let length = if yymm >= 1501 { 5 } else { 4 };
    yymm >= 704 && number.len() == length && number.bytes().all(|b| b.is_ascii_digit())
}

fn is_old(base: &str) -> bool {
    let Some((archive, number)) = base.split_once('/') else { return false };
    let (archive, class) = match archive.split_once('.') {
        Some((archive, class)) => (archive, Some(class)),
        None => (archive, None),
    };
    let archive_fits = !archive.is_empty() && archive.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let class_fits = class.is_none_or(|c| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase()));
    let number_fits = number.len() == 7
        && number.bytes().all(|b| b.is_ascii_digit())
        && year_and_month(&number[..4]).is_some();
    archive_fits && class_fits && number_fits
}

fn year_and_month(yymm: &str) -> Option<u16> {
    let fits = yymm.len() == 4 && yymm.bytes().all(|b| b.is_ascii_digit());
    let number: u16 = if fits { yymm.parse().ok()? } else { return None };
    (1..=12).contains(&(number % 100)).then_some(number)
}

/// `0706.0001v1 [q-bio.CB]` is how arXiv prints its stamp.
fn strip_class(text: &str) -> &str {
    match text.split_once(char::is_whitespace) {
        Some((id, class)) if class.trim_start().starts_with('[') && class.trim_end().ends_with(']') => id,
        _ => text,
    }
}

fn strip_prefix(text: &str) -> &str {
    if let Some((_, path)) = text.split_once("arxiv.org/") {
        return path.split_once('/').map_or(path, |(_kind, id)| id);
    }
    match text.get(..6) {
        Some(prefix) if prefix.eq_ignore_ascii_case("arxiv:") => text[6..].trim_start(),
        _ => text,
    }
}
