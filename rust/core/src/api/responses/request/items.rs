//! The items of `input`: what each is, and where what it says stands.

use crate::api::dropped::Dropped;
use crate::api::responses::tools::CallKind;
use crate::json::{Key, Kind, Scanner, Text, Value};
use crate::request::error::RequestErrorCode;
use crate::request::refusal::Refusal;

use super::refuse;

/// So many items a body may have: each is remembered until the body is converted.
const MAX_ITEMS: usize = 65_536;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    System,
    Developer,
}

impl Role {
    fn named(name: Text<'_>) -> Option<Self> {
        [Self::User, Self::Assistant, Self::System, Self::Developer]
            .into_iter()
            .find(|role| name.is(role.as_str()))
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Developer => "developer",
        }
    }
}

/// A call of a tool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// `call_id`, a string.
    pub(super) id: Value,
    /// A string; a `local_shell_call` has none.
    pub(super) name: Option<Value>,
    /// A string.
    pub(super) namespace: Option<Value>,
    /// `arguments`, `input` or `action`.
    pub(super) payload: Option<Value>,
    /// Which item is its output.
    pub(super) output: Option<usize>,
}

/// What an item says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    /// A message. Only the content of an assistant's may be null.
    Message { role: Role, content: Value },
    /// The assistant called a tool.
    Call(Call),
    /// What the tool answered: a string, a list of parts, or null.
    Output { id: Option<Value>, output: Option<Value>, kind: OutputKind, answers: bool },
    /// What the assistant thought.
    Reasoning { summary: Option<Value>, content: Option<Value>, sealed: Option<Value> },
}

/// What kind of call an output is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum OutputKind {
    Function,
    Custom,
    LocalShell,
}

impl OutputKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "function_call_output",
            Self::Custom => "custom_tool_call_output",
            Self::LocalShell => "local_shell_call_output",
        }
    }
}

/// Reads items.
pub(super) struct Items<'a> {
    found: &'a mut Vec<Item>,
    tool_lists: &'a mut Vec<Value>,
    dropped: &'a mut Dropped,
    /// How many there were, with those that are left out.
    count: usize,
}

/// The members of an item that are read; null ones are not here.
#[derive(Default)]
struct Members {
    kind: Option<Value>,
    role: Option<Value>,
    content: Option<Value>,
    id: Option<Value>,
    call_id: Option<Value>,
    name: Option<Value>,
    namespace: Option<Value>,
    arguments: Option<Value>,
    input: Option<Value>,
    action: Option<Value>,
    output: Option<Value>,
    summary: Option<Value>,
    encrypted_content: Option<Value>,
    tools: Option<Value>,
}

impl Members {
    /// Where a member of this name is kept, and the name.
    fn slot(&mut self, key: &Key<'_>) -> Option<(&'static str, &mut Option<Value>)> {
        Some(match &*key.text.key() {
            b"type" => ("type", &mut self.kind),
            b"role" => ("role", &mut self.role),
            b"content" => ("content", &mut self.content),
            b"id" => ("id", &mut self.id),
            b"call_id" => ("call_id", &mut self.call_id),
            b"name" => ("name", &mut self.name),
            b"namespace" => ("namespace", &mut self.namespace),
            b"arguments" => ("arguments", &mut self.arguments),
            b"input" => ("input", &mut self.input),
            b"action" => ("action", &mut self.action),
            b"output" => ("output", &mut self.output),
            b"summary" => ("summary", &mut self.summary),
            b"encrypted_content" => ("encrypted_content", &mut self.encrypted_content),
            b"tools" => ("tools", &mut self.tools),
            _ => return None,
        })
    }
}

impl<'a> Items<'a> {
    pub(super) const fn new(
        found: &'a mut Vec<Item>,
        tool_lists: &'a mut Vec<Value>,
        dropped: &'a mut Dropped,
    ) -> Self {
        Self { found, tool_lists, dropped, count: 0 }
    }

    /// Consume one item.
    pub(super) fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Refusal> {
        let kind = scanner.peek()?;
        let start = scanner.position();
        self.count += 1;
        if self.count > MAX_ITEMS {
            let rule = "is one of more items than a request may have, which are 65536";
            return Err(refuse(RequestErrorCode::UnsupportedValue, rule, start));
        }
        if kind != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", start));
        }
        let mut members = Members::default();
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            match members.slot(&key) {
                Some((name, slot)) if slot.is_some() => Err(Refusal::twice(name, key.start)),
                Some((_, slot)) if value.kind != Kind::Null => {
                    *slot = Some(value);
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
        self.take(scanner.input(), &members, start)
    }

    /// What the item is.
    fn take(&mut self, input: &[u8], members: &Members, start: usize) -> Result<(), Refusal> {
        let kind = match members.kind {
            Some(kind) => string(kind, input)?.decode(),
            // The short form of a message.
            None if members.role.is_some() => "message".into(),
            None => return Err(Refusal::lacks("type", start)),
        };
        let item = match &*kind {
            "message" => message(input, members, start)?,
            "function_call" => call(input, members, CallKind::Function, members.arguments, start)?,
            "custom_tool_call" => call(input, members, CallKind::Custom, members.input, start)?,
            "local_shell_call" => call(input, members, CallKind::LocalShell, members.action, start)?,
            "function_call_output" => output(input, members, OutputKind::Function)?,
            "custom_tool_call_output" => output(input, members, OutputKind::Custom)?,
            "local_shell_call_output" => output(input, members, OutputKind::LocalShell)?,
            "reasoning" => Item::Reasoning {
                summary: members.summary.filter(|value| value.kind == Kind::Array),
                content: members.content.filter(|value| value.kind == Kind::Array),
                sealed: members.encrypted_content.filter(|value| value.kind == Kind::String),
            },
            "additional_tools" => {
                let tools = members.tools.ok_or(Refusal::lacks("tools", start))?;
                if tools.kind != Kind::Array {
                    return Err(Refusal::wrong_type("must be an array", tools.span.start));
                }
                self.tool_lists.push(tools);
                return Ok(());
            }
            unknown => {
                self.dropped.add("input", unknown.as_bytes());
                return Ok(());
            }
        };
        self.found.push(item);
        Ok(())
    }
}

/// A value that must be a string.
pub(super) fn string(value: Value, input: &[u8]) -> Result<Text<'_>, Refusal> {
    value.as_text(input).ok_or_else(|| Refusal::wrong_type("must be a string", value.span.start))
}

fn message(input: &[u8], members: &Members, start: usize) -> Result<Item, Refusal> {
    let named = members.role.ok_or(Refusal::lacks("role", start))?;
    let role = Role::named(string(named, input)?).ok_or_else(|| {
        let rule = "must be one of `user`, `assistant`, `system` and `developer`";
        refuse(RequestErrorCode::UnsupportedValue, rule, named.span.start)
    })?;
    let content = members.content.ok_or(Refusal::lacks("content", start))?;
    parts_or_string(content)?;
    Ok(Item::Message { role, content })
}

fn parts_or_string(value: Value) -> Result<(), Refusal> {
    match value.kind {
        Kind::String | Kind::Array => Ok(()),
        _ => Err(Refusal::wrong_type("must be a string or an array", value.span.start)),
    }
}

fn call(
    input: &[u8],
    members: &Members,
    kind: CallKind,
    payload: Option<Value>,
    start: usize,
) -> Result<Item, Refusal> {
    let id = members.call_id.ok_or(Refusal::lacks("call_id", start))?;
    string(id, input)?;
    for text in [members.name, members.namespace].into_iter().flatten() {
        string(text, input)?;
    }
    match (kind, members.name, payload) {
        (CallKind::Function | CallKind::Custom, None, _) => return Err(Refusal::lacks("name", start)),
        (CallKind::Custom, _, Some(payload)) => {
            string(payload, input)?;
        }
        (CallKind::LocalShell, _, Some(payload)) if payload.kind != Kind::Object => {
            return Err(Refusal::wrong_type("must be an object", payload.span.start));
        }
        _ => {}
    }
    let (name, namespace) = (members.name, members.namespace);
    Ok(Item::Call(Call { kind, id, name, namespace, payload, output: None }))
}

fn output(input: &[u8], members: &Members, kind: OutputKind) -> Result<Item, Refusal> {
    // OpenAI's own outputs of `local_shell` have the call's id there.
    let of_shell = || members.id.filter(|_| matches!(kind, OutputKind::LocalShell));
    let id = members.call_id.or_else(of_shell);
    if let Some(id) = id {
        string(id, input)?;
    }
    if let Some(output) = members.output {
        parts_or_string(output)?;
    }
    Ok(Item::Output { id, output: members.output, kind, answers: false })
}
