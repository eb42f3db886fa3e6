//! The one pass over a request body.

use crate::json::{self, Key, Kind, Member, Scanner, Span, Value};

use super::directive::Place;
use super::effort::{Effort, reasoning_is_off};
use super::error::RequestError;
use super::facts::{Facts, is_read};
use super::foreign::Foreign;
use super::refusal::Refusal;
use super::refused::{Refused, Refuses};
use super::session::Session;
use super::{Answers, ChatRequest, Object, TopLevel};

/// A top-level field that the gateway reads: the contract's table, and the two objects that a dialect writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Messages,
    MaxTokens,
    Temperature,
    TopP,
    Seed,
    Stream,
    StreamOptions,
    Tools,
    ToolChoice,
    EnableThinking,
    LlmgwThinking,
    ResponseFormat,
    Stop,
    ReasoningEffort,
    Thinking,
    ChatTemplateKwargs,
    MaxCompletionTokens,
    Reasoning,
    Prompt,
    Input,
    EncodingFormat,
    Query,
    Documents,
}

/// The fields and their names, in the order of [`Field`].
pub(super) const FIELDS: [(Field, &str); 24] = [
    (Field::Model, "model"),
    (Field::Messages, "messages"),
    (Field::MaxTokens, "max_tokens"),
    (Field::Temperature, "temperature"),
    (Field::TopP, "top_p"),
    (Field::Seed, "seed"),
    (Field::Stream, "stream"),
    (Field::StreamOptions, "stream_options"),
    (Field::Tools, "tools"),
    (Field::ToolChoice, "tool_choice"),
    (Field::EnableThinking, "enable_thinking"),
    (Field::LlmgwThinking, "llmgw_thinking"),
    (Field::ResponseFormat, "response_format"),
    (Field::Stop, "stop"),
    (Field::ReasoningEffort, "reasoning_effort"),
    (Field::Thinking, "thinking"),
    (Field::ChatTemplateKwargs, "chat_template_kwargs"),
    (Field::MaxCompletionTokens, "max_completion_tokens"),
    (Field::Reasoning, "reasoning"),
    (Field::Prompt, "prompt"),
    (Field::Input, "input"),
    (Field::EncodingFormat, "encoding_format"),
    (Field::Query, "query"),
    (Field::Documents, "documents"),
];

/// What a chat-completions body has.
pub(crate) const CHAT: [Field; 19] = [
    Field::Model,
    Field::Messages,
    Field::MaxTokens,
    Field::Temperature,
    Field::TopP,
    Field::Seed,
    Field::Stream,
    Field::StreamOptions,
    Field::Tools,
    Field::ToolChoice,
    Field::EnableThinking,
    Field::LlmgwThinking,
    Field::ResponseFormat,
    Field::Stop,
    Field::ReasoningEffort,
    Field::Thinking,
    Field::ChatTemplateKwargs,
    Field::MaxCompletionTokens,
    Field::Reasoning,
];

impl Field {
    /// The field of this name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        FIELDS.iter().find(|(_, known)| known.as_bytes() == name).map(|&(field, _)| field)
    }

    pub(crate) const fn name(self) -> &'static str {
        FIELDS[self as usize].1
    }
}

impl ChatRequest {
    /// Check a body and find what the gateway needs to know of it.
    ///
    /// # Errors
    /// The first rule of the [module's](super) that it breaks, reading from its start (invalid UTF-8 before all).
    pub fn scan(body: &[u8]) -> Result<Self, RequestError> {
        scan(body, &CHAT, &[Field::Model, Field::Messages])
    }
}

/// Read a body of the API that knows these fields and requires those. What it does not know stays empty.
pub(crate) fn scan(
    body: &[u8],
    known: &'static [Field],
    required: &[Field],
) -> Result<ChatRequest, RequestError> {
    let mut request = ChatRequest::empty(known);
    match request.read(body, required) {
        Ok(()) => Ok(request),
        Err(refusal) => Err(refusal.into_error(body)),
    }
}

impl ChatRequest {
    /// Before anything has been read.
    pub(crate) const fn empty(known: &'static [Field]) -> Self {
        Self {
            model: String::new(),
            stream: false,
            enable_thinking: None,
            llmgw_thinking: None,
            effort: None,
            reasoning_off: false,
            refusable: Refuses::NOTHING,
            media: Vec::new(),
            facts: Facts::NOTHING,
            session: Session::NONE,
            foreign: None,
            include_usage: false,
            top: TopLevel {
                body: Object { span: Span { start: 0, end: 0 }, members: 0, member: None },
                known,
                fields: [None; FIELDS.len()],
                unknown_fields: 0,
                stream_options: None,
                thinking_object: None,
                chat_template_kwargs: None,
            },
            answers: Answers::NONE,
            user_place: None,
            system_place: None,
        }
    }

    fn read(&mut self, body: &[u8], required: &[Field]) -> Result<(), Refusal> {
        json::check_utf8(body)?;
        let mut scanner = Scanner::new(body);
        if scanner.peek()? != Kind::Object {
            let value = scanner.value()?;
            scanner.end()?;
            return Err(Refusal::NoObject { offset: value.span.start });
        }
        let mut members = 0;
        let span = scanner.object(|scanner, key| {
            members += 1;
            self.read_member(scanner, &key)
        })?;
        scanner.end()?;
        self.top.body = Object { span, members, member: None };
        self.check_required(required)
    }

    /// Read one member of the body.
    pub(crate) fn read_member(&mut self, scanner: &mut Scanner<'_>, key: &Key<'_>) -> Result<(), Refusal> {
        let Some(field) = self.top.named(&key.text.key()) else {
            self.top.unknown_fields += 1;
            return self.read_unknown(scanner, key);
        };
        if self.top.fields[field as usize].is_some() {
            return Err(Refusal::duplicate(field.name(), key.start));
        }
        let kind = scanner.peek()?;
        let start = scanner.position();
        match kind {
            // Counts as absent, but a rewrite may have to take it out.
            Kind::Null => {
                scanner.value()?;
            }
            _ => self.read_field(scanner, field, kind)?,
        }
        let span = Span { start, end: scanner.position() };
        let member_span = Span { start: key.start, end: span.end };
        self.top.fields[field as usize] =
            Some(Member { ordinal: key.ordinal, span: member_span, value: Value { kind, span } });
        Ok(())
    }

    /// Consume a field that this API does not know.
    fn read_unknown(&mut self, scanner: &mut Scanner<'_>, key: &Key<'_>) -> Result<(), Refusal> {
        let name = key.text.key();
        let foreign = Foreign::named(&name);
        let value = self.facts.read_other(&name, scanner)?;
        self.session.field(&name, value, scanner.input());
        if value.kind != Kind::Null
            && let Some(foreign) = foreign
            && self.foreign.is_none_or(|(known, _)| foreign.is_certain && !known.is_certain)
        {
            self.foreign = Some((foreign, key.start));
        }
        Ok(())
    }

    /// Consume and check a field's value, which is of this kind and not null.
    fn read_field(&mut self, scanner: &mut Scanner<'_>, field: Field, kind: Kind) -> Result<(), Refusal> {
        let input = scanner.input();
        let name = field.name();
        match field {
            Field::Model => {
                let value = expect(scanner, name, kind == Kind::String, "a string")?;
                self.model = value.as_text(input).map(|text| text.decode().into_owned()).unwrap_or_default();
            }
            Field::Messages => self.read_messages(scanner, kind)?,
            Field::Prompt => {
                let fits = matches!(kind, Kind::String | Kind::Array);
                check(scanner, name, fits, "a string or an array")?;
                self.facts.read_prompt(scanner)?;
            }
            // A list of tokens, of texts, of lists of tokens; objects are pictures and texts (Jina, DashScope).
            Field::Input => {
                let fits = matches!(kind, Kind::String | Kind::Array | Kind::Object);
                check(scanner, name, fits, "a string, an array or an object")?;
                self.facts.read_texts(scanner)?;
            }
            Field::EncodingFormat => {
                expect(scanner, name, kind == Kind::String, "a string")?;
            }
            Field::Query => {
                let fits = matches!(kind, Kind::String | Kind::Object);
                check(scanner, name, fits, "a string or an object")?;
                self.facts.read_texts(scanner)?;
            }
            Field::MaxTokens | Field::MaxCompletionTokens => {
                let value = expect(scanner, name, kind == Kind::Number, "a number")?;
                // Text completions of no length are asked for, to have the prompt's probabilities.
                self.facts.limit(value, input, self.top.known.contains(&Field::Prompt));
            }
            Field::Temperature | Field::TopP => {
                expect(scanner, name, kind == Kind::Number, "a number")?;
            }
            Field::Seed => {
                let value = expect(scanner, name, kind == Kind::Number, "an integer")?;
                if value.span.of(input).iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    return Err(Refusal::invalid_type(name, "an integer", value.span.start));
                }
            }
            Field::Stream => self.stream = boolean(scanner, name, kind)?.unwrap_or_default(),
            Field::EnableThinking => self.enable_thinking = boolean(scanner, name, kind)?,
            Field::LlmgwThinking => self.llmgw_thinking = boolean(scanner, name, kind)?,
            Field::StreamOptions => {
                let object = object_with(scanner, field, kind, "include_usage", "an object")?;
                if let Some(Member { value, .. }) = object.member
                    && value.kind != Kind::Null
                {
                    self.include_usage = value.as_bool(input).ok_or_else(|| {
                        Refusal::invalid_type("stream_options.include_usage", "a boolean", value.span.start)
                    })?;
                }
                self.top.stream_options = Some(object);
            }
            Field::Tools => {
                let tools = expect(scanner, name, kind == Kind::Array, "an array")?;
                self.facts.as_json(tools);
            }
            Field::Documents => {
                check(scanner, name, kind == Kind::Array, "an array")?;
                self.facts.read_texts(scanner)?;
            }
            Field::ToolChoice => {
                expect(scanner, name, matches!(kind, Kind::String | Kind::Object), "a string or an object")?;
            }
            Field::ResponseFormat => {
                const EXPECTED: &str = "an object with a string `type`";
                let object = object_with(scanner, field, kind, "type", EXPECTED)?;
                match object.member.map(|member| member.value) {
                    Some(Value { kind: Kind::String, .. }) => {
                        self.facts.as_json(Value { kind, span: object.span });
                    }
                    None | Some(Value { kind: Kind::Null, .. }) => {
                        return Err(Refusal::invalid_type(name, EXPECTED, object.span.start));
                    }
                    Some(Value { span, .. }) => {
                        return Err(Refusal::invalid_type("response_format.type", "a string", span.start));
                    }
                }
            }
            Field::Stop => stop(scanner, kind)?,
            Field::ReasoningEffort => {
                self.effort = Effort::of(expect(scanner, name, kind == Kind::String, "a string")?, input);
            }
            // No type is documented for these: any passes.
            Field::Reasoning if kind == Kind::Object => self.reasoning_off = reasoning_is_off(scanner)?,
            Field::Thinking if kind == Kind::Object => {
                self.top.thinking_object = Some(object_with(scanner, field, kind, "type", "an object")?);
            }
            Field::ChatTemplateKwargs if kind == Kind::Object => {
                self.top.chat_template_kwargs =
                    Some(object_with(scanner, field, kind, "enable_thinking", "an object")?);
            }
            Field::Thinking | Field::ChatTemplateKwargs | Field::Reasoning => {
                scanner.value()?;
            }
        }
        Ok(())
    }

    fn read_messages(&mut self, scanner: &mut Scanner<'_>, kind: Kind) -> Result<(), Refusal> {
        const EXPECTED: &str = "a non-empty array of objects";
        let start = scanner.position();
        if kind != Kind::Array {
            return Err(Refusal::invalid_type(Field::Messages.name(), EXPECTED, start));
        }
        let mut empty = true;
        let before = scanner.text_bytes();
        scanner.array(|scanner, index| {
            empty = false;
            self.read_message(scanner, index)
        })?;
        self.facts.text_bytes += scanner.text_bytes() - before;
        if empty { Err(Refusal::invalid_type(Field::Messages.name(), EXPECTED, start)) } else { Ok(()) }
    }

    fn read_message(&mut self, scanner: &mut Scanner<'_>, index: usize) -> Result<(), Refusal> {
        if scanner.peek()? != Kind::Object {
            return Err(Refusal::invalid_type(format!("messages[{index}]"), "an object", scanner.position()));
        }
        let input = scanner.input();
        let (mut role, mut content, mut tool_calls, mut reasoning) = (None, None, None, None);
        let mut members = 0;
        let span = scanner.object(|scanner, key| {
            members += 1;
            let text_bytes = scanner.text_bytes();
            let (name, twice) = if key.text.is("role") {
                let value = scanner.value()?;
                scanner.count_on_from(text_bytes);
                ("role", role.replace(value).is_some())
            } else if key.text.is("content") {
                ("content", content.replace(self.read_content(scanner, index)?).is_some())
            } else if key.text.is("tool_calls") {
                ("tool_calls", tool_calls.replace(scanner.value()?).is_some())
            } else if key.text.is("reasoning_content") {
                ("reasoning_content", reasoning.replace(scanner.member(&key)?).is_some())
            } else {
                if scanner.value()?.kind == Kind::Null {
                    self.refusable.add(Refused::Nulls);
                }
                if !is_read(key.text) {
                    scanner.count_on_from(text_bytes);
                }
                return Ok(());
            };
            if twice {
                Err(Refusal::duplicate(format!("messages[{index}].{name}"), key.start))
            } else {
                Ok(())
            }
        })?;
        if [tool_calls, reasoning.map(|member| member.value)]
            .into_iter()
            .flatten()
            .any(|value| value.kind == Kind::Null)
        {
            self.refusable.add(Refused::Nulls);
        }
        let role = role.and_then(|value| value.as_text(input));
        self.session.opening.end(role);
        let Some(role) = role else { return Ok(()) };
        if role.is("developer") {
            self.refusable.add(Refused::DeveloperRole);
        }
        if role.is("assistant") {
            self.answers.add(input, Object { span, members, member: reasoning }, tool_calls);
        }
        if let Some(Some(place)) = content {
            if role.is("user") {
                self.user_place = Some(place);
            } else if role.is("system") || role.is("developer") {
                self.system_place = Some(place);
            }
        }
        Ok(())
    }

    /// Consume a message's content; where a directive would go, if there is text or a list.
    fn read_content(&mut self, scanner: &mut Scanner<'_>, message: usize) -> Result<Option<Place>, Refusal> {
        match scanner.peek()? {
            Kind::String => {
                let text = inside(scanner.value()?);
                self.session.opening.text(text);
                Ok(Some(Place::Text(text)))
            }
            Kind::Array => {
                let mut place = Place::Parts { offset: scanner.position() + 1, empty: true };
                scanner.array(|scanner, index| {
                    let text = self.read_part(scanner, message, index)?;
                    match (text, &mut place) {
                        (Some(text), _) => place = Place::Text(text),
                        (None, Place::Parts { offset, empty }) => {
                            (*offset, *empty) = (scanner.position(), false);
                        }
                        (None, Place::Text(_)) => {}
                    }
                    Ok::<_, Refusal>(())
                })?;
                Ok(Some(place))
            }
            _ => {
                scanner.value()?;
                Ok(None)
            }
        }
    }

    fn check_required(&self, required: &[Field]) -> Result<(), Refusal> {
        for &field in required {
            // A field that is null is to blame itself; of one that is absent the end of the body can be said to be.
            let offset = match self.top.field(field).map(|member| member.value) {
                None => self.top.body.span.end - 1,
                Some(Value { kind: Kind::Null, span }) => span.start,
                Some(_) => continue,
            };
            return Err(match self.foreign {
                Some((foreign, _)) if field != Field::Model => foreign.instead_of(field.name(), offset),
                _ => Refusal::missing(field.name(), "is required", offset),
            });
        }
        match self.foreign {
            Some((foreign, offset)) if foreign.is_certain && required.contains(&Field::Messages) => {
                Err(foreign.in_a_chat(offset))
            }
            _ => Ok(()),
        }
    }
}

/// A string without its quotes.
pub(super) const fn inside(string: Value) -> Span {
    Span { start: string.span.start + 1, end: string.span.end - 1 }
}

/// Consume the value of `param`, if it has a type that fits.
fn expect(scanner: &mut Scanner<'_>, param: &str, fits: bool, expected: &str) -> Result<Value, Refusal> {
    check(scanner, param, fits, expected)?;
    Ok(scanner.value()?)
}

/// Whether the value of `param`, which is next, has a type that fits.
fn check(scanner: &Scanner<'_>, param: &str, fits: bool, expected: &str) -> Result<(), Refusal> {
    if fits { Ok(()) } else { Err(Refusal::invalid_type(param, expected, scanner.position())) }
}

fn boolean(scanner: &mut Scanner<'_>, param: &str, kind: Kind) -> Result<Option<bool>, Refusal> {
    let input = scanner.input();
    Ok(expect(scanner, param, kind == Kind::Boolean, "a boolean")?.as_bool(input))
}

/// Consume an object of which one member matters.
fn object_with(
    scanner: &mut Scanner<'_>,
    field: Field,
    kind: Kind,
    name: &str,
    expected: &str,
) -> Result<Object, Refusal> {
    if kind != Kind::Object {
        return Err(Refusal::invalid_type(field.name(), expected, scanner.position()));
    }
    let (mut members, mut found) = (0, None);
    let span = scanner.object(|scanner, key| {
        members += 1;
        let member = scanner.member(&key)?;
        if key.text.is(name) && found.replace(member).is_some() {
            return Err(Refusal::duplicate(format!("{}.{name}", field.name()), key.start));
        }
        Ok(())
    })?;
    Ok(Object { span, members, member: found })
}

fn stop(scanner: &mut Scanner<'_>, kind: Kind) -> Result<(), Refusal> {
    match kind {
        Kind::String => {
            scanner.value()?;
        }
        Kind::Array => {
            scanner.array(|scanner, index| {
                let kind = scanner.peek()?;
                if kind != Kind::String {
                    return Err(Refusal::invalid_type(
                        format!("stop[{index}]"),
                        "a string",
                        scanner.position(),
                    ));
                }
                scanner.value()?;
                Ok(())
            })?;
        }
        _ => {
            return Err(Refusal::invalid_type("stop", "a string or an array of strings", scanner.position()));
        }
    }
    Ok(())
}
