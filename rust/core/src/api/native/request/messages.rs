//! The thinking blocks of a Messages body.

use crate::json::text::quoted;
use crate::json::{JsonError, Kind, Scanner, Span, Text, Value};
use crate::request::Route;
use crate::seal::is_sealed;
use crate::turn::text::TextDigest;

use super::super::events::{members, text};
use super::turns::{Identity, Turns};
use super::{COMMA, Plan};

/// One block of an answer.
struct Block {
    span: Span,
    kind: BlockKind,
}

enum BlockKind {
    Thinking(Thinking),
    Other,
}

/// A thinking block.
struct Thinking {
    text: Option<Value>,
    /// A signature of ours.
    ours: Option<Value>,
    is_blank: bool,
}

/// What the model said in one message.
struct Answer {
    content: Value,
    blocks: Vec<Block>,
    identity: Identity,
}

/// Put lost thinking back and take out what only we can read; how many turns have got theirs back.
pub(super) fn restore(
    said: Value,
    route: &Route,
    turns: &mut Turns<'_>,
    plan: &mut Plan<'_>,
) -> Result<usize, JsonError> {
    let body = plan.body;
    let (mut restored, mut messages) = (0, Vec::new());
    if said.kind != Kind::Array {
        return Ok(0);
    }
    Scanner::of(body, said).array(|scanner, _| {
        let message = scanner.value()?;
        let mut goes = false;
        if let Some(answer) = answer(body, message)? {
            if route.restore_reasoning {
                restored += usize::from(mend(&answer, turns, plan));
            } else {
                goes = strip(&answer, plan);
            }
        }
        messages.push((message.span, goes));
        Ok::<_, JsonError>(())
    })?;
    if messages.iter().any(|(_, goes)| *goes) {
        plan.remove_items(&messages);
    }
    Ok(restored)
}

fn answer(body: &[u8], message: Value) -> Result<Option<Answer>, JsonError> {
    let [role, content] = members(body, message, ["role", "content"])?;
    let Some(content) = content.filter(|_| text(body, role).is_some_and(|role| role.is("assistant"))) else {
        return Ok(None);
    };
    let (mut blocks, mut digest, mut call_id) = (Vec::new(), TextDigest::default(), None);
    if let Some(text) = content.as_text(body) {
        digest.piece(text.raw());
    } else if content.kind == Kind::Array {
        Scanner::of(body, content).array(|scanner, _| {
            let block = scanner.value()?;
            let names = ["type", "thinking", "signature", "text", "id"];
            let [kind, thinking, signature, said, id] = members(body, block, names)?;
            let kind = text(body, kind).map(Text::decode).unwrap_or_default();
            let mut known = BlockKind::Other;
            match &*kind {
                "thinking" => {
                    let ours =
                        signature.filter(|_| text(body, signature).is_some_and(|it| is_sealed(it.raw())));
                    let is_blank = text(body, thinking).is_none();
                    known = BlockKind::Thinking(Thinking { text: thinking, ours, is_blank });
                }
                "text" => {
                    if let Some(said) = text(body, said) {
                        digest.piece(said.raw());
                    }
                }
                "tool_use" => {
                    let id = text(body, id).map(|id| id.decode().into_owned());
                    call_id = call_id.take().or(id);
                }
                _ => {}
            }
            blocks.push(Block { span: block.span, kind: known });
            Ok::<_, JsonError>(())
        })?;
    }
    Ok(Some(Answer { content, blocks, identity: Identity::new(call_id, digest) }))
}

impl Answer {
    fn thinking(&self) -> impl Iterator<Item = &Thinking> {
        self.blocks.iter().filter_map(|block| match &block.kind {
            BlockKind::Thinking(thinking) => Some(thinking),
            BlockKind::Other => None,
        })
    }
}

/// For an upstream that wants thinking back. Its text stays, our signature goes: nobody there checks it, and the member
/// must be there. Whether the thinking was lost and is back.
fn mend(answer: &Answer, turns: &mut Turns<'_>, plan: &mut Plan<'_>) -> bool {
    for ours in answer.thinking().filter_map(|thinking| thinking.ours) {
        plan.edits.replace(ours.span, &b"\"\""[..]);
    }
    // Asked for each turn, so that those that say the same stay in step.
    let reasoning = if turns.restores { turns.take(&answer.identity) } else { None };
    if answer.thinking().any(|thinking| !thinking.is_blank) {
        return false;
    }
    let Some(reasoning) = reasoning.filter(|reasoning| plan.affords(reasoning)) else { return false };
    match answer.thinking().next() {
        Some(Thinking { text: Some(blank), .. }) => plan.edits.replace(blank.span, quoted(reasoning)),
        // A block without the member is not ours to understand.
        Some(Thinking { text: None, .. }) => return false,
        None => insert(answer, reasoning, plan),
    }
    true
}

/// Thinking comes before all that the model said.
fn insert(answer: &Answer, reasoning: &[u8], plan: &mut Plan<'_>) {
    let mut block = b"{\"type\": \"thinking\", \"thinking\": ".to_vec();
    block.extend_from_slice(&quoted(reasoning));
    block.extend_from_slice(b", \"signature\": \"\"}");
    let content = answer.content;
    if content.kind == Kind::String {
        let says_nothing = content.is_blank(plan.body);
        block.insert(0, b'[');
        if says_nothing {
            block.push(b']');
            plan.edits.replace(content.span, block);
        } else {
            block.extend_from_slice(b", {\"type\": \"text\", \"text\": ");
            plan.edits.insert(content.span.start, block);
            plan.edits.insert(content.span.end, &b"}]"[..]);
        }
    } else if content.kind == Kind::Array {
        let at = answer.blocks.first().map_or(content.span.start + 1, |block| block.span.start);
        if !answer.blocks.is_empty() {
            block.extend_from_slice(COMMA.as_bytes());
        }
        plan.edits.insert(at, block);
    }
}

/// For any other upstream: thinking that we have signed goes. Whether nothing is left of the message.
fn strip(answer: &Answer, plan: &mut Plan<'_>) -> bool {
    let is_ours = |block: &Block| match &block.kind {
        BlockKind::Thinking(thinking) => thinking.ours.is_some(),
        BlockKind::Other => false,
    };
    let blocks: Vec<_> = answer.blocks.iter().map(|block| (block.span, is_ours(block))).collect();
    if blocks.is_empty() || blocks.iter().all(|(_, goes)| !goes) {
        return false;
    }
    let goes = blocks.iter().all(|(_, goes)| *goes);
    if !goes {
        plan.remove_items(&blocks);
    }
    goes
}
