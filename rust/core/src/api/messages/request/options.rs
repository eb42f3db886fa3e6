//! The fields of the body beside `messages`.
//!
//! What chat has under the same name is checked as chat's scan checks it, and passes; so does what nobody knows. They come
//! in the order of the body. What chat has under another name comes behind them, for the body may have that name too.

use crate::api::words::{comma, member, name, open, text, text_member};
use crate::json::{Key, Kind, Scanner, Span, Text, Value};
use crate::request::ChatRequest;
use crate::request::refusal::Refusal;
use crate::request::scan::{CHAT, Field};

use super::super::ShownThinking;
use super::block::inside;
use super::tools::{self, ToolChoice};
use super::turn::Turns;

/// Fields that Anthropic defines and chat has no counterpart for.
const WITHOUT_COUNTERPART: [&str; 10] = [
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "service_tier",
    "speed",
    "user_profile_id",
];

/// What a schema is called that an answer has to keep to: chat wants a name.
const SCHEMA_NAME: &[u8] = b"answer";

/// Fields that Anthropic has and chat has otherwise. Each may come once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Model,
    Messages,
    System,
    Tools,
    ToolChoice,
    StopSequences,
    Metadata,
    Thinking,
    OutputConfig,
    OutputFormat,
}

const OWN: [(Own, &str); 10] = [
    (Own::Model, "model"),
    (Own::Messages, "messages"),
    (Own::System, "system"),
    (Own::Tools, "tools"),
    (Own::ToolChoice, "tool_choice"),
    (Own::StopSequences, "stop_sequences"),
    (Own::Metadata, "metadata"),
    (Own::Thinking, "thinking"),
    (Own::OutputConfig, "output_config"),
    (Own::OutputFormat, "output_format"),
];

/// `thinking`.
#[derive(Clone, Copy)]
struct Thinking {
    on: bool,
    /// `display` of `omitted`.
    omitted: bool,
}

/// The fields so far.
pub(super) struct Fields {
    /// Knows chat's fields and their types.
    chat: ChatRequest,
    /// Which of [`OWN`] have been there.
    seen: [bool; OWN.len()],
    model: Option<Span>,
    /// Members for chat, as they have come.
    rest: Vec<u8>,
    has_tools: bool,
    tool_choice: Option<ToolChoice>,
    /// The list, where it has an item.
    stop_sequences: Option<Value>,
    user_id: Option<Span>,
    thinking: Option<Thinking>,
    effort: Option<Span>,
    /// The schema of `output_config.format`.
    schema: Option<Span>,
    /// That of `output_format`, its older name.
    older_schema: Option<Span>,
    /// Whether there is a `user`, or a `parallel_tool_calls`.
    has_user: bool,
    has_parallel: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            chat: ChatRequest::empty(&CHAT),
            seen: [false; OWN.len()],
            model: None,
            rest: Vec::new(),
            has_tools: false,
            tool_choice: None,
            stop_sequences: None,
            user_id: None,
            thinking: None,
            effort: None,
            schema: None,
            older_schema: None,
            has_user: false,
            has_parallel: false,
        }
    }
}

/// What the answer needs to know of them.
pub(super) struct Written {
    pub(super) model: String,
    pub(super) thinking: ShownThinking,
    pub(super) stop_sequences: Vec<String>,
}

impl Fields {
    /// Consume a member of the body.
    pub(super) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &Key<'_>,
        turns: &mut Turns<'_>,
    ) -> Result<(), Refusal> {
        let name = key.text.key();
        if let Some((own, known)) = OWN.iter().find(|(_, known)| known.as_bytes() == &*name) {
            if std::mem::replace(&mut self.seen[*own as usize], true) {
                return Err(Refusal::twice(known, key.start));
            }
            return if scanner.peek()? == Kind::Null {
                scanner.value()?;
                Ok(())
            } else {
                self.read_own(*own, scanner, turns)
            };
        }
        let start = scanner.peek().map(|_| scanner.position())?;
        if let Some(field) = Field::named(&name).filter(|field| CHAT.contains(field)) {
            self.chat.read_member(scanner, key)?;
            if self.gives(field) {
                let span = Span { start, end: scanner.position() };
                member(field.name(), span.of(scanner.input()), &mut self.rest);
            }
            return Ok(());
        }
        let value = scanner.value()?;
        if value.kind == Kind::Null {
            return Ok(());
        }
        match &*name {
            b"cache_control" => return Ok(()),
            b"user" => self.has_user = true,
            b"parallel_tool_calls" => self.has_parallel = true,
            name if WITHOUT_COUNTERPART.iter().any(|known| known.as_bytes() == name) => {
                turns.dropped.add("", name);
                return Ok(());
            }
            _ => {}
        }
        let input = scanner.input();
        comma(&mut self.rest);
        text(&[key.text.raw()], &mut self.rest);
        self.rest.push(b':');
        self.rest.extend_from_slice(value.span.of(input));
        Ok(())
    }

    /// Whether chat's own field is there, and not null.
    fn gives(&self, field: Field) -> bool {
        self.chat.top.field(field).is_some_and(|member| member.value.kind != Kind::Null)
    }

    /// Consume a field that is not null.
    fn read_own(
        &mut self,
        own: Own,
        scanner: &mut Scanner<'_>,
        turns: &mut Turns<'_>,
    ) -> Result<(), Refusal> {
        match own {
            Own::Model => self.model = Some(inside(scanner.value()?)?),
            Own::Messages => turns.read(scanner)?,
            Own::System => turns.read_system(scanner)?,
            Own::Tools => self.read_tools(scanner, turns)?,
            Own::ToolChoice => self.tool_choice = Some(ToolChoice::read(scanner, &mut turns.dropped)?),
            Own::StopSequences => self.stop_sequences = stop_sequences(scanner)?,
            Own::Metadata => self.read_metadata(scanner, turns)?,
            Own::Thinking => self.thinking = Some(Thinking::read(scanner, turns)?),
            Own::OutputConfig => self.read_output_config(scanner, turns)?,
            Own::OutputFormat => self.older_schema = schema("output_format", scanner, turns)?,
        }
        Ok(())
    }

    fn read_tools(&mut self, scanner: &mut Scanner<'_>, turns: &mut Turns<'_>) -> Result<(), Refusal> {
        let before = self.rest.len();
        name("tools", &mut self.rest);
        self.rest.push(b'[');
        self.has_tools = tools::read(scanner, &mut turns.dropped, &mut self.rest)? > 0;
        if self.has_tools {
            self.rest.push(b']');
        } else {
            // An empty list is refused by many.
            self.rest.truncate(before);
        }
        Ok(())
    }

    fn read_metadata(&mut self, scanner: &mut Scanner<'_>, turns: &mut Turns<'_>) -> Result<(), Refusal> {
        object(scanner, |scanner, key| {
            let value = scanner.value()?;
            if value.kind == Kind::Null {
                return Ok(());
            }
            if !key.text.is("user_id") {
                turns.dropped.add("metadata", &key.text.key());
                return Ok(());
            }
            once(&mut self.user_id, inside(value)?, "user_id", &key)
        })
    }

    fn read_output_config(
        &mut self,
        scanner: &mut Scanner<'_>,
        turns: &mut Turns<'_>,
    ) -> Result<(), Refusal> {
        object(scanner, |scanner, key| {
            if key.text.is("format") && scanner.peek()? != Kind::Null {
                let found = schema("output_config.format", scanner, turns)?;
                return found.map_or(Ok(()), |found| once(&mut self.schema, found, "format", &key));
            }
            let value = scanner.value()?;
            if value.kind == Kind::Null {
                return Ok(());
            }
            if !key.text.is("effort") {
                turns.dropped.add("output_config", &key.text.key());
                return Ok(());
            }
            once(&mut self.effort, inside(value)?, "effort", &key)
        })
    }

    /// The body has been read: put all together, in `turns.output`. `body` is where the body begins.
    pub(super) fn write(
        mut self,
        input: &[u8],
        turns: &mut Turns<'_>,
        body: usize,
    ) -> Result<Written, Refusal> {
        let model = self.model.ok_or(Refusal::lacks("model", body))?;
        if turns.output.is_empty() {
            return Err(Refusal::lacks("messages", body));
        }
        self.write_renamed(input, turns);
        let mut head = Vec::with_capacity(model.len() + turns.system.len() + 32);
        open(b'{', &mut head);
        text_member("model", model.of(input), &mut head);
        name("messages", &mut head);
        head.push(b'[');
        if !turns.system.is_empty() {
            head.extend_from_slice(&turns.system);
            head.push(b',');
        }
        turns.output.reserve_exact(head.len() + self.rest.len() + 3);
        put_before(&head, &mut turns.output);
        turns.output.push(b']');
        if !self.rest.is_empty() {
            turns.output.push(b',');
            turns.output.extend_from_slice(&self.rest);
        }
        turns.output.push(b'}');
        let stop_sequences = self.stop_sequences.map(|list| texts(input, list)).unwrap_or_default();
        let model = Text::new(model.of(input)).decode().into_owned();
        Ok(Written { model, thinking: self.shown(), stop_sequences })
    }

    /// How reasoning is shown. Chat's switches ask for it too.
    fn shown(&self) -> ShownThinking {
        let asked = self.thinking.map_or(self.chat.thinking() == Some(true), |thinking| thinking.on);
        match self.thinking {
            _ if !asked => ShownThinking::Hidden,
            Some(Thinking { omitted: true, .. }) => ShownThinking::Omitted,
            _ => ShownThinking::Summarized,
        }
    }

    /// What chat has under another name.
    fn write_renamed(&mut self, input: &[u8], turns: &mut Turns<'_>) {
        let (effort, format, stop, own_thinking) = (
            self.gives(Field::ReasoningEffort),
            self.gives(Field::ResponseFormat),
            self.gives(Field::Stop),
            self.gives(Field::LlmgwThinking),
        );
        let (dropped, rest) = (&mut turns.dropped, &mut self.rest);
        let mut leave_out = |is_twice: bool, name: &str| {
            if is_twice {
                dropped.add("", name.as_bytes());
            }
            is_twice
        };
        if let Some(stop_sequences) = self.stop_sequences
            && !leave_out(stop, "stop_sequences")
        {
            member("stop", stop_sequences.span.of(input), rest);
        }
        if let Some(user_id) = self.user_id
            && !leave_out(self.has_user, "metadata.user_id")
        {
            text_member("user", user_id.of(input), rest);
        }
        if let Some(thinking) = self.thinking.filter(|_| !own_thinking) {
            member("llmgw_thinking", if thinking.on { b"true" } else { b"false" }, rest);
        }
        if let Some(level) = self.effort
            && !leave_out(effort, "output_config.effort")
        {
            text_member("reasoning_effort", level.of(input), rest);
        }
        if self.schema.is_some() && self.older_schema.is_some() {
            leave_out(true, "output_format");
        }
        if let Some(schema) = self.schema.or(self.older_schema)
            && !leave_out(
                format,
                if self.schema.is_some() { "output_config.format" } else { "output_format" },
            )
        {
            name("response_format", rest);
            open(b'{', rest);
            text_member("type", b"json_schema", rest);
            name("json_schema", rest);
            open(b'{', rest);
            text_member("name", SCHEMA_NAME, rest);
            member("strict", b"true", rest);
            member("schema", schema.of(input), rest);
            rest.extend_from_slice(b"}}");
        }
        match self.tool_choice {
            Some(choice) if self.has_tools => choice.write(input, !self.has_parallel, dropped, rest),
            // Upstreams refuse a choice among no tools.
            Some(_) => dropped.add("", b"tool_choice"),
            None => {}
        }
    }
}

impl Thinking {
    fn read(scanner: &mut Scanner<'_>, turns: &mut Turns<'_>) -> Result<Self, Refusal> {
        let (start, input) = (scanner.peek().map(|_| scanner.position())?, scanner.input());
        let (mut kind, mut display) = (None, None);
        object(scanner, |scanner, key| {
            let value = scanner.value()?;
            if value.kind == Kind::Null {
                Ok(())
            } else if key.text.is("type") {
                once(&mut kind, inside(value)?, "type", &key)
            } else if key.text.is("display") {
                once(&mut display, inside(value)?, "display", &key)
            } else {
                turns.dropped.add("thinking", &key.text.key());
                Ok(())
            }
        })?;
        let kind = kind.ok_or(Refusal::lacks("type", start))?;
        let on = match &*Text::new(kind.of(input)).key() {
            b"enabled" | b"adaptive" => true,
            b"disabled" => false,
            _ => {
                let rule = "must be `enabled`, `adaptive` or `disabled`";
                return Err(Refusal::wrong_type(rule, kind.start - 1));
            }
        };
        let omitted = display.is_some_and(|display| Text::new(display.of(input)).is("omitted"));
        Ok(Self { on, omitted })
    }
}

/// Consume a value that must be an object.
fn object<'s>(
    scanner: &mut Scanner<'s>,
    member: impl FnMut(&mut Scanner<'s>, Key<'s>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if scanner.peek()? != Kind::Object {
        return Err(Refusal::wrong_type("must be an object", scanner.position()));
    }
    scanner.object(member).map(|_| ())
}

fn once(slot: &mut Option<Span>, value: Span, name: &'static str, key: &Key<'_>) -> Result<(), Refusal> {
    match slot.replace(value) {
        Some(_) => Err(Refusal::twice(name, key.start)),
        None => Ok(()),
    }
}

/// Consume the format of the answer; the schema that it has to keep to.
fn schema(place: &str, scanner: &mut Scanner<'_>, turns: &mut Turns<'_>) -> Result<Option<Span>, Refusal> {
    let (start, input) = (scanner.peek().map(|_| scanner.position())?, scanner.input());
    let (mut kind, mut schema) = (None, None);
    object(scanner, |scanner, key| {
        // In chat's words it may be in one object more.
        let value = scanner.value_one_deeper()?;
        if value.kind == Kind::Null {
            Ok(())
        } else if key.text.is("type") {
            once(&mut kind, inside(value)?, "type", &key)
        } else if key.text.is("schema") {
            once(&mut schema, value.span, "schema", &key)
        } else {
            turns.dropped.add(place, &key.text.key());
            Ok(())
        }
    })?;
    let kind = Text::new(kind.ok_or(Refusal::lacks("type", start))?.of(input));
    if !kind.is("json_schema") {
        turns.dropped.add(place, &kind.key());
        return Ok(None);
    }
    schema.ok_or(Refusal::lacks("schema", start)).map(Some)
}

/// Consume a list of strings; the list, unless it is empty.
fn stop_sequences(scanner: &mut Scanner<'_>) -> Result<Option<Value>, Refusal> {
    if scanner.peek()? != Kind::Array {
        return Err(Refusal::wrong_type("must be an array of strings", scanner.position()));
    }
    let mut is_empty = true;
    let span = scanner.array(|scanner, _| {
        is_empty = false;
        inside(scanner.value()?).map(|_| ())
    })?;
    Ok((!is_empty).then_some(Value { kind: Kind::Array, span }))
}

/// The texts of a list of strings that has been read before.
fn texts(input: &[u8], list: Value) -> Vec<String> {
    let mut texts = Vec::new();
    // It has been scanned before, so it can't fail now.
    let _ = Scanner::of(input, list).array(|scanner, _| {
        let text = scanner.value()?.as_text(input);
        texts.extend(text.map(|text| text.decode().into_owned()));
        Ok::<_, crate::json::JsonError>(())
    });
    texts
}

/// Put bytes in front of others; those move once.
fn put_before(head: &[u8], output: &mut Vec<u8>) {
    let length = output.len();
    output.resize(length + head.len(), 0);
    output.copy_within(..length, head.len());
    output[..head.len()].copy_from_slice(head);
}
