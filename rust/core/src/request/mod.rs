//! A chat-completions body: read once, rewritten for the upstream by splices.
//!
//! [`ChatRequest::scan`] checks the body in one pass and remembers where things are; [`ChatRequest::splice`] turns
//! it into the upstream's body. Bytes that need no change stay as they are: unknown members, key order, number
//! spelling, escapes, white space.
//!
//! # What is refused
//! * no JSON object, or JSON nested deeper than [`crate::json::MAX_DEPTH`];
//! * a field of the contract's table with another type than the documented one. `null` counts as absent;
//! * no `model` or no `messages`, and a body of another API: see [`foreign`];
//! * a second one of any field that is read here: every field of the table, `thinking`, `chat_template_kwargs`, and in
//!   them `stream_options.include_usage`, `response_format.type`, `thinking.type`,
//!   `chat_template_kwargs.enable_thinking`, `reasoning.effort`, `reasoning.enabled`, `role`, `content`, `tool_calls` and `reasoning_content` of a message,
//!   `type`, `text`, `image_url`, `video_url`, `input_audio` and `audio_url` of a content part. Keys are compared with their escapes read. Other fields may repeat and are passed on.
//!
//! # What is rewritten
//! * `model`, where the upstream's name is another one;
//! * `stream` and `stream_options.include_usage`, wherever the upstream is to stream: the ledger wants the usage that
//!   the client may not have asked for;
//! * the thinking switches, where the client gave one: all leave, and what the [`Dialect`] says comes in, in place of
//!   the member that it replaces. [`directive`] says where a directive goes, [`effort`] what is a switch beside the
//!   booleans. With [`Dialect::Native`] only the booleans are, and they have no effect;
//! * `reasoning_content` of assistant messages that lost it, where the route wants it back, tools are spoken of, thinking
//!   is not switched off, and it was kept: see [`lost`];
//! * what the upstream is known to refuse: see [`refused`];
//! * the fields that the route drops. A field that the rewrite itself sets is never dropped, nor are `model` and
//!   `messages`.
//!
//! Members that come in are spelled `"key": value` and come after a `, `, whatever the style around them.

mod directive;
mod effort;
pub mod error;
pub mod facts;
mod foreign;
mod lost;
pub mod media;
mod messages;
pub(crate) mod refusal;
pub mod refused;
mod respell;
pub(crate) mod rewrite;
pub(crate) mod scan;
pub mod session;
pub(crate) mod user;

use crate::answer::context::AnswerMode;
use crate::dialect::Dialect;
use crate::json::edit::Piece;
use crate::json::{Member, Span};
use crate::named_enum;

use self::directive::Place;
use self::effort::Effort;
use self::facts::Facts;
use self::foreign::Foreign;
use self::lost::Answers;
use self::media::Modality;
use self::refused::Refuses;
use self::scan::{FIELDS, Field};
use self::session::Session;

/// What one scan finds in a request body.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The model that the client asks for.
    pub model: String,
    /// Whether the client wants an event stream.
    pub stream: bool,
    /// The Qwen-compatible switch.
    pub enable_thinking: Option<bool>,
    /// The gateway's own switch.
    pub llmgw_thinking: Option<bool>,
    /// A `reasoning_effort` that needs a second look.
    effort: Option<Effort>,
    /// Whether a `reasoning` object asks for no thinking.
    reasoning_off: bool,
    /// What its content parts hold beside text, in the order of appearance, and where the first of each kind is, such as
    /// `messages[2].content[1]`.
    pub media: Vec<(Modality, String)>,
    /// What limits and prices need to know of it.
    pub facts: Facts,
    /// What tells its conversation from others.
    pub session: Session,
    /// Whether the client wants the usage chunk at the end of the stream.
    pub(crate) include_usage: bool,
    /// Its fields.
    pub(crate) top: TopLevel,
    /// A field of another API, and its offset.
    foreign: Option<(&'static Foreign, usize)>,
    /// What of its messages some upstreams refuse.
    refusable: Refuses,
    /// Its assistant messages, as far as they matter for reasoning.
    answers: Answers,
    /// The last user message's text or list of parts.
    user_place: Option<Place>,
    /// The last system or developer message's.
    system_place: Option<Place>,
}

impl ChatRequest {
    /// Whether the client wants thinking, where the model has a switch: `llmgw_thinking`, else `enable_thinking`, else
    /// `false` where `reasoning_effort` or `reasoning` says so, else no word about it.
    #[must_use]
    pub fn thinking(&self) -> Option<bool> {
        self.boolean().or_else(|| self.off_fields().next().map(|_| false))
    }

    /// The name of the field that [`ChatRequest::thinking`] comes from.
    #[must_use]
    pub fn thinking_field(&self) -> Option<&'static str> {
        let own = self.llmgw_thinking.map(|_| Field::LlmgwThinking);
        let qwen = self.enable_thinking.map(|_| Field::EnableThinking);
        own.or(qwen).or_else(|| self.off_fields().next()).map(Field::name)
    }

    /// 64 bits that are the same for every turn of its conversation: see [`session`]. None: nothing tells it from others.
    /// `body` is what was scanned.
    #[must_use]
    pub fn opening_digest(&self, body: &[u8]) -> Option<u64> {
        self.session.opening.digest(body)
    }

    /// The boolean switch.
    fn boolean(&self) -> Option<bool> {
        self.llmgw_thinking.or(self.enable_thinking)
    }

    /// The text that a directive would go to.
    fn directive_place(&self) -> Option<Place> {
        self.user_place.or(self.system_place)
    }
}

/// Where the fields of a body are, whatever its API.
#[derive(Clone, Debug)]
pub(crate) struct TopLevel {
    /// The whole body.
    body: Object,
    /// The fields that its API knows.
    known: &'static [Field],
    /// Those of the body (null ones too), by [`Field`].
    fields: [Option<Member>; FIELDS.len()],
    /// How many members of the body are not known fields.
    unknown_fields: usize,
    /// `stream_options`, with its `include_usage`.
    stream_options: Option<Object>,
    /// `thinking`, with its `type`.
    thinking_object: Option<Object>,
    /// `chat_template_kwargs`, with its `enable_thinking`.
    chat_template_kwargs: Option<Object>,
}

impl TopLevel {
    pub(crate) const fn field(&self, field: Field) -> Option<Member> {
        self.fields[field as usize]
    }

    /// The known field of this name.
    fn named(&self, name: &[u8]) -> Option<Field> {
        Field::named(name).filter(|field| self.known.contains(field))
    }
}

/// Of a shorter body, a copy costs less than the pieces that [`ChatRequest::splice`] gives.
pub const LONG_BODY_BYTES: usize = 16 * 1024;

/// An object that may get another member.
#[derive(Clone, Copy, Debug, Default)]
struct Object {
    /// From its `{` to one past its `}`.
    span: Span,
    /// How many members it has.
    members: usize,
    /// The one that matters here.
    member: Option<Member>,
}

named_enum! {
    /// Whether the gateway streams from the upstream for a client that wants one JSON answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum UpstreamStream {
        /// Where the model answers only in streams: dialect [`Dialect::EnableThinking`], thinking not switched off.
        Auto = "auto",
        /// Yes.
        Always = "always",
        /// No.
        Never = "never",
    }
}

/// The modes that a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThinkingModes {
    /// It can think.
    pub on: bool,
    /// It can answer without.
    pub off: bool,
}

impl ThinkingModes {
    /// Both: a switch says which.
    pub const BOTH: Self = Self { on: true, off: true };

    pub(crate) const fn has(self, on: bool) -> bool {
        if on { self.on } else { self.off }
    }
}

/// How requests for one configured model are rewritten.
#[derive(Clone, Debug)]
pub struct Route {
    /// The model's name at the upstream.
    pub upstream_model: String,
    /// How the thinking switch is spelled.
    pub dialect: Dialect,
    /// What the switch may ask for; anything else is not sent, as if the model knew no switch.
    pub thinking_modes: ThinkingModes,
    /// Whether the model wants the reasoning of earlier turns back.
    pub restore_reasoning: bool,
    /// Whether to stream although the client does not.
    pub upstream_stream: UpstreamStream,
    /// Names of top-level fields that the upstream refuses.
    pub drop: Vec<String>,
    /// What it is to get in other words.
    pub refuses: Refuses,
}

/// A request as the upstream gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The pieces of the upstream's body; none where it is the client's, byte for byte.
    pub body: Option<Vec<Piece>>,
    /// What was done with the thinking switch, where the client gave one.
    pub thinking: Option<ThinkingOutcome>,
    /// What the client gets, and how the upstream is asked.
    pub mode: AnswerMode,
    /// How many messages have got their reasoning back.
    pub restored: usize,
}

/// What was done with the thinking switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThinkingOutcome {
    /// Whether the client wants thinking.
    pub asked: bool,
    /// What the upstream was told.
    pub sent: ThinkingSent,
}

impl ThinkingOutcome {
    /// What was asked for, by its name in response header and ledger.
    #[must_use]
    pub const fn asked_as_str(self) -> &'static str {
        if self.asked { "on" } else { "off" }
    }
}

/// What the upstream was told about thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingSent {
    /// The switch, in this dialect.
    Dialect(Dialect),
    /// `reasoning.effort`, which OpenAI's Responses have for it.
    Effort,
    /// Nothing: the dialect knows no switch, the model lacks the mode, or the request has no text to put it into.
    Ignored,
}

impl ThinkingSent {
    /// The name in response header and ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialect(dialect) => dialect.as_str(),
            Self::Effort => "reasoning_effort",
            Self::Ignored => "ignored",
        }
    }
}

#[cfg(test)]
mod tests;
