//! The `action` of a `local_shell_call`, from the arguments of the function that stands for the tool.

use crate::json::text::string;
use crate::json::{JsonError, Kind, Scanner, Text, Value};

/// What a call's action is before its arguments have come, and where they are none.
pub(super) const EMPTY_ACTION: &[u8] = b"{\"type\":\"exec\",\"command\":[],\"env\":{}}";

/// The members that pass, besides `command` and `env`, each with the kind that it must have.
const OTHERS: [(&str, Kind); 3] =
    [("timeout_ms", Kind::Number), ("user", Kind::String), ("working_directory", Kind::String)];

/// Append the action that these arguments ask for; they are escaped. A command that is one text goes to a shell, as Codex
/// itself does with one.
pub(super) fn write_action(arguments: &[u8], output: &mut Vec<u8>) {
    let text = Text::new(arguments).decode();
    let input = text.as_bytes();
    let (mut command, mut environment, mut others) = (None, None, [None; OTHERS.len()]);
    let read = Scanner::new(input).object(|scanner, key| {
        let value = scanner.value()?;
        match &*key.text.key() {
            b"command" => command = Some(value),
            b"env" => environment = Some(value),
            name => {
                let place = OTHERS.iter().position(|&(it, kind)| it.as_bytes() == name && kind == value.kind);
                if let Some(place) = place {
                    others[place] = Some(value);
                }
            }
        }
        Ok::<_, JsonError>(())
    });
    if read.is_err() {
        return output.extend_from_slice(EMPTY_ACTION);
    }
    output.extend_from_slice(b"{\"type\":\"exec\",\"command\":[");
    write_command(input, command, output);
    output.extend_from_slice(b"],\"env\":{");
    write_environment(input, environment, output);
    output.push(b'}');
    for ((name, _), value) in OTHERS.iter().zip(others) {
        if let Some(value) = value {
            output.extend_from_slice(b",\"");
            output.extend_from_slice(name.as_bytes());
            output.extend_from_slice(b"\":");
            output.extend_from_slice(value.span.of(input));
        }
    }
    output.push(b'}');
}

fn write_command(input: &[u8], command: Option<Value>, output: &mut Vec<u8>) {
    match command {
        Some(command) if command.kind == Kind::Array => {
            let mut comma: &[u8] = b"";
            // It has been scanned before, so it can't fail now.
            let _ = Scanner::of(input, command).array(|scanner, _| {
                let word = scanner.value()?;
                if word.kind == Kind::String {
                    output.extend_from_slice(comma);
                    output.extend_from_slice(word.span.of(input));
                    comma = b",";
                }
                Ok::<_, JsonError>(())
            });
        }
        Some(command) if command.kind == Kind::String => {
            output.extend_from_slice(b"\"bash\",\"-lc\",");
            output.extend_from_slice(command.span.of(input));
        }
        _ => {}
    }
}

fn write_environment(input: &[u8], environment: Option<Value>, output: &mut Vec<u8>) {
    let Some(environment) = environment.filter(|value| value.kind == Kind::Object) else { return };
    let mut comma: &[u8] = b"";
    let _ = Scanner::of(input, environment).object(|scanner, key| {
        let value = scanner.value()?;
        if value.kind == Kind::String {
            output.extend_from_slice(comma);
            output.extend_from_slice(&string(&key.text.decode()));
            output.push(b':');
            output.extend_from_slice(value.span.of(input));
            comma = b",";
        }
        Ok::<_, JsonError>(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::text::write_escaped;

    #[test]
    fn actions_of_arguments() {
        for (name, arguments, expected) in [
            (
                "a command",
                r#"{"command": ["bash", "-lc", "ls \"a\""], "timeout_ms": 1000, "working_directory": "/tmp"}"#,
                r#"{"type":"exec","command":["bash","-lc","ls \"a\""],"env":{},"timeout_ms":1000,"working_directory":"/tmp"}"#,
            ),
            (
                "over several lines",
                "{\"command\": [\n \"ls\"\n]\n}",
                r#"{"type":"exec","command":["ls"],"env":{}}"#,
            ),
            (
                "a command of one text",
                r#"{"command":"ls -l","env":{"A":"b","C":1},"user":"me"}"#,
                r#"{"type":"exec","command":["bash","-lc","ls -l"],"env":{"A":"b"},"user":"me"}"#,
            ),
            (
                "other kinds",
                r#"{"command":["ls",1],"timeout_ms":"1","user":null,"env":[]}"#,
                r#"{"type":"exec","command":["ls"],"env":{}}"#,
            ),
            ("no command", "{}", r#"{"type":"exec","command":[],"env":{}}"#),
            ("no object", "ls", r#"{"type":"exec","command":[],"env":{}}"#),
            ("cut off", r#"{"command":["ls"#, r#"{"type":"exec","command":[],"env":{}}"#),
        ] {
            let (mut escaped, mut action) = (Vec::new(), Vec::new());
            write_escaped(arguments.as_bytes(), &mut escaped);
            write_action(&escaped, &mut action);
            assert_eq!(String::from_utf8(action).unwrap(), expected, "{name}");
        }
    }
}
