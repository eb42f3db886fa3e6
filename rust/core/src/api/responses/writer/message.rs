//! A `message` item: its parts, one after the other, each either text or a refusal.

use super::draft::{Draft, ItemStatus};
use super::events::{Events, write_number};

/// What a part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    Text,
    Refusal,
}

impl PartKind {
    /// The part up to its text.
    const fn opening(self) -> &'static [u8] {
        match self {
            Self::Text => b"{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"",
            Self::Refusal => b"{\"type\":\"refusal\",\"refusal\":\"",
        }
    }

    const fn delta_event(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
        }
    }

    /// What a delta event has behind its text.
    const fn delta_tail(self) -> &'static [u8] {
        match self {
            Self::Text => b"\",\"logprobs\":[]",
            Self::Refusal => b"\"",
        }
    }

    /// The event at a part's end, and what it calls the text.
    const fn done_event(self) -> (&'static str, &'static [u8]) {
        match self {
            Self::Text => ("response.output_text.done", b",\"logprobs\":[],\"text\":\""),
            Self::Refusal => ("response.refusal.done", b",\"refusal\":\""),
        }
    }
}

/// A message that is being written.
#[derive(Debug)]
pub(super) struct Message {
    draft: Draft,
    part: PartKind,
    /// Where the part begins in the item.
    part_start: usize,
    /// `,"content_index":0`
    part_place: Vec<u8>,
    parts: u64,
}

impl Message {
    pub(super) fn open(mut draft: Draft, part: PartKind, events: &mut Events, output: &mut Vec<u8>) -> Self {
        draft.write(&[b",\"role\":\"assistant\",\"content\":["]);
        draft.added(b"],\"status\":\"in_progress\"}", events, output);
        let mut message = Self { draft, part, part_start: 0, part_place: Vec::new(), parts: 0 };
        message.open_part(part, events, output);
        message
    }

    pub(super) const fn draft(&self) -> &Draft {
        &self.draft
    }

    #[inline]
    pub(super) fn grow(&mut self, part: PartKind, text: &[u8], events: &mut Events, output: &mut Vec<u8>) {
        if part != self.part {
            self.close_part(events, output);
            self.open_part(part, events, output);
        }
        self.draft.grow(text, part.delta_tail(), events, output);
    }

    pub(super) fn close(mut self, status: ItemStatus, events: &mut Events, output: &mut Vec<u8>) -> Vec<u8> {
        self.close_part(events, output);
        self.draft.write(&[b"]", status.ending()]);
        self.draft.done(events, output)
    }

    fn open_part(&mut self, part: PartKind, events: &mut Events, output: &mut Vec<u8>) {
        self.part = part;
        self.part_place = b",\"content_index\":".to_vec();
        write_number(self.parts, &mut self.part_place);
        if self.parts > 0 {
            self.draft.write(&[b","]);
        }
        self.parts += 1;
        self.part_start = self.draft.json.len();
        self.draft.write(&[part.opening()]);
        let pieces = [&self.draft.place, &self.part_place, &b",\"part\":"[..], part.opening(), b"\"}"];
        events.write("response.content_part.added", &pieces, output);
        self.draft.open_text(part.delta_event(), &self.part_place);
    }

    fn close_part(&mut self, events: &mut Events, output: &mut Vec<u8>) {
        let Self { draft, part, part_start, part_place, .. } = self;
        let (event, text) = part.done_event();
        events.write(event, &[&draft.place, part_place, text, draft.text(), b"\""], output);
        draft.write(&[b"\"}"]);
        let pieces = [&draft.place, &*part_place, &b",\"part\":"[..], &draft.json[*part_start..]];
        events.write("response.content_part.done", &pieces, output);
    }
}
