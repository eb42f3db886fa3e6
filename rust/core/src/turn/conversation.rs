//! What the messages of a request say, and the digest of a conversation.
//!
//! Read is who says it, its text, the ids, names and arguments of its calls, the id of the call that it answers, and parts
//! that are no text. All else is how a client writes it down: null members, marks for caches, reasoning, a text as a
//! string or as a list of parts, null or `""` beside calls. A message that says nothing does not count, and neither do
//! system messages: clients put the current time there.

use sha2::{Digest, Sha256};

use super::canonical::canonical;
use super::key::{FirstCall, Said, update};
use super::text::TextDigest;
use crate::json::{JsonError, Kind, Scanner, Text, Value};

/// A digest of messages: of all, and of those since the user last spoke.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    whole: Sha256,
    window: Sha256,
}

impl Conversation {
    /// One more message.
    pub(crate) fn say(&mut self, message: &Message<'_>) {
        if message.is_silent() {
            return;
        }
        if message.is_by("user") {
            self.window = Sha256::new();
        }
        let digest = message.digest();
        self.whole.update(digest);
        self.window.update(digest);
    }

    /// Of all messages, and of those since the user last spoke.
    pub(super) fn digests(&self) -> ([u8; 32], [u8; 32]) {
        (self.whole.clone().finalize().into(), self.window.clone().finalize().into())
    }
}

/// What a message says.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    role: Option<Text<'a>>,
    name: Option<Text<'a>>,
    tool_call_id: Option<Text<'a>>,
    text: TextDigest,
    /// Of the parts that are no text.
    parts: Option<Sha256>,
    calls: Vec<FirstCall>,
}

impl<'a> Message<'a> {
    /// Consume a message, which has been scanned before.
    pub(crate) fn read(scanner: &mut Scanner<'a>) -> Result<Self, JsonError> {
        let mut message = Self::default();
        let input = scanner.input();
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            match &*key.text.key() {
                b"role" => message.role = value.as_text(input),
                b"name" => message.name = value.as_text(input),
                b"tool_call_id" => message.tool_call_id = value.as_text(input),
                b"content" => message.read_content(input, value)?,
                b"tool_calls" => message.read_calls(input, value)?,
                _ => {}
            }
            Ok::<_, JsonError>(())
        })?;
        Ok(message)
    }

    pub(crate) fn is_by(&self, role: &str) -> bool {
        self.role.is_some_and(|by| by.is(role))
    }

    fn is_silent(&self) -> bool {
        let says_nothing = self.text.is_empty()
            && self.parts.is_none()
            && self.calls.is_empty()
            && self.tool_call_id.is_none_or(Text::is_empty);
        says_nothing || self.is_by("system") || self.is_by("developer")
    }

    /// What its turn is known by.
    pub(crate) fn said(&self) -> Said {
        match self.calls.first() {
            Some(call) => Said::Call(call.clone()),
            None => Said::of_text(self.text.clone()),
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let text = |text: Option<Text<'a>>| text.map(Text::decode).unwrap_or_default();
        update(&mut digest, text(self.role).as_bytes());
        // Some clients name the function in a tool's answer, and not always.
        let name = self.name.filter(|_| self.is_by("user"));
        update(&mut digest, text(name).as_bytes());
        update(&mut digest, text(self.tool_call_id).as_bytes());
        update(&mut digest, &self.text.clone().finish().1);
        if let Some(parts) = &self.parts {
            update(&mut digest, &parts.clone().finalize());
        }
        for call in &self.calls {
            update(&mut digest, call.id.as_bytes());
            update(&mut digest, call.name.as_bytes());
            update(&mut digest, &canonical(&call.arguments));
        }
        digest.finalize().into()
    }

    fn read_content(&mut self, input: &'a [u8], content: Value) -> Result<(), JsonError> {
        if let Some(text) = content.as_text(input) {
            self.text.text(&text.decode());
        } else if content.kind == Kind::Array {
            Scanner::of(input, content).array(|scanner, _| {
                let part = scanner.value()?;
                self.read_part(input, part)
            })?;
        }
        Ok(())
    }

    fn read_part(&mut self, input: &'a [u8], part: Value) -> Result<(), JsonError> {
        if let Some(text) = part.as_text(input) {
            self.text.text(&text.decode());
        }
        if part.kind != Kind::Object {
            return Ok(());
        }
        let (kind, text) = (member(input, part, "type")?, member(input, part, "text")?);
        let kind = kind.and_then(|kind| kind.as_text(input)).map(Text::decode).unwrap_or_default();
        match (&*kind, text.and_then(|text| text.as_text(input))) {
            ("thinking" | "redacted_thinking" | "reasoning", _) => {}
            (_, Some(text)) => self.text.text(&text.decode()),
            (kind, None) => {
                let parts = self.parts.get_or_insert_default();
                update(parts, kind.as_bytes());
                // What a part holds stands in the member that its type names.
                let held = member(input, part, kind)?.map_or(&[][..], |held| held.span.of(input));
                update(parts, &canonical(&String::from_utf8_lossy(held)));
            }
        }
        Ok(())
    }

    fn read_calls(&mut self, input: &'a [u8], calls: Value) -> Result<(), JsonError> {
        if calls.kind == Kind::Array {
            Scanner::of(input, calls).array(|scanner, _| {
                let call = scanner.value()?;
                self.calls.push(read_call(input, call)?);
                Ok::<_, JsonError>(())
            })?;
        }
        Ok(())
    }
}

/// What a call says. Items that are not objects can't come from one of our answers.
fn read_call(input: &[u8], call: Value) -> Result<FirstCall, JsonError> {
    if call.kind != Kind::Object {
        return Ok(FirstCall::default());
    }
    let id = member(input, call, "id")?;
    let function = member(input, call, "function")?.filter(|function| function.kind == Kind::Object);
    let inside = |name| function.map_or(Ok(None), |function| member(input, function, name));
    let (name, arguments) = (inside("name")?, inside("arguments")?);
    Ok(FirstCall { id: text_of(input, id), name: text_of(input, name), arguments: text_of(input, arguments) })
}

/// A string's text. Anything else is taken as it is written: some clients send arguments as an object.
fn text_of(input: &[u8], value: Option<Value>) -> String {
    let Some(value) = value.filter(|value| value.kind != Kind::Null) else { return String::new() };
    match value.as_text(input) {
        Some(text) => text.decode().into_owned(),
        None => String::from_utf8_lossy(value.span.of(input)).into_owned(),
    }
}

/// A member of an object; of several, the last.
fn member(input: &[u8], object: Value, name: &str) -> Result<Option<Value>, JsonError> {
    let mut found = None;
    Scanner::of(input, object).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is(name) {
            found = Some(value);
        }
        Ok::<_, JsonError>(())
    })?;
    Ok(found)
}
