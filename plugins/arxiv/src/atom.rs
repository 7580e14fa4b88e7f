//! Reads what is needed of arXiv's Atom feeds. Elements go by local name and place, because prefixes are the
//! writer's choice. Must never take half a feed for a whole one.

use quick_xml::errors::IllFormedError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion, escape::unescape};

/// One entry of a feed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// `http://arxiv.org/abs/2104.12255v1`; empty if there is none.
    pub(crate) id: String,
    /// The link to the PDF.
    pub(crate) pdf: Option<String>,
    /// The DOI of the published version, as its author wrote it.
    pub(crate) doi: Option<String>,
}

impl Entry {
    /// arXiv reports an error as an entry.
    pub(crate) fn is_error(&self) -> bool {
        self.id.contains("/api/errors#")
    }
}

/// The entries of a feed. Fails on anything that is not a whole one.
pub(crate) fn entries(xml: &str) -> Result<Vec<Entry>, Error> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut feed = None;
    loop {
        match reader.read_event()? {
            Event::Start(element) if is(&element, "feed") => feed = Some(read_feed(&mut reader)?),
            Event::Start(element) => skip(&mut reader, &element)?,
            Event::Eof => return feed.ok_or_else(|| missing_end("feed")),
            _ => {}
        }
    }
}

fn read_feed(reader: &mut Reader<&[u8]>) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(element) if is(&element, "entry") => entries.push(read_entry(reader)?),
            Event::Start(element) => skip(reader, &element)?,
            Event::End(_) => return Ok(entries),
            Event::Eof => return Err(missing_end("feed")),
            _ => {}
        }
    }
}

fn read_entry(reader: &mut Reader<&[u8]>) -> Result<Entry, Error> {
    let mut entry = Entry::default();
    loop {
        match reader.read_event()? {
            Event::Start(element) if is(&element, "id") => entry.id = read_text(reader, &element)?,
            Event::Start(element) if is(&element, "doi") => entry.doi = Some(read_text(reader, &element)?),
            Event::Start(element) => {
                if is(&element, "link") && is_pdf(&element)? {
                    entry.pdf = attribute(&element, "href")?;
                }
                skip(reader, &element)?;
            }
            Event::End(_) => return Ok(entry),
            Event::Eof => return Err(missing_end("entry")),
            _ => {}
        }
    }
}

fn read_text(reader: &mut Reader<&[u8]>, element: &BytesStart) -> Result<String, Error> {
    let text = reader.read_text(element.name())?;
    Ok(unescape(text.xml10_content().trim())?.into_owned())
}

fn skip(reader: &mut Reader<&[u8]>, element: &BytesStart) -> Result<(), Error> {
    reader.read_to_end(element.name())?;
    Ok(())
}

fn is(element: &BytesStart, local_name: &str) -> bool {
    element.local_name().into_inner() == local_name
}

fn is_pdf(link: &BytesStart) -> Result<bool, Error> {
    let (media_type, title) = (attribute(link, "type")?, attribute(link, "title")?);
    Ok(media_type.as_deref() == Some("application/pdf") || title.as_deref() == Some("pdf"))
}

fn attribute(element: &BytesStart, name: &str) -> Result<Option<String>, Error> {
    let Some(attribute) = element.try_get_attribute(name)? else { return Ok(None) };
    Ok(Some(attribute.normalized_value(XmlVersion::Explicit1_0)?.into_owned()))
}

fn missing_end(element: &str) -> Error {
    Error::IllFormed(IllFormedError::MissingEndTag(element.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FEED: &str = r#"<?xml version="1.0"?>
        <a:feed xmlns:a="http://www.w3.org/2005/Atom" xmlns:x="http://arxiv.org/schemas/atom">
          <a:id>https://arxiv.org/api/abc</a:id>
          <a:link href="https://arxiv.org/api/query?a=1&amp;b=2" type="application/atom+xml"/>
          <!-- <entry><id>none</id></entry> -->
          <a:entry>
            <a:author><a:name>A. Person</a:name><a:id>nobody</a:id></a:author>
            <a:id> http://arxiv.org/abs/2104.12255v1 </a:id>
            <a:link rel="alternate" href="https://arxiv.org/abs/2104.12255v1" type="text/html"/>
            <a:link title='pdf' href="https://arxiv.org/pdf/2104.12255v1?a=1&amp;b=2"></a:link>
            <x:doi>10.1002/x(1)1&lt;1::AID-Y&gt;2.0.CO;2-E</x:doi>
          </a:entry>
        </a:feed>"#;

    #[test]
    fn an_entry_is_read_by_name_and_place() {
        let entry = Entry {
            id: "http://arxiv.org/abs/2104.12255v1".to_owned(),
            pdf: Some("https://arxiv.org/pdf/2104.12255v1?a=1&b=2".to_owned()),
            doi: Some("10.1002/x(1)1<1::AID-Y>2.0.CO;2-E".to_owned()),
        };
        assert_eq!(entries(FEED).unwrap(), [entry]);
    }

    #[test]
    fn a_feed_may_be_empty_but_not_missing() {
        assert_eq!(entries("<feed/>").unwrap(), []);
        for other in ["", "Back soon", "<html><body>Back soon</body></html>", "<x><feed></feed></x>"] {
            assert!(entries(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_mutated_feed_is_read_or_refused() {
        gleaner_testing::each_mutation(&[FEED], |xml| {
            for entry in entries(xml).unwrap_or_default() {
                assert!(entry.id.len() <= xml.len());
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(gleaner_testing::CASES))]

        #[test]
        fn a_feed_that_is_cut_short_is_no_feed(length in 0..FEED.len()) {
            prop_assert!(entries(&FEED[..length]).is_err());
        }
    }
}
