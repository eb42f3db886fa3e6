//! Chat frames into Anthropic's events, or into one message.

use std::sync::Arc;

use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::summary::Summary;
use crate::api::convert::Output;
use crate::api::frames::{Delta, FrameReader};
use crate::json::text::string;

use super::MessagesReply;

/// Writes one answer.
#[derive(Debug)]
pub struct MessagesWriter {
    frames: FrameReader,
    reply: Arc<MessagesReply>,
    request_id: String,
    output: Output,
    text: Vec<u8>,
}

impl MessagesWriter {
    /// For an answer that is about to begin.
    #[must_use]
    pub fn new(reply: &Arc<MessagesReply>, context: &AnswerContext, output: Output) -> Self {
        Self {
            frames: FrameReader::default(),
            reply: Arc::clone(reply),
            request_id: context.request_id.clone(),
            output,
            text: Vec::new(),
        }
    }

    /// Whole chat frames.
    ///
    /// # Errors
    /// Where there is too much to be repeated at the end.
    pub fn frames(&mut self, frames: &[u8], _output: &mut Vec<u8>) -> Result<(), StreamError> {
        let text = &mut self.text;
        self.frames.read(frames, |delta| {
            if let Delta::Text(more) = delta {
                text.extend_from_slice(more);
            }
            Ok(())
        })
    }

    /// The answer is complete.
    pub fn finish(&mut self, _summary: &Summary, output: &mut Vec<u8>) {
        debug_assert_eq!(self.output, Output::Whole);
        output.extend_from_slice(b"{\"type\":\"message\",\"id\":");
        output.extend_from_slice(&string(&self.request_id));
        output.extend_from_slice(b",\"model\":");
        output.extend_from_slice(&string(&self.reply.model));
        output.extend_from_slice(b",\"content\":[{\"type\":\"text\",\"text\":\"");
        output.extend_from_slice(&self.text);
        output.extend_from_slice(b"\"}]}");
    }

    /// The answer broke off. Only a stream is told.
    pub fn fail(&mut self, error: &StreamError, output: &mut Vec<u8>) {
        output.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":");
        output.extend_from_slice(&string(&error.message));
        output.extend_from_slice(b"}}\n\n");
    }
}
