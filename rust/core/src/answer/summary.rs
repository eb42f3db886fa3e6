//! What the ledger and the metrics want to know of one answer, gathered while it passes through.

use crate::cut;
use crate::json::Text;
use crate::turn::key::Turn;

use super::bounds::{MAX_ANSWER_NAME_BYTES, MAX_FINISH_REASON_BYTES};
use super::error::StreamErrorKind;
use super::usage::{Usage, UsageSource};

/// A running account of one answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first choice's finish reason, at most [`MAX_FINISH_REASON_BYTES`] of it.
    pub finish_reason: Option<String>,
    /// The upstream's own id of the answer, at most [`MAX_ANSWER_NAME_BYTES`] of it; none where it gave none.
    pub id: Option<String>,
    /// The model that answered, as the upstream says it; likewise.
    pub model: Option<String>,
    /// The last usage seen (cumulative ones replace each other).
    pub usage: Option<Usage>,
    /// How much text came, in bytes of UTF-8 with the escapes read: content, reasoning, refusals, names and arguments of tool
    /// calls, each once; of all choices, also of an answer that broke off. Arguments that come as an object count as the
    /// JSON that they are. Tags around inline reasoning do not count. 0 for embeddings and rerank, and for a body that was
    /// to come whole and did not.
    pub output_bytes: u64,
    /// How much of it had come with or before the last usage, which therefore counts it.
    pub metered_bytes: u64,
    /// Whether any reasoning text came.
    pub reasoning_seen: bool,
    /// Frames that went to the client (a whole answer counts as one).
    pub frames: u64,
    /// Whether the answer came to its proper end.
    pub complete: bool,
    /// What went wrong.
    pub error: Option<StreamErrorKind>,
    /// The choices that reasoned, where that is kept and the answer is complete.
    pub turns: Vec<Turn>,
}

impl Clone for Summary {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.clone_from(self);
        clone
    }

    /// Made for each read of a stream: names that are there already are written over, not allocated anew.
    fn clone_from(&mut self, source: &Self) {
        let Self {
            finish_reason,
            id,
            model,
            usage,
            output_bytes,
            metered_bytes,
            reasoning_seen,
            frames,
            complete,
            error,
            turns,
        } = source;
        self.finish_reason.clone_from(finish_reason);
        self.id.clone_from(id);
        self.model.clone_from(model);
        self.usage = *usage;
        (self.output_bytes, self.metered_bytes) = (*output_bytes, *metered_bytes);
        (self.reasoning_seen, self.frames, self.complete) = (*reasoning_seen, *frames, *complete);
        self.error = *error;
        self.turns.clone_from(turns);
    }
}

impl Summary {
    /// The answer says its id and model: at its beginning, and often again.
    pub(crate) fn named(&mut self, id: Option<Text<'_>>, model: Option<Text<'_>>) {
        for (slot, said) in [(&mut self.id, id), (&mut self.model, model)] {
            if let (None, Some(text)) = (&slot, said) {
                let mut name = text.decode().into_owned();
                cut(&mut name, MAX_ANSWER_NAME_BYTES);
                *slot = Some(name);
            }
        }
    }

    /// A choice has ended; the first one's reason stays.
    pub(crate) fn finish(&mut self, mut reason: String) {
        if self.finish_reason.is_none() {
            cut(&mut reason, MAX_FINISH_REASON_BYTES);
            self.finish_reason = Some(reason);
        }
    }

    /// A usage came, which counts all text so far.
    pub(crate) const fn metered(&mut self) {
        self.metered_bytes = self.output_bytes;
    }

    /// How much text no usage counts: of an answer that broke off, what came after the last one.
    #[must_use]
    pub fn unmetered_bytes(&self) -> u64 {
        match self.usage_source() {
            UsageSource::Upstream => 0,
            UsageSource::Partial => self.output_bytes.saturating_sub(self.metered_bytes),
            UsageSource::None => self.output_bytes,
        }
    }

    /// Where [`Summary::usage`] comes from.
    #[must_use]
    pub fn usage_source(&self) -> UsageSource {
        match (self.usage, self.complete) {
            (None, _) => UsageSource::None,
            (Some(_), true) => UsageSource::Upstream,
            (Some(_), false) => UsageSource::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_named_once_and_not_at_length() {
        let mut summary = Summary::default();
        let long = "模".repeat(MAX_ANSWER_NAME_BYTES);
        summary.named(None, Some(Text::new(long.as_bytes())));
        summary.named(Some(Text::new(br"a\u0062")), Some(Text::new(b"other")));
        summary.named(Some(Text::new(b"later")), None);
        assert_eq!(summary.id.as_deref(), Some("ab"));
        assert_eq!(summary.model, Some("模".repeat(MAX_ANSWER_NAME_BYTES / "模".len())));
    }
}
