//! Settings: every value of the configuration, and where it came from.
//!
//! Must never show a secret: the desk hides what looks like one.

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::layout::{Page, page};
use super::sent;
use crate::site::Site;

/// `GET /settings`.
pub(super) async fn show(State(site): State<Site>) -> Response {
    let in_force = site.in_force();
    let content = html! {
        p {
            "Read from " @match &in_force.file { Some(file) => code { (file.display()) }, None => "no file" }
            ", hash " code { (in_force.hash) } "."
        }
        table.rows {
            caption.quiet { "Every value and where it came from" }
            thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "Origin" } } }
            tbody {
                @for one in &in_force.settings {
                    tr class=[(one.origin != "default").then_some("own")] {
                        th scope="row" { (one.key) }
                        td data-label="Value" {
                            code { (one.value) }
                            @if let Some(next) = &one.next {
                                br; strong { "From the next start on: " } code { (next) }
                            }
                        }
                        td data-label="Origin" { (one.origin) }
                    }
                }
            }
        }
    };
    sent(page(&site, Page::Settings, "Settings", content))
}
