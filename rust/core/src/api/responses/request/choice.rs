//! `tool_choice`: which tools the model may or must call.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::api::dropped::Dropped;
use crate::api::responses::tools::CallKind;
use crate::api::words::{self, member};
use crate::json::{Kind, Scanner, Text, Value, text};
use crate::request::refusal::Refusal;

use super::items::string;
use super::tools::Tools;
use super::top::{Own, Top};

/// The tools that a `tool_choice` of `allowed_tools` names: by type, namespace and name; empty where an entry has none.
pub(super) struct Allowed(HashSet<(String, String, String)>);

impl Allowed {
    pub(super) fn has(&self, kind: CallKind, namespace: Option<&str>, name: &str) -> bool {
        let kind = match kind {
            CallKind::Function => "function",
            CallKind::Custom => "custom",
            CallKind::LocalShell => return self.names("local_shell", "", ""),
        };
        let in_namespace =
            |namespace: &str| self.names(kind, namespace, name) || self.names("namespace", "", namespace);
        self.names(kind, "", name) || namespace.is_some_and(in_namespace)
    }

    fn names(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.0.contains(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }
}

/// A `tool_choice` or an entry of `allowed_tools`, as far as it is read.
#[derive(Default)]
struct Choice<'a> {
    kind: Option<Text<'a>>,
    name: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    mode: Option<Value>,
    tools: Option<Value>,
}

impl<'a> Choice<'a> {
    /// Consume an object; of members that come twice, the last counts.
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Refusal> {
        if scanner.peek()? != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", scanner.position()));
        }
        let body = scanner.input();
        let mut choice = Self::default();
        scanner.object(|scanner, key| {
            let name = key.text.key();
            // Chat completions have the name one level deeper.
            if &*name == b"function" && scanner.peek()? == Kind::Object {
                choice.name = Self::read(scanner)?.name;
                return Ok(());
            }
            let value = scanner.value()?;
            match &*name {
                b"type" => choice.kind = Some(string(value, body)?),
                b"name" => choice.name = Some(string(value, body)?),
                b"namespace" if value.kind != Kind::Null => choice.namespace = Some(string(value, body)?),
                b"mode" => choice.mode = Some(value),
                b"tools" => choice.tools = Some(value),
                _ => {}
            }
            Ok::<_, Refusal>(())
        })?;
        Ok(choice)
    }

    fn of(body: &'a [u8], value: Value) -> Result<Self, Refusal> {
        Self::read(&mut Scanner::of(body, value))
    }
}

/// The tools that may be called, where not all may.
pub(super) fn allowed(top: &Top<'_>) -> Result<Option<Allowed>, Refusal> {
    let Some(value) = top.own(Own::ToolChoice).filter(|value| value.kind == Kind::Object) else {
        return Ok(None);
    };
    let choice = Choice::of(top.body, value)?;
    let Some(tools) = choice.tools.filter(|_| choice.kind.is_some_and(|kind| kind.is("allowed_tools")))
    else {
        return Ok(None);
    };
    if tools.kind != Kind::Array {
        return Err(Refusal::wrong_type("must be an array", tools.span.start));
    }
    let owned = |text: Option<Text<'_>>| text.map_or_else(String::new, |text| text.decode().into_owned());
    let mut names = HashSet::new();
    Scanner::of(top.body, tools).array(|scanner, _| {
        let entry = Choice::read(scanner)?;
        names.insert((owned(entry.kind), owned(entry.namespace), owned(entry.name)));
        Ok::<_, Refusal>(())
    })?;
    Ok(Some(Allowed(names)))
}

/// Append `tool_choice`. What names no function is left out.
pub(super) fn write(
    top: &Top<'_>,
    tools: &Tools,
    output: &mut Vec<u8>,
    dropped: &mut Dropped,
) -> Result<(), Refusal> {
    let Some(value) = top.own(Own::ToolChoice) else { return Ok(()) };
    if value.kind == Kind::String {
        member("tool_choice", value.span.of(top.body), output);
        return Ok(());
    }
    if value.kind != Kind::Object {
        return Err(Refusal::wrong_type("must be a string or an object", value.span.start));
    }
    let choice = Choice::of(top.body, value)?;
    let kind = choice.kind.ok_or(Refusal::lacks("type", value.span.start))?.decode();
    let named = match &*kind {
        "function" => CallKind::Function,
        "custom" => CallKind::Custom,
        "local_shell" => CallKind::LocalShell,
        "allowed_tools" => {
            if let Some(mode) = choice.mode.filter(|mode| mode.kind == Kind::String) {
                member("tool_choice", mode.span.of(top.body), output);
            }
            return Ok(());
        }
        unknown => {
            dropped.add("tool_choice", unknown.as_bytes());
            return Ok(());
        }
    };
    let name = match (choice.name, named) {
        (Some(name), _) => name.decode(),
        (None, CallKind::LocalShell) => Cow::Borrowed("local_shell"),
        (None, _) => return Err(Refusal::lacks("name", value.span.start)),
    };
    let function = tools.function_named(named, choice.namespace.map(Text::decode), name);
    words::name("tool_choice", output);
    output.extend_from_slice(br#"{"type":"function","function":{"name":"#);
    text::write_string(&function, output);
    output.extend_from_slice(b"}}");
    Ok(())
}

/// Without tools there is nothing to choose, and upstreams refuse a choice. One that asks for a call is lost.
pub(super) fn drop_without_tools(top: &Top<'_>, dropped: &mut Dropped) {
    let Some(value) = top.own(Own::ToolChoice) else { return };
    let says_nothing = value.as_text(top.body).is_some_and(|choice| choice.is("auto") || choice.is("none"));
    if !says_nothing {
        dropped.add("tool_choice", b"");
    }
}
