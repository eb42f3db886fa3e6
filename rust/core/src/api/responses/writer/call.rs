//! Items that call tools, each in the form in which its tool was offered.

use crate::answer::chunk;
use crate::api::frames::CallDelta;
use crate::api::responses::tools::{CallKind, CalledTool};
use crate::json::Text;
use crate::json::text::string;

use super::draft::{Draft, ItemStatus};
use super::events::Events;
use super::input::InputReader;
use super::shell::{EMPTY_ACTION, write_action};

/// A call that is being written.
#[derive(Debug)]
pub(super) struct Call {
    draft: Draft,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Function,
    Custom(InputReader),
    /// Its arguments so far, escaped.
    LocalShell(Vec<u8>),
}

impl Form {
    /// The event at its text's end, and what that calls the text.
    const fn done_event(&self) -> (&'static str, &'static [u8]) {
        match self {
            Self::Custom(_) => ("response.custom_tool_call_input.done", b",\"input\":\""),
            _ => ("response.function_call_arguments.done", b",\"arguments\":\""),
        }
    }
}

/// What an item of this kind is called, and how its ids begin.
pub(super) const fn words(kind: CallKind) -> (&'static str, &'static str) {
    match kind {
        CallKind::Function => ("function_call", "fc_"),
        CallKind::Custom => ("custom_tool_call", "ctc_"),
        CallKind::LocalShell => ("local_shell_call", "lsh_"),
    }
}

impl Call {
    pub(super) fn open(
        mut draft: Draft,
        tool: CalledTool<'_>,
        first: &CallDelta<'_>,
        events: &mut Events,
        output: &mut Vec<u8>,
    ) -> Self {
        draft.write(&[b",\"call_id\":\"", first.id.map_or(b"", Text::raw), b"\""]);
        if tool.kind != CallKind::LocalShell {
            draft.write(&[b",\"name\":", &string(tool.name)]);
            if let Some(namespace) = tool.namespace {
                draft.write(&[b",\"namespace\":", &string(namespace)]);
            }
        }
        let form = match tool.kind {
            CallKind::Function => {
                draft.write(&[b",\"arguments\":\""]);
                draft.added(b"\",\"status\":\"in_progress\"}", events, output);
                draft.open_text("response.function_call_arguments.delta", b"");
                Form::Function
            }
            CallKind::Custom => {
                draft.write(&[b",\"input\":\""]);
                draft.added(b"\",\"status\":\"in_progress\"}", events, output);
                draft.open_text("response.custom_tool_call_input.delta", b"");
                // An upstream that calls a custom tool by itself says what the tool gets.
                let is_verbatim = first.kind == chunk::CallKind::Custom;
                Form::Custom(if is_verbatim { InputReader::verbatim() } else { InputReader::default() })
            }
            CallKind::LocalShell => {
                draft.write(&[b",\"action\":"]);
                draft.added(&[EMPTY_ACTION, b",\"status\":\"in_progress\"}"].concat(), events, output);
                Form::LocalShell(Vec::new())
            }
        };
        Self { draft, form }
    }

    pub(super) const fn draft(&self) -> &Draft {
        &self.draft
    }

    #[inline]
    pub(super) fn grow(&mut self, arguments: &[u8], events: &mut Events, output: &mut Vec<u8>) {
        if arguments.is_empty() {
            return;
        }
        match &mut self.form {
            Form::Function => self.draft.grow(arguments, b"\"", events, output),
            Form::Custom(reader) => {
                self.draft.grow_with(|text| reader.feed(arguments, text), events, output);
            }
            Form::LocalShell(held) => held.extend_from_slice(arguments),
        }
    }

    pub(super) fn close(mut self, status: ItemStatus, events: &mut Events, output: &mut Vec<u8>) -> Vec<u8> {
        let Self { draft, form } = &mut self;
        match form {
            // No arguments are an empty object to whoever parses them, unless they are still to come.
            Form::Function if draft.text().is_empty() && status == ItemStatus::Completed => {
                draft.grow(b"{}", b"\"", events, output);
            }
            Form::Function => {}
            Form::Custom(reader) => draft.grow_with(|text| reader.finish(text), events, output),
            Form::LocalShell(arguments) => {
                write_action(arguments, &mut draft.json);
                draft.write(&[status.ending()]);
                return self.draft.done(events, output);
            }
        }
        let (event, text) = form.done_event();
        events.write(event, &[&draft.place, text, draft.text(), b"\""], output);
        draft.write(&[b"\"", status.ending()]);
        self.draft.done(events, output)
    }
}
