//! The reasoning of an answer while it passes, and what its turn will be known by.

use crate::json::Text;
use crate::turn::key::{FirstCall, MAX_KEPT_ARGUMENT_BYTES, MAX_KEPT_BYTES, Said, Turn};
use crate::turn::text::TextDigest;

/// One answer, as far as it has come. All strings are still escaped.
#[derive(Debug, Default)]
pub(super) struct Kept {
    reasoning: Vec<u8>,
    too_long: bool,
    text: TextDigest,
    call: Option<(FirstCall, Vec<u8>)>,
    /// The arguments were too long to be kept, so the turn can't be known again.
    unknowable: bool,
}

impl Kept {
    /// More reasoning.
    pub(super) fn reason(&mut self, raw: &[u8]) {
        self.too_long |= self.reasoning.len() + raw.len() > MAX_KEPT_BYTES;
        if self.too_long {
            self.reasoning = Vec::new();
        } else {
            self.reasoning.extend_from_slice(raw);
        }
    }

    /// More text.
    pub(super) fn text(&mut self, raw: &[u8]) {
        self.text.piece(raw);
    }

    /// A call begins. Whether it is the first one, whose arguments count.
    pub(super) fn call(&mut self, id: Option<Text<'_>>, name: Option<Text<'_>>) -> bool {
        let is_first = self.call.is_none();
        if is_first {
            let text = |text: Option<Text<'_>>| text.map(|it| it.decode().into_owned()).unwrap_or_default();
            let call = FirstCall { id: text(id), name: text(name), arguments: String::new() };
            self.call = Some((call, Vec::new()));
        }
        is_first
    }

    /// More of the first call's arguments.
    pub(super) fn arguments(&mut self, raw: &[u8]) {
        let Some((call, arguments)) = &mut self.call else { return };
        if call.has_unique_id() {
            return;
        }
        self.unknowable |= arguments.len() + raw.len() > MAX_KEPT_ARGUMENT_BYTES;
        if self.unknowable {
            *arguments = Vec::new();
        } else {
            arguments.extend_from_slice(raw);
        }
    }

    /// Whether something was called.
    pub(super) const fn has_called(&self) -> bool {
        self.call.is_some()
    }

    /// The turn of a complete answer; none where it did not reason, or can't be known again.
    pub(super) fn finish(&mut self) -> Option<Turn> {
        let Self { reasoning, too_long, text, call, unknowable } = std::mem::take(self);
        if unknowable {
            return None;
        }
        let said = match call {
            Some((mut call, arguments)) => {
                call.arguments = Text::new(&arguments).decode().into_owned();
                Said::Call(call)
            }
            None => Said::of_text(text),
        };
        Turn::new(said, reasoning, too_long)
    }
}
