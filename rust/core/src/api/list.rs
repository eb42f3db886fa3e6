//! Answers that are an object with a list in it: embeddings have it in `data`, rerank in `results`.
//!
//! Only what a client needs is put right: `object` and `model`, where they are absent; and an `error` that is null leaves,
//! since the mere name makes one SDK raise.

use crate::answer::completion::Cleaned;
use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::summary::Summary;
use crate::answer::usage::{Usage, read_usage};
use crate::json::edit::{Edits, MemberChanges, Piece};
use crate::json::text::string;
use crate::json::{JsonError, Kind, Member, Scanner, Span, Value, check_utf8};
use crate::refusal::Refusal;

/// Which list it is.
pub(super) struct ListRules {
    /// In an error's message.
    pub(super) name: &'static str,
    /// The member that holds the list.
    pub(super) list: &'static str,
}

/// Where the members are that matter here.
#[derive(Default)]
struct Members {
    span: Span,
    count: usize,
    list: Option<Member>,
    object: Option<Member>,
    model: Option<Member>,
    usage: Option<Member>,
    meta: Option<Member>,
    error: Option<Member>,
    base_resp: Option<Member>,
}

impl Members {
    fn read(input: &[u8], rules: &ListRules) -> Result<Self, JsonError> {
        check_utf8(input)?;
        let mut members = Self::default();
        let mut scanner = Scanner::new(input);
        members.span = scanner.object(|scanner, key| {
            members.count += 1;
            let member = scanner.member(&key)?;
            let slot = match &*key.text.key() {
                name if name == rules.list.as_bytes() => &mut members.list,
                b"object" => &mut members.object,
                b"model" => &mut members.model,
                b"usage" => &mut members.usage,
                b"meta" => &mut members.meta,
                b"error" => &mut members.error,
                b"base_resp" => &mut members.base_resp,
                _ => return Ok(()),
            };
            *slot = Some(member);
            Ok::<_, JsonError>(())
        })?;
        scanner.end()?;
        Ok(members)
    }

    /// The list, unless there is none or nothing in it.
    fn full_list(&self, input: &[u8]) -> Option<Value> {
        self.list.map(|list| list.value).filter(|list| list.kind == Kind::Array && !list.is_blank(input))
    }

    /// The error that it holds or, where nothing is in its list, that it is.
    fn refusal(&self, input: &[u8]) -> Option<Refusal> {
        if self.full_list(input).is_none() {
            return Refusal::find(input);
        }
        self.error
            .and_then(|error| Refusal::of_error(input, error.value))
            .or_else(|| Refusal::of_base_resp(input, self.base_resp?.value))
    }

    /// What it used. Where only a total is told, that is the prompt's: nothing is generated.
    fn usage(&self, input: &[u8]) -> Option<Usage> {
        let usage = object(self.usage).filter(|usage| !usage.is_blank(input));
        let usage = usage.map(|usage| {
            let read = read_usage(input, usage);
            let total = || inside(input, usage, "total_tokens")?.as_u64(input);
            Usage { prompt_tokens: read.prompt_tokens.or_else(total), ..read }
        });
        usage.or_else(|| self.meta_usage(input))
    }

    /// Cohere's: `meta.tokens`, else `meta.billed_units`. Its search units are no tokens.
    fn meta_usage(&self, input: &[u8]) -> Option<Usage> {
        let meta = object(self.meta)?;
        ["tokens", "billed_units"].into_iter().find_map(|name| {
            let counts = inside(input, meta, name).filter(|counts| counts.kind == Kind::Object)?;
            Some(read_usage(input, counts)).filter(|usage| *usage != Usage::default())
        })
    }
}

/// The value of a member, where it is an object.
fn object(member: Option<Member>) -> Option<Value> {
    member.map(|member| member.value).filter(|value| value.kind == Kind::Object)
}

/// A member of an object that has been scanned before.
fn inside(input: &[u8], object: Value, name: &str) -> Option<Value> {
    let mut found = None;
    let _ = Scanner::of(input, object).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is(name) {
            found = Some(value);
        }
        Ok::<_, JsonError>(())
    });
    found
}

/// Clean up an answer. `convert` gives the list's new text, none where it stays as it is.
///
/// # Errors
/// Where it is an error or no such list, and what `convert` says.
pub(super) fn clean_with(
    rules: &ListRules,
    body: &[u8],
    context: &AnswerContext,
    convert: impl FnOnce(Value) -> Result<Option<Vec<u8>>, StreamError>,
) -> Result<Cleaned, StreamError> {
    let none = || StreamError::not_a(rules.name);
    let told = |refusal| StreamError::told(refusal, &context.secret);
    let members = Members::read(body, rules).map_err(|_| Refusal::find(body).map_or_else(none, told))?;
    if let Some(refusal) = members.refusal(body) {
        return Err(told(refusal));
    }
    let list =
        members.list.map(|list| list.value).filter(|list| list.kind == Kind::Array).ok_or_else(none)?;
    let (mut edits, mut changes) = (Edits::new(), MemberChanges::new());
    if members.object.is_none_or(|object| object.value.as_text(body).is_none_or(|text| !text.is("list"))) {
        changes.set(&mut edits, members.object, "object", &b"\"list\""[..]);
    }
    if members.model.is_none_or(|model| model.value.kind != Kind::String || model.value.is_blank(body)) {
        changes.set(&mut edits, members.model, "model", string(&context.model));
    }
    if let Some(error) = members.error {
        changes.remove(error);
    }
    let converted = convert(list)?;
    changes.finish(&mut edits, body, members.span, members.count);
    let summary = Summary { frames: 1, complete: true, usage: members.usage(body), ..Summary::default() };
    let body = match converted {
        Some(text) => Some(with_list(body, edits, list.span, text)),
        None if edits.is_empty() => None,
        None => {
            let mut output = Vec::with_capacity(edits.edited_length(body.len()));
            edits.apply(body, &mut output);
            Some(output)
        }
    };
    Ok(Cleaned { body, summary })
}

/// The edited answer with another text in place of its list, which no edit touches. That text is nearly all of it, and may
/// be very large: it is not copied, but moved once.
fn with_list(body: &[u8], edits: Edits, list: Span, text: Vec<u8>) -> Vec<u8> {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut is_behind = false;
    for piece in edits.pieces(body.len()) {
        match piece {
            Piece::Kept(Span { start, end }) if start <= list.start && list.end <= end => {
                head.extend_from_slice(&body[start..list.start]);
                tail.extend_from_slice(&body[list.end..end]);
                is_behind = true;
            }
            piece if is_behind => tail.extend_from_slice(piece.bytes(body)),
            piece => head.extend_from_slice(piece.bytes(body)),
        }
    }
    let mut output = text;
    output.reserve_exact(head.len() + tail.len());
    output.extend_from_slice(&tail);
    output.splice(0..0, head);
    output
}
