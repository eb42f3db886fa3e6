//! The plan of edits that makes an upstream's body of a client's.

use std::borrow::Cow;

use crate::answer::context::AnswerMode;
use crate::dialect::Dialect;
use crate::json::edit::{Edits, Piece};
use crate::json::{JsonError, Member, Scanner, Span, Value, text};
use crate::turn::key::is_escaped_text;

use super::directive::{self, Place};
use super::refused::Refuses;
use super::scan::{FIELDS, Field};
use super::{ChatRequest, Object, Rewrite, Route, ThinkingOutcome, ThinkingSent, TopLevel, UpstreamStream};

/// A request grows by no more than this: a few bytes of a message that stands in it again and again would otherwise
/// bring as many copies of its reasoning.
pub(crate) const MAX_RESTORED_BYTES: usize = 16 * 1024 * 1024;

/// Before each member that comes in.
const COMMA: &str = ", ";

impl ChatRequest {
    /// The body for the upstream of `route`, in pieces, and what the client is to get. `body` is the one that was scanned;
    /// `reasoning` is what was kept for each of [`ChatRequest::lost_turn_keys`], as it stands between the quotes of a JSON
    /// string (what can't stand there is passed over).
    #[must_use]
    pub fn splice(&self, body: &[u8], route: &Route, reasoning: &[Option<&[u8]>]) -> Rewrite {
        let mut plan = Plan::new(&self.top, body, Field::Messages);
        plan.model(&self.model, &route.upstream_model);
        let thinking = self.thinking_outcome(route);
        if let Some(ThinkingOutcome { asked, sent }) = thinking {
            plan.thinking(sent, asked, self.switches(sent, route.dialect), self.directive_place());
        }
        let mode = self.answer_mode(route, thinking);
        if mode != AnswerMode::Plain {
            plan.stream();
        }
        let restored =
            if self.lost_turns(body, route) > 0 { plan.restore(&self.answers.lost, reasoning) } else { 0 };
        let mendable = self.refusable.and(route.refuses);
        if mendable != Refuses::NOTHING {
            plan.mend_messages(mendable, self.text_of_directive(thinking), route.restore_reasoning);
        }
        plan.drop_fields(&route.drop);
        plan.name_the_limit(route.refuses);
        if route.dialect != Dialect::Native {
            plan.level_the_effort(route.refuses, self.effort);
        }
        Rewrite { body: plan.pieces(), thinking, mode, restored }
    }

    /// The text that gets a directive, between its quotes.
    fn text_of_directive(&self, thinking: Option<ThinkingOutcome>) -> Option<Span> {
        let sent = thinking.is_some_and(|outcome| outcome.sent == ThinkingSent::Dialect(Dialect::Directive));
        match self.directive_place() {
            Some(Place::Text(text)) if sent => Some(text),
            _ => None,
        }
    }

    /// The fields that say whether to think, but for the one that stays because the dialect has it.
    fn switches(&self, sent: ThinkingSent, dialect: Dialect) -> impl Iterator<Item = Field> + use<> {
        let stays = sent == ThinkingSent::Dialect(Dialect::EnableThinking);
        let qwen = (!stays).then_some(Field::EnableThinking);
        let off_fields = self.off_fields().filter(move |_| dialect != Dialect::Native);
        [Some(Field::LlmgwThinking), qwen].into_iter().flatten().chain(off_fields)
    }

    /// What is done with the switch, where the client gave one.
    fn thinking_outcome(&self, route: &Route) -> Option<ThinkingOutcome> {
        // Where there is no switch, only the booleans are taken out; the other fields are the upstream's own.
        let asked = if route.dialect == Dialect::Native { self.boolean() } else { self.thinking() }?;
        let known = route.thinking_modes.has(asked)
            && match route.dialect {
                Dialect::Native => false,
                Dialect::Directive => self.directive_place().is_some(),
                Dialect::EnableThinking | Dialect::ThinkingObject | Dialect::ChatTemplateKwargs => true,
            };
        let sent = if known { ThinkingSent::Dialect(route.dialect) } else { ThinkingSent::Ignored };
        Some(ThinkingOutcome { asked, sent })
    }

    /// Whether the upstream is told not to think.
    pub(super) fn switches_off(&self, body: &[u8], route: &Route) -> bool {
        match self.thinking_outcome(route) {
            Some(ThinkingOutcome { asked, sent: ThinkingSent::Dialect(_) }) => !asked,
            // The client's own object passes through.
            _ => self
                .top
                .thinking_object
                .and_then(|object| object.member?.value.as_text(body))
                .is_some_and(|kind| kind.is("disabled")),
        }
    }

    fn answer_mode(&self, route: &Route, thinking: Option<ThinkingOutcome>) -> AnswerMode {
        if self.stream {
            return AnswerMode::Stream { include_usage: self.include_usage };
        }
        let merged = match route.upstream_stream {
            UpstreamStream::Auto => {
                let off = ThinkingSent::Dialect(Dialect::EnableThinking);
                route.dialect == Dialect::EnableThinking
                    && thinking != Some(ThinkingOutcome { asked: false, sent: off })
            }
            UpstreamStream::Always => true,
            UpstreamStream::Never => false,
        };
        if merged { AnswerMode::Merged } else { AnswerMode::Plain }
    }
}

impl TopLevel {
    const fn object(&self, field: Field) -> Option<Object> {
        match field {
            Field::StreamOptions => self.stream_options,
            Field::Thinking => self.thinking_object,
            Field::ChatTemplateKwargs => self.chat_template_kwargs,
            _ => None,
        }
    }
}

/// A value that the rewrite sets.
#[derive(Clone, Copy)]
enum Setting {
    Boolean(bool),
    /// A text that needs no escapes.
    Text(&'static str),
}

impl Setting {
    fn json(self) -> String {
        match self {
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Text(text) => format!("\"{text}\""),
        }
    }

    fn is(self, value: Value, input: &[u8]) -> bool {
        match self {
            Self::Boolean(boolean) => value.as_bool(input) == Some(boolean),
            Self::Text(wanted) => value.as_text(input).is_some_and(|text| text.is(wanted)),
        }
    }
}

/// The edits of one body. Each field is decided once, by the first rule that claims it.
pub(crate) struct Plan<'a> {
    top: &'a TopLevel,
    body: &'a [u8],
    edits: Edits,
    removed: Vec<Member>,
    added: Vec<Cow<'static, [u8]>>,
    claimed: [bool; FIELDS.len()],
}

impl<'a> Plan<'a> {
    /// `content` is the field that no route may drop.
    pub(crate) fn new(top: &'a TopLevel, body: &'a [u8], content: Field) -> Self {
        let mut plan = Self {
            top,
            body,
            edits: Edits::new(),
            removed: Vec::new(),
            added: Vec::new(),
            claimed: [false; FIELDS.len()],
        };
        plan.claim(Field::Model);
        plan.claim(content);
        plan
    }

    /// Decide on a field, which nothing later may drop.
    const fn claim(&mut self, field: Field) -> Option<Member> {
        self.claimed[field as usize] = true;
        self.top.field(field)
    }

    pub(super) const fn body(&self) -> &[u8] {
        self.body
    }

    /// What is edited, and the edits so far.
    pub(super) const fn body_and_edits(&mut self) -> (&[u8], &mut Edits) {
        (self.body, &mut self.edits)
    }

    pub(super) const fn member(&self, field: Field) -> Option<Member> {
        self.top.field(field)
    }

    /// Whether something has been decided for this field, even where it is absent.
    pub(super) const fn is_claimed(&self, field: Field) -> bool {
        self.claimed[field as usize]
    }

    pub(super) fn replace(&mut self, span: Span, text: String) {
        self.edits.replace(span, text.into_bytes());
    }

    /// A member of the body leaves.
    pub(super) fn take_out(&mut self, member: Member) {
        self.removed.push(member);
    }

    pub(crate) fn model(&mut self, model: &str, upstream_model: &str) {
        if let Some(member) = self.claim(Field::Model)
            && model != upstream_model
        {
            let mut name = Vec::with_capacity(upstream_model.len() + 2);
            text::write_string(upstream_model, &mut name);
            self.edits.replace(member.value.span, name);
        }
    }

    /// The upstream streams, and says what it used.
    pub(crate) fn stream(&mut self) {
        self.set(Field::Stream, Setting::Boolean(true), &mut None);
        self.set_inside(Field::StreamOptions, "include_usage", Setting::Boolean(true), &mut None);
    }

    /// Take the switches out, put in what is to be sent: in place of the first one.
    fn thinking(
        &mut self,
        sent: ThinkingSent,
        on: bool,
        switches: impl Iterator<Item = Field>,
        directive_place: Option<Place>,
    ) {
        let mut gone: Vec<_> = switches.filter_map(|field| self.claim(field)).collect();
        gone.sort_unstable_by_key(|member| std::cmp::Reverse(member.ordinal));
        let mut place = gone.pop();
        match sent {
            ThinkingSent::Dialect(Dialect::EnableThinking) => {
                self.set(Field::EnableThinking, Setting::Boolean(on), &mut place);
            }
            ThinkingSent::Dialect(Dialect::ThinkingObject) => {
                let kind = Setting::Text(if on { "enabled" } else { "disabled" });
                self.set_inside(Field::Thinking, "type", kind, &mut place);
            }
            ThinkingSent::Dialect(Dialect::ChatTemplateKwargs) => {
                let field = Field::ChatTemplateKwargs;
                self.set_inside(field, "enable_thinking", Setting::Boolean(on), &mut place);
            }
            ThinkingSent::Dialect(Dialect::Directive) => {
                if let Some(text) = directive_place {
                    directive::edit(self.body, text, on, &mut self.edits);
                }
            }
            ThinkingSent::Dialect(Dialect::Native) | ThinkingSent::Effort | ThinkingSent::Ignored => {}
        }
        self.removed.extend(gone.into_iter().chain(place));
    }

    /// Give a field this value: where it stands, else in place of the member at `place`, else at the end.
    fn set(&mut self, field: Field, setting: Setting, place: &mut Option<Member>) {
        match self.claim(field) {
            Some(member) if setting.is(member.value, self.body) => {}
            Some(member) => self.edits.replace(member.value.span, setting.json().into_bytes()),
            None => self.put(member_text(field.name(), &setting.json()), place),
        }
    }

    /// The same for a member of an object; the object's other members stay.
    fn set_inside(&mut self, field: Field, name: &str, setting: Setting, place: &mut Option<Member>) {
        let inner = member_text(name, &setting.json());
        match (self.claim(field), self.top.object(field)) {
            (_, Some(Object { member: Some(member), .. })) => {
                if !setting.is(member.value, self.body) {
                    self.edits.replace(member.value.span, setting.json().into_bytes());
                }
            }
            (_, Some(Object { span, members, member: None })) => {
                let added = [Cow::Owned(inner.into_bytes())];
                self.edits.members(self.body, span, members, &mut [], &added, COMMA);
            }
            (Some(no_object), None) => {
                self.edits.replace(no_object.value.span, format!("{{{inner}}}").into_bytes());
            }
            (None, None) => self.put(member_text(field.name(), &format!("{{{inner}}}")), place),
        }
    }

    fn put(&mut self, text: String, place: &mut Option<Member>) {
        match place.take() {
            Some(member) => self.edits.replace(member.span, text.into_bytes()),
            None => self.added.push(Cow::Owned(text.into_bytes())),
        }
    }

    /// Put reasoning back where it is missing; how often. The last turns come first, should there be too much of it.
    fn restore(&mut self, turns: &[Object], reasoning: &[Option<&[u8]>]) -> usize {
        let (mut restored, mut budget) = (0, MAX_RESTORED_BYTES);
        for (turn, kept) in turns.iter().zip(reasoning).rev() {
            let Some(text) = kept.filter(|text| is_escaped_text(text)) else { continue };
            let Some(rest) = budget.checked_sub(text.len()) else { break };
            budget = rest;
            let Object { span, members, member } = *turn;
            if let Some(blank) = member {
                self.edits.replace(blank.value.span, text::quoted(text));
            } else {
                let mut added = b"\"reasoning_content\": ".to_vec();
                added.extend_from_slice(&text::quoted(text));
                self.edits.members(self.body, span, members, &mut [], &[Cow::Owned(added)], COMMA);
            }
            restored += 1;
        }
        restored
    }

    /// Another field that no route may drop.
    pub(crate) const fn keep(&mut self, field: Field) {
        self.claim(field);
    }

    /// Take a field out.
    pub(crate) fn remove(&mut self, field: Field) {
        let member = self.claim(field);
        self.removed.extend(member);
    }

    /// A field whose text is `before` gets the text `after`, which needs no escapes, unless it has been decided on.
    pub(crate) fn respell(&mut self, field: Field, before: &str, after: &'static str) {
        if let Some(member) = self.top.field(field)
            && !self.is_claimed(field)
            && member.value.as_text(self.body).is_some_and(|text| text.is(before))
        {
            self.set(field, Setting::Text(after), &mut None);
        }
    }

    pub(crate) fn drop_fields(&mut self, names: &[String]) {
        let mut unknown = false;
        for name in names {
            match self.top.named(name.as_bytes()) {
                Some(field) if self.is_claimed(field) => {}
                Some(field) => self.remove(field),
                None => unknown = true,
            }
        }
        if unknown && self.top.unknown_fields > 0 {
            self.drop_unknown(names);
        }
    }

    /// The scan keeps no list of unknown members, for there may be millions: they are walked over once more.
    fn drop_unknown(&mut self, names: &[String]) {
        let Self { top, body, ref mut removed, .. } = *self;
        let walk = Scanner::new(body).object(|scanner, key| {
            let member = scanner.member(&key)?;
            let name = key.text.key();
            if top.named(&name).is_none() && names.iter().any(|dropped| dropped.as_bytes() == &*name) {
                removed.push(member);
            }
            Ok::<_, JsonError>(())
        });
        debug_assert_eq!(walk, Ok(top.body.span), "another body than the one that was scanned");
    }

    /// The rewritten body, if it differs.
    pub(crate) fn pieces(mut self) -> Option<Vec<Piece>> {
        let Object { span, members, .. } = self.top.body;
        self.edits.members(self.body, span, members, &mut self.removed, &self.added, COMMA);
        (!self.edits.is_empty()).then(|| self.edits.pieces(self.body.len()))
    }
}

/// `"key": value`
fn member_text(key: &str, value: &str) -> String {
    format!("\"{key}\": {value}")
}
