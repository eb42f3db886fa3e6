//! Assistant messages that called tools and lost their reasoning on the way back.
//!
//! Lost is what is absent, null or an empty string: DeepSeek refuses the empty one like the others, and SDKs write it for
//! what they never had. Anything else is the client's own and stays.

use crate::answer::chunk::{ChunkError, ToolCall, text_of};
use crate::json::{JsonError, Member, Scanner, Value};
use crate::turn::key::{Conversation, FirstCall, TurnKey};

use super::scan::Field;
use super::{ChatRequest, Object, Route};

/// At most this many are tracked per request; for the rest, the upstream's refusal is passed on.
pub(super) const MAX_LOST_TURNS: usize = 4096;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostTurn {
    /// The message, with its `reasoning_content` where that is there but blank.
    pub(super) message: Object,
    /// Its `tool_calls`, not empty.
    pub(super) tool_calls: Value,
}

impl ChatRequest {
    /// How many assistant messages called tools and have no reasoning, although the route wants it. None where thinking
    /// is switched off: then no family insists on reasoning, and none is sent. `body` is the one that was scanned.
    #[must_use]
    pub fn lost_turns(&self, body: &[u8], route: &Route) -> usize {
        let wanted =
            route.restore_reasoning && !self.lost_turns.is_empty() && !self.switches_off(body, route);
        if wanted { self.lost_turns.len() } else { 0 }
    }

    /// What those turns were kept under, if they were. `body` is the one that was scanned.
    #[must_use]
    pub fn lost_turn_keys(&self, body: &[u8], scope: &[u8]) -> Vec<TurnKey> {
        let calls: Vec<_> = self.lost_turns.iter().map(|turn| first_call(body, turn.tool_calls)).collect();
        let mut before = Vec::new();
        if !calls.iter().all(FirstCall::has_unique_id) {
            let conversation = self.conversation(body, |start, so_far| {
                if self.lost_turns.get(before.len()).is_some_and(|turn| turn.message.span.start == start) {
                    before.push(so_far.digest());
                }
            });
            // None is left over; but a key that fits nothing would be harmless.
            before.resize(calls.len(), conversation.digest());
        }
        let mut before = before.into_iter();
        calls
            .iter()
            .map(|call| {
                let conversation = before.next();
                call.key(scope, || conversation.unwrap_or_default())
            })
            .collect()
    }

    /// What the turn that answers this request is kept under.
    #[must_use]
    pub fn turn_key(&self, body: &[u8], scope: &[u8], first_call: &FirstCall) -> TurnKey {
        first_call.key(scope, || self.conversation(body, |_, _| ()).digest())
    }

    /// Everything that is said; `before` is called in front of each message, with the message's offset.
    fn conversation(&self, body: &[u8], mut before: impl FnMut(usize, &Conversation)) -> Conversation {
        let mut conversation = Conversation::new();
        let Some(messages) = self.top.field(Field::Messages) else { return conversation };
        // It has been scanned before, so it can't fail now.
        let _ = Scanner::of(body, messages.value).array(|scanner, _| {
            let mut role = None;
            scanner.peek()?;
            before(scanner.position(), &conversation);
            let span = scanner.object(|scanner, key| {
                let value = scanner.value()?;
                if key.text.is("role") {
                    role = value.as_text(body);
                }
                Ok::<_, JsonError>(())
            })?;
            conversation.say(span.of(body), role);
            Ok::<_, JsonError>(())
        });
        conversation
    }
}

/// The first of a message's `tool_calls`; empty where that is not a call.
fn first_call(input: &[u8], tool_calls: Value) -> FirstCall {
    let mut first = None;
    // Scanned before. Items that are not objects can't come from one of our answers.
    let _ = Scanner::of(input, tool_calls).array(|scanner, _| {
        let call = ToolCall::read(scanner)?;
        first.get_or_insert(call);
        Ok::<_, ChunkError>(())
    });
    let text = |member: Option<Member>| {
        text_of(member.as_ref(), input).map(|text| text.decode().into_owned()).unwrap_or_default()
    };
    first.map_or_else(FirstCall::default, |call| FirstCall {
        id: text(call.id),
        name: text(call.name),
        arguments: text(call.arguments),
    })
}
