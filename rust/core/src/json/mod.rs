//! A validating JSON scanner that yields spans of the input and never builds a tree.
//!
//! The gateway has to read a few members of a body that may hold megabytes of image, and has to hand everything
//! else on byte for byte. So a value is a [`Span`]; reading it is the caller's choice, and changing it is an
//! [`edit`] applied to the bytes.
//!
//! What is valid is RFC 8259, exactly as `serde_json` reads it (a property test holds the two together), with two
//! deliberate exceptions where less is checked: numbers for their grammar and not for their range (`1e999` is an
//! upstream's business), `\u` escapes for four digits and not for paired surrogates.

mod block;
pub mod edit;
mod error;
pub mod path;
mod scanner;
pub mod text;
mod value;

pub use error::{JsonError, JsonErrorKind};
pub use scanner::{MAX_DEPTH, Scanner, check_utf8};
pub use text::Text;
pub use value::{Key, Kind, Member, Span, Value};

#[cfg(test)]
mod tests;
