//! One entry of `tool_calls`, read as spans.

use super::{ChunkError, Known, text_of};
use crate::json::{JsonError, Kind, Member, Scanner, Span, Text, Value};

/// One of `tool_calls`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToolCall {
    /// The call itself.
    pub span: Span,
    /// How many members it has.
    pub members: usize,
    /// `index`
    pub index: Option<Member>,
    /// `id`
    pub id: Option<Member>,
    /// `type`
    pub kind: Option<Member>,
    /// `function` or `custom`, whichever says something.
    pub payload: Option<Member>,
    /// Which of them that is.
    pub payload_kind: CallKind,
    /// How many members that has.
    pub payload_members: usize,
    /// `function.name` or `custom.name`
    pub name: Option<Member>,
    /// `function.arguments` or `custom.input`
    pub arguments: Option<Member>,
    /// The other one of `function` and `custom`, where both are there.
    pub spare: Option<Member>,
}

/// What is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallKind {
    /// A function, with arguments in JSON.
    #[default]
    Function,
    /// A tool that takes any text.
    Custom,
}

impl CallKind {
    /// The `type` of such a call, and the member that holds what is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Custom => "custom",
        }
    }

    /// The member for what the model says.
    #[must_use]
    pub const fn arguments(self) -> &'static str {
        match self {
            Self::Function => "arguments",
            Self::Custom => "input",
        }
    }
}

impl ToolCall {
    pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Self, ChunkError> {
        let mut call = Self::default();
        call.span = scanner.object(|scanner, key| {
            call.members += 1;
            let slot = match Known::of(key.text) {
                Known::Index => &mut call.index,
                Known::Id => &mut call.id,
                Known::Type => &mut call.kind,
                known @ (Known::Function | Known::Custom) => {
                    let kind = if known == Known::Custom { CallKind::Custom } else { CallKind::Function };
                    let member = scanner.member(&key)?;
                    call.read_payload(member, kind, scanner.input())?;
                    return Ok(());
                }
                _ => {
                    scanner.value()?;
                    return Ok(());
                }
            };
            *slot = Some(scanner.member(&key)?);
            Ok::<_, ChunkError>(())
        })?;
        Ok(call)
    }

    /// The call as an item of its array, for [`Edits::members`].
    pub(crate) const fn as_item(&self, ordinal: usize) -> Member {
        let value = Value { kind: Kind::Object, span: self.span };
        Member { ordinal, span: self.span, value }
    }

    /// The payload, where it is an object.
    #[must_use]
    pub fn payload_object(&self) -> Option<Member> {
        self.payload.filter(|payload| payload.value.kind == Kind::Object)
    }

    /// Whether it says what is called; one that never does is no call.
    #[must_use]
    pub fn is_named(&self, input: &[u8]) -> bool {
        text_of(self.name.as_ref(), input).is_some() || self.is_foreign(input)
    }

    /// How much text its arguments are: those of a string, else as much as their own JSON.
    #[must_use]
    pub(crate) fn argument_bytes(&self, input: &[u8]) -> usize {
        match self.arguments.map(|arguments| arguments.value) {
            None | Some(Value { kind: Kind::Null, .. }) => 0,
            Some(value) => value.as_text(input).map_or(value.span.len(), Text::decoded_bytes),
        }
    }

    /// Whether it is of a kind without a rule here: an object is under the name of its `type`, as OpenAI's kinds have it.
    #[must_use]
    pub fn is_foreign(&self, input: &[u8]) -> bool {
        let Some(kind) = text_of(self.kind.as_ref(), input).filter(|_| self.payload_object().is_none())
        else {
            return false;
        };
        let mut found = false;
        // It has been scanned before, so it can't fail now.
        let _ = Scanner::new(self.span.of(input)).object(|scanner, key| {
            let value = scanner.value()?;
            found |= key.text == kind && value.kind == Kind::Object;
            Ok::<_, JsonError>(())
        });
        found
    }

    /// Take one of `function` and `custom`: of two, the one that has a name.
    fn read_payload(&mut self, member: Member, kind: CallKind, input: &[u8]) -> Result<(), ChunkError> {
        let mut read = Self { payload: Some(member), payload_kind: kind, ..Self::default() };
        if member.value.kind == Kind::Object {
            read.read_members(&mut Scanner::of(input, member.value))?;
        }
        let is_first = self.payload.is_none() || self.payload_kind == kind;
        if !is_first && (text_of(self.name.as_ref(), input).is_some() || read.payload_object().is_none()) {
            self.spare = Some(member);
            return Ok(());
        }
        if !is_first {
            self.spare = self.payload;
        }
        (self.payload, self.payload_kind, self.payload_members) = (Some(member), kind, read.payload_members);
        (self.name, self.arguments) = (read.name, read.arguments);
        Ok(())
    }

    fn read_members(&mut self, scanner: &mut Scanner<'_>) -> Result<(), ChunkError> {
        scanner.object(|scanner, key| {
            self.payload_members += 1;
            match (Known::of(key.text), self.payload_kind) {
                (Known::Name, _) => self.name = Some(scanner.member(&key)?),
                (Known::Arguments, CallKind::Function) | (Known::Input, CallKind::Custom) => {
                    self.arguments = Some(scanner.member(&key)?);
                }
                _ => {
                    scanner.value()?;
                }
            }
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }
}
