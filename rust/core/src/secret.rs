//! An upstream's API key, in order to find it in what the upstream says.

use std::fmt;
use std::sync::Arc;

/// Shorter "keys" (placeholders such as `x` for a server without authentication) would blank out innocent text.
const MIN_SECRET_BYTES: usize = 8;
const REDACTED: &str = "[redacted]";

/// A key that no text may show. Without a key, all texts stay as they are.
#[derive(Clone, Default)]
pub struct Secret(Option<Arc<str>>);

impl Secret {
    /// Of a key, where there is one that is long enough to be a secret.
    #[must_use]
    pub fn new(key: Option<&str>) -> Self {
        Self(key.filter(|key| key.len() >= MIN_SECRET_BYTES).map(Arc::from))
    }

    /// The text without the key. It must be decoded (an escape would hide the key) and whole: of a text that was cut
    /// before, the part of a key that is left would not be found.
    #[must_use]
    pub fn blank(&self, text: String) -> String {
        match &self.0 {
            Some(key) if text.contains(&**key) => text.replace(&**key, REDACTED),
            _ => text,
        }
    }
}

/// Says whether there is one, and never which.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Secret(…)" } else { "Secret()" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_comes_back() {
        let key = Secret::new(Some("sk-secret-1"));
        let rows = [
            ("bad key sk-secret-1!", "bad key [redacted]!"),
            ("sk-secret-1sk-secret-1", "[redacted][redacted]"),
            ("sk-secret-2", "sk-secret-2"),
            ("", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(key.blank(text.to_owned()), expected);
        }
        assert_eq!(Secret::new(Some("redacted")).blank("redacted".into()), "[redacted]");
        assert_eq!(Secret::new(Some("x")).blank("xxx".into()), "xxx");
        assert_eq!(Secret::new(None).blank("sk-secret-1".into()), "sk-secret-1");
        assert_eq!(format!("{key:?} {:?}", Secret::default()), "Secret(…) Secret()");
    }
}
