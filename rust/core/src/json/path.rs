//! Where an offset is in a document, as a path such as `messages[2].content[1]`.
//!
//! Paths are wanted only for errors, so nothing keeps track of them on the way: the document is walked once more.

use std::fmt::Write as _;

use crate::cut;

use super::error::{JsonError, JsonErrorKind};
use super::scanner::Scanner;
use super::value::Kind;

/// A longer path is cut: keys are the client's and may be of any length.
const MAX_PATH_BYTES: usize = 200;

/// The path of the innermost member or item that holds `offset`, in a document that is well-formed at least up to
/// there. `None` where that is the document itself.
#[must_use]
pub fn path_at(input: &[u8], offset: usize) -> Option<String> {
    let mut path = String::new();
    let mut scanner = Scanner::new(&input[..input.len().min(offset.saturating_add(1))]);
    // The walk over the shortened document ends with an error at its end, inside the value that holds the offset.
    descend(&mut scanner, &mut path).err()?;
    if path.is_empty() {
        return None;
    }
    if path.len() > MAX_PATH_BYTES {
        cut(&mut path, MAX_PATH_BYTES);
        path.push('…');
    }
    Some(path)
}

/// Consume one value; on an error, `path` is left at the place of the error.
fn descend(scanner: &mut Scanner<'_>, path: &mut String) -> Result<(), JsonError> {
    let length = path.len();
    match scanner.peek()? {
        Kind::Object => {
            scanner.object(|scanner, key| {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key.text.decode());
                descend(scanner, path)?;
                path.truncate(length);
                Ok::<_, JsonError>(())
            })?;
        }
        Kind::Array => {
            scanner.array(|scanner, index| {
                // Writing to a String can't fail.
                let _ = write!(path, "[{index}]");
                descend(scanner, path)?;
                path.truncate(length);
                Ok::<_, JsonError>(())
            })?;
        }
        _ => {
            let value = scanner.value()?;
            // `12` cut from `123` is a whole value; it is still the one that holds the offset.
            if value.span.end == scanner.input().len() {
                return Err(JsonError { kind: JsonErrorKind::UnexpectedEnd, offset: value.span.end });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_the_innermost_place() {
        let input = r#"{"model": "m", "messages": [{"role": "user"}, {"content": [1, {"te\u0078t": "abc"}]}], "n": 12}"#;
        let cases: [(&str, Option<&str>); 9] = [
            ("{", None),
            ("\"m\"", Some("model")),
            ("[{", Some("messages")),
            ("\"user", Some("messages[0].role")),
            ("[1, ", Some("messages[1].content")),
            ("1, ", Some("messages[1].content[0]")),
            ("abc", Some("messages[1].content[1].text")),
            ("2}", Some("n")),
            ("12", Some("n")),
        ];
        for (needle, expected) in cases {
            let offset = input.find(needle).unwrap();
            assert_eq!(path_at(input.as_bytes(), offset).as_deref(), expected, "{needle}");
        }
    }

    #[test]
    fn a_long_path_is_cut() {
        let input = format!("{{\"{}\": x}}", "é".repeat(300));
        let path = path_at(input.as_bytes(), input.find('x').unwrap()).unwrap();
        assert!(path.len() < MAX_PATH_BYTES + 5 && path.ends_with('…'));
    }
}
