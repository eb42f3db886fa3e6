//! The reasoning of one delta: which member has it, and what of it is to be said.

use crate::answer::chunk::{Delta, text_of};
use crate::answer::echo::{Echo, Way};
use crate::answer::reasoning::{More, blocks_text};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::Text;
use crate::json::{Member, Span, Value};

/// The reasoning of a delta, where it has some outside of its content.
pub(super) struct Reasoning<'a> {
    /// The member whose text it is, under whichever name.
    pub(super) named: Option<Member>,
    /// That text, still escaped.
    pub(super) text: &'a [u8],
    /// What is left of it, where that is not all.
    pub(super) fresh: Option<Vec<u8>>,
    /// What else there is to say.
    pub(super) more: Vec<u8>,
    /// A `reasoning_content` that says nothing.
    pub(super) blank: Option<Member>,
}

impl<'a> Reasoning<'a> {
    /// Read it, and rename its member. The same under another name goes.
    pub(super) fn read(
        delta: &Delta,
        object: Value,
        input: &'a [u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) -> Self {
        let says = |member: Option<Member>| member.filter(|member| text_of(Some(member), input).is_some());
        let named = says(delta.reasoning_content).or(says(delta.reasoning));
        if let Some(reasoning) = delta.reasoning {
            if named == Some(reasoning) {
                edits.replace(key_span(input, reasoning), &b"\"reasoning_content\""[..]);
            } else {
                changes.remove(reasoning);
            }
        }
        let more = if delta.more_reasoning { More::read(input, object) } else { More::default() };
        for alias in more.aliases.into_iter().filter(|alias| Some(*alias) != delta.reasoning) {
            changes.remove(alias);
        }
        // A null or an empty string, which gives way where the text comes under another name.
        let blank = delta.reasoning_content.filter(|member| named != Some(*member));
        if let Some(blank) = blank.filter(|_| named.is_some()) {
            changes.remove(blank);
        }
        let text = text_of(named.as_ref(), input).map_or(&[][..], Text::raw);
        let details = delta.reasoning_details.map(|details| blocks_text(input, details.value));
        let more = match details.filter(|details| !details.is_empty()) {
            _ if named.is_some() => Vec::new(),
            Some(details) => details,
            None => more.text,
        };
        Self { named, text, fresh: None, more, blank }
    }

    /// Leave out what has been said inline before.
    pub(super) fn leave_out_echo(&mut self, echo: &mut Echo) {
        if self.named.is_none() {
            self.more = echo.say(Way::Field, &self.more);
        } else {
            let fresh = echo.say(Way::Field, self.text);
            self.fresh = (fresh != self.text).then_some(fresh);
        }
    }

    pub(super) const fn says_nothing(&self) -> bool {
        self.named.is_none() && self.more.is_empty()
    }
}

/// A member's key, quotes included.
pub(super) fn key_span(input: &[u8], member: Member) -> Span {
    let mut escaped = false;
    let rest = &input[member.span.start + 1..member.span.end];
    let length = rest.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Span { start: member.span.start, end: member.span.start + length.map_or(0, |length| length + 2) }
}
