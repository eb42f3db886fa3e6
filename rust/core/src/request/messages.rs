//! What of the messages some upstreams refuse, mended where it stands. Every other byte of them stays.
//!
//! The scan only notes that there is something of a kind. For the routes that want it gone, the messages are walked over
//! once more: a list of all the places might be longer than the body.

use crate::json::edit::Edits;
use crate::json::{JsonError, Kind, Member, Scanner, Span, Value};

use super::refused::{Refused, Refuses};
use super::rewrite::Plan;
use super::scan::{Field, inside};

/// At most this many edits per request; for the rest, the upstream's refusal is passed on.
pub(super) const MAX_MENDED: usize = 16 * 1024;

impl Plan<'_> {
    /// Mend what is among `refuses`. The text that a directive goes to is not empty any more; and where the route puts
    /// lost reasoning back, a null in its place is that rule's.
    pub(super) fn mend_messages(&mut self, refuses: Refuses, directive: Option<Span>, restores: bool) {
        let Some(messages) = self.member(Field::Messages) else { return };
        let (body, edits) = self.body_and_edits();
        let mut mending = Mending { refuses, directive, restores, edits, left: MAX_MENDED };
        let walk = Scanner::of(body, messages.value).array(|scanner, _| mending.message(scanner));
        debug_assert_eq!(walk, Ok(messages.value.span), "another body than the one that was scanned");
    }
}

/// One walk over the messages.
struct Mending<'a> {
    refuses: Refuses,
    directive: Option<Span>,
    restores: bool,
    edits: &'a mut Edits,
    /// How many edits are left.
    left: usize,
}

impl Mending<'_> {
    fn message(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let input = scanner.input();
        let (mut members, mut nulls) = (0, Vec::new());
        let span = scanner.object(|scanner, key| {
            members += 1;
            let name = key.text.key();
            if &*name == b"content" {
                // Null, it stands for the tool calls beside it.
                return self.content(scanner);
            }
            let member = scanner.member(&key)?;
            if &*name == b"role" {
                self.role(member.value, input);
            } else if self.leaves(member.value, &name) && nulls.len() < self.left {
                nulls.push(member);
            }
            Ok(())
        })?;
        self.take_out(input, span, members, nulls);
        Ok(())
    }

    fn role(&mut self, role: Value, input: &[u8]) {
        let newer = role.as_text(input).is_some_and(|role| role.is("developer"));
        if newer && self.refuses.has(Refused::DeveloperRole) && self.left > 0 {
            self.left -= 1;
            self.edits.replace(role.span, &br#""system""#[..]);
        }
    }

    /// Whether a member that is neither role nor content leaves.
    fn leaves(&self, value: Value, name: &[u8]) -> bool {
        let other_rule = self.restores && name == b"reasoning_content";
        value.kind == Kind::Null && self.refuses.has(Refused::Nulls) && !other_rule
    }

    fn content(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if !self.refuses.has(Refused::EmptyText) || scanner.peek()? != Kind::Array {
            return scanner.value().map(|_| ());
        }
        let input = scanner.input();
        let (mut items, mut empty, mut gone) = (0, 0, Vec::new());
        let span = scanner.array(|scanner, ordinal| {
            items += 1;
            let (value, is_empty) = self.part(scanner)?;
            empty += usize::from(is_empty);
            if is_empty && gone.len() < self.left {
                gone.push(Member { ordinal, span: value.span, value });
            }
            Ok::<_, JsonError>(())
        })?;
        if empty == items && !gone.is_empty() {
            // A list without parts says no more, and is refused as well.
            self.left -= 1;
            self.edits.replace(span, &br#""""#[..]);
        } else {
            self.take_out(input, span, items, gone);
        }
        Ok(())
    }

    /// Consume a content part; whether it is a text part without text.
    fn part(&self, scanner: &mut Scanner<'_>) -> Result<(Value, bool), JsonError> {
        if scanner.peek()? != Kind::Object {
            return Ok((scanner.value()?, false));
        }
        let input = scanner.input();
        let (mut is_text, mut empty) = (false, None);
        let span = scanner.object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("type") {
                is_text = value.as_text(input).is_some_and(|kind| kind.is("text"));
            } else if key.text.is("text") {
                empty = value.as_text(input).filter(|text| text.is_empty()).map(|_| value);
            }
            Ok::<_, JsonError>(())
        })?;
        let stays = empty.is_none_or(|text| self.directive == Some(inside(text)));
        Ok((Value { kind: Kind::Object, span }, is_text && !stays))
    }

    /// Members of an object or items of a list leave, with their commas.
    fn take_out(&mut self, input: &[u8], container: Span, members: usize, mut gone: Vec<Member>) {
        self.left -= gone.len();
        self.edits.members(input, container, members, &mut gone, &[], ",");
    }
}
