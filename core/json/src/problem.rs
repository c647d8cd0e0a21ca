//! Errors of the APIs (RFC 9457, `application/problem+json`), the same at the edge and in the warehouse.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tradewind_core::{ErrorKind, message::Fault};

/// Path of the page that explains the kinds of problem.
pub const PROBLEMS: &str = "/problems";

/// Error document.
///
/// ```
/// use tradewind_json::{Problem, ProblemKind};
/// let problem = Problem::new(ProblemKind::NotFound, "unknown order `web-17`");
/// assert_eq!(
///     serde_json::to_string(&problem)?,
///     r#"{"type":"/problems#not-found","title":"Not found","status":404,"detail":"unknown order `web-17`"}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(description = "Error document (RFC 9457)."))]
pub struct Problem {
    /// Kind of problem: a URI reference whose fragment is one of the names on the page `/problems`. Clients match on
    /// it, and treat an unknown one like its status.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(format = "uri-reference", examples("/problems#not-found")))]
    pub kind: String,
    /// Kind of problem in words.
    pub title: String,
    /// Status of the response.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599))]
    pub status: u16,
    /// Fault, input and fix.
    pub detail: String,
    /// Code of the module's fault, if the module refused the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub fault: Option<u16>,
    /// Further members, such as differing fields.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub members: Map<String, Value>,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $status:literal, $title:literal,)+) => {
        /// Kinds of problem: one for each thing that a client can handle differently. Adding one is not a breaking
        /// change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ProblemKind { $($(#[doc = $doc])+ $kind,)+ }

        impl ProblemKind {
            /// Every kind, by status.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Name: the fragment of the document's `type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// Status of the response.
            pub const fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)+ }
            }

            /// Kind in words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }

            /// Cause, and what a client should do.
            pub fn about(self) -> &'static str {
                match self { $(Self::$kind => concat!($($doc),+).trim_ascii_start(),)+ }
            }
        }
    };
}

kinds! {
    /// The URL, a header, the form or the JSON cannot be read. Fix its syntax.
    MalformedRequest = "malformed-request", 400, "Malformed request",
    /// The access key is missing, unknown or expired. Send a valid one.
    Unauthenticated = "unauthenticated", 401, "Missing, unknown or expired access key",
    /// The access key's role, nodes or shop do not allow this. Use another key.
    Forbidden = "forbidden", 403, "Forbidden",
    /// The shopper has not consented to a profile, or the shop stores none. Send no events until that changes.
    ProfileRefused = "profile-refused", 403, "Profile refused",
    /// The URL, or what it names, does not exist.
    NotFound = "not-found", 404, "Not found",
    /// The URL does not support the method. `Allow` lists those that it does.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed",
    /// The body comes too slowly. Send it again, at once.
    TooSlow = "too-slow", 408, "Too slow",
    /// The current state does not allow this. Read it again, then decide.
    Conflict = "conflict", 409, "Conflict",
    /// Something else has this id. Choose another one, or read what exists.
    IdTaken = "id-taken", 409, "Id taken",
    /// The price is not the quoted one, or its quote has expired: `differs` has the fields. Show the shopper a new price.
    PriceRefused = "price-refused", 409, "Price refused",
    /// The body is too long. Send it in parts.
    TooLarge = "too-large", 413, "Body too large",
    /// The body has another media type than the URL accepts.
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported media type",
    /// The request can be read, but a value is invalid: `detail` names it, and the valid values. Fix it.
    InvalidRequest = "invalid-request", 422, "Invalid request",
    /// The `Idempotency-Key` was sent with another body before. Use a new key for each request.
    KeyReused = "key-reused", 422, "Idempotency key reused",
    /// The file is not signed by a trusted key, or failed its test. The current release stays active.
    FileRejected = "file-rejected", 422, "File rejected",
    /// An error of the service, which its log explains.
    Internal = "internal", 500, "Internal error",
    /// The service is temporarily overloaded, or cannot reach its database. Send the same request again after
    /// `Retry-After`.
    Unavailable = "unavailable", 503, "Service unavailable",
    /// There is no snapshot that is valid now, so nothing is decided until there is one.
    NoSnapshot = "no-snapshot", 503, "No valid snapshot",
}

impl Problem {
    /// Creates a problem from its kind, and the fault, input and fix.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind: kind.uri(),
            title: kind.title().into(),
            status: kind.status(),
            detail: detail.into(),
            fault: None,
            members: Map::new(),
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }
}

impl ProblemKind {
    /// URI reference of the kind.
    pub fn uri(self) -> String {
        format!("{PROBLEMS}#{}", self.name())
    }

    /// General kind for a status; [`Internal`](Self::Internal) for an unknown one.
    pub fn of_status(status: u16) -> Self {
        Self::ALL.iter().copied().find(|kind| kind.status() == status).unwrap_or(Self::Internal)
    }
}

impl From<ErrorKind> for ProblemKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::BadRequest | ErrorKind::TooLarge | ErrorKind::Malformed => Self::InvalidRequest,
            ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired => Self::NoSnapshot,
            // To send it again is useless: only another name, or another pack, helps.
            ErrorKind::UnknownPack => Self::NotFound,
            _ => Self::Internal,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let kind = fault.kind().map_or(ProblemKind::Internal, ProblemKind::from);
        Self { fault: Some(fault.code), ..Self::new(kind, fault.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_order_of_status_and_have_different_names() {
        assert!(ProblemKind::ALL.is_sorted_by_key(|kind| kind.status()));
        for (n, kind) in ProblemKind::ALL.iter().enumerate() {
            assert!(ProblemKind::ALL.iter().take(n).all(|other| other.name() != kind.name()), "{}", kind.name());
            assert!(kind.about().ends_with('.') && !kind.about().starts_with(' '), "{}", kind.about());
            assert_eq!(ProblemKind::of_status(kind.status()).status(), kind.status());
        }
    }

    #[test]
    fn only_what_a_retry_may_mend_is_unavailable() {
        assert_eq!(ProblemKind::from(ErrorKind::UnknownPack), ProblemKind::NotFound);
        assert_eq!(ProblemKind::from(ErrorKind::SnapshotExpired), ProblemKind::NoSnapshot);
    }

    #[test]
    fn members_are_beside_the_standard_ones() {
        let problem = Problem::new(ProblemKind::Conflict, "x").with("actions", Value::Array(Vec::new()));
        let text = serde_json::to_string(&problem).unwrap();
        assert!(text.ends_with(r#""detail":"x","actions":[]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }
}
