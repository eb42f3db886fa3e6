//! An item of the answer while it is written.

use super::events::{Events, delta_head, write_number};

/// Whether an item came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemStatus {
    Completed,
    /// The answer was cut off in it.
    Incomplete,
}

impl ItemStatus {
    /// The item's last member, and its end.
    pub(super) const fn ending(self) -> &'static [u8] {
        match self {
            Self::Completed => b",\"status\":\"completed\"}",
            Self::Incomplete => b",\"status\":\"incomplete\"}",
        }
    }
}

/// An item's JSON as far as it has come. The text of its last string grows with each delta; it is kept nowhere else, for
/// all that is said of it later (its `done` events, the item, the response) are pieces of this.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) json: Vec<u8>,
    /// `"item_id":"msg_…","output_index":0`, for the item's events.
    pub(super) place: Vec<u8>,
    index: usize,
    text_start: usize,
    /// What is before the text in each delta event.
    delta_head: Vec<u8>,
}

impl Draft {
    /// An item that begins with `{"id":ID,"type":TYPE`.
    pub(super) fn new(index: usize, id: &[u8], kind: &str) -> Self {
        let json = [b"{\"id\":\"", id, b"\",\"type\":\"", kind.as_bytes(), b"\""].concat();
        let mut place = [b"\"item_id\":\"", id, b"\",\"output_index\":"].concat();
        write_number(index as u64, &mut place);
        Self { json, place, index, text_start: 0, delta_head: Vec::new() }
    }

    /// What it takes so far.
    pub(super) const fn bytes(&self) -> usize {
        self.json.len() + self.place.len() + self.delta_head.len()
    }

    pub(super) fn write(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.json.extend_from_slice(piece);
        }
    }

    /// From here on the text grows, in events of this name; `place` is what they say besides the item's place.
    pub(super) fn open_text(&mut self, event: &str, place: &[u8]) {
        self.text_start = self.json.len();
        self.delta_head = delta_head(event, &[&self.place, place]);
    }

    /// The text of the last string so far, escaped.
    pub(super) fn text(&self) -> &[u8] {
        &self.json[self.text_start..]
    }

    /// More text; `tail` is what its event has behind it, from the quote on.
    #[inline]
    pub(super) fn grow(&mut self, text: &[u8], tail: &[u8], events: &mut Events, output: &mut Vec<u8>) {
        self.json.extend_from_slice(text);
        events.delta(&self.delta_head, text, tail, output);
    }

    /// The same with the text that `append` appends.
    pub(super) fn grow_with(
        &mut self,
        append: impl FnOnce(&mut Vec<u8>),
        events: &mut Events,
        output: &mut Vec<u8>,
    ) {
        let start = self.json.len();
        append(&mut self.json);
        if self.json.len() > start {
            events.delta(&self.delta_head, &self.json[start..], b"\"", output);
        }
    }

    /// `response.output_item.added`, with the item so far and what is missing of it.
    pub(super) fn added(&self, rest: &[u8], events: &mut Events, output: &mut Vec<u8>) {
        self.item("response.output_item.added", rest, events, output);
    }

    /// `response.output_item.done`, with the whole item, which is handed out.
    pub(super) fn done(self, events: &mut Events, output: &mut Vec<u8>) -> Vec<u8> {
        self.item("response.output_item.done", b"", events, output);
        self.json
    }

    fn item(&self, event: &str, rest: &[u8], events: &mut Events, output: &mut Vec<u8>) {
        events.write_with(event, output, |output| {
            output.extend_from_slice(b"\"output_index\":");
            write_number(self.index as u64, output);
            output.extend_from_slice(b",\"item\":");
            output.extend_from_slice(&self.json);
            output.extend_from_slice(rest);
        });
    }
}
