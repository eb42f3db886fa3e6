//! Chat frames into Anthropic's events, or into one message.
//!
//! * [`order`]: which delta belongs to which block, and what has to wait.
//! * [`blocks`]: blocks as events, or as the content of one message.
//! * [`input`]: a call's arguments as the `input` of a `tool_use` block.
//! * [`errors`]: Anthropic's types of errors.
//!
//! Decisions where the contract is silent:
//! * Texts go out as they stand in the upstream's JSON, but half a surrogate pair waits for its other half: many readers
//!   refuse it alone.
//! * An upstream that says nothing of usage: `input_tokens` stays the estimate of `message_start`, and `output_tokens` is 0.
//!   Nothing else is invented.
//! * A refusal is text, and its `stop_reason` is `refusal`.
//! * Further choices, audio, annotations and calls of no function have no counterpart here and are left out.

mod blocks;
pub(in crate::api) mod errors;
mod input;
mod order;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::summary::Summary;
use crate::answer::usage::Usage;
use crate::api::convert::Output;
use crate::api::frames::{Delta, FrameReader};
use crate::json::Text;
use crate::json::text::write_string;

use self::blocks::Blocks;
use self::order::Order;
use super::{MessagesReply, ShownThinking};

/// How an error's frame begins. It is not the first of an answer, but what is in its place.
const ERROR_FRAME: &[u8] = b"data: {\"error\":";

/// Writes one answer.
#[derive(Debug)]
pub struct MessagesWriter {
    reader: FrameReader,
    answer: Answer,
}

/// Everything of the writer but the reader.
#[derive(Debug)]
struct Answer {
    reply: Arc<MessagesReply>,
    request_id: String,
    output: Output,
    has_begun: bool,
    order: Order,
    /// The stop sequence that was met: its place in the reply.
    met: Option<usize>,
    has_refused: bool,
}

impl MessagesWriter {
    /// For an answer that is about to begin.
    #[must_use]
    pub fn new(reply: &Arc<MessagesReply>, context: &AnswerContext, output: Output) -> Self {
        let answer = Answer {
            reply: Arc::clone(reply),
            request_id: context.request_id.clone(),
            output,
            has_begun: false,
            order: Order::new(Blocks::new(reply, output)),
            met: None,
            has_refused: false,
        };
        Self { reader: FrameReader::default(), answer }
    }

    /// Whole chat frames.
    ///
    /// # Errors
    /// Where too much waits for its turn.
    pub fn frames(&mut self, frames: &[u8], output: &mut Vec<u8>) -> Result<(), StreamError> {
        if !frames.is_empty() && !frames.starts_with(ERROR_FRAME) {
            self.answer.begin(output);
        }
        let answer = &mut self.answer;
        self.reader.read(frames, |delta| answer.take(delta, output))
    }

    /// The answer is complete.
    pub fn finish(&mut self, summary: &Summary, output: &mut Vec<u8>) {
        self.answer.begin(output);
        self.answer.finish(summary, output);
    }

    /// The answer broke off. Only a stream is told.
    pub fn fail(&mut self, error: &StreamError, output: &mut Vec<u8>) {
        output.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"");
        output.extend_from_slice(errors::type_of(error).as_bytes());
        output.extend_from_slice(b"\",\"message\":");
        write_string(&error.message, output);
        output.extend_from_slice(b"},\"request_id\":");
        write_string(&self.answer.request_id, output);
        output.extend_from_slice(b"}\n\n");
    }
}

impl Answer {
    #[inline]
    fn take(&mut self, delta: Delta<'_>, output: &mut Vec<u8>) -> Result<(), StreamError> {
        match delta {
            Delta::Reasoning(_) if self.reply.thinking == ShownThinking::Hidden => {}
            Delta::Reasoning(raw) => self.order.thinking(raw, output)?,
            Delta::Text(raw) => self.order.text(raw, output)?,
            Delta::Refusal(raw) => {
                self.has_refused = true;
                self.order.text(raw, output)?;
            }
            Delta::Call(call) => self.order.call(call, output)?,
            Delta::StopSequence(raw) => {
                let text = Text::new(raw);
                self.met = self.reply.stop_sequences.iter().position(|sequence| text.is(sequence));
            }
        }
        Ok(())
    }

    /// `message_start`.
    fn begin(&mut self, output: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) || self.output == Output::Whole {
            return;
        }
        output.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        self.write_head(output);
        output.extend_from_slice(b"],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
        write_usage(&Usage::default(), self.reply.input_tokens, output);
        output.extend_from_slice(b"}}\n\n");
    }

    /// A message up to its content.
    fn write_head(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"{\"id\":");
        write_string(&message_id(&self.request_id), output);
        output.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
        write_string(&self.reply.model, output);
        output.extend_from_slice(b",\"content\":[");
    }

    fn finish(&mut self, summary: &Summary, output: &mut Vec<u8>) {
        self.order.finish(output);
        match self.output {
            Output::Stream => {
                output.extend_from_slice(
                    b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{",
                );
                self.write_stop(summary, output);
                output.extend_from_slice(b"},\"usage\":");
            }
            Output::Whole => {
                self.write_head(output);
                output.extend_from_slice(self.order.content());
                output.extend_from_slice(b"],");
                self.write_stop(summary, output);
                output.extend_from_slice(b",\"usage\":");
            }
        }
        write_usage(&summary.usage.unwrap_or_default(), self.reply.input_tokens, output);
        output.extend_from_slice(match self.output {
            Output::Stream => &b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"[..],
            Output::Whole => b"}",
        });
    }

    fn write_stop(&self, summary: &Summary, output: &mut Vec<u8>) {
        let reason = self.stop_reason(summary.finish_reason.as_deref().unwrap_or_default());
        for piece in [b"\"stop_reason\":\"", reason.as_bytes(), b"\",\"stop_sequence\":"] {
            output.extend_from_slice(piece);
        }
        match self.met.filter(|_| reason == STOP_SEQUENCE).and_then(|met| self.reply.stop_sequences.get(met))
        {
            Some(sequence) => write_string(sequence, output),
            None => output.extend_from_slice(b"null"),
        }
    }

    /// Anthropic's word for the end. Of a reason that nobody knows, what the content says.
    fn stop_reason(&self, finish_reason: &str) -> &'static str {
        match finish_reason {
            "length" => "max_tokens",
            "content_filter" => "refusal",
            _ if self.order.has_calls() => "tool_use",
            _ if self.has_refused => "refusal",
            _ if self.met.is_some() => STOP_SEQUENCE,
            _ => "end_turn",
        }
    }
}

const STOP_SEQUENCE: &str = "stop_sequence";

/// `input_tokens` leaves out what came from the cache; what was written to it is not told apart, and so counts there.
fn write_usage(usage: &Usage, estimate: u64, output: &mut Vec<u8>) {
    let cached = usage.cached_tokens.unwrap_or(0);
    let input = usage.prompt_tokens.map_or(estimate, |prompt| prompt.saturating_sub(cached));
    for (name, count) in [
        (&b"{\"input_tokens\":"[..], input),
        (b",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":", cached),
        (b",\"output_tokens\":", usage.completion_tokens.unwrap_or(0)),
    ] {
        output.extend_from_slice(name);
        output.extend_from_slice(count.to_string().as_bytes());
    }
    if let Some(reasoning) = usage.reasoning_tokens {
        output.extend_from_slice(b",\"output_tokens_details\":{\"thinking_tokens\":");
        output.extend_from_slice(reasoning.to_string().as_bytes());
        output.push(b'}');
    }
    output.push(b'}');
}

/// The request's id with the prefix of Anthropic's.
fn message_id(request_id: &str) -> String {
    let own = request_id.trim_start_matches("req").trim_start_matches(['-', '_']);
    format!("msg_{own}")
}
