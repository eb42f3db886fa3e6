//! Items as chat messages.
//!
//! What the assistant thought, said and called, with nothing of others between, is one message. Its calls' outputs come right
//! behind it, in the order of the calls; images and files of outputs in one user message behind all of them, for a tool
//! message is text.

use crate::api::dropped::Dropped;
use crate::api::words::{comma, text_member};
use crate::json::{Kind, Text, Value};
use crate::request::media::Modality;
use crate::request::refusal::Refusal;
use crate::seal::Seal;

use super::content::{LINE_FEED, Parts, open_list, text_part};
use super::items::{Call, Item, Role};
use super::tools::Tools;
use super::{calls, reasoning};

/// The output of a call that was never answered.
const NO_OUTPUT: &[u8] = b"No output: the call was not answered.";

/// The output of a call that has no text.
const ELSEWHERE: &[u8] = b"The output is in the next user message.";

/// Writes messages.
pub(super) struct Messages<'a, 'o> {
    body: &'a [u8],
    tools: &'o Tools,
    seal: Option<&'o Seal>,
    output: &'o mut Vec<u8>,
    parts: Parts<'a, 'o>,
}

impl<'a, 'o> Messages<'a, 'o> {
    pub(super) const fn new(
        body: &'a [u8],
        tools: &'o Tools,
        seal: Option<&'o Seal>,
        output: &'o mut Vec<u8>,
        dropped: &'o mut Dropped,
    ) -> Self {
        Self { body, tools, seal, output, parts: Parts { body, dropped, media: Vec::new() } }
    }

    /// The first system message, unless it says nothing.
    pub(super) fn instructions(&mut self, instructions: Option<Value>) {
        if let Some(text) = instructions.and_then(|value| value.as_text(self.body))
            && !text.is_empty()
        {
            self.text_message("system", text);
        }
    }

    /// An `input` that is a string.
    pub(super) fn user_text(&mut self, input: Value) {
        if let Some(text) = input.as_text(self.body) {
            self.text_message("user", text);
        }
    }

    fn text_message(&mut self, role: &str, text: Text<'_>) {
        self.open(role);
        text_member("content", text.raw(), self.output);
        self.output.push(b'}');
    }

    /// What was written that is not text, and the offset of the first of each kind.
    pub(super) fn into_media(self) -> Vec<(Modality, usize)> {
        self.parts.media
    }

    /// All items of `input`.
    pub(super) fn items(&mut self, items: &[Item]) -> Result<(), Refusal> {
        let mut turn_start = 0;
        for (at, item) in items.iter().enumerate() {
            match *item {
                Item::Message { role: Role::Assistant, .. } | Item::Call(_) | Item::Reasoning { .. } => {}
                Item::Output { answers: false, kind, .. } => {
                    self.parts.dropped.add("input", kind.as_str().as_bytes());
                }
                Item::Output { .. } => {
                    self.turn(items, turn_start, at)?;
                    turn_start = at + 1;
                }
                Item::Message { role, content } => {
                    self.turn(items, turn_start, at)?;
                    turn_start = at + 1;
                    self.message(role, content)?;
                }
            }
        }
        self.turn(items, turn_start, items.len())
    }

    /// A message of anybody but the assistant.
    fn message(&mut self, role: Role, content: Value) -> Result<(), Refusal> {
        let start = self.output.len();
        self.open(role.as_str());
        self.output.extend_from_slice(b",\"content\":");
        if self.parts.content(content, self.output)? {
            self.output.push(b'}');
        } else {
            self.output.truncate(start);
        }
        Ok(())
    }

    /// What the assistant did in these items, and the outputs of its calls.
    fn turn(&mut self, items: &[Item], start: usize, end: usize) -> Result<(), Refusal> {
        let turn = &items[start..end];
        if turn.is_empty() {
            return Ok(());
        }
        let calls =
            || turn.iter().filter_map(|item| if let Item::Call(call) = item { Some(call) } else { None });
        let message_start = self.output.len();
        self.open("assistant");
        let has_text = self.said(turn)?;
        if !has_text && calls().next().is_none() {
            self.output.truncate(message_start);
            // Thoughts that led to nothing: a message must say something.
            if turn.iter().any(|item| matches!(item, Item::Reasoning { .. })) {
                self.parts.dropped.add("input", b"reasoning");
            }
            return Ok(());
        }
        self.thought(turn)?;
        if calls().next().is_some() {
            open_list("tool_calls", self.output);
            for call in calls() {
                calls::write(self.body, call, self.tools, self.output);
            }
            self.output.push(b']');
        }
        self.output.push(b'}');

        let mut media = false;
        for call in calls() {
            media |= self.tool_message(call, items)?;
        }
        if media {
            self.media(calls(), items)?;
        }
        Ok(())
    }

    /// The content of an assistant's message; whether there is any.
    fn said(&mut self, turn: &[Item]) -> Result<bool, Refusal> {
        self.output.extend_from_slice(b",\"content\":\"");
        let start = self.output.len();
        let mut follows_a_message = false;
        for item in turn {
            let content = match *item {
                Item::Message { content, .. } => content,
                // It has no call, and is as if it were not there.
                Item::Output { .. } => continue,
                Item::Call(_) | Item::Reasoning { .. } => {
                    // Of an answer that thought between its sentences: they were one text.
                    follows_a_message = false;
                    continue;
                }
            };
            let before = self.output.len();
            if follows_a_message {
                self.output.extend_from_slice(LINE_FEED);
            }
            let text_start = self.output.len();
            self.parts.text(content, b"", false, self.output)?;
            if self.output.len() == text_start {
                self.output.truncate(before);
            } else {
                follows_a_message = true;
            }
        }
        let has_text = self.output.len() > start;
        if has_text {
            self.output.push(b'"');
        } else {
            self.output.truncate(start - 1);
            self.output.extend_from_slice(b"null");
        }
        Ok(has_text)
    }

    /// The reasoning of an assistant's message.
    fn thought(&mut self, turn: &[Item]) -> Result<(), Refusal> {
        let member_start = self.output.len();
        self.output.extend_from_slice(b",\"reasoning_content\":\"");
        let start = self.output.len();
        for item in turn {
            if matches!(item, Item::Reasoning { .. }) {
                let before = self.output.len();
                if before > start {
                    self.output.extend_from_slice(LINE_FEED);
                }
                if !reasoning::write(item, self.seal, &mut self.parts, self.output)? {
                    self.output.truncate(before);
                    self.parts.dropped.add("input", b"reasoning");
                }
            }
        }
        if self.output.len() > start {
            self.output.push(b'"');
        } else {
            self.output.truncate(member_start);
        }
        Ok(())
    }

    /// What a call got; whether there is more than text.
    fn tool_message(&mut self, call: &Call, items: &[Item]) -> Result<bool, Refusal> {
        self.open("tool");
        text_member("tool_call_id", raw(call.id, self.body), self.output);
        self.output.extend_from_slice(b",\"content\":\"");
        let start = self.output.len();
        let mut media = false;
        if call.output.is_none() {
            self.output.extend_from_slice(NO_OUTPUT);
        }
        if let Some(content) = output_of(call, items) {
            media = self.parts.text(content, LINE_FEED, true, self.output)?;
            if media && self.output.len() == start {
                self.output.extend_from_slice(ELSEWHERE);
            }
        }
        self.output.extend_from_slice(b"\"}");
        Ok(media)
    }

    /// The images and files of outputs, each behind a line that says whose they are.
    fn media<'i>(&mut self, calls: impl Iterator<Item = &'i Call>, items: &[Item]) -> Result<(), Refusal> {
        self.open("user");
        open_list("content", self.output);
        for call in calls {
            let Some(content) = output_of(call, items) else { continue };
            if content.kind != Kind::Array {
                continue;
            }
            let before = self.output.len();
            let mut label = b"Output of the call ".to_vec();
            label.extend_from_slice(raw(call.id, self.body));
            label.push(b':');
            text_part(&label, self.output);
            let labelled = self.output.len();
            self.parts.parts(content, false, self.output)?;
            if self.output.len() == labelled {
                self.output.truncate(before);
            }
        }
        self.output.extend_from_slice(b"]}");
        Ok(())
    }

    fn open(&mut self, role: &str) {
        comma(self.output);
        self.output.push(b'{');
        text_member("role", role.as_bytes(), self.output);
    }
}

/// A string between its quotes.
fn raw(string: Value, body: &[u8]) -> &[u8] {
    string.as_text(body).map_or(b"", Text::raw)
}

/// What the output of a call says, if anything.
fn output_of(call: &Call, items: &[Item]) -> Option<Value> {
    match items.get(call.output?) {
        Some(Item::Output { output, .. }) => *output,
        _ => None,
    }
}
