//! One block at a time, where an upstream may say several things at once.
//!
//! A block of text or thinking ends where something else comes. A call's block ends only once its arguments are whole:
//! until then, whatever else comes waits, in the order in which it began, for its turn or the answer's end. So parallel
//! calls stream one behind the other, and of calls whose pieces interleave only the first streams.

use std::collections::{BTreeMap, VecDeque};

use crate::answer::bounds::{Excess, MAX_WAITING_BYTES};
use crate::answer::chunk::CallKind;
use crate::api::frames::CallDelta;

use super::blocks::{Block, Blocks};

/// What a thing that waits costs beyond its bytes, roughly.
const OVERHEAD_BYTES: usize = 128;

/// Gives each delta to its block.
#[derive(Debug)]
pub(super) struct Order {
    blocks: Blocks,
    waiting: VecDeque<Waiting>,
    /// How many have waited and wait no more.
    admitted: usize,
    /// Where each call is, by its index.
    calls: BTreeMap<u64, Place>,
    /// The one whose block is open.
    open_call: Option<u64>,
    /// What all that waits costs.
    bytes: usize,
}

/// What waits, still escaped.
#[derive(Debug)]
enum Waiting {
    Text(Vec<u8>),
    Thinking(Vec<u8>),
    Call { index: u64, id: Vec<u8>, name: Vec<u8>, kind: CallKind, arguments: Vec<u8> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// As the how many-th of all that have ever waited.
    Waits(usize),
    /// Its block has begun.
    Begun,
}

impl Order {
    pub(super) const fn new(blocks: Blocks) -> Self {
        Self {
            blocks,
            waiting: VecDeque::new(),
            admitted: 0,
            calls: BTreeMap::new(),
            open_call: None,
            bytes: 0,
        }
    }

    /// More text.
    pub(super) fn text(&mut self, raw: &[u8], output: &mut Vec<u8>) -> Result<(), Excess> {
        self.say(Block::Text, raw, output)
    }

    /// More thinking.
    pub(super) fn thinking(&mut self, raw: &[u8], output: &mut Vec<u8>) -> Result<(), Excess> {
        self.say(Block::Thinking, raw, output)
    }

    #[inline]
    fn say(&mut self, block: Block<'_>, raw: &[u8], output: &mut Vec<u8>) -> Result<(), Excess> {
        // Only behind a call does anything wait, so nothing does where text or thinking is open.
        if !self.blocks.is_open(block) {
            if !self.may_begin() {
                return self.wait(block, raw);
            }
            self.begin(None, block, output);
        }
        self.blocks.more(raw, output);
        Ok(())
    }

    /// A call, or more of it.
    pub(super) fn call(&mut self, delta: CallDelta<'_>, output: &mut Vec<u8>) -> Result<(), Excess> {
        match self.calls.get(&delta.index) {
            Some(Place::Begun) => {
                // Behind its block comes only white space, or what would break arguments that are whole.
                if self.open_call == Some(delta.index) {
                    self.blocks.more(delta.arguments, output);
                    self.admit(output);
                }
                Ok(())
            }
            Some(&Place::Waits(place)) => {
                if let Some(Waiting::Call { arguments, .. }) = self.waiting.get_mut(place - self.admitted) {
                    arguments.extend_from_slice(delta.arguments);
                }
                self.costs(delta.arguments.len())
            }
            None => self.new_call(&delta, output),
        }
    }

    fn new_call(&mut self, delta: &CallDelta<'_>, output: &mut Vec<u8>) -> Result<(), Excess> {
        // What calls no function (MCP's own calls) has no name, and no counterpart in this API.
        let (Some(id), Some(name)) = (delta.id, delta.name) else { return Ok(()) };
        let &CallDelta { index, kind, arguments, .. } = delta;
        if self.may_begin() {
            self.begin(Some(index), Block::Call { id: id.raw(), name: name.raw(), kind }, output);
            self.blocks.more(arguments, output);
            return Ok(());
        }
        self.calls.insert(index, Place::Waits(self.admitted + self.waiting.len()));
        let (id, name, arguments) = (id.raw().to_vec(), name.raw().to_vec(), arguments.to_vec());
        let bytes = OVERHEAD_BYTES + id.len() + name.len() + arguments.len();
        self.waiting.push_back(Waiting::Call { index, id, name, kind, arguments });
        self.costs(bytes)
    }

    fn begin(&mut self, call: Option<u64>, block: Block<'_>, output: &mut Vec<u8>) {
        if let Some(index) = call {
            self.calls.insert(index, Place::Begun);
        }
        self.open_call = call;
        self.blocks.begin(block, output);
    }

    /// Whether a new block may begin now: nothing waits, and nothing needs the open block.
    fn may_begin(&self) -> bool {
        self.waiting.is_empty() && self.blocks.may_end()
    }

    fn wait(&mut self, block: Block<'_>, raw: &[u8]) -> Result<(), Excess> {
        let mut bytes = raw.len();
        match (self.waiting.back_mut(), block) {
            (Some(Waiting::Text(text)), Block::Text) | (Some(Waiting::Thinking(text)), Block::Thinking) => {
                text.extend_from_slice(raw);
            }
            (_, block) => {
                bytes += OVERHEAD_BYTES;
                let text = raw.to_vec();
                let waiting =
                    if block == Block::Text { Waiting::Text(text) } else { Waiting::Thinking(text) };
                self.waiting.push_back(waiting);
            }
        }
        self.costs(bytes)
    }

    fn costs(&mut self, bytes: usize) -> Result<(), Excess> {
        self.bytes += bytes;
        if self.bytes > MAX_WAITING_BYTES { Err(Excess::Waiting) } else { Ok(()) }
    }

    /// Let in what waits, as far as the open block allows.
    fn admit(&mut self, output: &mut Vec<u8>) {
        while !self.waiting.is_empty() && self.blocks.may_end() {
            self.admit_first(output);
        }
    }

    fn admit_first(&mut self, output: &mut Vec<u8>) {
        let Some(waiting) = self.waiting.pop_front() else { return };
        self.admitted += 1;
        match &waiting {
            Waiting::Text(text) => {
                self.begin(None, Block::Text, output);
                self.blocks.more(text, output);
            }
            Waiting::Thinking(text) => {
                self.begin(None, Block::Thinking, output);
                self.blocks.more(text, output);
            }
            Waiting::Call { index, id, name, kind, arguments } => {
                self.begin(Some(*index), Block::Call { id, name, kind: *kind }, output);
                self.blocks.more(arguments, output);
            }
        }
        self.bytes -= waiting.bytes();
    }

    /// The answer is complete: whatever waits comes out.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        while !self.waiting.is_empty() {
            self.admit_first(output);
        }
        self.blocks.end(output);
    }

    /// Whether any call has begun.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The blocks of a whole answer.
    pub(super) fn content(&self) -> &[u8] {
        self.blocks.content()
    }
}

impl Waiting {
    /// What it was counted with.
    fn bytes(&self) -> usize {
        OVERHEAD_BYTES
            + match self {
                Self::Text(text) | Self::Thinking(text) => text.len(),
                Self::Call { id, name, arguments, .. } => id.len() + name.len() + arguments.len(),
            }
    }
}
