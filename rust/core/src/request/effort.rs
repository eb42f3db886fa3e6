//! How hard to think, in the words of OpenAI's clients (`reasoning_effort`) and OpenRouter's (`reasoning`).
//!
//! Of both only the plain "do not think" is read, as the thinking switch of a client that gives no boolean. All else
//! passes: a level is not a boolean, and where a host knows `reasoning`, it needs that object whole.

use crate::json::{Scanner, Value};

use super::ChatRequest;
use super::refusal::Refusal;
use super::scan::Field;

/// A `reasoning_effort` that not every upstream knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// `none`: no thinking.
    None,
    /// `minimal`, below the lowest level of most families.
    Minimal,
}

impl Effort {
    pub(super) fn of(value: Value, input: &[u8]) -> Option<Self> {
        let text = value.as_text(input)?;
        if text.is("none") { Some(Self::None) } else { text.is("minimal").then_some(Self::Minimal) }
    }
}

/// Consume a `reasoning` object; whether it asks for no thinking.
pub(super) fn reasoning_is_off(scanner: &mut Scanner<'_>) -> Result<bool, Refusal> {
    let input = scanner.input();
    let (mut effort, mut enabled) = (None, None);
    scanner.object(|scanner, key| {
        let value = scanner.value()?;
        let (name, slot) = if key.text.is("effort") {
            ("effort", &mut effort)
        } else if key.text.is("enabled") {
            ("enabled", &mut enabled)
        } else {
            return Ok(());
        };
        if slot.replace(value).is_some() {
            return Err(Refusal::duplicate(format!("{}.{name}", Field::Reasoning.name()), key.start));
        }
        Ok(())
    })?;
    let none = effort.and_then(|value| Effort::of(value, input)) == Some(Effort::None);
    Ok(none || enabled.and_then(|value| value.as_bool(input)) == Some(false))
}

impl ChatRequest {
    /// The fields, beside the booleans, that ask for no thinking.
    pub(super) fn off_fields(&self) -> impl Iterator<Item = Field> + use<> {
        let effort = (self.effort == Some(Effort::None)).then_some(Field::ReasoningEffort);
        let reasoning = self.reasoning_off.then_some(Field::Reasoning);
        [effort, reasoning].into_iter().flatten()
    }
}
