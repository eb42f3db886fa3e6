//! Content blocks, one behind the other: as events, or as the `content` of one message.

use crate::api::convert::Output;
use crate::json::Text;
use crate::seal::Seal;
use crate::turn::text::half_at_end;

use super::input::{Arguments, write_whole};
use crate::answer::chunk::CallKind;
use crate::api::messages::signature::{Omitted, Signer};
use crate::api::messages::{MessagesReply, ShownThinking};

/// A block that begins. The texts are still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block<'a> {
    Text,
    Thinking,
    Call { id: &'a [u8], name: &'a [u8], kind: CallKind },
}

/// Writes them.
#[derive(Debug)]
pub(super) struct Blocks {
    output: Output,
    seal: Option<Seal>,
    is_omitted: bool,
    open: Option<Open>,
    /// How many have begun.
    begun: u64,
    /// Of a stream: the open block's deltas up to their string.
    head: Vec<u8>,
    /// Half of a surrogate pair: it waits for the other half, since a reader may refuse it alone.
    half: Vec<u8>,
    /// Of a whole answer: the blocks that have ended, and the open one as far as it has come.
    content: Vec<u8>,
}

/// What is known of the open block.
#[derive(Debug)]
enum Open {
    Text,
    /// Thinking that is shown.
    Shown(Signer),
    /// Thinking that travels in its signature alone.
    Omitted(Omitted),
    /// The arguments of a whole answer, still escaped, are gathered to be read as JSON.
    Call(Arguments, Vec<u8>),
}

const DELTA: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":";
const DELTA_END: &[u8] = b"\"}}\n\n";

impl Blocks {
    pub(super) fn new(reply: &MessagesReply, output: Output) -> Self {
        Self {
            output,
            seal: reply.seal.clone(),
            is_omitted: reply.thinking == ShownThinking::Omitted,
            open: None,
            begun: 0,
            head: Vec::new(),
            half: Vec::new(),
            content: Vec::new(),
        }
    }

    /// Whether the open block is text (or thinking), so that more of it belongs there.
    pub(super) const fn is_open(&self, block: Block<'_>) -> bool {
        matches!(
            (&self.open, block),
            (Some(Open::Text), Block::Text)
                | (Some(Open::Shown(_) | Open::Omitted(_)), Block::Thinking)
                | (Some(Open::Call(..)), Block::Call { .. })
        )
    }

    /// Whether another block may begin: only arguments that are not whole need theirs to stay open.
    pub(super) fn may_end(&self) -> bool {
        if let Some(Open::Call(arguments, _)) = &self.open { arguments.is_whole() } else { true }
    }

    /// End the open block, and begin another one.
    pub(super) fn begin(&mut self, block: Block<'_>, output: &mut Vec<u8>) {
        self.end(output);
        let (open, delta) = match block {
            Block::Text => (Open::Text, &b"text_delta\",\"text\":\""[..]),
            Block::Thinking if self.is_omitted => (Open::Omitted(Omitted::default()), &b""[..]),
            Block::Thinking => (Open::Shown(Signer::default()), &b"thinking_delta\",\"thinking\":\""[..]),
            Block::Call { kind, .. } => {
                (Open::Call(Arguments::new(kind), Vec::new()), &b"input_json_delta\",\"partial_json\":\""[..])
            }
        };
        self.open = Some(open);
        match self.output {
            Output::Stream => {
                let index = self.begun.to_string();
                self.head.clear();
                for piece in [DELTA, index.as_bytes(), b",\"delta\":{\"type\":\"", delta] {
                    self.head.extend_from_slice(piece);
                }
                output.extend_from_slice(
                    b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
                );
                output.extend_from_slice(index.as_bytes());
                output.extend_from_slice(b",\"content_block\":");
                write_head(block, output);
                output.extend_from_slice(match block {
                    Block::Text => &b"\"}}\n\n"[..],
                    Block::Thinking => b"\",\"signature\":\"\"}}\n\n",
                    Block::Call { .. } => b"{}}}\n\n",
                });
            }
            Output::Whole => {
                if self.begun > 0 {
                    self.content.push(b',');
                }
                write_head(block, &mut self.content);
            }
        }
        self.begun += 1;
    }

    /// More of the open block, still escaped.
    pub(super) fn more(&mut self, raw: &[u8], output: &mut Vec<u8>) {
        if self.half.is_empty() && half_at_end(raw).is_none() {
            return self.piece(raw, output);
        }
        let mut joined = std::mem::take(&mut self.half);
        joined.extend_from_slice(raw);
        if let Some(at) = half_at_end(&joined) {
            self.half = joined.split_off(at);
        }
        self.piece(&joined, output);
    }

    fn piece(&mut self, raw: &[u8], output: &mut Vec<u8>) {
        let shaped;
        let mut said = raw;
        match &mut self.open {
            None => return,
            Some(Open::Text) => {}
            Some(Open::Shown(signer)) => {
                if self.seal.is_some() {
                    signer.piece(raw);
                }
            }
            Some(Open::Omitted(omitted)) => {
                if self.seal.is_some() {
                    omitted.piece(raw);
                }
                return;
            }
            Some(Open::Call(arguments, whole)) => {
                shaped = arguments.piece(raw);
                said = &shaped;
                if self.output == Output::Whole {
                    return whole.extend_from_slice(said);
                }
            }
        }
        self.say(said, output);
    }

    /// Write what the open block says.
    #[inline]
    fn say(&mut self, said: &[u8], output: &mut Vec<u8>) {
        if said.is_empty() {
            return;
        }
        match self.output {
            Output::Stream => {
                output.reserve(self.head.len() + said.len() + DELTA_END.len());
                output.extend_from_slice(&self.head);
                output.extend_from_slice(said);
                output.extend_from_slice(DELTA_END);
            }
            Output::Whole => self.content.extend_from_slice(said),
        }
    }

    /// End the open block.
    pub(super) fn end(&mut self, output: &mut Vec<u8>) {
        if !std::mem::take(&mut self.half).is_empty() {
            self.piece(b"\\ufffd", output);
        }
        let Some(open) = self.open.take() else { return };
        let seal = self.seal.as_ref();
        match open {
            Open::Text => self.content_end(b"\"}"),
            Open::Shown(mut signer) => {
                let signature = seal.and_then(|seal| signer.shown(seal));
                self.sign(signature, output);
            }
            Open::Omitted(mut omitted) => {
                let signature = seal.and_then(|seal| omitted.sealed(seal));
                self.sign(signature, output);
            }
            Open::Call(mut arguments, mut whole) => {
                let rest = arguments.rest();
                whole.extend_from_slice(&rest);
                match self.output {
                    Output::Stream => self.say(&rest, output),
                    Output::Whole => {
                        write_whole(Text::new(&whole), &mut self.content);
                        self.content.push(b'}');
                    }
                }
            }
        }
        if self.output == Output::Stream {
            output.extend_from_slice(
                b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
            );
            output.extend_from_slice((self.begun - 1).to_string().as_bytes());
            output.extend_from_slice(b"}\n\n");
        }
    }

    /// What ends a block of a whole answer.
    fn content_end(&mut self, end: &[u8]) {
        if self.output == Output::Whole {
            self.content.extend_from_slice(end);
        }
    }

    /// The end of a thinking block, with its signature where there is one.
    fn sign(&mut self, signature: Option<String>, output: &mut Vec<u8>) {
        self.content_end(b"\",\"signature\":\"");
        if let Some(signature) = signature {
            if self.output == Output::Stream {
                output.extend_from_slice(DELTA);
                output.extend_from_slice((self.begun - 1).to_string().as_bytes());
                output.extend_from_slice(b",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"");
                output.extend_from_slice(signature.as_bytes());
                output.extend_from_slice(DELTA_END);
            } else {
                self.content.extend_from_slice(signature.as_bytes());
            }
        }
        self.content_end(b"\"}");
    }

    /// The blocks of a whole answer.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }
}

/// A block's members up to what it says.
fn write_head(block: Block<'_>, output: &mut Vec<u8>) {
    match block {
        Block::Text => output.extend_from_slice(b"{\"type\":\"text\",\"text\":\""),
        Block::Thinking => output.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":\""),
        Block::Call { id, name, .. } => {
            for piece in [b"{\"type\":\"tool_use\",\"id\":\"", id, b"\",\"name\":\"", name, b"\",\"input\":"]
            {
                output.extend_from_slice(piece);
            }
        }
    }
}
