//! Messages as chat has them: an assistant's thinking, text and calls in one message, a message for each result right
//! behind its call, and only then what else was said.
//!
//! A turn is held until the next one begins: assistant messages in a row, which Anthropic takes as one, and the messages
//! behind its calls up to the next assistant message. Held are spans, a few dozen bytes for each block.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Range;

use crate::api::dropped::Dropped;
use crate::api::messages::signature::Signed;
use crate::api::words::{json_text, name, open, text, text_member};
use crate::json::text::quoted;
use crate::json::{Kind, Scanner, Span, Text, Value, check_utf8};
use crate::request::media::Modality;
use crate::request::refusal::Refusal;
use crate::seal::Seal;

use super::block::{Block, Reader, inside};
use super::content::Content;

/// What chat upstreams are told about a call that nobody answered: they refuse one without a tool message.
const NO_RESULT: &[u8] = b"(no result)";

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    System,
    Developer,
    User,
    Assistant,
}

impl Role {
    const ALL: [Self; 4] = [Self::User, Self::Assistant, Self::System, Self::Developer];

    const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    fn read(value: Value, input: &[u8]) -> Result<Self, Refusal> {
        const RULE: &str = "must be `user`, `assistant` or `system`";
        let role = Text::new(inside(value)?.of(input));
        let known = Self::ALL.into_iter().find(|known| role.is(known.as_str()));
        known.ok_or(Refusal::wrong_type(RULE, value.span.start))
    }
}

/// A message of the turn: whose blocks these are.
#[derive(Clone, Copy, Debug)]
struct Held {
    role: Role,
    first: usize,
    end: usize,
}

/// A call of the turn.
struct Call {
    id: Span,
    /// The block of its result.
    result: Option<usize>,
    /// The next call with the same id.
    next: Option<usize>,
}

/// Chat messages in the making.
pub(super) struct Turns<'a> {
    input: &'a [u8],
    seal: Option<&'a Seal>,
    keeps_marks: bool,
    /// What has been written: messages with commas between them.
    pub(super) output: Vec<u8>,
    /// The first message, of the body's `system`; empty where there is none.
    pub(super) system: Vec<u8>,
    pub(super) media: Vec<(Modality, String)>,
    pub(super) dropped: Dropped,
    /// Those of the turn, message by message.
    blocks: Vec<Block>,
    held: Vec<Held>,
    has_calls: bool,
    /// Which blocks are about to be written as one content.
    parts: Vec<usize>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(input: &'a [u8], seal: Option<&'a Seal>, keeps_marks: bool) -> Self {
        Self {
            input,
            seal,
            keeps_marks,
            output: Vec::new(),
            system: Vec::new(),
            media: Vec::new(),
            dropped: Dropped::default(),
            blocks: Vec::new(),
            held: Vec::new(),
            has_calls: false,
            parts: Vec::new(),
        }
    }

    /// Consume `messages`.
    pub(super) fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Refusal> {
        const RULE: &str = "must be a non-empty array of objects";
        if scanner.peek()? != Kind::Array {
            return Err(Refusal::wrong_type(RULE, scanner.position()));
        }
        let start = scanner.position();
        // What is written is hardly longer than what is read: arguments of calls are escaped once more.
        self.output.reserve(self.input.len() + self.input.len() / 16 + 256);
        scanner.array(|scanner, index| self.message(scanner, index))?;
        self.flush();
        if self.output.is_empty() { Err(Refusal::wrong_type(RULE, start)) } else { Ok(()) }
    }

    /// Consume `system`. Where it says something, it is a system message.
    pub(super) fn read_system(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Refusal> {
        let (blocks, dropped, media) = (&mut self.blocks, &mut self.dropped, &mut self.media);
        Reader { blocks, dropped, media, message: None }.content(scanner)?;
        let prompt = Held { role: Role::System, first: 0, end: self.blocks.len() };
        self.gather_system(prompt);
        if !self.parts.is_empty() {
            let messages = std::mem::take(&mut self.output);
            self.write(prompt.role);
            self.system = std::mem::replace(&mut self.output, messages);
        }
        self.blocks.clear();
        Ok(())
    }

    /// Consume a message.
    fn message(&mut self, scanner: &mut Scanner<'_>, index: usize) -> Result<(), Refusal> {
        if scanner.peek()? != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", scanner.position()));
        }
        let (start, first) = (scanner.position(), self.blocks.len());
        let (mut role, mut has_content) = (None, false);
        scanner.object(|scanner, key| {
            if key.text.is("role") {
                if role.replace(scanner.value()?).is_some() {
                    return Err(Refusal::twice("role", key.start));
                }
            } else if key.text.is("content") {
                if std::mem::replace(&mut has_content, true) {
                    return Err(Refusal::twice("content", key.start));
                }
                let (blocks, dropped, media) = (&mut self.blocks, &mut self.dropped, &mut self.media);
                Reader { blocks, dropped, media, message: Some(index) }.content(scanner)?;
            } else if scanner.value()?.kind != Kind::Null {
                self.dropped.add("messages", &key.text.key());
            }
            Ok(())
        })?;
        let role = Role::read(role.ok_or(Refusal::lacks("role", start))?, self.input)?;
        if !has_content {
            return Err(Refusal::lacks("content", start));
        }
        self.hold(role, first);
        Ok(())
    }

    /// A message whose blocks are those from `first` on. An assistant's begins a turn, unless it goes on with one; others are
    /// held while there are calls that they may have results of.
    fn hold(&mut self, role: Role, first: usize) {
        let end = self.blocks.len();
        let is_call = |block: &Block| matches!(block, Block::Call { .. });
        if role == Role::Assistant {
            match self.held.last_mut() {
                Some(before) if before.role == Role::Assistant => before.end = end,
                _ => {
                    self.flush();
                    self.has_calls = false;
                    self.held.push(Held { role, first: 0, end: end - first });
                }
            }
            self.has_calls |= self.blocks[self.blocks.len() - (end - first)..].iter().any(is_call);
        } else {
            self.held.push(Held { role, first, end });
            if !self.has_calls {
                self.flush();
            }
        }
    }

    /// Write the turn.
    fn flush(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let (assistant, others) = match held.split_first() {
            Some((first, others)) if first.role == Role::Assistant => (Some(*first), others),
            _ => (None, &held[..]),
        };
        let mut calls = Vec::new();
        if let Some(assistant) = assistant {
            calls = self.write_assistant(assistant);
        }
        let taken = match_results(self.input, &self.blocks, &mut calls, others);
        self.write_results(&calls);
        self.gather_media(&calls);
        self.write_others(&taken, others);
        self.blocks.drain(..held.last().map_or(0, |last| last.end));
        held.clear();
        self.held = held;
    }

    /// Write an assistant message; its calls.
    fn write_assistant(&mut self, held: Held) -> Vec<Call> {
        let (mut thinks, mut calls) = (false, Vec::new());
        let blocks = &self.blocks[..held.end];
        self.parts.clear();
        for (at, block) in top(blocks, held.first) {
            match block {
                Block::Text { text, .. } if !text.is_empty() => self.parts.push(at),
                Block::Text { .. } => {}
                Block::Thinking { .. } => thinks = true,
                Block::Call { id, .. } => calls.push(Call { id: *id, result: None, next: None }),
                Block::Result { .. } | Block::Image { .. } | Block::File { .. } => {
                    self.dropped.add("content", block.kind().as_bytes());
                }
            }
        }
        let output = &mut self.output;
        begin(held.role.as_str(), output);
        name("content", output);
        // One text, as the answer was that came in these blocks.
        content(self.input, blocks, self.keeps_marks).texts(&self.parts, b"", output);
        let blocks = &blocks[held.first..];
        if thinks {
            write_reasoning(blocks, self.input, self.seal, output);
        }
        if !calls.is_empty() {
            write_calls(blocks, self.input, output);
        }
        output.push(b'}');
        calls
    }

    /// Write a tool message for each call.
    fn write_results(&mut self, calls: &[Call]) {
        let output = &mut self.output;
        for call in calls {
            begin("tool", output);
            text_member("tool_call_id", call.id.of(self.input), output);
            name("content", output);
            match call.result {
                Some(result) => {
                    let shown = inner(&self.blocks, result).filter(|&at| says_something(&self.blocks[at]));
                    self.parts.clear();
                    self.parts.extend(shown);
                    content(self.input, &self.blocks, self.keeps_marks).texts(&self.parts, br"\n", output);
                }
                None => text(&[NO_RESULT], output),
            }
            output.push(b'}');
        }
    }

    /// Gather what the results hold beside text.
    fn gather_media(&mut self, calls: &[Call]) {
        self.parts.clear();
        for result in calls.iter().filter_map(|call| call.result) {
            let media = inner(&self.blocks, result).filter(|&at| is_media(&self.blocks[at]));
            self.parts.extend(media);
        }
    }

    /// Write what else was said, the gathered media before the first that a user says.
    fn write_others(&mut self, taken: &[usize], others: &[Held]) {
        let mut taken = taken.iter().copied().peekable();
        for held in others {
            if held.role == Role::User {
                let is_more_than_results = self.gather_user(*held, &mut taken);
                if is_more_than_results || !self.parts.is_empty() {
                    self.write(held.role);
                    self.parts.clear();
                }
            } else {
                let media = std::mem::take(&mut self.parts);
                if self.gather_system(*held) {
                    self.write(held.role);
                }
                self.parts = media;
            }
        }
    }

    /// Gather what a user says beside the results that calls have taken. Whether it is a message of its own, even where that
    /// is nothing.
    fn gather_user(&mut self, held: Held, taken: &mut Peekable<impl Iterator<Item = usize>>) -> bool {
        let (mut at, mut has_results) = (held.first, false);
        while at < held.end {
            match &self.blocks[at] {
                Block::Result { blocks, .. } if taken.next_if_eq(&at).is_some() => {
                    at += blocks;
                    has_results = true;
                }
                // A result that no call waits for: what it says is said all the same.
                Block::Result { .. } => {}
                block if says_something(block) || is_media(block) => self.parts.push(at),
                Block::Text { .. } => {}
                block => self.dropped.add("content", block.kind().as_bytes()),
            }
            at += 1;
        }
        !has_results
    }

    /// Gather the texts of a system message. False where it was nothing but what is left out.
    fn gather_system(&mut self, held: Held) -> bool {
        self.parts.clear();
        let mut is_billing = false;
        for at in held.first..held.end {
            match &mut self.blocks[at] {
                Block::Text { text, .. } => {
                    is_billing |= leave_out_billing(text, self.input);
                    if !text.is_empty() {
                        self.parts.push(at);
                    }
                }
                block => self.dropped.add("system", block.kind().as_bytes()),
            }
        }
        !(is_billing && self.parts.is_empty())
    }

    /// Write a message with what has been gathered.
    fn write(&mut self, role: Role) {
        begin(role.as_str(), &mut self.output);
        name("content", &mut self.output);
        content(self.input, &self.blocks, self.keeps_marks).parts(&self.parts, &mut self.output);
        self.output.push(b'}');
    }
}

/// A message begins.
fn begin(role: &str, output: &mut Vec<u8>) {
    open(b'{', output);
    text_member("role", role.as_bytes(), output);
}

fn content<'c>(input: &'c [u8], blocks: &'c [Block], keeps_marks: bool) -> Content<'c> {
    Content { input, blocks, keeps_marks }
}

fn says_something(block: &Block) -> bool {
    matches!(block, Block::Text { text, fails, .. } if *fails || !text.is_empty())
}

fn is_media(block: &Block) -> bool {
    matches!(block, Block::Image { .. } | Block::File { .. })
}

/// The blocks from `first` on, without those inside of results.
fn top(blocks: &[Block], first: usize) -> impl Iterator<Item = (usize, &Block)> {
    let mut next = first;
    std::iter::from_fn(move || {
        let (at, block) = (next, blocks.get(next)?);
        next += 1 + if let Block::Result { blocks, .. } = block { *blocks } else { 0 };
        Some((at, block))
    })
}

/// Where the blocks inside of a result are.
fn inner(blocks: &[Block], result: usize) -> Range<usize> {
    match blocks.get(result) {
        Some(Block::Result { blocks, .. }) => result + 1..result + 1 + blocks,
        _ => 0..0,
    }
}

/// Find the result of each call in the messages behind it. Where those are that were found, in order.
fn match_results(input: &[u8], blocks: &[Block], calls: &mut [Call], others: &[Held]) -> Vec<usize> {
    let mut taken = Vec::new();
    if calls.is_empty() {
        return taken;
    }
    // Of each id, the first call that waits for its result, and the last call.
    let mut waiting: HashMap<Cow<'_, [u8]>, (usize, usize)> = HashMap::with_capacity(calls.len());
    for at in 0..calls.len() {
        let (_, last) = waiting.entry(Text::new(calls[at].id.of(input)).key()).or_insert((at, at));
        if *last != at {
            calls[*last].next = Some(at);
            *last = at;
        }
    }
    for held in others.iter().filter(|held| held.role == Role::User) {
        for (at, block) in top(&blocks[..held.end], held.first) {
            let Block::Result { id, .. } = block else { continue };
            let Some((first, _)) = waiting.get_mut(&Text::new(id.of(input)).key()) else { continue };
            let call = &mut calls[*first];
            if call.result.is_none() {
                call.result = Some(at);
                *first = call.next.unwrap_or(*first);
                taken.push(at);
            }
        }
    }
    taken
}

/// All thinking of an assistant message that can be read, as `reasoning_content`.
fn write_reasoning(blocks: &[Block], input: &[u8], seal: Option<&Seal>, output: &mut Vec<u8>) {
    let mut begun = false;
    for block in blocks {
        let Block::Thinking { text, signature } = block else { continue };
        let raw = text.of(input);
        let opened;
        let raw = if raw.is_empty() {
            opened = seal.and_then(|seal| omitted(seal, signature.of(input)));
            opened.as_deref().unwrap_or_default()
        } else {
            raw
        };
        if raw.is_empty() {
            continue;
        }
        if begun {
            output.extend_from_slice(br"\n\n");
        } else {
            name("reasoning_content", output);
            output.push(b'"');
        }
        output.extend_from_slice(raw);
        begun = true;
    }
    if begun {
        output.push(b'"');
    }
}

/// The thinking that our signature carries in place of a text that was not shown.
fn omitted(seal: &Seal, signature: &[u8]) -> Option<Vec<u8>> {
    match Signed::read(seal, signature, b"")? {
        Signed::Omitted(text) => is_text(&text).then_some(text),
        Signed::Shown | Signed::Changed => None,
    }
}

/// Whether this is the inside of a JSON string.
fn is_text(raw: &[u8]) -> bool {
    let quoted = quoted(raw);
    let mut scanner = Scanner::new(&quoted);
    check_utf8(raw).is_ok() && scanner.value().is_ok() && scanner.end().is_ok()
}

fn write_calls(blocks: &[Block], input: &[u8], output: &mut Vec<u8>) {
    name("tool_calls", output);
    output.push(b'[');
    for block in blocks {
        let Block::Call { id, name: function, input: arguments } = block else { continue };
        open(b'{', output);
        text_member("id", id.of(input), output);
        text_member("type", b"function", output);
        name("function", output);
        open(b'{', output);
        text_member("name", function.of(input), output);
        name("arguments", output);
        match arguments {
            None => text(&[b"{}"], output),
            // Arguments that could not be read as JSON: some clients send them as they came.
            Some(arguments) if arguments.kind == Kind::String => {
                output.extend_from_slice(arguments.span.of(input));
            }
            Some(arguments) => json_text(arguments.span.of(input), output),
        }
        output.extend_from_slice(b"}}");
    }
    output.push(b']');
}

/// Leave out the line that Claude Code's system prompt begins with, which is another one in each request and would keep
/// the provider from knowing its prefix again. Whether it was there.
fn leave_out_billing(text: &mut Span, input: &[u8]) -> bool {
    const BILLING: &str = "x-anthropic-billing-header:";
    let raw = text.of(input);
    if !Text::new(raw).starts_with(BILLING) {
        return false;
    }
    let mut at = 0;
    text.start = loop {
        let Some(escape) = memchr::memchr(b'\\', &raw[at..]) else { break text.end };
        at += escape + 2;
        if raw.get(at - 1) == Some(&b'n') {
            break text.start + at;
        }
    };
    true
}
