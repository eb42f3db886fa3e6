//! One chunk of a stream, or one whole completion, read as spans: where the members are that the contract has rules for.
//!
//! Reading is apart from judging: [`super::stream`] and [`super::completion`] decide what to change.

mod call;
mod known;

use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::{quoted, string};
use crate::json::{JsonError, Key, Kind, Member, Scanner, Span, Text, Value};

use super::bounds::{Excess, MAX_CHOICES, MAX_EXTRAS, MAX_TEXT_CHOICES, MAX_TOOL_CALLS};
use super::context::AnswerContext;
use super::error::StreamError;
use super::reasoning;
use crate::refusal::Refusal;
use crate::secret::Secret;

use self::known::Known;

pub use self::call::{CallKind, ToolCall};

/// A chunk's members. Reused from chunk to chunk, so that reading one allocates nothing.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The chunk itself.
    pub span: Span,
    /// How many members it has.
    pub members: usize,
    /// `id`
    pub id: Option<Member>,
    /// `object`
    pub object: Option<Member>,
    /// `created`
    pub created: Option<Member>,
    /// `model`
    pub model: Option<Member>,
    /// `choices`
    pub choices_member: Option<Member>,
    /// `usage`
    pub usage: Option<Member>,
    /// `error`
    pub error: Option<Member>,
    /// `base_resp` (MiniMax)
    pub base_resp: Option<Member>,
    /// The choices, in their order.
    pub choices: Vec<Choice>,
    /// The tool calls of all choices; [`Choice::tool_calls`] says which are whose.
    pub tool_calls: Vec<ToolCall>,
    /// Members without a slot of their own, null ones left out; no more than [`MAX_OTHERS`] of them.
    pub(crate) others: Vec<Other>,
}

/// A member that has no slot, in a chunk, a choice or a delta.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Other {
    pub(crate) place: Place,
    /// The key between its quotes, still escaped.
    pub(crate) key: Span,
    pub(crate) value: Value,
}

/// What such a member is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Chunk,
    Choice,
    Delta,
}

/// So many are known of one chunk: one more than a merged answer may have of them altogether.
pub(crate) const MAX_OTHERS: usize = MAX_EXTRAS + 1;

impl Other {
    /// Note one down, in a place that may be full.
    fn note(others: &mut Vec<Self>, place: Place, key: &Key<'_>, value: Value) {
        if value.kind != Kind::Null && others.len() < MAX_OTHERS {
            let start = key.start + 1;
            others.push(Self { place, key: Span { start, end: start + key.text.raw().len() }, value });
        }
    }
}

/// One of `choices`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// The choice itself.
    pub span: Span,
    /// How many members it has.
    pub members: usize,
    /// `index`
    pub index: Option<Member>,
    /// `delta` of a chunk, `message` of a whole completion, `text` of a text completion.
    pub delta_member: Option<Member>,
    /// What is inside of it.
    pub delta: Delta,
    /// `finish_reason`
    pub finish_reason: Option<Member>,
    /// `usage` (Kimi)
    pub usage: Option<Member>,
    /// `error` (OpenRouter)
    pub error: Option<Member>,
    /// `logprobs`
    pub logprobs: Option<Member>,
    /// Whether any other member says something (`logprobs`, for one).
    pub says_more: bool,
    /// Whether such a member may have reasoning inside.
    pub more_reasoning: bool,
    /// First of its tool calls in [`Chunk::tool_calls`].
    pub tool_calls_start: usize,
    /// One past the last.
    pub tool_calls_end: usize,
    /// Where in [`Chunk::others`] its own are, with those of its delta among them.
    pub(crate) others: Span,
    /// Where those of its delta are.
    pub(crate) delta_others: Span,
}

/// A delta or a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta {
    /// How many members it has.
    pub members: usize,
    /// `role`
    pub role: Option<Member>,
    /// `content`
    pub content: Option<Member>,
    /// `reasoning_content`
    pub reasoning_content: Option<Member>,
    /// Reasoning under another name, a string or null: `reasoning` (vLLM, Groq, OpenRouter), `reasoning_text`.
    pub reasoning: Option<Member>,
    /// `reasoning_details` (MiniMax, OpenRouter)
    pub reasoning_details: Option<Member>,
    /// Whether there may be reasoning elsewhere too: see [`super::reasoning`].
    pub more_reasoning: bool,
    /// `tool_calls`
    pub tool_calls: Option<Member>,
    /// Whether any other member says something.
    pub says_more: bool,
    /// Whether one that stands in for content does: `refusal`, `audio`, `function_call`.
    pub replaces_content: bool,
    /// How much text is in those that are text: `refusal`, `function_call`.
    pub other_bytes: usize,
}

/// What a choice keeps its text in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A chunk's `delta`.
    Delta,
    /// A whole completion's `message`.
    Message,
    /// A text completion's `text`, which is a string.
    Text,
}

impl Holder {
    /// How many choices such an answer may have.
    #[must_use]
    pub const fn max_choices(self) -> usize {
        match self {
            Self::Delta | Self::Message => MAX_CHOICES,
            Self::Text => MAX_TEXT_CHOICES,
        }
    }
}

/// So many choices or tool calls a chunk that is used again has room for.
const MAX_SPARE_ITEMS: usize = 32;

/// Why a payload is not taken for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// It is something else.
    NotAChunk,
    /// There is too much in it.
    Excess(Excess),
}

impl ChunkError {
    /// What that means for an answer, which should be a `name`. What is none may still be an error.
    pub(crate) fn of_answer(self, name: &str, input: &[u8], secret: &Secret) -> StreamError {
        match self {
            Self::NotAChunk => Refusal::find(input)
                .map_or_else(|| StreamError::not_a(name), |refusal| StreamError::told(refusal, secret)),
            Self::Excess(excess) => excess.into(),
        }
    }
}

impl From<JsonError> for ChunkError {
    fn from(_: JsonError) -> Self {
        Self::NotAChunk
    }
}

impl From<Excess> for ChunkError {
    fn from(excess: Excess) -> Self {
        Self::Excess(excess)
    }
}

/// One more item, where there is room for it.
fn push_within<T>(items: &mut Vec<T>, item: T, (limit, excess): (usize, Excess)) -> Result<(), Excess> {
    if items.len() == limit {
        return Err(excess);
    }
    items.push(item);
    Ok(())
}

impl Chunk {
    /// Read a chunk or a completion.
    ///
    /// # Errors
    /// [`ChunkError::NotAChunk`] where it is not a JSON object, where `choices` or `tool_calls` are not arrays of objects, or where
    /// `content` is neither a string nor a list of parts nor null, or `text` neither a string nor null;
    /// [`ChunkError::Excess`] beyond [`Holder::max_choices`] or [`MAX_TOOL_CALLS`].
    pub fn read(&mut self, input: &[u8], holder: Holder) -> Result<(), ChunkError> {
        self.reset();
        let mut scanner = Scanner::new(input);
        self.span = scanner.object(|scanner, key| {
            self.members += 1;
            let slot = match Known::of(key.text) {
                Known::Choices => {
                    let member = scanner
                        .member_with(&key, Kind::Array, |scanner| self.read_choices(scanner, holder))?;
                    self.choices_member = Some(unless_other(member, Kind::Array)?);
                    return Ok(());
                }
                Known::Id => &mut self.id,
                Known::Object => &mut self.object,
                Known::Created => &mut self.created,
                Known::Model => &mut self.model,
                Known::Usage => &mut self.usage,
                Known::Error => &mut self.error,
                known => {
                    let member = scanner.member(&key)?;
                    if known == Known::BaseResp {
                        self.base_resp = Some(member);
                    }
                    Other::note(&mut self.others, Place::Chunk, &key, member.value);
                    return Ok(());
                }
            };
            *slot = Some(scanner.member(&key)?);
            Ok::<_, ChunkError>(())
        })?;
        scanner.end()?;
        Ok(())
    }

    /// Forget what was read, and keep the memory. One by one: a whole new chunk would be copied here.
    fn reset(&mut self) {
        let Self {
            span: _,
            members,
            id,
            object,
            created,
            model,
            choices_member,
            usage,
            error,
            base_resp,
            choices,
            tool_calls,
            others,
        } = self;
        *members = 0;
        for slot in [id, object, created, model, choices_member, usage, error, base_resp] {
            *slot = None;
        }
        choices.clear();
        tool_calls.clear();
        others.clear();
    }

    fn read_choices(&mut self, scanner: &mut Scanner<'_>, holder: Holder) -> Result<(), ChunkError> {
        // A second `choices` replaces the first, as it does for any reader of JSON.
        self.choices.clear();
        self.tool_calls.clear();
        let Self { choices, tool_calls, others, .. } = self;
        let limit = holder.max_choices();
        scanner.array(|scanner, index| {
            // Read in its place: it is too large to be moved.
            push_within(choices, Choice::default(), (limit, Excess::Choices { limit }))?;
            choices[index].read(scanner, holder, tool_calls, others)
        })?;
        Ok(())
    }

    /// Let go of the memory that a chunk with very many choices, tool calls or other members took.
    pub(crate) fn release(&mut self) {
        let items = self.choices.capacity().max(self.tool_calls.capacity()).max(self.others.capacity());
        if items > MAX_SPARE_ITEMS {
            (self.choices, self.tool_calls, self.others) = (Vec::new(), Vec::new(), Vec::new());
        }
    }

    /// Changes that give the chunk what makes it one, where the upstream left it out: `object`, `id`, `created`, `model`;
    /// and that take away an `error` that is null, since the mere name makes one SDK raise.
    pub(crate) fn make_whole(
        &self,
        object: &str,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
    ) -> MemberChanges {
        let is = |member: Option<Member>, kind: Kind| member.is_some_and(|member| member.value.kind == kind);
        let mut changes = MemberChanges::new();
        if text_of(self.object.as_ref(), input).is_none_or(|text| text.raw() != object.as_bytes()) {
            changes.set(edits, self.object, "object", quoted(object.as_bytes()));
        }
        if !is(self.id, Kind::String) {
            changes.set(edits, self.id, "id", string(&context.request_id));
        }
        if !is(self.created, Kind::Number) {
            changes.set(edits, self.created, "created", context.created_s.to_string().into_bytes());
        }
        if !is(self.model, Kind::String) {
            changes.set(edits, self.model, "model", string(&context.model));
        }
        if let Some(error) = self.error {
            changes.remove(error);
        }
        changes
    }

    /// The error that it holds or, where it has no choices, that it is.
    #[must_use]
    pub fn refusal(&self, input: &[u8]) -> Option<Refusal> {
        if self.choices.is_empty() {
            return Refusal::find(input);
        }
        let mut errors =
            self.error.iter().chain(self.choices.iter().filter_map(|choice| choice.error.as_ref()));
        errors
            .find_map(|error| Refusal::of_error(input, error.value))
            .or_else(|| Refusal::of_base_resp(input, self.base_resp?.value))
    }

    /// The usage, where there is one that says something: the chunk's own, else one at a choice.
    #[must_use]
    pub fn usage_value(&self, input: &[u8]) -> Option<Value> {
        let members = self.usage.iter().chain(self.choices.iter().filter_map(|choice| choice.usage.as_ref()));
        let mut values = members.map(|member| member.value);
        values.find(|value| value.kind == Kind::Object && !value.is_blank(input))
    }
}

impl Choice {
    fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        holder: Holder,
        tool_calls: &mut Vec<ToolCall>,
        others: &mut Vec<Other>,
    ) -> Result<(), ChunkError> {
        let choice = self;
        let start = tool_calls.len();
        (choice.tool_calls_start, choice.tool_calls_end) = (start, start);
        let others_start = others.len();
        choice.span = scanner.object(|scanner, key| {
            choice.members += 1;
            let slot = match (Known::of(key.text), holder) {
                (Known::Delta, Holder::Delta) | (Known::Message, Holder::Message) => {
                    let member = scanner.member_with(&key, Kind::Object, |scanner| {
                        tool_calls.truncate(start);
                        let others_start = others.len();
                        if choice.delta_member.is_some() {
                            choice.delta = Delta::default();
                        }
                        choice.delta.read(scanner, tool_calls, others)?;
                        choice.tool_calls_end = tool_calls.len();
                        choice.delta_others = Span { start: others_start, end: others.len() };
                        Ok::<_, ChunkError>(())
                    })?;
                    choice.delta_member = Some(unless_other(member, Kind::Object)?);
                    return Ok(());
                }
                (Known::Text, Holder::Text) => {
                    choice.delta_member = Some(unless_other(scanner.member(&key)?, Kind::String)?);
                    return Ok(());
                }
                (Known::Index, _) => &mut choice.index,
                (Known::FinishReason, _) => &mut choice.finish_reason,
                (Known::Usage, _) => &mut choice.usage,
                (Known::Error, _) => &mut choice.error,
                _ => {
                    let member = scanner.member(&key)?;
                    let value = member.value;
                    choice.says_more |= !value.is_blank(scanner.input());
                    if key.text.is("logprobs") {
                        choice.logprobs = Some(member);
                        return Ok(());
                    }
                    Other::note(others, Place::Choice, &key, value);
                    choice.more_reasoning |= reasoning::name_of(&key.text.key()).is_some()
                        || reasoning::may_hide(scanner.input(), value);
                    return Ok(());
                }
            };
            *slot = Some(scanner.member(&key)?);
            Ok::<_, ChunkError>(())
        })?;
        choice.others = Span { start: others_start, end: others.len() };
        Ok(())
    }

    pub(crate) const fn as_value(&self) -> Value {
        Value { kind: Kind::Object, span: self.span }
    }

    /// Its tool calls.
    #[must_use]
    pub fn tool_calls<'a>(&self, chunk: &'a Chunk) -> &'a [ToolCall] {
        &chunk.tool_calls[self.tool_calls_start..self.tool_calls_end]
    }
}

impl Delta {
    fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        tool_calls: &mut Vec<ToolCall>,
        others: &mut Vec<Other>,
    ) -> Result<(), ChunkError> {
        let delta = self;
        let start = tool_calls.len();
        scanner.object(|scanner, key| {
            delta.members += 1;
            let slot = match Known::of(key.text) {
                Known::ToolCalls => {
                    let member = scanner.member_with(&key, Kind::Array, |scanner| {
                        tool_calls.truncate(start);
                        scanner.array(|scanner, _| {
                            let call = ToolCall::read(scanner)?;
                            push_within(tool_calls, call, (MAX_TOOL_CALLS, Excess::ToolCalls))?;
                            Ok::<_, ChunkError>(())
                        })?;
                        Ok::<_, ChunkError>(())
                    })?;
                    delta.tool_calls = Some(unless_other(member, Kind::Array)?);
                    return Ok(());
                }
                Known::Content => {
                    let member = scanner.member(&key)?;
                    if !matches!(member.value.kind, Kind::String | Kind::Array | Kind::Null) {
                        return Err(ChunkError::NotAChunk);
                    }
                    delta.content = Some(member);
                    return Ok(());
                }
                Known::Role => &mut delta.role,
                Known::ReasoningContent => &mut delta.reasoning_content,
                Known::ReasoningDetails => &mut delta.reasoning_details,
                _ => {
                    let member = scanner.member(&key)?;
                    Other::note(others, Place::Delta, &key, member.value);
                    delta.other(&key.text.key(), member, scanner.input());
                    return Ok(());
                }
            };
            *slot = Some(scanner.member(&key)?);
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    /// Take a member that is not among the known ones.
    fn other(&mut self, key: &[u8], member: Member, input: &[u8]) {
        let says = !member.value.is_blank(input);
        match reasoning::name_of(key) {
            Some(reasoning::Name::Text) => return self.alias(member, input),
            Some(reasoning::Name::Other) => self.more_reasoning |= says,
            None => self.more_reasoning |= reasoning::may_hide(input, member.value),
        }
        self.says_more |= says;
        self.replaces_content |= says && matches!(key, b"refusal" | b"audio" | b"function_call");
        if says && matches!(key, b"refusal" | b"function_call") {
            self.other_bytes += text_bytes(input, member.value);
        }
    }

    /// Take reasoning under another name: of several, the first that says something.
    fn alias(&mut self, member: Member, input: &[u8]) {
        if !matches!(member.value.kind, Kind::String | Kind::Null) {
            self.more_reasoning = true;
            return;
        }
        self.more_reasoning |= self.reasoning.is_some();
        if text_of(self.reasoning.as_ref(), input).is_none()
            && (self.reasoning.is_none() || text_of(Some(&member), input).is_some())
        {
            self.reasoning = Some(member);
        }
    }

    /// The one string that it says, where it says nothing else: content or reasoning, under one name.
    #[must_use]
    pub(crate) fn only_text(&self, input: &[u8]) -> Option<Value> {
        let texts = [self.content, self.reasoning_content, self.reasoning];
        let mut said =
            texts.iter().flatten().map(|member| member.value).filter(|value| !value.is_blank(input));
        let text = said.next().filter(|value| value.kind == Kind::String)?;
        let alone = said.next().is_none()
            && self.tool_calls.is_none()
            && self.reasoning_details.is_none()
            && !self.more_reasoning;
        alone.then_some(text)
    }
}

/// The member, unless its value is neither of this kind nor null.
fn unless_other(member: Member, kind: Kind) -> Result<Member, ChunkError> {
    if member.value.kind == kind || member.value.kind == Kind::Null {
        Ok(member)
    } else {
        Err(ChunkError::NotAChunk)
    }
}

/// How much text is in the strings of a value that has been scanned before.
pub(crate) fn text_bytes(input: &[u8], value: Value) -> usize {
    let mut scanner = Scanner::of(input, value);
    // So it can't fail now.
    let _ = scanner.value();
    scanner.text_bytes()
}

/// The value of a member, where it is a string that says something.
#[must_use]
pub fn text_of<'a>(member: Option<&Member>, input: &'a [u8]) -> Option<Text<'a>> {
    member.and_then(|member| member.value.as_text(input)).filter(|text| !text.is_empty())
}
