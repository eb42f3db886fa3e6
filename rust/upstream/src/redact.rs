//! An upstream's API key, kept out of what the upstream says.

use llmgw_core::answer::error::{StreamError, StreamErrorKind};
use llmgw_core::cut;

use crate::error::ExchangeError;

/// Shorter "keys" (placeholders such as `x` for a server without authentication) would blank out innocent text.
const MIN_REDACTED_KEY_BYTES: usize = 8;
const REDACTED: &str = "[redacted]";

/// The upstream's API key, in order to find it in what the upstream says.
#[derive(Clone)]
pub(crate) struct ApiKey(Option<String>);

impl ApiKey {
    pub(crate) fn new(api_key: Option<&str>) -> Self {
        Self(api_key.filter(|key| key.len() >= MIN_REDACTED_KEY_BYTES).map(str::to_owned))
    }

    /// Blank the key out of frames.
    pub(crate) fn redact(&self, frames: &mut Vec<u8>) {
        let Some(key) = &self.0 else { return };
        let mut echoes = memchr::memmem::find_iter(frames, key.as_bytes()).peekable();
        if echoes.peek().is_none() {
            return;
        }
        // Written anew: to make room in place for each of many would take time in proportion to their square.
        let mut redacted = Vec::with_capacity(frames.len() + REDACTED.len());
        let mut from = 0;
        for start in echoes {
            redacted.extend_from_slice(&frames[from..start]);
            redacted.extend_from_slice(REDACTED.as_bytes());
            from = start + key.len();
        }
        redacted.extend_from_slice(&frames[from..]);
        *frames = redacted;
    }

    fn redacted_text(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |key| text.replace(key.as_str(), REDACTED))
    }

    /// What a stream's or a whole answer's error is to the caller.
    pub(crate) fn redacted(&self, error: &StreamError) -> ExchangeError {
        let message = (error.kind == StreamErrorKind::ErrorEvent).then(|| self.redacted_text(&error.message));
        ExchangeError { kind: error.kind.into(), status: error.status, retry_after_s: None, message }
    }

    /// An upstream's message: without the key, and not too long.
    pub(crate) fn message(&self, text: &str) -> String {
        let mut message = self.redacted_text(text);
        cut(&mut message, StreamError::MAX_MESSAGE_BYTES);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_never_comes_back() {
        let key = ApiKey::new(Some("sk-secret-1"));
        assert_eq!(key.message("bad key sk-secret-1!"), "bad key [redacted]!");
        let mut frames = b"a sk-secret-1 b sk-secret-1".to_vec();
        key.redact(&mut frames);
        assert_eq!(frames, b"a [redacted] b [redacted]");
        let mut frames = b"redacted".to_vec();
        ApiKey::new(Some("redacted")).redact(&mut frames);
        assert_eq!(frames, b"[redacted]");
        let mut frames = b"sk-secret-1".repeat(1_000_000);
        key.redact(&mut frames);
        assert_eq!(frames, b"[redacted]".repeat(1_000_000), "in a moment");
        assert_eq!(ApiKey::new(Some("x")).message("xxx"), "xxx");
        assert_eq!(ApiKey::new(None).message("sk-secret-1"), "sk-secret-1");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = ApiKey::new(None).message(&"é".repeat(3000));
        assert_eq!(message.len(), StreamError::MAX_MESSAGE_BYTES);
        let message = ApiKey::new(None).message(&format!("a{}", "é".repeat(3000)));
        assert_eq!(message.len(), StreamError::MAX_MESSAGE_BYTES - 1);
    }
}
