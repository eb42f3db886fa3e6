//! Whether to think, in the words of the client's API.
//!
//! Messages have `thinking.type` for all models, Responses `reasoning.effort`, and DashScope's Responses `enable_thinking`
//! beside it. A model without a switch that is known ([`Dialect::Native`]) gets what the client wrote, without our own.

use crate::dialect::Dialect;
use crate::json::{JsonError, Kind, Member, Span};
use crate::request::{Route, ThinkingOutcome, ThinkingSent};

use super::super::events::{members, text};
use super::{COMMA, Plan, Top};

/// Of a Messages body.
pub(super) fn messages(top: &Top, route: &Route, plan: &mut Plan<'_>) -> Option<ThinkingOutcome> {
    let body = plan.body;
    let own = top.own_switch(body);
    let told = top.switch.and_then(|thinking| {
        let [kind] = members(body, thinking.value, ["type"]).ok()?;
        match &*text(body, kind)?.decode() {
            "enabled" | "adaptive" => Some(true),
            "disabled" => Some(false),
            _ => None,
        }
    });
    let outcome = outcome(own, told, route, Dialect::ThinkingObject);
    let sets = match outcome {
        Some(ThinkingOutcome { asked, sent: ThinkingSent::Dialect(_) }) if told != Some(asked) => Some(asked),
        Some(ThinkingOutcome { sent: ThinkingSent::Ignored, .. }) if lacks(told, route) => {
            plan.removed.extend(top.switch);
            None
        }
        _ => None,
    };
    let mut gone = top.llmgw_thinking.clone();
    if let Some(on) = sets {
        let kind = if on { "enabled" } else { "disabled" };
        let value = format!("{{\"type\": \"{kind}\"}}");
        put(plan, top.switch, &mut gone, "thinking", &value);
    }
    plan.removed.extend(gone);
    outcome
}

/// Of a Responses body.
pub(super) fn responses(
    top: &Top,
    route: &Route,
    plan: &mut Plan<'_>,
) -> Result<Option<ThinkingOutcome>, JsonError> {
    let body = plan.body;
    let boolean = top.enable_thinking.and_then(|member| member.value.as_bool(body));
    let own = top.own_switch(body).or(boolean);
    let [effort] = match top.switch {
        Some(reasoning) => members(body, reasoning.value, ["effort"])?,
        None => [None],
    };
    let told = text(body, effort).map(|effort| !effort.is("none"));
    let has_boolean = route.dialect == Dialect::EnableThinking;
    let outcome = match outcome(own, told, route, route.dialect) {
        Some(ThinkingOutcome { asked, sent: ThinkingSent::Dialect(_) }) if !has_boolean => {
            Some(ThinkingOutcome { asked, sent: ThinkingSent::Effort })
        }
        other => other,
    };
    let mut gone = top.llmgw_thinking.clone();
    match outcome {
        Some(ThinkingOutcome { asked, sent: ThinkingSent::Dialect(_) }) if boolean != Some(asked) => {
            let value = if asked { "true" } else { "false" };
            put(plan, top.enable_thinking, &mut gone, "enable_thinking", value);
        }
        Some(ThinkingOutcome { asked, sent: ThinkingSent::Effort }) => {
            gone.extend(top.enable_thinking);
            if told != Some(asked) {
                let effort_sent = if asked { "\"medium\"" } else { "\"none\"" };
                match (effort, top.switch) {
                    (Some(effort), _) => plan.edits.replace(effort.span, effort_sent.as_bytes()),
                    (None, Some(reasoning)) if reasoning.value.kind == Kind::Object => {
                        add_effort(plan, reasoning.value.span, effort_sent);
                    }
                    (None, switch) => {
                        let value = format!("{{\"effort\": {effort_sent}}}");
                        put(plan, switch, &mut gone, "reasoning", &value);
                    }
                }
            }
        }
        Some(ThinkingOutcome { sent: ThinkingSent::Ignored, .. }) => {
            gone.extend(
                top.enable_thinking.filter(|_| route.dialect == Dialect::Native || lacks(boolean, route)),
            );
            if lacks(told, route) {
                plan.removed.extend(top.switch);
            }
        }
        _ => {}
    }
    plan.removed.extend(gone);
    Ok(outcome)
}

/// What is asked for and what comes of it, where anything is.
fn outcome(
    own: Option<bool>,
    told: Option<bool>,
    route: &Route,
    spelled: Dialect,
) -> Option<ThinkingOutcome> {
    let is_native = route.dialect == Dialect::Native;
    let asked = if is_native { own } else { own.or(told) }?;
    let known = !is_native && route.thinking_modes.has(asked);
    let sent = if known { ThinkingSent::Dialect(spelled) } else { ThinkingSent::Ignored };
    Some(ThinkingOutcome { asked, sent })
}

/// Whether the client's own words ask for a mode that the model lacks.
fn lacks(told: Option<bool>, route: &Route) -> bool {
    route.dialect != Dialect::Native && told.is_some_and(|on| !route.thinking_modes.has(on))
}

/// Give a top-level member this value: where it stands, else in place of one that goes, else at the end.
fn put(plan: &mut Plan<'_>, member: Option<Member>, gone: &mut Vec<Member>, name: &str, value: &str) {
    match (member, gone.first().copied()) {
        (Some(member), _) => plan.edits.replace(member.value.span, value.as_bytes().to_vec()),
        (None, Some(place)) => {
            gone.remove(0);
            plan.edits.replace(place.span, format!("\"{name}\": {value}").into_bytes());
        }
        (None, None) => plan.added.push(format!("\"{name}\": {value}").into_bytes().into()),
    }
}

/// A `reasoning` object without an effort gets one, first.
fn add_effort(plan: &mut Plan<'_>, reasoning: Span, effort: &'static str) {
    let inside = Span { start: reasoning.start + 1, end: reasoning.end - 1 };
    let is_empty = inside.of(plan.body).iter().all(u8::is_ascii_whitespace);
    let comma = if is_empty { "" } else { COMMA };
    plan.edits.insert(inside.start, format!("\"effort\": {effort}{comma}").into_bytes());
}
