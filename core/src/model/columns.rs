//! Columns of feature matrices, each named once.

/// Declares an enum of features: the variants, and their names in specs and column lists.
macro_rules! columns {
    ($(#[$meta:meta])* pub enum $feature:ident { $($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $feature { $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+ }

        impl $feature {
            /// Every feature.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in specs and column lists.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

pub(crate) use columns;
