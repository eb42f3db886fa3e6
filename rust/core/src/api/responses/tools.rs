//! Which chat function each tool became, and so how a call of that function goes back.
//!
//! A chat body knows functions only. Here a custom tool (Codex's `apply_patch`) is a function of one string, `local_shell` is
//! a function, and the tools of a namespace are functions whose names have the namespace's before theirs. A call comes back
//! as what was offered: a client that gets a `function_call` where it offered a custom tool does nothing with it.

use std::collections::HashMap;

/// The one parameter of a function that stands for a custom tool: the raw input.
pub const CUSTOM_PARAMETER: &str = "input";

/// What kind of item a call goes back as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// `function_call`, its arguments as they are.
    #[default]
    Function,
    /// `custom_tool_call`: its `input` is the string in the arguments' member [`CUSTOM_PARAMETER`].
    Custom,
    /// `local_shell_call`: its `action` is the arguments, with `"type":"exec"`.
    LocalShell,
}

/// A tool as the client offered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedTool {
    /// What a call goes back as.
    pub kind: CallKind,
    /// The namespace that it was offered in.
    pub namespace: Option<String>,
    /// Its own name.
    pub name: String,
}

/// A tool as a call of it names it. All names are texts, their escapes read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledTool<'a> {
    /// What the call goes back as.
    pub kind: CallKind,
    /// Goes into the item's `namespace`.
    pub namespace: Option<&'a str>,
    /// Goes into the item's `name`. A `local_shell_call` has none.
    pub name: &'a str,
}

/// The tools of a request by the names of their functions. Plain functions are not in it: their calls go back as they are.
#[derive(Clone, Debug, Default)]
pub struct ToolNames {
    by_function: HashMap<String, OfferedTool>,
    /// From a tool's own name to its function's, where a model leaves the namespace out; none where two tools have that name.
    by_own_name: HashMap<String, Option<String>>,
}

impl ToolNames {
    /// A function stands for this tool.
    pub fn add(&mut self, function: String, tool: OfferedTool) {
        if tool.namespace.is_some() {
            let known = self.by_own_name.entry(tool.name.clone());
            known.and_modify(|function| *function = None).or_insert_with(|| Some(function.clone()));
        }
        self.by_function.insert(function, tool);
    }

    /// What a call of this function is a call of. A function that nobody offered is a function of that name; unless exactly
    /// one tool of a namespace has the name, which is meant then.
    #[must_use]
    pub fn called<'a>(&'a self, function: &'a str) -> CalledTool<'a> {
        let unqualified = || self.by_function.get(self.unqualified(function)?);
        match self.by_function.get(function).or_else(unqualified) {
            Some(OfferedTool { kind, namespace, name }) => {
                CalledTool { kind: *kind, namespace: namespace.as_deref(), name }
            }
            None => CalledTool { kind: CallKind::Function, namespace: None, name: function },
        }
    }

    /// The function that stands for the one tool of a namespace with this name.
    pub(super) fn unqualified(&self, name: &str) -> Option<&str> {
        self.by_own_name.get(name)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(kind: CallKind, namespace: Option<&str>, name: &str) -> OfferedTool {
        OfferedTool { kind, namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn a_call_goes_back_as_what_was_offered() {
        let mut names = ToolNames::default();
        names.add("apply_patch".to_owned(), offered(CallKind::Custom, None, "apply_patch"));
        names.add("local_shell".to_owned(), offered(CallKind::LocalShell, None, "local_shell"));
        names.add("clock__sleep".to_owned(), offered(CallKind::Function, Some("clock"), "sleep"));
        names.add("fs__exec".to_owned(), offered(CallKind::Custom, Some("fs"), "exec"));
        names.add("a__read".to_owned(), offered(CallKind::Function, Some("a"), "read"));
        names.add("b__read".to_owned(), offered(CallKind::Function, Some("b"), "read"));
        for (function, kind, namespace, name) in [
            ("apply_patch", CallKind::Custom, None, "apply_patch"),
            ("local_shell", CallKind::LocalShell, None, "local_shell"),
            ("clock__sleep", CallKind::Function, Some("clock"), "sleep"),
            ("fs__exec", CallKind::Custom, Some("fs"), "exec"),
            ("exec", CallKind::Custom, Some("fs"), "exec"),
            ("read", CallKind::Function, None, "read"),
            ("get_weather", CallKind::Function, None, "get_weather"),
        ] {
            assert_eq!(names.called(function), CalledTool { kind, namespace, name }, "{function}");
        }
    }
}
