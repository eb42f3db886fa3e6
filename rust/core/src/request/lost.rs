//! Assistant messages that lost their reasoning on the way back.
//!
//! Lost is what is absent, null or an empty string: DeepSeek refuses the empty one like the others, and SDKs write it for
//! what they never had. Anything else is the client's own and stays. Only conversations with tools count: without them no
//! provider insists on reasoning.

use crate::json::{JsonError, Kind, Scanner, Text, Value};
use crate::turn::conversation::{Conversation, Message};
use crate::turn::key::{Said, TurnKey, TurnKeys};

use super::scan::Field;
use super::{ChatRequest, Object, Route};

/// At most this many are tracked per request; for the rest, the upstream's refusal is passed on.
const MAX_LOST_TURNS: usize = 4096;

/// What the scan notes of assistant messages.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// Those that have no reasoning, each with its `reasoning_content` where that is there but blank.
    pub(super) lost: Vec<Object>,
    /// Whether one of them, lost or not, called tools.
    called_tools: bool,
}

impl Answers {
    pub(super) const NONE: Self = Self { lost: Vec::new(), called_tools: false };

    /// One more: the message with its `reasoning_content`, and its `tool_calls`.
    pub(super) fn add(&mut self, body: &[u8], message: Object, tool_calls: Option<Value>) {
        self.called_tools |=
            tool_calls.is_some_and(|calls| calls.kind == Kind::Array && !calls.is_blank(body));
        let lost = message.member.is_none_or(|reasoning| reasoning.value.is_blank(body));
        if lost && self.lost.len() < MAX_LOST_TURNS {
            self.lost.push(message);
        }
    }
}

impl ChatRequest {
    /// How many assistant messages have no reasoning, although the route wants it. None where no tools are spoken of, and
    /// none where thinking is switched off: then no family insists on reasoning, and none is sent. `body` is the one that
    /// was scanned.
    #[must_use]
    pub fn lost_turns(&self, body: &[u8], route: &Route) -> usize {
        let lost = self.answers.lost.len();
        if lost > 0 && self.wants_reasoning(body, route) { lost } else { 0 }
    }

    /// Whether reasoning that is missing is to be put back for this route, if there is any.
    pub(crate) fn wants_reasoning(&self, body: &[u8], route: &Route) -> bool {
        route.restore_reasoning && self.speaks_of_tools(body) && !self.switches_off(body, route)
    }

    /// Each assistant message: what it says, and its reasoning, still escaped: its own, else what was kept of it (see
    /// [`ChatRequest::splice`]).
    pub(crate) fn answers_with_reasoning<'a>(
        &self,
        body: &'a [u8],
        reasoning: &[Option<&'a [u8]>],
        mut visit: impl FnMut(Said, Option<&'a [u8]>),
    ) {
        let mut lost = 0;
        self.conversation(body, |start, message, _| {
            if !message.is_by("assistant") {
                return;
            }
            if self.answers.lost.get(lost).is_some_and(|turn| turn.span.start == start) {
                visit(message.said(), reasoning.get(lost).copied().flatten());
                lost += 1;
            } else {
                visit(message.said(), own_reasoning(body, start));
            }
        });
    }

    /// Whether it offers tools, or has called some.
    fn speaks_of_tools(&self, body: &[u8]) -> bool {
        self.answers.called_tools
            || self.top.field(Field::Tools).is_some_and(|tools| !tools.value.is_blank(body))
    }

    /// What those turns were kept under, if they were, in each of the scopes ([`crate::turn::key::scope_of`]). `body` is the one that was scanned.
    #[must_use]
    pub fn lost_turn_keys(&self, body: &[u8], scopes: &[TurnKey]) -> Vec<Vec<TurnKeys>> {
        let said: Vec<_> = self.answers.lost.iter().map(|turn| said(body, *turn)).collect();
        if said.iter().all(Said::has_unique_id) {
            let before = Conversation::default();
            return said.iter().map(|said| keys(said, scopes, &before)).collect();
        }
        let mut found = Vec::with_capacity(said.len());
        self.conversation(body, |start, message, before| {
            if self.answers.lost.get(found.len()).is_some_and(|turn| turn.span.start == start) {
                found.push(keys(&message.said(), scopes, before));
            }
        });
        found
    }

    /// What the turn that answers this request is kept under.
    #[must_use]
    pub fn turn_keys(&self, body: &[u8], scope: &TurnKey, said: &Said) -> TurnKeys {
        let before = if said.has_unique_id() {
            Conversation::default()
        } else {
            self.conversation(body, |_, _, _| ())
        };
        said.keys(scope, &before)
    }

    /// Everything that is said; `visit` gets each message with its offset and what was said before it.
    fn conversation(
        &self,
        body: &[u8],
        mut visit: impl FnMut(usize, &Message<'_>, &Conversation),
    ) -> Conversation {
        let mut conversation = Conversation::default();
        let Some(messages) = self.top.field(Field::Messages) else { return conversation };
        // It has been scanned before, so it can't fail now.
        let _ = Scanner::of(body, messages.value).array(|scanner, _| {
            scanner.peek()?;
            let start = scanner.position();
            let message = Message::read(scanner)?;
            visit(start, &message, &conversation);
            conversation.say(&message);
            Ok::<_, JsonError>(())
        });
        conversation
    }
}

/// The `reasoning_content` of the message that begins here, where it is a text.
fn own_reasoning(body: &[u8], start: usize) -> Option<&[u8]> {
    let mut found = None;
    // It has been scanned before, so it can't fail now.
    let _ = Scanner::at_offset(body, start).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is("reasoning_content") {
            found = value.as_text(body).map(Text::raw);
        }
        Ok::<_, JsonError>(())
    });
    found
}

fn keys(said: &Said, scopes: &[TurnKey], before: &Conversation) -> Vec<TurnKeys> {
    scopes.iter().map(|scope| said.keys(scope, before)).collect()
}

/// What a message says.
fn said(body: &[u8], message: Object) -> Said {
    // It has been scanned before, so it can't fail now.
    Message::read(&mut Scanner::at_offset(body, message.span.start)).unwrap_or_default().said()
}
