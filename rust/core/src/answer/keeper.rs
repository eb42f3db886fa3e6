//! Gathering the reasoning of turns, and what they are known by, while a stream passes through.

use super::bounds::MAX_CHOICES;
use super::choices::{Choices, Indexed};
use super::chunk::{Chunk, Holder, ToolCall, text_of};
use crate::json::text::Text;
use crate::turn::key::{FirstCall, MAX_KEPT_ARGUMENT_BYTES, MAX_KEPT_BYTES, Said, Turn};
use crate::turn::text::TextDigest;

/// Gathers a stream's turns. Reads what the transformer puts out, so that each quirk is known in one place.
#[derive(Debug)]
pub(crate) struct Keeper {
    chunk: Chunk,
    choices: Choices<Kept>,
    /// How much reasoning is held.
    bytes: usize,
    /// How much of arguments.
    argument_bytes: usize,
    /// What the last frame was, where it was one string: the next one may differ only in that.
    target: Option<Target>,
}

/// A string of a choice.
#[derive(Clone, Copy, Debug)]
enum Target {
    Reasoning(usize),
    Text(usize),
}

/// One choice, as far as it has come.
#[derive(Debug, Default)]
struct Kept {
    index: u64,
    reasoning: Vec<u8>,
    too_long: bool,
    /// The first tool call; its arguments are still escaped.
    call: Option<(FirstCall, Vec<u8>)>,
    text: TextDigest,
    /// The arguments were too long to be kept, so the turn can't be known again.
    unknowable: bool,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            chunk: Chunk::default(),
            choices: Choices::new(MAX_CHOICES),
            bytes: 0,
            argument_bytes: 0,
            target: None,
        }
    }
}

impl Keeper {
    /// One frame's payload.
    pub(crate) fn frame(&mut self, payload: &[u8]) {
        let mut chunk = std::mem::take(&mut self.chunk);
        if chunk.read(payload, Holder::Delta).is_ok() {
            self.chunk(&chunk, payload);
        } else {
            self.target = None;
        }
        chunk.release();
        self.chunk = chunk;
    }

    /// The same, where its payload has been read.
    pub(crate) fn chunk(&mut self, chunk: &Chunk, payload: &[u8]) {
        self.target = None;
        for choice in &chunk.choices {
            let index = choice.index.and_then(|index| index.value.as_u64(payload)).unwrap_or(0);
            // The transformer has no more choices than there is room for here.
            let Ok(at) = self.choices.place(index) else { break };
            for (target, member) in [
                (Target::Text(at), choice.delta.content),
                (Target::Reasoning(at), choice.delta.reasoning_content),
            ] {
                if let Some(text) = text_of(member.as_ref(), payload) {
                    self.string(target, text.raw());
                    self.target = Some(target).filter(|_| chunk.choices.len() == 1);
                }
            }
            self.argument_bytes +=
                self.choices[at].calls(choice.tool_calls(chunk), payload, self.argument_bytes);
        }
    }

    /// A frame that differs from the last one only in its one string.
    pub(crate) fn same_but(&mut self, string: &[u8]) {
        if let Some(target) = self.target {
            self.string(target, string);
        }
    }

    fn string(&mut self, target: Target, string: &[u8]) {
        match target {
            Target::Reasoning(at) => self.keep(at, string),
            Target::Text(at) => self.choices[at].text.piece(string),
        }
    }

    fn keep(&mut self, at: usize, reasoning: &[u8]) {
        let kept = &mut self.choices[at];
        if kept.too_long {
            return;
        }
        self.bytes += reasoning.len();
        if self.bytes > MAX_KEPT_BYTES {
            self.bytes -= kept.reasoning.len() + reasoning.len();
            kept.reasoning = Vec::new();
            kept.too_long = true;
        } else {
            kept.reasoning.extend_from_slice(reasoning);
        }
    }

    /// The turns of a stream that has ended, whole or not: as far as they came.
    pub(crate) fn finish(&mut self) -> Vec<Turn> {
        let choices = std::mem::replace(&mut self.choices, Choices::new(MAX_CHOICES));
        choices.into_vec().into_iter().filter_map(Kept::finish).collect()
    }
}

impl Indexed for Kept {
    fn at(index: u64) -> Self {
        Self { index, ..Self::default() }
    }

    fn index(&self) -> u64 {
        self.index
    }
}

impl Kept {
    /// Returns how many bytes of arguments it has taken, where `held` are held already.
    fn calls(&mut self, calls: &[ToolCall], input: &[u8], held: usize) -> usize {
        let mut taken = 0;
        for entry in calls {
            // The transformer numbers calls from 0.
            if entry.index.and_then(|index| index.value.as_u64(input)) != Some(0) {
                continue;
            }
            let (call, arguments) = self.call.get_or_insert_default();
            for (slot, said) in [(&mut call.id, entry.id), (&mut call.name, entry.name)] {
                if let Some(text) = text_of(said.as_ref(), input).filter(|_| slot.is_empty()) {
                    *slot = text.decode().into_owned();
                }
            }
            if (call.name.is_empty() || !call.has_unique_id())
                && let Some(text) = text_of(entry.arguments.as_ref(), input)
            {
                taken += text.raw().len();
                self.unknowable |= held + taken > MAX_KEPT_ARGUMENT_BYTES;
                if self.unknowable {
                    *arguments = Vec::new();
                } else {
                    arguments.extend_from_slice(text.raw());
                }
            }
        }
        taken
    }

    fn finish(self) -> Option<Turn> {
        if self.unknowable {
            return None;
        }
        let said = match self.call {
            Some((mut call, arguments)) => {
                call.arguments = Text::new(&arguments).decode().into_owned();
                Said::Call(call)
            }
            None => Said::of_text(self.text),
        };
        Turn::new(said, self.reasoning, self.too_long)
    }
}
