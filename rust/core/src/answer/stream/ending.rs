//! Finish reasons that are held back: a choice's finish comes out behind all of its content, and only the stream's end
//! says that no more is to come.
//!
//! The frame with a finish is held as it is, so that nearly every stream goes out with the bytes that came in. Where its
//! choice goes on after all, what else the frame says goes out first, and a bare finish stays.

use std::collections::BTreeMap;

use super::{ChoiceRules, FRAME_HEAD};
use crate::answer::chunk::{Choice, Chunk};
use crate::answer::completion::Called;
use crate::answer::context::AnswerContext;
use crate::answer::finish::fitting;
use crate::json::edit::Edits;
use crate::json::text::{Text, write_string};
use crate::json::{Kind, Member};

/// Of one stream's frames, no more than this is held. Beyond it, a frame's content goes out at once.
const MAX_HELD_BYTES: usize = 256 * 1024;

/// A longer id or name of a model is not repeated in a bare finish.
const MAX_REPEATED_BYTES: usize = 1024;

/// The frames that end choices.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// In the order in which they came.
    frames: BTreeMap<u64, Ending>,
    /// Which of them ends the choice at a place.
    by_place: BTreeMap<usize, u64>,
    next: u64,
    bytes: usize,
}

/// A frame that ends choices.
#[derive(Debug)]
pub(super) struct Ending {
    /// The whole frame.
    pub(super) frame: Vec<u8>,
    /// The places of the choices that it ends.
    pub(super) places: Vec<usize>,
    /// What comes with the finish.
    pub(super) content: Content,
}

/// What a frame holds besides finish reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    /// Something of the choices that it ends.
    Theirs,
    /// Something of choices that go on, or one choice twice.
    Others,
}

impl Endings {
    pub(super) fn has(&self, place: usize) -> bool {
        self.by_place.contains_key(&place)
    }

    /// Take a frame that ends choices. What can't wait is appended to the output.
    pub(super) fn hold<Rules: ChoiceRules>(
        &mut self,
        ending: Ending,
        choices: &[Rules],
        context: &AnswerContext,
        output: &mut Vec<u8>,
    ) {
        for place in &ending.places {
            self.forget(*place);
        }
        if ending.content == Content::Others || self.bytes + ending.frame.len() > MAX_HELD_BYTES {
            self.split::<Rules>(&ending, choices, context, output);
        } else {
            self.insert(ending);
        }
    }

    /// A choice goes on: append what was held of it, but for its finish. That may have to be another one, with calls
    /// behind it.
    pub(super) fn reopen<Rules: ChoiceRules>(
        &mut self,
        place: usize,
        choices: &[Rules],
        context: &AnswerContext,
        output: &mut Vec<u8>,
    ) {
        let Some(key) = self.by_place.get(&place) else { return };
        let is_bare = |ending: &Ending| ending.content == Content::Nothing && ending.places.len() == 1;
        if choices[place].course().called() != Called::Something && self.frames.get(key).is_some_and(is_bare)
        {
            return;
        }
        if let Some(ending) = self.frames.remove(key) {
            self.bytes -= ending.frame.len();
            self.split::<Rules>(&ending, choices, context, output);
        }
    }

    /// Append all that is held.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        for ending in std::mem::take(&mut self.frames).into_values() {
            output.extend_from_slice(&ending.frame);
        }
        self.by_place.clear();
        self.bytes = 0;
    }

    fn insert(&mut self, ending: Ending) {
        self.bytes += ending.frame.len();
        for place in &ending.places {
            self.by_place.insert(*place, self.next);
        }
        self.frames.insert(self.next, ending);
        self.next += 1;
    }

    /// The choice at a place gets another finish. Others that end with the same frame keep theirs.
    fn forget(&mut self, place: usize) {
        let Some(key) = self.by_place.remove(&place) else { return };
        let is_alone = self.frames.get(&key).is_some_and(|ending| ending.places.len() == 1);
        if is_alone && let Some(ending) = self.frames.remove(&key) {
            self.bytes -= ending.frame.len();
        }
    }

    /// Append a frame without its finish reasons, and hold each of them alone, as it fits what the choice holds by now.
    fn split<Rules: ChoiceRules>(
        &mut self,
        ending: &Ending,
        choices: &[Rules],
        context: &AnswerContext,
        output: &mut Vec<u8>,
    ) {
        let payload = ending.frame.strip_prefix(FRAME_HEAD).unwrap_or(&ending.frame).trim_ascii_end();
        let mut chunk = Chunk::default();
        // It has been read and written before, so it can't fail now.
        if chunk.read(payload, Rules::HOLDER).is_err() {
            return;
        }
        let mut edits = Edits::new();
        let mut places = ending.places.iter();
        for choice in &chunk.choices {
            let Some(reason) = choice.finish_reason.filter(|reason| reason.value.kind == Kind::String) else {
                continue;
            };
            edits.replace(reason.value.span, &b"null"[..]);
            if let Some(place) = places.next() {
                self.forget(*place);
                let called = choices[*place].course().called();
                let told = reason.value.as_text(payload).map(Text::decode).unwrap_or_default();
                let reason = fitting(&told, called).unwrap_or(&told);
                let frame = bare::<Rules>(&chunk, choice, reason, payload, context);
                self.insert(Ending { frame, places: vec![*place], content: Content::Nothing });
            }
        }
        if ending.content != Content::Nothing {
            output.extend_from_slice(FRAME_HEAD);
            edits.apply(payload, output);
            output.extend_from_slice(b"\n\n");
        }
    }
}

/// A frame with nothing but a choice's finish.
fn bare<Rules: ChoiceRules>(
    chunk: &Chunk,
    choice: &Choice,
    reason: &str,
    payload: &[u8],
    context: &AnswerContext,
) -> Vec<u8> {
    let mut frame = FRAME_HEAD.to_vec();
    write_head(chunk, Rules::OBJECT, payload, context, &mut frame);
    let index = choice.index.map_or(&b"0"[..], |index| index.value.span.of(payload));
    for piece in [b"[{\"index\":", index, b",", Rules::EMPTY.as_bytes(), b",\"finish_reason\":"] {
        frame.extend_from_slice(piece);
    }
    write_string(reason, &mut frame);
    frame.extend_from_slice(b"}]}\n\n");
    frame
}

/// The members of a new chunk up to the value of `choices`, as those of another one are.
pub(super) fn write_head(
    chunk: &Chunk,
    object: &str,
    payload: &[u8],
    context: &AnswerContext,
    output: &mut Vec<u8>,
) {
    let repeated = |member: Option<Member>, kind: Kind| {
        let member = member.filter(|member| member.value.kind == kind)?;
        Some(member.value.span.of(payload)).filter(|value| value.len() <= MAX_REPEATED_BYTES)
    };
    output.extend_from_slice(b"{\"id\":");
    match repeated(chunk.id, Kind::String) {
        Some(id) => output.extend_from_slice(id),
        None => write_string(&context.request_id, output),
    }
    output.extend_from_slice(b",\"object\":\"");
    output.extend_from_slice(object.as_bytes());
    output.extend_from_slice(b"\",\"created\":");
    match repeated(chunk.created, Kind::Number) {
        Some(created) => output.extend_from_slice(created),
        None => output.extend_from_slice(context.created_s.to_string().as_bytes()),
    }
    output.extend_from_slice(b",\"model\":");
    match repeated(chunk.model, Kind::String) {
        Some(model) => output.extend_from_slice(model),
        None => write_string(&context.model, output),
    }
    output.extend_from_slice(b",\"choices\":");
}
