//! Tools: the client's own are functions; those that Anthropic's servers run have no counterpart.

use crate::api::dropped::Dropped;
use crate::api::words::{member, name, open, text_member};
use crate::json::{Kind, Scanner, Span, Text, Value};
use crate::request::refusal::Refusal;

use super::block::inside;

/// The members of a tool that are read.
const NAMES: [&str; 5] = ["type", "name", "description", "input_schema", "strict"];
const TYPE: usize = 0;
const NAME: usize = 1;
const DESCRIPTION: usize = 2;
const SCHEMA: usize = 3;
const STRICT: usize = 4;

/// Consume `tools` and write the items of chat's list. How many there are.
pub(super) fn read(
    scanner: &mut Scanner<'_>,
    dropped: &mut Dropped,
    output: &mut Vec<u8>,
) -> Result<usize, Refusal> {
    if scanner.peek()? != Kind::Array {
        return Err(Refusal::wrong_type("must be an array", scanner.position()));
    }
    let mut count = 0;
    scanner.array(|scanner, _| {
        count += usize::from(tool(scanner, dropped, output)?);
        Ok::<_, Refusal>(())
    })?;
    Ok(count)
}

/// Consume a tool. Whether it is a client's own.
fn tool(scanner: &mut Scanner<'_>, dropped: &mut Dropped, output: &mut Vec<u8>) -> Result<bool, Refusal> {
    if scanner.peek()? != Kind::Object {
        return Err(Refusal::wrong_type("must be an object", scanner.position()));
    }
    let (start, input) = (scanner.position(), scanner.input());
    let mut values: [Option<Value>; NAMES.len()] = [None; NAMES.len()];
    let mut strangers = Vec::new();
    scanner.object(|scanner, key| {
        let Some(at) = NAMES.iter().position(|name| key.text.is(name)) else {
            let value = scanner.value()?;
            if value.kind != Kind::Null && !key.text.is("cache_control") {
                strangers.push(key.text);
            }
            return Ok(());
        };
        // In chat's words it is in one object more.
        let value = scanner.value_one_deeper()?;
        match values[at].replace(value) {
            Some(_) => Err(Refusal::twice(NAMES[at], key.start)),
            None => Ok(()),
        }
    })?;
    let given = |at: usize| values[at].filter(|value| value.kind != Kind::Null);
    if let Some(kind) = given(TYPE) {
        let kind = Text::new(inside(kind)?.of(input));
        if !kind.is("custom") {
            dropped.add("tools", &kind.key());
            return Ok(false);
        }
    }
    for key in strangers {
        dropped.add("tools", &key.key());
    }
    let function = inside(given(NAME).ok_or(Refusal::lacks("name", start))?)?;
    open(b'{', output);
    text_member("type", b"function", output);
    name("function", output);
    open(b'{', output);
    text_member("name", function.of(input), output);
    if let Some(description) = given(DESCRIPTION) {
        text_member("description", inside(description)?.of(input), output);
    }
    // Without one, the function takes no arguments, as OpenAI's page says.
    if let Some(schema) = given(SCHEMA) {
        member("parameters", schema.span.of(input), output);
    }
    if let Some(strict) = given(STRICT) {
        member("strict", strict.span.of(input), output);
    }
    output.extend_from_slice(b"}}");
    Ok(true)
}

/// Which tool is to be called.
#[derive(Clone, Copy)]
pub(super) struct ToolChoice {
    kind: Span,
    name: Option<Span>,
    /// `disable_parallel_tool_use`.
    one_at_a_time: bool,
}

impl ToolChoice {
    /// Consume `tool_choice`.
    pub(super) fn read(scanner: &mut Scanner<'_>, dropped: &mut Dropped) -> Result<Self, Refusal> {
        const NAMES: [&str; 3] = ["type", "name", "disable_parallel_tool_use"];
        if scanner.peek()? != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", scanner.position()));
        }
        let (start, input) = (scanner.position(), scanner.input());
        let mut values: [Option<Value>; NAMES.len()] = [None; NAMES.len()];
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            let Some(at) = NAMES.iter().position(|name| key.text.is(name)) else {
                if value.kind != Kind::Null {
                    dropped.add("tool_choice", &key.text.key());
                }
                return Ok(());
            };
            match values[at].replace(value) {
                Some(_) => Err(Refusal::twice(NAMES[at], key.start)),
                None => Ok(()),
            }
        })?;
        let [kind, name, one] = values.map(|value| value.filter(|value| value.kind != Kind::Null));
        let kind = kind.ok_or(Refusal::lacks("type", start))?;
        let name = name.map(inside).transpose()?;
        let is_tool = Text::new(inside(kind)?.of(input)).is("tool");
        if is_tool && name.is_none() {
            return Err(Refusal::lacks("name", start));
        }
        let one_at_a_time = match one {
            None => false,
            Some(one) => {
                one.as_bool(input).ok_or(Refusal::wrong_type("must be a boolean", one.span.start))?
            }
        };
        Ok(Self { kind: inside(kind)?, name, one_at_a_time })
    }

    /// Write `tool_choice`, and `parallel_tool_calls` where that is wanted.
    pub(super) fn write(self, input: &[u8], parallel: bool, dropped: &mut Dropped, output: &mut Vec<u8>) {
        let kind = Text::new(self.kind.of(input));
        match (&*kind.key(), self.name) {
            (b"auto", _) => text_member("tool_choice", b"auto", output),
            (b"any", _) => text_member("tool_choice", b"required", output),
            (b"none", _) => text_member("tool_choice", b"none", output),
            (b"tool", Some(function)) => {
                name("tool_choice", output);
                open(b'{', output);
                text_member("type", b"function", output);
                name("function", output);
                open(b'{', output);
                text_member("name", function.of(input), output);
                output.extend_from_slice(b"}}");
            }
            (kind, _) => dropped.add("tool_choice", kind),
        }
        if self.one_at_a_time && parallel {
            member("parallel_tool_calls", b"false", output);
        }
    }
}
