//! The reasoning items of a Responses body.

use crate::json::text::quoted;
use crate::json::{JsonError, Kind, Member, Scanner, Span, Text, Value};
use crate::request::Route;
use crate::seal::is_sealed;
use crate::turn::text::TextDigest;

use super::super::events::{items, members, text};
use super::turns::{Identity, Turns};
use super::{COMMA, Plan};

/// What a model says and does until somebody answers: items in a row.
#[derive(Default)]
struct Turn {
    /// Where its first item begins.
    start: Option<usize>,
    reasoning: Vec<Reasoning>,
    text: TextDigest,
    call_id: Option<String>,
    /// It has said or called something, and not only reasoned.
    has_acted: bool,
}

/// A reasoning item.
struct Reasoning {
    object: Value,
    members: usize,
    /// Where its text is told.
    content: Option<Member>,
    /// `encrypted_content`, where it is ours.
    ours: Option<Member>,
    has_text: bool,
}

/// Put lost reasoning back and take out what only we can read; how many turns have got theirs back.
pub(super) fn restore(
    said: Value,
    route: &Route,
    turns: &mut Turns<'_>,
    plan: &mut Plan<'_>,
) -> Result<usize, JsonError> {
    let body = plan.body;
    let (mut restored, mut all, mut turn) = (0, Vec::new(), Turn::default());
    if said.kind != Kind::Array {
        return Ok(0);
    }
    let mut end = |turn: Turn, plan: &mut Plan<'_>| {
        if route.restore_reasoning {
            restored += usize::from(mend(turn, turns, plan));
        }
    };
    Scanner::of(body, said).array(|scanner, _| {
        let item = scanner.value()?;
        let names = ["type", "role", "content", "call_id"];
        let [kind, role, content, call_id] = members(body, item, names)?;
        let kind = text(body, kind).map_or_else(|| "message".into(), Text::decode);
        let mut goes = false;
        match &*kind {
            "reasoning" => {
                if turn.has_acted {
                    end(std::mem::take(&mut turn), plan);
                }
                let reasoning = reasoning(body, item)?;
                // What we have sealed says nothing to an upstream that does not want reasoning back.
                goes = !route.restore_reasoning && reasoning.ours.is_some();
                turn.start.get_or_insert(item.span.start);
                turn.reasoning.push(reasoning);
            }
            "message" if text(body, role).is_some_and(|role| role.is("assistant")) => {
                turn.act(item);
                if let Some(said) = content.and_then(|content| content.as_text(body)) {
                    turn.text.piece(said.raw());
                }
                items(body, content, |part| {
                    let [said] = members(body, part, ["text"])?;
                    if let Some(said) = text(body, said) {
                        turn.text.piece(said.raw());
                    }
                    Ok(())
                })?;
            }
            "function_call" | "custom_tool_call" | "local_shell_call" => {
                turn.act(item);
                let id = text(body, call_id).map(|id| id.decode().into_owned());
                turn.call_id = turn.call_id.take().or(id);
            }
            "message" => end(std::mem::take(&mut turn), plan),
            kind if kind.ends_with("_output") => end(std::mem::take(&mut turn), plan),
            // Tools that run at the provider, and what we do not know: part of what the model did.
            _ => {}
        }
        all.push((item.span, goes));
        Ok::<_, JsonError>(())
    })?;
    end(turn, plan);
    if all.iter().any(|(_, goes)| *goes) {
        plan.remove_items(&all);
    }
    Ok(restored)
}

impl Turn {
    fn act(&mut self, item: Value) {
        self.start.get_or_insert(item.span.start);
        self.has_acted = true;
    }
}

fn reasoning(body: &[u8], object: Value) -> Result<Reasoning, JsonError> {
    let (mut count, mut content, mut ours) = (0, None, None);
    Scanner::of(body, object).object(|scanner, key| {
        count += 1;
        let member = scanner.member(&key)?;
        if key.text.is("content") {
            content = Some(member);
        } else if key.text.is("encrypted_content") {
            ours = text(body, Some(member.value)).filter(|it| is_sealed(it.raw())).map(|_| member);
        }
        Ok::<_, JsonError>(())
    })?;
    let mut has_text = false;
    items(body, content.map(|content| content.value), |part| {
        let [said] = members(body, part, ["text"])?;
        has_text |= text(body, said).is_some();
        Ok(())
    })?;
    Ok(Reasoning { object, members: count, content, ours, has_text })
}

/// For an upstream that wants reasoning back as a text (`reasoning_text`). What we have sealed goes: the text says it.
/// Whether it was lost and is back.
fn mend(turn: Turn, turns: &mut Turns<'_>, plan: &mut Plan<'_>) -> bool {
    let Turn { start: Some(start), reasoning, text, call_id, has_acted } = turn else { return false };
    let identity = Identity::new(call_id, text);
    let kept = if has_acted && turns.restores { turns.take(&identity) } else { None };
    let has_text = reasoning.iter().any(|item| item.has_text);
    let kept = kept.filter(|kept| !has_text && plan.affords(kept));
    let content = kept.map(|kept| {
        let mut content = b"\"content\": [{\"type\": \"reasoning_text\", \"text\": ".to_vec();
        content.extend_from_slice(&quoted(kept));
        content.extend_from_slice(b"}]");
        content
    });
    let mut content_for_first = content.clone();
    for item in &reasoning {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        removed.extend(item.ours);
        if let Some(content) = content_for_first.take() {
            removed.extend(item.content);
            added.push(content.into());
        }
        if !removed.is_empty() || !added.is_empty() {
            let Reasoning { object: Value { span, .. }, members, .. } = *item;
            plan.edits.members(plan.body, span, members, &mut removed, &added, COMMA);
        }
    }
    if let Some(content) = content_for_first {
        let mut item = b"{\"type\": \"reasoning\", \"summary\": [], ".to_vec();
        item.extend_from_slice(&content);
        item.extend_from_slice(b"}, ");
        plan.edits.replace(Span { start, end: start }, item);
    }
    content.is_some()
}
