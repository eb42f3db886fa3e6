//! Top-level fields in the words of an upstream that does not know the client's.

use crate::json::{Kind, Member, Span};

use super::effort::Effort;
use super::refused::{Refused, Refuses};
use super::rewrite::Plan;
use super::scan::Field;

impl Plan<'_> {
    /// The client's limit under the only name that the upstream reads. With both names given nothing changes: the
    /// upstream reads its own, as it does for every client.
    ///
    /// To be called when all is dropped that is to be: neither name is touched where the route drops one.
    pub(super) fn name_the_limit(&mut self, refuses: Refuses) {
        const LIMITS: [Field; 2] = [Field::MaxTokens, Field::MaxCompletionTokens];
        if !refuses.has(Refused::MaxCompletionTokens)
            || LIMITS.into_iter().any(|field| self.is_claimed(field))
        {
            return;
        }
        let [own, other] = LIMITS.map(|field| self.member(field));
        let Some(limit) = other.filter(|member| member.value.kind != Kind::Null) else { return };
        match own {
            Some(member) if member.value.kind != Kind::Null => return,
            // It would be there twice.
            Some(null) => self.take_out(null),
            None => {}
        }
        let key = key_of(limit, self.body());
        self.replace(key, format!("\"{}\"", Field::MaxTokens.name()));
    }

    /// The lowest level that every family knows, in place of a lower one.
    pub(super) fn level_the_effort(&mut self, refuses: Refuses, effort: Option<Effort>) {
        const LOWEST: &str = "\"low\"";
        let lower = refuses.has(Refused::MinimalEffort) && effort == Some(Effort::Minimal);
        if let Some(member) = self.member(Field::ReasoningEffort)
            && lower
            && !self.is_claimed(Field::ReasoningEffort)
        {
            self.replace(member.value.span, LOWEST.to_owned());
        }
    }
}

/// A member's key, with its quotes. Between it and the value are a colon and white space.
fn key_of(member: Member, body: &[u8]) -> Span {
    let Span { start, .. } = member.span;
    let before = &body[start..member.value.span.start];
    let end = before.iter().rposition(|&byte| byte == b'"').map_or(start, |at| start + at + 1);
    Span { start, end }
}
