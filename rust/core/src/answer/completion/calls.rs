//! The tool calls of an answer that came whole.

use crate::answer::chunk::{Delta, ToolCall, text_of};
use crate::answer::stream::{kind_to_set, new_call_id, set_arguments};
use crate::json::Member;
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::quoted;

/// What came of a message's tool calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// There are none.
    None,
    /// There are some, but none with a name.
    Nothing,
    Something,
}

pub(crate) fn called(calls: &[ToolCall], input: &[u8]) -> Called {
    if calls.is_empty() {
        Called::None
    } else if calls.iter().any(|call| call.is_named(input)) {
        Called::Something
    } else {
        Called::Nothing
    }
}

/// Collect the edits of a message's calls. Those without a name go; without any, the whole member goes.
pub(super) fn clean_calls(
    message: &Delta,
    calls: &[ToolCall],
    input: &[u8],
    choice: (u64, &str),
    edits: &mut Edits,
    changes: &mut MemberChanges,
) {
    let Some(member) = message.tool_calls else { return };
    if called(calls, input) != Called::Something {
        return changes.remove(member);
    }
    let mut nameless: Vec<Member> = Vec::new();
    for (ordinal, call) in calls.iter().enumerate() {
        if call.is_named(input) {
            let new_id = new_call_id(choice, ordinal - nameless.len());
            clean_call(call, &new_id, input, edits);
        } else {
            nameless.push(call.as_item(ordinal));
        }
    }
    edits.members(input, member.value.span, calls.len(), &mut nameless, &[], ",");
}

fn clean_call(call: &ToolCall, new_id: &str, input: &[u8], edits: &mut Edits) {
    let mut changes = MemberChanges::new();
    if text_of(call.id.as_ref(), input).is_none() {
        changes.set(edits, call.id, "id", quoted(new_id.as_bytes()));
    }
    match (call.payload_object(), call.payload) {
        (Some(payload), _) => {
            if let Some(kind) = kind_to_set(call, input) {
                changes.set(edits, call.kind, "type", quoted(kind.as_bytes()));
            }
            let mut inside = MemberChanges::new();
            set_arguments(call, &[], input, edits, &mut inside);
            inside.finish(edits, input, payload.value.span, call.payload_members);
        }
        (None, Some(payload)) => changes.remove(payload),
        (None, None) => {}
    }
    if let Some(spare) = call.spare {
        changes.remove(spare);
    }
    changes.finish(edits, input, call.span, call.members);
}
