//! Tools as functions.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::api::dropped::Dropped;
use crate::api::responses::tools::{CUSTOM_PARAMETER, CallKind, OfferedTool, ToolNames};
use crate::api::words::{self, comma, member};
use crate::json::{Kind, Scanner, Text, Value, text};
use crate::request::error::RequestErrorCode;
use crate::request::refusal::Refusal;

use super::choice::Allowed;
use super::content::open_list;
use super::items::{Call, string};
use super::refuse;
use super::top::{Own, Top};

/// So many tools a request may offer, those of namespaces counted one by one: their names are remembered until the answer
/// has ended.
const MAX_TOOLS: usize = 1024;

/// So long the name of a tool or a namespace may be.
const MAX_TOOL_NAME_BYTES: usize = 256;

/// So long OpenAI's function names are at most, and other providers' too.
const MAX_FUNCTION_NAME_BYTES: usize = 64;

/// What an offered `local_shell` is called, for it has no name of its own.
const LOCAL_SHELL: &str = "local_shell";

/// What a `local_shell` is to a model. The parameters are those of the action of a `local_shell_call`.
const LOCAL_SHELL_FUNCTION: &[u8] = br#","description":"Runs a command on the user's machine and returns its output.","parameters":{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":"The program and its arguments, one by one."},"working_directory":{"type":"string","description":"Where to run it."},"timeout_ms":{"type":"integer","description":"How long it may take, in milliseconds."},"env":{"type":"object","additionalProperties":{"type":"string"},"description":"Environment variables to set."}},"required":["command"]}"#;

/// What a function without parameters takes.
const NO_PARAMETERS: &[u8] = br#"{"type":"object","properties":{}}"#;

/// Said of each custom tool, whose own description may say that it takes no JSON.
const HOW_TO_CALL: &str =
    r"Call it with a JSON object whose one member, `input`, is the whole input as a string.";

/// A tool by what the client calls it.
type ToolKey = (CallKind, Option<String>, String);

/// Writes tools, and knows afterwards which function each of them is.
pub(super) struct Tools {
    allowed: Option<Allowed>,
    functions: HashMap<ToolKey, String>,
    taken: HashSet<String>,
    names: ToolNames,
    written: usize,
}

/// The namespace that a tool stands in.
struct Namespace {
    name: String,
    /// Goes before the description of its first tool: before each, it could come to be as long as a body squared.
    description: Option<Value>,
}

/// The members of a tool that are read; null ones are not here.
#[derive(Default)]
struct Members<'a> {
    kind: Option<Value>,
    name: Option<Value>,
    description: Option<Value>,
    parameters: Option<Value>,
    strict: Option<Value>,
    function: Option<Value>,
    format: Option<Value>,
    tools: Option<Value>,
    /// Others that say something.
    others: Vec<Cow<'a, str>>,
}

impl<'a> Members<'a> {
    fn read(scanner: &mut Scanner<'a>) -> Result<(Self, usize), Refusal> {
        /// More are not named one by one.
        const MAX_OTHERS: usize = 8;
        let kind = scanner.peek()?;
        let start = scanner.position();
        if kind != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", start));
        }
        let input = scanner.input();
        let mut members = Self::default();
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            let (name, slot) = match &*key.text.key() {
                b"type" => ("type", &mut members.kind),
                b"name" => ("name", &mut members.name),
                b"description" => ("description", &mut members.description),
                b"parameters" => ("parameters", &mut members.parameters),
                b"strict" => ("strict", &mut members.strict),
                b"function" => ("function", &mut members.function),
                b"format" => ("format", &mut members.format),
                b"tools" => ("tools", &mut members.tools),
                _ => {
                    let says_something = value.kind != Kind::Null && value.as_bool(input) != Some(false);
                    if says_something && members.others.len() < MAX_OTHERS {
                        members.others.push(key.text.decode());
                    }
                    return Ok(());
                }
            };
            if slot.is_some() {
                return Err(Refusal::twice(name, key.start));
            }
            *slot = (value.kind != Kind::Null).then_some(value);
            Ok(())
        })?;
        Ok((members, start))
    }
}

impl Tools {
    pub(super) fn new(allowed: Option<Allowed>) -> Self {
        Self {
            allowed,
            functions: HashMap::new(),
            taken: HashSet::new(),
            names: ToolNames::default(),
            written: 0,
        }
    }

    /// Whether no tool was written.
    pub(super) const fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// What the answer needs to know.
    pub(super) fn into_names(self) -> ToolNames {
        self.names
    }

    /// Append `tools`, unless there are none.
    pub(super) fn write(
        &mut self,
        top: &Top<'_>,
        output: &mut Vec<u8>,
        dropped: &mut Dropped,
    ) -> Result<(), Refusal> {
        let start = output.len();
        open_list("tools", output);
        for list in top.array(Own::Tools)?.iter().chain(&top.tool_lists) {
            Scanner::of(top.body, *list)
                .array(|scanner, _| self.tool(scanner, &mut None, output, dropped))?;
        }
        output.push(b']');
        if self.is_empty() {
            output.truncate(start);
        }
        Ok(())
    }

    /// Consume a tool, and append it.
    fn tool(
        &mut self,
        scanner: &mut Scanner<'_>,
        namespace: &mut Option<Namespace>,
        output: &mut Vec<u8>,
        dropped: &mut Dropped,
    ) -> Result<(), Refusal> {
        let body = scanner.input();
        let (members, start) = Members::read(scanner)?;
        let kind = members.kind.map_or(Ok("function".into()), |kind| string(kind, body).map(Text::decode))?;
        match &*kind {
            "function" if members.function.is_some_and(|function| function.kind == Kind::Object) => {
                self.nested_function(body, &members, namespace.is_some(), output, dropped)?;
            }
            "function" => {
                self.offer(CallKind::Function, body, &members, start, namespace, output, dropped)?;
            }
            "custom" => self.offer(CallKind::Custom, body, &members, start, namespace, output, dropped)?,
            LOCAL_SHELL if namespace.is_none() => {
                self.offer(CallKind::LocalShell, body, &members, start, namespace, output, dropped)?;
            }
            "namespace" if namespace.is_none() => {
                let name = name_of(members.name, body, start)?;
                let Some(tools) = members.tools else { return Ok(()) };
                if tools.kind != Kind::Array {
                    return Err(Refusal::wrong_type("must be an array", tools.span.start));
                }
                let description = members.description.filter(|text| text.kind == Kind::String);
                let mut within = Some(Namespace { name, description });
                Scanner::of(body, tools)
                    .array(|scanner, _| self.tool(scanner, &mut within, output, dropped))?;
                return Ok(());
            }
            unknown => {
                dropped.add("tools", unknown.as_bytes());
                return Ok(());
            }
        }
        for other in &members.others {
            dropped.add(&format!("tools.{kind}"), other.as_bytes());
        }
        Ok(())
    }

    /// Append a tool as a function.
    #[allow(clippy::too_many_arguments, reason = "what a tool is, and where it goes")]
    fn offer(
        &mut self,
        kind: CallKind,
        body: &[u8],
        members: &Members<'_>,
        start: usize,
        namespace: &mut Option<Namespace>,
        output: &mut Vec<u8>,
        dropped: &mut Dropped,
    ) -> Result<(), Refusal> {
        let name = match kind {
            CallKind::LocalShell => LOCAL_SHELL.to_owned(),
            CallKind::Function | CallKind::Custom => name_of(members.name, body, start)?,
        };
        let within = namespace.as_ref().map(|namespace| namespace.name.clone());
        let Some((function, is_allowed)) = self.register(kind, within, name, start, dropped)? else {
            return Ok(());
        };
        if !is_allowed {
            return Ok(());
        }
        open_function(&function, output);
        let before = namespace.as_mut().and_then(|namespace| namespace.description.take());
        match kind {
            CallKind::LocalShell => output.extend_from_slice(LOCAL_SHELL_FUNCTION),
            CallKind::Function => {
                description(body, kind, &[before, members.description], None, output)?;
                let parameters = members.parameters.map_or(NO_PARAMETERS, |schema| schema.span.of(body));
                member("parameters", parameters, output);
                // Chat's default is false.
                if members.strict.and_then(|strict| strict.as_bool(body)) == Some(true) {
                    member("strict", b"true", output);
                }
            }
            CallKind::Custom => {
                description(body, kind, &[before, members.description], members.format, output)?;
                words::name("parameters", output);
                output.extend_from_slice(br#"{"type":"object","properties":{""#);
                output.extend_from_slice(CUSTOM_PARAMETER.as_bytes());
                output.extend_from_slice(br#"":{"type":"string"}},"required":[""#);
                output.extend_from_slice(CUSTOM_PARAMETER.as_bytes());
                output.extend_from_slice(br#""],"additionalProperties":false}"#);
            }
        }
        output.extend_from_slice(b"}}");
        self.written += 1;
        Ok(())
    }

    /// A function in the form that chat completions have: it passes as it is.
    fn nested_function(
        &mut self,
        body: &[u8],
        members: &Members<'_>,
        in_namespace: bool,
        output: &mut Vec<u8>,
        dropped: &mut Dropped,
    ) -> Result<(), Refusal> {
        let Some(function) = members.function else { return Ok(()) };
        if in_namespace {
            dropped.add("tools", b"function");
            return Ok(());
        }
        let mut name = None;
        Scanner::of(body, function).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("name") {
                name = Some(value);
            }
            Ok::<_, Refusal>(())
        })?;
        let start = function.span.start;
        let name = name_of(name, body, start)?;
        let registered = self.register(CallKind::Function, None, name.clone(), start, dropped)?;
        match registered {
            Some((function_name, true)) if function_name == name => {
                comma(output);
                output.extend_from_slice(br#"{"type":"function","function":"#);
                output.extend_from_slice(function.span.of(body));
                output.push(b'}');
                self.written += 1;
            }
            Some((_, true)) => dropped.add("tools", b"function"),
            _ => {}
        }
        Ok(())
    }

    /// Find a function name for a tool; and whether it may be called. None: it has been offered before.
    fn register(
        &mut self,
        kind: CallKind,
        namespace: Option<String>,
        name: String,
        start: usize,
        dropped: &mut Dropped,
    ) -> Result<Option<(String, bool)>, Refusal> {
        if self.functions.len() == MAX_TOOLS {
            let rule = "is one of more tools than a request may offer, which are 1024";
            return Err(refuse(RequestErrorCode::UnsupportedValue, rule, start));
        }
        let key = (kind, namespace, name);
        if self.functions.contains_key(&key) {
            dropped.add("tools", b"duplicate");
            return Ok(None);
        }
        let (_, namespace, name) = &key;
        let mut function = function_name(namespace.as_deref(), name);
        if self.taken.contains(&function) {
            function = with_digest(&function, kind, namespace.as_deref(), name);
        }
        let is_allowed =
            self.allowed.as_ref().is_none_or(|allowed| allowed.has(kind, namespace.as_deref(), name));
        if kind != CallKind::Function || *name != function {
            let (namespace, name) = (namespace.clone(), name.clone());
            self.names.add(function.clone(), OfferedTool { kind, namespace, name });
        }
        self.taken.insert(function.clone());
        self.functions.insert(key, function.clone());
        Ok(Some((function, is_allowed)))
    }

    /// The function that a call was of.
    pub(super) fn function_of<'a>(&'a self, body: &'a [u8], call: &Call) -> Cow<'a, str> {
        let text = |value: Option<Value>| value.and_then(|value| value.as_text(body)).map(Text::decode);
        let name = text(call.name).unwrap_or(Cow::Borrowed(LOCAL_SHELL));
        self.function_named(call.kind, text(call.namespace), name)
    }

    /// The function that stands for a tool. A tool that is not offered gets the name that it would have.
    pub(super) fn function_named<'a>(
        &'a self,
        kind: CallKind,
        namespace: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
    ) -> Cow<'a, str> {
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).map(Cow::into_owned);
        let key = (kind, namespace, name.into_owned());
        if let Some(function) = self.functions.get(&key) {
            return Cow::Borrowed(function);
        }
        let (_, namespace, name) = key;
        if namespace.is_none()
            && !self.taken.contains(&name)
            && let Some(function) = self.names.unqualified(&name)
        {
            return Cow::Borrowed(function);
        }
        Cow::Owned(function_name(namespace.as_deref(), &name))
    }
}

/// Begin a function as an item of `tools`.
fn open_function(name: &str, output: &mut Vec<u8>) {
    comma(output);
    output.extend_from_slice(br#"{"type":"function","function":{"#);
    words::name("name", output);
    text::write_string(name, output);
}

/// Append the description of a function: that of its namespace, its own, and how a custom tool of this `format` is called.
/// Nothing where there is nothing to be said.
fn description(
    body: &[u8],
    kind: CallKind,
    texts: &[Option<Value>],
    format: Option<Value>,
    output: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let member_start = output.len();
    output.extend_from_slice(b",\"description\":\"");
    let start = output.len();
    let mut paragraph = |escaped: &[u8]| {
        if !escaped.is_empty() {
            if output.len() > start {
                output.extend_from_slice(br"\n\n");
            }
            output.extend_from_slice(escaped);
        }
    };
    for text in texts.iter().flatten() {
        paragraph(string(*text, body)?.raw());
    }
    if kind == CallKind::Custom {
        paragraph(HOW_TO_CALL.as_bytes());
    }
    if let Some(format) = format {
        paragraph(&grammar(body, format)?);
    }
    if output.len() == start {
        output.truncate(member_start);
    } else {
        output.push(b'"');
    }
    Ok(())
}

/// What the format of a custom tool asks of its input, escaped: nothing where any text will do.
fn grammar(body: &[u8], format: Value) -> Result<Vec<u8>, Refusal> {
    if format.kind != Kind::Object {
        return Err(Refusal::wrong_type("must be an object", format.span.start));
    }
    let (mut syntax, mut definition) = (None, None);
    Scanner::of(body, format).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is("syntax") {
            syntax = value.as_text(body);
        } else if key.text.is("definition") {
            definition = value.as_text(body);
        }
        Ok::<_, Refusal>(())
    })?;
    let Some(definition) = definition else { return Ok(Vec::new()) };
    let syntax = syntax.map_or(&b"a"[..], Text::raw);
    Ok([b"Its input must match this grammar (", syntax, br"):\n", definition.raw()].concat())
}

/// The name of a tool or a namespace.
fn name_of(name: Option<Value>, body: &[u8], start: usize) -> Result<String, Refusal> {
    let name = name.ok_or(Refusal::lacks("name", start))?;
    let text = string(name, body)?.decode();
    if text.len() > MAX_TOOL_NAME_BYTES {
        let rule = "is longer than 256 bytes";
        return Err(refuse(RequestErrorCode::UnsupportedValue, rule, name.span.start));
    }
    Ok(text.into_owned())
}

/// The name of the function that stands for a tool: `namespace__name`, and outside of a namespace the tool's own. What is too
/// long, or can't stand in a function's name, is told apart by a digest.
fn function_name(namespace: Option<&str>, name: &str) -> String {
    let Some(namespace) = namespace else { return name.to_owned() };
    // Codex's own namespaces for MCP servers end with it: `mcp__files__`.
    let joint = if namespace.ends_with("__") { "" } else { "__" };
    let whole = [namespace, joint, name].concat();
    let fits = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if whole.len() <= MAX_FUNCTION_NAME_BYTES && whole.chars().all(fits) {
        return whole;
    }
    let mended: String =
        whole.chars().map(|character| if fits(character) { character } else { '_' }).collect();
    with_digest(&mended, CallKind::Function, Some(namespace), name)
}

/// A name with a digest of what it stands for, short enough for a function.
fn with_digest(function: &str, kind: CallKind, namespace: Option<&str>, name: &str) -> String {
    const DIGEST_BYTES: usize = 4;
    let mut digest = Sha256::new();
    for part in [&format!("{kind:?}"), namespace.unwrap_or_default(), name] {
        digest.update(part);
        digest.update([0]);
    }
    let mut longest = MAX_FUNCTION_NAME_BYTES - 2 * DIGEST_BYTES - 1;
    while !function.is_char_boundary(longest.min(function.len())) {
        longest -= 1;
    }
    let mut mended = function[..longest.min(function.len())].to_owned();
    mended.push('_');
    for byte in digest.finalize().iter().take(DIGEST_BYTES) {
        // Writing to a String can't fail.
        let _ = write!(mended, "{byte:02x}");
    }
    mended
}
