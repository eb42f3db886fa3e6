//! The members of the body: which are there, and where.

use crate::api::dropped::Dropped;
use crate::api::words;
use crate::json::{self, Key, Kind, Member, Scanner, Value};
use crate::request::ChatRequest;
use crate::request::error::RequestErrorCode;
use crate::request::refusal::Refusal;
use crate::request::scan::Field;

use super::going_on::Keeping;
use super::items::{Item, Items};

/// A member that this API has and chat completions lack, or spell in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Input,
    Instructions,
    Tools,
    ToolChoice,
    ParallelToolCalls,
    Reasoning,
    Text,
    MaxOutputTokens,
    Include,
    Store,
    PreviousResponseId,
    Conversation,
    Prompt,
    Background,
    User,
    SafetyIdentifier,
    PromptCacheKey,
    ServiceTier,
    Truncation,
    Metadata,
    ClientMetadata,
    StreamOptions,
    TopLogprobs,
    MaxToolCalls,
    PromptCacheRetention,
    PromptCacheOptions,
    ContextManagement,
    Moderation,
    Choices,
}

/// All of them and their names, in the order of [`Own`].
const OWN: [(Own, &str); 29] = [
    (Own::Input, "input"),
    (Own::Instructions, "instructions"),
    (Own::Tools, "tools"),
    (Own::ToolChoice, "tool_choice"),
    (Own::ParallelToolCalls, "parallel_tool_calls"),
    (Own::Reasoning, "reasoning"),
    (Own::Text, "text"),
    (Own::MaxOutputTokens, "max_output_tokens"),
    (Own::Include, "include"),
    (Own::Store, "store"),
    (Own::PreviousResponseId, "previous_response_id"),
    (Own::Conversation, "conversation"),
    (Own::Prompt, "prompt"),
    (Own::Background, "background"),
    (Own::User, "user"),
    (Own::SafetyIdentifier, "safety_identifier"),
    (Own::PromptCacheKey, "prompt_cache_key"),
    (Own::ServiceTier, "service_tier"),
    (Own::Truncation, "truncation"),
    (Own::Metadata, "metadata"),
    (Own::ClientMetadata, "client_metadata"),
    (Own::StreamOptions, "stream_options"),
    (Own::TopLogprobs, "top_logprobs"),
    (Own::MaxToolCalls, "max_tool_calls"),
    (Own::PromptCacheRetention, "prompt_cache_retention"),
    (Own::PromptCacheOptions, "prompt_cache_options"),
    (Own::ContextManagement, "context_management"),
    (Own::Moderation, "moderation"),
    (Own::Choices, "n"),
];

impl Own {
    /// The one of this name.
    fn named(name: &[u8]) -> Option<Self> {
        OWN.iter().find(|(_, known)| known.as_bytes() == name).map(|&(own, _)| own)
    }

    pub(super) const fn name(self) -> &'static str {
        OWN[self as usize].1
    }
}

/// What chat completions have under the same name, or what of theirs a client may give here as an extension. They are
/// checked by the rules of a chat body.
pub(super) const SHARED: [Field; 14] = [
    Field::Model,
    Field::MaxTokens,
    Field::Temperature,
    Field::TopP,
    Field::Seed,
    Field::Stream,
    Field::EnableThinking,
    Field::LlmgwThinking,
    Field::ResponseFormat,
    Field::Stop,
    Field::ReasoningEffort,
    Field::Thinking,
    Field::ChatTemplateKwargs,
    Field::MaxCompletionTokens,
];

/// What one walk over the body finds.
pub(super) struct Top<'a> {
    pub(super) body: &'a [u8],
    /// The members that chat completions have too.
    pub(super) chat: ChatRequest,
    /// Null ones are not here.
    own: [Option<Value>; OWN.len()],
    /// All that are there, for a look at what comes twice.
    seen: [bool; OWN.len()],
    /// `input`, where it is a string.
    pub(super) input_text: Option<Value>,
    /// The items of `input`.
    pub(super) items: Vec<Item>,
    /// The lists of tools among them (`additional_tools`).
    pub(super) tool_lists: Vec<Value>,
}

impl<'a> Top<'a> {
    /// Read the body. Members that this API does not know are written to `chat` at once.
    pub(super) fn read(body: &'a [u8], chat: &mut Vec<u8>, dropped: &mut Dropped) -> Result<Self, Refusal> {
        json::check_utf8(body)?;
        let mut top = Self {
            body,
            chat: ChatRequest::empty(&SHARED),
            own: [None; OWN.len()],
            seen: [false; OWN.len()],
            input_text: None,
            items: Vec::new(),
            tool_lists: Vec::new(),
        };
        let mut scanner = Scanner::new(body);
        if scanner.peek()? != Kind::Object {
            let value = scanner.value()?;
            scanner.end()?;
            return Err(Refusal::NoObject { offset: value.span.start });
        }
        scanner.object(|scanner, key| top.member(scanner, &key, chat, dropped))?;
        scanner.end()?;
        Ok(top)
    }

    fn member(
        &mut self,
        scanner: &mut Scanner<'a>,
        key: &Key<'a>,
        chat: &mut Vec<u8>,
        dropped: &mut Dropped,
    ) -> Result<(), Refusal> {
        let name = key.text.key();
        if let Some(own) = Own::named(&name) {
            return self.own_member(scanner, key, own, dropped);
        }
        self.chat.read_member(scanner, key)?;
        if !Field::named(&name).is_some_and(|field| SHARED.contains(&field)) {
            words::comma(chat);
            chat.extend_from_slice(&self.body[key.start..scanner.position()]);
        }
        Ok(())
    }

    fn own_member(
        &mut self,
        scanner: &mut Scanner<'a>,
        key: &Key<'a>,
        own: Own,
        dropped: &mut Dropped,
    ) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.seen[own as usize], true) {
            return Err(Refusal::twice(own.name(), key.start));
        }
        let kind = scanner.peek()?;
        let value = match (own, kind) {
            (Own::Input, Kind::Array) => {
                let mut items = Items::new(&mut self.items, &mut self.tool_lists, dropped);
                let start = scanner.position();
                scanner.array(|scanner, _| items.read(scanner))?;
                Value { kind, span: json::Span { start, end: scanner.position() } }
            }
            // A function's parameters come to be one level deeper than they are here.
            (Own::Tools, _) => scanner.value_one_deeper()?,
            _ => scanner.value()?,
        };
        if own == Own::Input && kind == Kind::String {
            self.input_text = Some(value);
        }
        self.own[own as usize] = (kind != Kind::Null).then_some(value);
        Ok(())
    }

    /// A member, unless it is absent or null.
    pub(super) const fn own(&self, own: Own) -> Option<Value> {
        self.own[own as usize]
    }

    /// A member that must be of this kind where it is given.
    fn of_kind(&self, own: Own, kind: Kind, rule: &'static str) -> Result<Option<Value>, Refusal> {
        match self.own(own) {
            Some(value) if value.kind != kind => Err(Refusal::wrong_type(rule, value.span.start)),
            value => Ok(value),
        }
    }

    pub(super) fn boolean(&self, own: Own) -> Result<Option<Value>, Refusal> {
        self.of_kind(own, Kind::Boolean, "must be a boolean")
    }

    pub(super) fn text(&self, own: Own) -> Result<Option<Value>, Refusal> {
        self.of_kind(own, Kind::String, "must be a string")
    }

    pub(super) fn number(&self, own: Own) -> Result<Option<Value>, Refusal> {
        self.of_kind(own, Kind::Number, "must be a number")
    }

    pub(super) fn object(&self, own: Own) -> Result<Option<Value>, Refusal> {
        self.of_kind(own, Kind::Object, "must be an object")
    }

    pub(super) fn array(&self, own: Own) -> Result<Option<Value>, Refusal> {
        self.of_kind(own, Kind::Array, "must be an array")
    }

    /// Whether what must be there is there, and nothing that can't be answered.
    pub(super) fn check(&self, keeping: Keeping<'_>) -> Result<(), Refusal> {
        let end = self.body.len() - 1;
        if self.chat_field(Field::Model).is_none() {
            return Err(missing(Field::Model.name(), end));
        }
        if let Some(refusal) = self.chat.refuse_other_than_responses(self.own(Own::Input).is_some(), end) {
            return Err(refusal);
        }
        match self.own(Own::Input).map(|input| (input.kind, input.span.start)) {
            None => return Err(missing("input", end)),
            Some((Kind::String | Kind::Array, _)) => {}
            Some((_, offset)) => return Err(Refusal::wrong_type("must be a string or an array", offset)),
        }
        let refuse = |value: Value, code, rule| Err(super::refuse(code, rule, value.span.start));
        if let Some(id) = self.text(Own::PreviousResponseId)?
            && !keeping.keeps()
        {
            return refuse(id, RequestErrorCode::PreviousResponseNotFound, NOT_KEPT);
        }
        if let Some(conversation) = self.own(Own::Conversation) {
            return refuse(conversation, RequestErrorCode::UnsupportedValue, NO_CONVERSATIONS);
        }
        if let Some(prompt) = self.own(Own::Prompt) {
            return refuse(prompt, RequestErrorCode::UnsupportedValue, NO_PROMPTS);
        }
        if let Some(background) = self.boolean(Own::Background)?
            && background.as_bool(self.body) == Some(true)
        {
            return refuse(background, RequestErrorCode::UnsupportedValue, NO_BACKGROUND);
        }
        self.boolean(Own::Store)?;
        Ok(())
    }

    /// Whether `store` is not false: OpenAI's default is true.
    pub(super) fn wants_to_be_kept(&self) -> Result<bool, Refusal> {
        Ok(self.boolean(Own::Store)?.and_then(|store| store.as_bool(self.body)) != Some(false))
    }

    /// Of the members that chat completions have too, one that is not null.
    pub(super) fn chat_field(&self, field: Field) -> Option<Member> {
        self.chat.top.field(field).filter(|member| member.value.kind != Kind::Null)
    }
}

/// A member of the body that is required.
fn missing(name: &str, offset: usize) -> Refusal {
    let (code, param) = (RequestErrorCode::MissingField, name.to_owned());
    Refusal::Field { code, param, rule: "is required".to_owned(), offset }
}

const NOT_KEPT: &str = "names a response that this gateway has not kept: send the whole conversation as `input`, \
                        with `store` false and `include` of `reasoning.encrypted_content`";
const NO_CONVERSATIONS: &str =
    "can't be served, for this gateway keeps no conversations: send the whole conversation as `input`";
const NO_PROMPTS: &str =
    "can't be served, for this gateway keeps no prompt templates: send `instructions` and `input`";
const NO_BACKGROUND: &str = "can't be true: this gateway answers at once, as a stream or whole";
