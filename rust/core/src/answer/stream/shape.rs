//! What the contract changes in one chunk.

use std::fmt::Debug;

use super::calls::{CallStates, Fate};
use super::reasoning::{Reasoning, key_span};
use crate::answer::bounds::Calls;
use crate::answer::choices::Indexed;
use crate::answer::chunk::{Choice, Chunk, Delta, Holder, text_of};
use crate::answer::completion::Called;
use crate::answer::context::AnswerContext;
use crate::answer::echo::{Echo, Way};
use crate::answer::finish::{Reason, fitting, translate};
use crate::answer::reasoning::Parts;
use crate::answer::think::{ReasoningTags, Split, Splitter, begins_with_tag, may_hold_tag};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::{Text, quoted};
use crate::json::{Kind, Member, Value};

/// What the choices of an API are like: what holds their text, and which rules that has.
///
/// What is around the text is the same everywhere: see [`Course`].
pub trait ChoiceRules: Indexed + Debug {
    /// What an answer is called in an error's message.
    const NAME: &'static str;
    /// `object` of a chunk.
    const OBJECT: &'static str;
    /// What holds the text of a chunk's choice.
    const HOLDER: Holder;
    /// The same without any text, as a member.
    const EMPTY: &'static str;

    /// Which choice it is, and whether it has ended.
    fn course(&self) -> &Course;

    /// Whether the last chunk, as the client sees it, said anything.
    fn said(&self) -> bool;

    /// How much text the last chunk said, in bytes: see [`crate::answer::summary::Summary::output_bytes`].
    fn output_bytes(&self) -> usize;

    /// Whether all that the last chunk said is held back, and nothing is left of it.
    fn is_emptied(&self) -> bool {
        false
    }

    /// Whether any reasoning text came.
    fn reasoning_seen(&self) -> bool {
        false
    }

    /// What its tool calls amount to.
    fn calls(&self) -> Calls {
        Calls::default()
    }

    /// Whether tags in its content are taken out.
    fn has_inline(&self) -> bool {
        false
    }

    /// Whether content is held back, so that the next chunk can't be like this one.
    fn holds_back(&self) -> bool {
        false
    }

    /// Collect the edits that a chunk's choice needs, and remember what it said.
    fn shape(
        &mut self,
        chunk: &Chunk,
        choice: &Choice,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
    ) -> Finish;

    /// The one string that a chunk's choice says, where it says nothing else.
    fn only_text(choice: &Choice, input: &[u8]) -> Option<Value>;
}

/// What a choice has around its text: which one it is, and whether it has ended.
#[derive(Debug)]
pub struct Course {
    index: u64,
    finished: bool,
    /// What came of its tool calls.
    called: Called,
}

/// What is known of one choice of a chat completion's stream.
#[derive(Debug)]
pub struct ChatChoice {
    course: Course,
    role_sent: bool,
    calls: CallStates,
    inline: Inline,
    /// Takes content apart that has reasoning inside.
    splitter: Splitter,
    /// Knows reasoning again that is also in a field.
    echo: Echo,
    /// The last chunk had reasoning in a field.
    in_field: bool,
    reasoning_seen: bool,
    said: Said,
    /// How much text the last chunk said.
    output_bytes: usize,
}

/// Whether a choice's content has reasoning inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inline {
    /// No content has come yet.
    NotKnown,
    Yes,
    No,
}

/// What the last chunk, as the client sees it, says of a choice, its role apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    /// Nothing, because all of it is held back.
    NothingYet,
    Something,
}

/// What a chunk says of a choice's end.
#[derive(Debug, PartialEq, Eq)]
pub enum Finish {
    /// Nothing yet, or nothing new.
    No,
    /// The finish reason, as the client sees it.
    Reason(String),
    /// The generation broke off.
    Error,
}

impl Course {
    pub(crate) const fn new(index: u64) -> Self {
        Self { index, finished: false, called: Called::None }
    }

    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    /// Whether it has had its finish reason, and nothing behind it.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// What came of its tool calls.
    pub(crate) const fn called(&self) -> Called {
        self.called
    }

    /// There is content behind the finish reason: the next one is its end.
    pub(crate) const fn go_on(&mut self) {
        self.finished = false;
    }

    /// Whether nothing more of the choice's text is to come.
    fn ends(&self, choice: &Choice, input: &[u8]) -> bool {
        self.finished
            || text_of(choice.finish_reason.as_ref(), input)
                .is_some_and(|reason| translate(&reason.decode()) != Reason::NotYet)
    }

    /// What comes before the text: the index.
    pub(crate) fn begin(
        &self,
        choice: &Choice,
        input: &[u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) {
        if choice.index.is_none_or(|index| index.value.as_u64(input).is_none()) {
            changes.set(edits, choice.index, "index", self.index.to_string().into_bytes());
        }
    }

    /// What comes behind it: the finish reason. Usage and errors are not shown here.
    pub(crate) fn end(
        &mut self,
        choice: &Choice,
        input: &[u8],
        edits: &mut Edits,
        mut changes: MemberChanges,
    ) -> Finish {
        let finish = self.finish_reason(choice.finish_reason, input, edits, &mut changes);
        if let Some(usage) = choice.usage.filter(|usage| usage.value.kind != Kind::Null) {
            changes.remove(usage);
        }
        // One that is not null has ended the stream.
        if let Some(error) = choice.error {
            changes.remove(error);
        }
        changes.finish(edits, input, choice.span, choice.members);
        finish
    }

    fn finish_reason(
        &mut self,
        member: Option<Member>,
        input: &[u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) -> Finish {
        let Some(member) = member else {
            changes.add("finish_reason", b"null");
            return Finish::No;
        };
        if member.value.kind == Kind::Null {
            return Finish::No;
        }
        let Some(reason) = text_of(Some(&member), input).map(|text| text.decode().into_owned()) else {
            edits.replace(member.value.span, &b"null"[..]);
            return Finish::No;
        };
        let translated = match translate(&reason) {
            Reason::Error => return Finish::Error,
            Reason::NotYet => {
                edits.replace(member.value.span, &b"null"[..]);
                return Finish::No;
            }
            Reason::AsIs => None,
            Reason::Translated(to) => Some(to),
        };
        let translated = fitting(translated.unwrap_or(&reason), self.called).or(translated);
        if self.finished {
            edits.replace(member.value.span, &b"null"[..]);
            return Finish::No;
        }
        self.finished = true;
        if let Some(to) = translated {
            edits.replace(member.value.span, quoted(to.as_bytes()));
        }
        Finish::Reason(translated.map_or(reason, str::to_owned))
    }
}

impl Indexed for ChatChoice {
    fn at(index: u64) -> Self {
        Self {
            course: Course::new(index),
            role_sent: false,
            calls: CallStates::default(),
            inline: Inline::NotKnown,
            splitter: Splitter::default(),
            echo: Echo::default(),
            in_field: false,
            reasoning_seen: false,
            said: Said::Nothing,
            output_bytes: 0,
        }
    }

    fn index(&self) -> u64 {
        self.course.index
    }
}

impl ChoiceRules for ChatChoice {
    const NAME: &'static str = "chat completion";
    const OBJECT: &'static str = "chat.completion.chunk";
    const HOLDER: Holder = Holder::Delta;
    const EMPTY: &'static str = "\"delta\":{}";

    fn course(&self) -> &Course {
        &self.course
    }

    /// The role apart.
    fn said(&self) -> bool {
        self.said == Said::Something
    }

    fn output_bytes(&self) -> usize {
        self.output_bytes
    }

    fn is_emptied(&self) -> bool {
        self.said == Said::NothingYet
    }

    fn reasoning_seen(&self) -> bool {
        self.reasoning_seen
    }

    fn calls(&self) -> Calls {
        self.calls.amount()
    }

    /// It may be the start of a tag, or reasoning that is also in a field.
    fn holds_back(&self) -> bool {
        self.inline == Inline::Yes && (self.splitter.plain() != Some(false) || self.in_field)
    }

    fn has_inline(&self) -> bool {
        self.inline == Inline::Yes
    }

    fn shape(
        &mut self,
        chunk: &Chunk,
        choice: &Choice,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
    ) -> Finish {
        let mut changes = MemberChanges::new();
        (self.said, self.output_bytes) = (Said::Nothing, 0);
        self.course.begin(choice, input, edits, &mut changes);
        match choice.delta_member {
            Some(delta) if delta.value.kind == Kind::Object => {
                self.delta(chunk, choice, delta, input, context, edits);
            }
            delta => {
                let new_delta = self.new_delta(self.course.ends(choice, input));
                changes.set(edits, delta, "delta", new_delta);
            }
        }
        self.course.called = self.calls.called();
        if self.said == Said::Something {
            self.course.go_on();
        }
        self.course.end(choice, input, edits, changes)
    }

    fn only_text(choice: &Choice, input: &[u8]) -> Option<Value> {
        choice.delta.only_text(input)
    }
}

impl ChatChoice {
    fn say(&mut self, something: bool) {
        if something {
            self.said = Said::Something;
        }
    }

    /// Some text, still escaped.
    fn say_text(&mut self, text: &[u8]) {
        self.say(!text.is_empty());
        self.output_bytes += Text::new(text).decoded_bytes();
    }

    /// The delta of a choice that came without one.
    fn new_delta(&mut self, ends: bool) -> Vec<u8> {
        let mut members = Vec::new();
        if !self.role_sent {
            self.role_sent = true;
            members.push(b"\"role\":\"assistant\"".to_vec());
        }
        let mut split = Split::default();
        if ends {
            self.splitter.finish(&mut split);
        }
        self.say_text(&split.content);
        self.say_text(&split.reasoning);
        for (name, text) in
            [(&b"\"content\":"[..], split.content), (b"\"reasoning_content\":", split.reasoning)]
        {
            if !text.is_empty() {
                members.push([name, &quoted(&text)].concat());
            }
        }
        [b"{", &members.join(&b',')[..], b"}"].concat()
    }

    fn delta(
        &mut self,
        chunk: &Chunk,
        choice: &Choice,
        member: Member,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
    ) {
        let delta = &choice.delta;
        let mut changes = MemberChanges::new();
        match delta.role {
            Some(role) if self.role_sent => changes.remove(role),
            role if !self.role_sent && text_of(role.as_ref(), input).is_none() => {
                changes.set(edits, role, "role", &b"\"assistant\""[..]);
            }
            _ => {}
        }
        let is_first = !self.role_sent;
        self.role_sent = true;
        let details = delta.reasoning_details.filter(|details| !details.value.is_blank(input));
        self.say(delta.says_more || details.is_some());
        self.output_bytes += delta.other_bytes;
        if context.reasoning_tags == ReasoningTags::Think {
            self.inline = Inline::Yes;
        }
        let ends = self.course.ends(choice, input);
        self.text(delta, member.value, ends, input, edits, &mut changes);
        let all_came = self.tool_calls(chunk, choice, input, context, edits, &mut changes);
        if !all_came && !is_first && self.said == Said::Nothing {
            self.said = Said::NothingYet;
        }
        changes.finish(edits, input, member.value.span, delta.members);
    }

    /// Returns whether all of the delta's calls come out.
    fn tool_calls(
        &mut self,
        chunk: &Chunk,
        choice: &Choice,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) -> bool {
        let Some(member) = choice.delta.tool_calls else { return true };
        let calls = choice.tool_calls(chunk);
        let mut held = Vec::new();
        self.calls.begin_delta();
        for (ordinal, call) in calls.iter().enumerate() {
            let fate = self.calls.shape(call, input, (self.course.index, &context.request_id), edits);
            if fate == Fate::IsHeld {
                held.push(call.as_item(ordinal));
            }
        }
        self.say(held.len() < calls.len());
        self.output_bytes += self.calls.said_bytes();
        let all_came = held.is_empty();
        if member.value.kind == Kind::Null || !all_came && held.len() == calls.len() {
            changes.remove(member);
        } else {
            edits.members(input, member.value.span, calls.len(), &mut held, &[], ",");
        }
        all_came
    }

    /// Content and reasoning: content comes out as a string, reasoning as `reasoning_content`, once. `ends` says whether
    /// the choice's text ends here.
    fn text(
        &mut self,
        delta: &Delta,
        object: Value,
        ends: bool,
        input: &[u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) {
        let mut reasoning = Reasoning::read(delta, object, input, edits, changes);
        let list = delta.content.filter(|content| content.value.kind == Kind::Array);
        let parts = list.map(|list| Parts::read(input, list.value)).unwrap_or_default();
        let told = match list {
            Some(_) => &parts.text[..],
            None => delta.content.and_then(|content| content.value.as_text(input)).map_or(&[][..], Text::raw),
        };
        if reasoning.named.is_none() && !parts.reasoning.is_empty() {
            reasoning.more = parts.reasoning;
        }
        self.know_inline(delta, &reasoning, told);
        self.in_field = !reasoning.says_nothing();
        if self.inline == Inline::Yes {
            reasoning.leave_out_echo(&mut self.echo);
        }
        if self.inline != Inline::Yes || !may_hold_tag(told) && self.splitter.plain() == Some(false) {
            if let Some(list) = list {
                edits.replace(list.value.span, quoted(told));
            }
            self.say_text(told);
            return self.reason(&reasoning, edits, changes);
        }
        if let Some(content) = delta.content.filter(|_| list.is_none() && !told.is_empty())
            && reasoning.says_nothing()
            && self.splitter.plain() == Some(true)
            && !may_hold_tag(told)
            && !self.echo.is_behind(Way::Inline)
        {
            // All of it is reasoning: the bytes stay, under the other name.
            self.echo.say(Way::Inline, told);
            edits.replace(key_span(input, content), &b"\"reasoning_content\""[..]);
            if let Some(blank) = reasoning.blank {
                changes.remove(blank);
            }
            self.say_text(told);
            self.reasoning_seen = true;
            return;
        }
        let mut split = Split::default();
        self.splitter.push(told, &mut split);
        if ends {
            self.splitter.finish(&mut split);
        }
        if list.is_some() || split.content != told {
            changes.set(edits, delta.content, "content", quoted(&split.content));
        }
        self.say_text(&split.content);
        reasoning.more.extend_from_slice(&self.echo.say(Way::Inline, &split.reasoning));
        self.reason(&reasoning, edits, changes);
    }

    /// An upstream that has a field for reasoning and still begins its content with a tag says it twice.
    fn know_inline(&mut self, delta: &Delta, reasoning: &Reasoning<'_>, told: &[u8]) {
        if self.inline == Inline::NotKnown && !told.is_empty() {
            let mut fields = [delta.reasoning_content, delta.reasoning].into_iter().flatten();
            let has_field = fields.any(|field| field.value.kind == Kind::String) || !reasoning.says_nothing();
            self.inline = if has_field && begins_with_tag(told) { Inline::Yes } else { Inline::No };
        }
    }

    /// Put out the reasoning of a delta.
    fn reason(&mut self, reasoning: &Reasoning<'_>, edits: &mut Edits, changes: &mut MemberChanges) {
        let text = reasoning.fresh.as_deref().unwrap_or(reasoning.text);
        let reasoned = !text.is_empty() || !reasoning.more.is_empty();
        self.reasoning_seen |= reasoned;
        self.say_text(text);
        self.say_text(&reasoning.more);
        match reasoning.named {
            Some(named) if reasoning.fresh.is_some() || !reasoning.more.is_empty() => {
                edits.replace(named.value.span, quoted(&[text, &reasoning.more].concat()));
            }
            None if !reasoning.more.is_empty() => {
                changes.set(edits, reasoning.blank, "reasoning_content", quoted(&reasoning.more));
            }
            _ => {}
        }
    }
}

/// What the contract changes outside of the choices: the members that make a chunk one, the usage that rides on it.
pub(super) fn top_level(
    chunk: &Chunk,
    object: &str,
    input: &[u8],
    context: &AnswerContext,
    edits: &mut Edits,
) {
    let usage = chunk.usage.filter(|usage| usage.value.kind != Kind::Null);
    members(chunk, object, input, context, usage, edits);
}

/// The same for a usage chunk, which keeps its usage.
pub(super) fn usage_chunk(
    chunk: &Chunk,
    object: &str,
    input: &[u8],
    context: &AnswerContext,
    edits: &mut Edits,
) {
    members(chunk, object, input, context, None, edits);
}

fn members(
    chunk: &Chunk,
    object: &str,
    input: &[u8],
    context: &AnswerContext,
    usage: Option<Member>,
    edits: &mut Edits,
) {
    let mut changes = chunk.make_whole(object, input, context, edits);
    if let Some(usage) = usage {
        changes.remove(usage);
    }
    changes.finish(edits, input, chunk.span, chunk.members);
}
