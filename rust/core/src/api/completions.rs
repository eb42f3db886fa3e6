//! Text completions, the API before chat: `prompt` in, `text` out. Old clients use it, evaluations, and editors that
//! complete a line (`suffix`: fill in the middle).
//!
//! The request is read by chat's scan, which knows fewer fields here; `model` and `prompt` are required. Fields that only
//! chat has (`messages`, `tools`, `response_format`, the thinking switches of families) pass untouched and unchecked. This
//! API has no thinking: the gateway's own `llmgw_thinking` is removed, because no upstream knows it. The route's
//! `upstream_stream` is ignored, because it is for models that think; a text completion is never merged.
//!
//! The answer follows chat's rules, with a string `text` in a choice where chat has a `delta` or a `message`. Other
//! members of a choice pass untouched: `logprobs`, vLLM's `stop_reason`, and reasoning under any name. A choice of a
//! stream whose `text` is absent or null gets an empty one. In a whole answer only null is forgiven: an answer without
//! `text` is of another API.

use crate::answer::choices::Indexed;
use crate::answer::chunk::{Choice, Chunk, Holder, text_of};
use crate::answer::completion::{Called, Cleaned, Ending, WholeRules, clean_ending, clean_with};
use crate::answer::context::{AnswerContext, AnswerMode};
use crate::answer::error::StreamError;
use crate::answer::stream::{ChoiceRules, Course, Finish};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::{Kind, Text, Value};
use crate::request::error::RequestError;
use crate::request::facts::Facts;
use crate::request::rewrite::Plan;
use crate::request::scan::{Field, scan};
use crate::request::{ChatRequest, Rewrite, Route, TopLevel};

const FIELDS: [Field; 10] = [
    Field::Model,
    Field::Prompt,
    Field::MaxTokens,
    Field::Temperature,
    Field::TopP,
    Field::Seed,
    Field::Stream,
    Field::StreamOptions,
    Field::Stop,
    Field::LlmgwThinking,
];

/// What one scan finds in a request body.
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    /// The model that the client asks for.
    pub model: String,
    /// Whether the client wants an event stream.
    pub stream: bool,
    /// Whether the client wants the usage chunk at the end of the stream.
    pub include_usage: bool,
    /// What limits and prices need to know of it.
    pub facts: Facts,
    top: TopLevel,
}

impl CompletionRequest {
    /// Check a body and find what the gateway needs to know of it.
    ///
    /// # Errors
    /// The first rule that it breaks: those of [`crate::request`], for the fields of this API.
    pub fn scan(body: &[u8]) -> Result<Self, RequestError> {
        let ChatRequest { model, stream, include_usage, facts, top, .. } =
            scan(body, &FIELDS, &[Field::Model, Field::Prompt])?;
        Ok(Self { model, stream, include_usage, facts, top })
    }

    /// The body for the upstream of `route`, in pieces. `body` is the one that was scanned.
    #[must_use]
    pub fn splice(&self, body: &[u8], route: &Route) -> Rewrite {
        let mut plan = Plan::new(&self.top, body, Field::Prompt);
        plan.model(&self.model, &route.upstream_model);
        plan.remove(Field::LlmgwThinking);
        let mode = if self.stream {
            plan.stream();
            AnswerMode::Stream { include_usage: self.include_usage }
        } else {
            AnswerMode::Plain
        };
        plan.drop_fields(&route.drop);
        Rewrite { body: plan.pieces(), thinking: None, mode, restored: 0 }
    }
}

const NAME: &str = "text completion";
const OBJECT: &str = "text_completion";

/// What is known of one choice of a stream.
#[derive(Debug)]
pub struct TextChoice {
    course: Course,
    said: bool,
    output_bytes: usize,
}

impl Indexed for TextChoice {
    fn at(index: u64) -> Self {
        Self { course: Course::new(index), said: false, output_bytes: 0 }
    }

    fn index(&self) -> u64 {
        self.course.index()
    }
}

impl ChoiceRules for TextChoice {
    const NAME: &'static str = NAME;
    const OBJECT: &'static str = OBJECT;
    const HOLDER: Holder = Holder::Text;
    const EMPTY: &'static str = "\"text\":\"\"";

    fn course(&self) -> &Course {
        &self.course
    }

    fn said(&self) -> bool {
        self.said
    }

    fn output_bytes(&self) -> usize {
        self.output_bytes
    }

    fn shape(
        &mut self,
        _chunk: &Chunk,
        choice: &Choice,
        input: &[u8],
        _context: &AnswerContext,
        edits: &mut Edits,
    ) -> Finish {
        let mut changes = MemberChanges::new();
        self.course.begin(choice, input, edits, &mut changes);
        let text = text_of(choice.delta_member.as_ref(), input);
        (self.said, self.output_bytes) = (text.is_some(), text.map_or(0, Text::decoded_bytes));
        set_text(choice, edits, &mut changes);
        if self.said {
            self.course.go_on();
        }
        self.course.end(choice, input, edits, changes)
    }

    fn only_text(choice: &Choice, input: &[u8]) -> Option<Value> {
        choice.delta_member.map(|text| text.value).filter(|text| !text.is_blank(input))
    }
}

/// The schema wants a string.
fn set_text(choice: &Choice, edits: &mut Edits, changes: &mut MemberChanges) {
    if choice.delta_member.is_none_or(|text| text.value.kind == Kind::Null) {
        changes.set(edits, choice.delta_member, "text", &b"\"\""[..]);
    }
}

/// Clean up an answer that came whole.
///
/// # Errors
/// Where it is an error, or not a text completion.
pub fn clean(body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
    let rules = WholeRules { name: NAME, object: OBJECT, holder: Holder::Text };
    clean_with(&rules, body, context, |_, (position, choice), edits, summary| {
        let text = text_of(choice.delta_member.as_ref(), body);
        summary.output_bytes += text.map_or(0, Text::decoded_bytes) as u64;
        if choice.delta_member.is_none() {
            return Err(StreamError::not_a(NAME));
        }
        let mut changes = MemberChanges::new();
        set_text(choice, edits, &mut changes);
        clean_ending(choice, &Ending { position, called: Called::None }, body, edits, changes)
    })
}

#[cfg(test)]
mod tests;
