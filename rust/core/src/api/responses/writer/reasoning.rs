//! A `reasoning` item: its text as a summary, sealed for the next turn, or both.

use crate::seal::{MAX_SEALED_BYTES, Seal};

use super::draft::Draft;
use super::events::Events;

/// Comes before the text in what is sealed: that it is the text itself.
pub(crate) const SEALED_TEXT: u8 = b't';

const PART_PLACE: &[u8] = b",\"summary_index\":0";
/// The summary's one part up to its text.
const PART_OPENING: &[u8] = b"{\"type\":\"summary_text\",\"text\":\"";

/// Reasoning that is being written.
#[derive(Debug)]
pub(super) struct Reasoning {
    draft: Draft,
    has_summary: bool,
    seal: Option<Seal>,
    /// What is to be sealed, where no summary has the text; none once that is too much.
    hidden: Option<Vec<u8>>,
}

impl Reasoning {
    pub(super) fn open(
        mut draft: Draft,
        has_summary: bool,
        seal: Option<Seal>,
        events: &mut Events,
        output: &mut Vec<u8>,
    ) -> Self {
        draft.write(&[b",\"summary\":["]);
        draft.added(if seal.is_some() { b"],\"encrypted_content\":null}" } else { b"]}" }, events, output);
        if has_summary {
            draft.write(&[PART_OPENING]);
            let pieces = [&draft.place, PART_PLACE, b",\"part\":", PART_OPENING, b"\"}"];
            events.write("response.reasoning_summary_part.added", &pieces, output);
            draft.open_text("response.reasoning_summary_text.delta", PART_PLACE);
        }
        let hidden = (!has_summary).then(|| vec![SEALED_TEXT]);
        Self { draft, has_summary, seal, hidden }
    }

    pub(super) const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Returns how much of the text is kept.
    #[inline]
    pub(super) fn grow(&mut self, text: &[u8], events: &mut Events, output: &mut Vec<u8>) -> usize {
        if self.has_summary {
            self.draft.grow(text, b"\"", events, output);
            return text.len();
        }
        let Some(hidden) = &mut self.hidden else { return 0 };
        if hidden.len() + text.len() > MAX_SEALED_BYTES {
            self.hidden = None;
            return 0;
        }
        hidden.extend_from_slice(text);
        text.len()
    }

    pub(super) fn close(mut self, events: &mut Events, output: &mut Vec<u8>) -> Vec<u8> {
        let sealed = self.sealed();
        let Self { mut draft, has_summary, seal, .. } = self;
        if has_summary {
            let pieces = [&draft.place, PART_PLACE, b",\"text\":\"", draft.text(), b"\""];
            events.write("response.reasoning_summary_text.done", &pieces, output);
            let pieces = [&draft.place, PART_PLACE, b",\"part\":", PART_OPENING, draft.text(), b"\"}"];
            events.write("response.reasoning_summary_part.done", &pieces, output);
            draft.write(&[b"\"}"]);
        }
        draft.write(&[b"]"]);
        match sealed {
            Some(sealed) => draft.write(&[b",\"encrypted_content\":\"", sealed.as_bytes(), b"\""]),
            None if seal.is_some() => draft.write(&[b",\"encrypted_content\":null"]),
            None => {}
        }
        draft.write(&[b"}"]);
        draft.done(events, output)
    }

    fn sealed(&mut self) -> Option<String> {
        let seal = self.seal.as_ref()?;
        if let Some(hidden) = self.hidden.take() {
            return seal.seal(&hidden);
        }
        let text = if self.has_summary { self.draft.text() } else { return None };
        // Not copied for nothing.
        if text.len() < MAX_SEALED_BYTES { seal.seal(&[&[SEALED_TEXT], text].concat()) } else { None }
    }
}
