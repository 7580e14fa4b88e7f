//! What every page has: head, navigation, the place where changes are told.
//!
//! Must never need the script: it only keeps what is there current.

use maud::{DOCTYPE, Markup, html};

use crate::site::Site;

/// Which page it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Jobs,
    Keys,
    Plugins,
    Settings,
    /// None of those.
    None,
    /// Shown to one who may not ask.
    Stranger,
}

const PAGES: [(Page, &str, &str); 5] = [
    (Page::Overview, "/", "Overview"),
    (Page::Jobs, "/jobs", "Jobs"),
    (Page::Keys, "/keys", "Keys"),
    (Page::Plugins, "/plugins", "Plugins"),
    (Page::Settings, "/settings", "Settings"),
];

/// A whole page.
pub(super) fn page(site: &Site, place: Page, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Gleaner" }
                link rel="stylesheet" href="/static/gleaner.css";
                link rel="icon" type="image/svg+xml" href="/static/icon.svg";
                @if place != Page::Stranger { script src="/static/gleaner.js" defer {} }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    p.name { a href="/" { "Gleaner" } }
                    @if place != Page::Stranger {
                        nav aria-label="Pages" {
                            ul {
                                @for (page, path, name) in PAGES {
                                    li {
                                        a href=(path) aria-current=[(page == place).then_some("page")] { (name) }
                                    }
                                }
                            }
                        }
                    }
                }
                main id="main" tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                @if place != Page::Stranger {
                    footer {
                        p { (site.library.dir().display()) " · gleaner " (env!("CARGO_PKG_VERSION")) }
                        p #live role="status" aria-live="polite" { "Reload the page to see what has changed." }
                    }
                }
            }
        }
    }
}
