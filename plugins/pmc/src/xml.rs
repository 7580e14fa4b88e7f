//! Reads an XML answer as a list of elements in the order in which they begin. That is enough for two small documents, and
//! also reads those whose inner elements are not all closed. Must never take half a document for a whole one.

use gleaner_sdk::Failure;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion, escape::unescape};

/// One element: its local name, its attributes, and the text right after its start.
#[derive(Debug, PartialEq)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The elements of a document whose root is called so. Another document is most likely a page of something between here
/// and the service, or cut short: code `bad-xml`, asked again.
pub(crate) fn read(root: &str, body: &[u8]) -> Result<Vec<Element>, Failure> {
    let bad =
        |why: String| Failure::retry("bad-xml", format!("PMC answered something that is no <{root}>: {why}"));
    let elements = elements(root, &String::from_utf8_lossy(body)).map_err(|error| bad(error.to_string()))?;
    elements.ok_or_else(|| bad("it begins or ends with something else".to_owned()))
}

fn elements(root: &str, xml: &str) -> Result<Option<Vec<Element>>, Error> {
    let mut reader = Reader::from_str(xml);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_end_names = false;
    let (mut elements, mut last_end) = (Vec::new(), None);
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                last_end = None;
                elements.push(element(&start)?);
            }
            // Between an element's start and the next tag the text is its own.
            Event::Text(text) if last_end.is_none() => append(&mut elements, &text.xml10_content()),
            Event::GeneralRef(name) if last_end.is_none() => {
                append(&mut elements, &unescape(&format!("&{};", name.xml10_content()))?);
            }
            Event::End(end) => last_end = Some(end.local_name().into_inner().to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    let is_whole =
        elements.first().is_some_and(|first| first.name == root) && last_end.as_deref() == Some(root);
    Ok(is_whole.then_some(elements))
}

fn append(elements: &mut [Element], text: &str) {
    if let Some(element) = elements.last_mut() {
        element.text.push_str(text);
    }
}

fn element(start: &BytesStart) -> Result<Element, Error> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0)?.into_owned();
        attributes.push((attribute.key.local_name().into_inner().to_owned(), value));
    }
    Ok(Element { name: start.local_name().into_inner().to_owned(), attributes, text: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LISTING: &str = r#"<?xml version="1.0"?>
        <x:List xmlns:x="urn:x"><Name>a &amp; b</Name><Empty/> between <Item n='1 &lt; 2'>c</Item></x:List>
        "#;

    #[test]
    fn elements_are_listed_with_their_own_text() {
        let read = read("List", LISTING.as_bytes()).unwrap();
        let seen: Vec<_> = read.iter().map(|element| (&*element.name, element.text.trim())).collect();
        assert_eq!(seen, [("List", ""), ("Name", "a & b"), ("Empty", ""), ("Item", "c")]);
        assert_eq!(read[3].attribute("n"), Some("1 < 2"));
        assert_eq!(read[3].attribute("m"), None);
    }

    #[test]
    fn an_unclosed_element_inside_costs_nothing() {
        let read = read("OA", b"<OA><request id='1'><record id='2'/></OA>").unwrap();
        assert_eq!(read.iter().filter(|element| element.attribute("id").is_some()).count(), 2);
    }

    #[test]
    fn another_document_is_none() {
        for other in ["", "Back soon", "<html><OA></OA></html>", "<OA>", "<OA><a></a>", "<OA x></OA>"] {
            let failure = read("OA", other.as_bytes()).unwrap_err();
            assert_eq!(failure.code, "bad-xml", "{other}");
        }
    }

    #[test]
    fn a_mutated_document_is_read_or_refused() {
        gleaner_testing::each_mutation(&[LISTING], |xml| drop(read("List", xml.as_bytes())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(gleaner_testing::CASES))]

        #[test]
        fn a_document_that_is_cut_short_is_none(length in 0..LISTING.trim_end().len()) {
            prop_assert!(read("List", &LISTING.as_bytes()[..length]).is_err());
        }
    }
}
