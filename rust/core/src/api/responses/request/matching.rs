//! Which output belongs to which call.
//!
//! Ids may come again: some providers count their calls anew in each answer. So an output belongs to the last call of its id
//! that has none yet; of several such calls in one turn, to the first.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use super::items::{Item, Role};

/// The calls of one id that wait for an output.
#[derive(Default)]
struct Waiting {
    /// The turn that they are of.
    turn: usize,
    calls: VecDeque<usize>,
}

/// Tell each call its output, and each output that it has a call.
pub(super) fn match_outputs(items: &mut [Item], input: &[u8]) {
    let mut waiting: HashMap<Cow<'_, [u8]>, Waiting> = HashMap::new();
    let mut turn = 0;
    for at in 0..items.len() {
        match items[at] {
            Item::Message { role: Role::Assistant, .. } | Item::Reasoning { .. } => {}
            Item::Message { .. } => turn += 1,
            Item::Call(call) => {
                let Some(id) = call.id.as_text(input) else { continue };
                let same_id = waiting.entry(id.key()).or_default();
                if same_id.turn != turn {
                    same_id.calls.clear();
                    same_id.turn = turn;
                }
                same_id.calls.push_back(at);
            }
            Item::Output { id, .. } => {
                turn += 1;
                let Some(id) = id.and_then(|id| id.as_text(input)) else { continue };
                let Some(call_at) = waiting.get_mut(&*id.key()).and_then(|same_id| same_id.calls.pop_front())
                else {
                    continue;
                };
                if let Item::Call(call) = &mut items[call_at] {
                    call.output = Some(at);
                }
                if let Item::Output { answers, .. } = &mut items[at] {
                    *answers = true;
                }
            }
        }
    }
}
