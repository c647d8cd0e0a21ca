//! Page of the kinds of problem, to which the `type` of an error document leads.

use super::{Reader, page};
use axum::http::HeaderMap;
use maud::{Markup, html};
use tradewind_json::ProblemKind;

pub(super) async fn show(headers: HeaderMap) -> Markup {
    let main = html! {
        h1 { "Problems" }
        p {
            "An error is a document with the media type " code { "application/problem+json" } " (RFC 9457). Its "
            code { "type" } " is one of these kinds; more may be added."
        }
        table {
            thead { tr { th scope="col" { "Kind" } th scope="col" { "Status" } th scope="col" { "Meaning" } } }
            tbody {
                @for kind in ProblemKind::ALL {
                    tr #(kind.name()) {
                        th scope="row" { code { (kind.name()) } }
                        td { (kind.status()) }
                        td { b { (kind.title()) "." } " " (kind.about()) }
                    }
                }
            }
        }
    };
    page("Problems", &Reader::of(&headers), None, &main)
}
