//! What stands where a copy was promised, and is none: what works in the wild lead to.
//!
//! Must never be a file that counts. A file of another work is no trap of this kind: see `source`.

use super::KIB;

use crate::simweb::{Reply, World};

/// A copy that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// A web page, and it says so.
    Html,
    /// A web page that claims to be a PDF.
    HtmlAsPdf,
    /// A page that wants a login.
    Login,
    /// A page that wants a proof of being a person.
    Challenge,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 410.
    Gone,
    /// 503, always; on a host of its own, whose breaker is nobody else's.
    Unavailable,
    /// The connection breaks in the middle, always.
    Cut,
    /// The last quarter is missing, and nothing says so.
    WithoutTail,
    /// Nothing at all.
    Empty,
    /// A PDF below 1 KiB, such as a cover.
    Tiny,
    /// Two URLs that lead to each other.
    RedirectLoop,
    /// A redirect to a host's front page, as after a move.
    RedirectHome,
}

impl Trap {
    /// In the order in which works meet them.
    pub const ALL: [Self; 14] = [
        Self::Html,
        Self::NotFound,
        Self::Challenge,
        Self::HtmlAsPdf,
        Self::Cut,
        Self::RedirectHome,
        Self::Login,
        Self::Forbidden,
        Self::WithoutTail,
        Self::RedirectLoop,
        Self::Gone,
        Self::Empty,
        Self::Unavailable,
        Self::Tiny,
    ];

    /// Sets it up for a work with that number, on one of so many hosts, and returns its URL. The host has nothing but
    /// traps: one that refuses programs is tried last by a run, and that is not what a trap is to show.
    pub(super) fn set(self, world: &mut World, number: usize) -> String {
        let host = match self {
            Self::Unavailable => format!("down{number}.example.org"),
            _ => format!("trap{}.example.org", number % 20),
        };
        let url = format!("https://{host}/{number}.pdf");
        let there = |part: &str| format!("https://{host}/{number}/{part}");
        let sound = || Reply::pdf(20 * KIB);
        let reply = match self {
            Self::Html => Reply::html("Full text"),
            Self::HtmlAsPdf => Reply::html("Full text").media_type("application/pdf"),
            Self::Login => Reply::login_page(),
            Self::Challenge => Reply::challenge_page(),
            Self::Forbidden => Reply::error(403),
            Self::NotFound => Reply::error(404),
            Self::Gone => Reply::error(410),
            Self::Unavailable => Reply::error(503),
            Self::Cut => sound().cut_after(9000),
            Self::WithoutTail => sound().without_tail(),
            Self::Empty => Reply::empty(),
            Self::Tiny => Reply::tiny_pdf(),
            Self::RedirectLoop => {
                world.set(&there("again"), Reply::redirect(302, &url));
                Reply::redirect(302, &there("again"))
            }
            Self::RedirectHome => {
                world.set(&format!("https://{host}/"), Reply::html("A journal"));
                Reply::redirect(301, "/")
            }
        };
        world.set(&url, reply);
        url
    }
}
