//! A client's own body for an upstream of the same API: bytes untouched, but for a few spans.
//!
//! * `model`, every one of them, where the upstream's name is another one;
//! * the thinking switch: `llmgw_thinking` leaves and wins over the API's own, and a mode that the model lacks is not asked
//!   for ([`switch`]);
//! * reasoning that the client has lost, where the route wants it back ([`turns`]);
//! * what only llmgw can read: a signature or an `encrypted_content` of ours goes, and where the upstream could do nothing
//!   with what is left, the block or the item with it. A text that stays keeps its bytes;
//! * the fields that the route drops.
//!
//! Signatures of providers, marks for caches, unknown blocks and items, the order of keys: all as the client wrote it.

mod messages;
mod responses;
mod switch;
mod turns;

use std::borrow::Cow;

use crate::answer::context::AnswerMode;
use crate::json::edit::{Edits, Piece};
use crate::json::text::string;
use crate::json::{JsonError, Member, Scanner, Span, Value};
use crate::request::rewrite::MAX_RESTORED_BYTES;
use crate::request::{ChatRequest, Rewrite, Route};
use crate::turn::key::is_escaped_text;

use self::turns::Turns;
use super::Native;

/// Before each member that comes in.
const COMMA: &str = ", ";

/// The same request in chat's words: who said what is known by that.
#[derive(Clone, Copy)]
pub struct InChat<'a> {
    /// Its scan.
    pub request: &'a ChatRequest,
    /// The body that was scanned.
    pub body: &'a [u8],
    /// What was kept of its lost turns: see [`ChatRequest::splice`].
    pub reasoning: &'a [Option<&'a [u8]>],
}

/// The body for the upstream of `route`, in pieces, and what the client is to get. `body` is the one that the chat request
/// was made of.
///
/// # Errors
/// Where it is no JSON object, which a converted body is.
pub fn splice(api: Native, body: &[u8], route: &Route, chat: InChat<'_>) -> Result<Rewrite, JsonError> {
    let top = Top::read(api, body, route)?;
    let mut plan = Plan::new(body);
    let name = string(&route.upstream_model);
    for model in top.models.iter().filter(|model| model.value.span.of(body) != name) {
        plan.edits.replace(model.value.span, name.clone());
    }
    plan.removed.extend(&top.dropped);
    let thinking = match api {
        Native::Messages => switch::messages(&top, route, &mut plan),
        Native::Responses => switch::responses(&top, route, &mut plan)?,
    };
    let restored = match top.said {
        Some(said) => {
            let mut turns = Turns::new(chat, route);
            match api {
                Native::Messages => messages::restore(said, route, &mut turns, &mut plan)?,
                Native::Responses => responses::restore(said, route, &mut turns, &mut plan)?,
            }
        }
        None => 0,
    };
    let stream = AnswerMode::Stream { include_usage: true };
    let mode = if chat.request.stream { stream } else { AnswerMode::Plain };
    Ok(Rewrite { body: plan.pieces(&top), thinking, mode, restored })
}

/// The members of a body that matter here.
struct Top {
    span: Span,
    members: usize,
    /// All of that name: an upstream must not read another one than the gateway.
    models: Vec<Member>,
    /// `messages` or `input`.
    said: Option<Value>,
    llmgw_thinking: Vec<Member>,
    enable_thinking: Option<Member>,
    /// `thinking` or `reasoning`.
    switch: Option<Member>,
    dropped: Vec<Member>,
}

impl Top {
    fn read(api: Native, body: &[u8], route: &Route) -> Result<Self, JsonError> {
        let mut top = Self {
            span: Span::default(),
            members: 0,
            models: Vec::new(),
            said: None,
            llmgw_thinking: Vec::new(),
            enable_thinking: None,
            switch: None,
            dropped: Vec::new(),
        };
        top.span = Scanner::new(body).object(|scanner, key| {
            top.members += 1;
            let member = scanner.member(&key)?;
            let name = key.text.key();
            match (&*name, api) {
                (b"model", _) => top.models.push(member),
                (b"messages", Native::Messages) | (b"input", Native::Responses) => {
                    top.said = Some(member.value);
                }
                (b"llmgw_thinking", _) => top.llmgw_thinking.push(member),
                (b"enable_thinking", Native::Responses) => top.enable_thinking = Some(member),
                (b"thinking", Native::Messages) | (b"reasoning", Native::Responses) => {
                    top.switch = Some(member);
                }
                (b"stream", _) => {}
                (name, _) if route.drop.iter().any(|dropped| dropped.as_bytes() == name) => {
                    top.dropped.push(member);
                }
                _ => {}
            }
            Ok::<_, JsonError>(())
        })?;
        Ok(top)
    }

    /// Our own switch, where it says something.
    fn own_switch(&self, body: &[u8]) -> Option<bool> {
        self.llmgw_thinking.last().and_then(|member| member.value.as_bool(body))
    }
}

/// The edits of one body.
struct Plan<'a> {
    body: &'a [u8],
    edits: Edits,
    /// Top-level members that go.
    removed: Vec<Member>,
    /// Those that come.
    added: Vec<Cow<'static, [u8]>>,
    /// How much reasoning may still be put back.
    budget: usize,
}

impl<'a> Plan<'a> {
    const fn new(body: &'a [u8]) -> Self {
        let budget = MAX_RESTORED_BYTES;
        Self { body, edits: Edits::new(), removed: Vec::new(), added: Vec::new(), budget }
    }

    /// Whether there is room for this reasoning, which then counts, and it can stand in a JSON string.
    fn affords(&mut self, reasoning: &[u8]) -> bool {
        if !is_escaped_text(reasoning) {
            return false;
        }
        let left = self.budget.checked_sub(reasoning.len());
        self.budget = left.unwrap_or(self.budget);
        left.is_some()
    }

    /// Take items out of a list, comma by comma.
    fn remove_items(&mut self, items: &[(Span, bool)]) {
        let mut kept_before = false;
        for (at, &(span, goes)) in items.iter().enumerate() {
            if !goes {
                kept_before = true;
                continue;
            }
            let span = if kept_before {
                Span { start: items[at - 1].0.end, end: span.end }
            } else {
                let end = items.get(at + 1).map_or(span.end, |(next, _)| next.start);
                Span { start: span.start, end }
            };
            self.edits.replace(span, &b""[..]);
        }
    }

    /// The edited body, if it differs.
    fn pieces(mut self, top: &Top) -> Option<Vec<Piece>> {
        self.edits.members(self.body, top.span, top.members, &mut self.removed, &self.added, COMMA);
        (!self.edits.is_empty()).then(|| self.edits.pieces(self.body.len()))
    }
}
