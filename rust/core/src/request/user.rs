//! The user whom a client names (`user`, `safety_identifier`, `metadata.user_id`), as a name that can stand in a log, a label
//! and a table.
//!
//! * White space around it goes, and each character that does not print (controls, line ends, marks of direction or of no
//!   width) becomes a `?`. Nothing left: no user.
//! * A longer one than [`MAX_USER_BYTES`] becomes `sha256:` and the first 32 hexadecimal digits of its digest.
//! * Claude Code names its session along with the user, in two ways: the session goes, for it is a new one each time.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::json::{JsonError, Scanner, Text, check_utf8};

/// A longer name of a user is replaced by its digest.
const MAX_USER_BYTES: usize = 128;

/// What Claude Code writes is much shorter.
const MAX_CLIENT_BYTES: usize = 4096;

/// So much of the digest: no two users of a team have the same.
const DIGEST_BYTES: usize = 16;

/// What is before the session in the name that older versions of Claude Code give:
/// `user_DEVICE_account_ACCOUNT_session_SESSION`.
const BEFORE_SESSION: &str = "_session_";

/// The user of this name; none where it names nobody.
pub(crate) fn user_name(given: Text<'_>) -> Option<String> {
    let given = given.decode();
    let given = given.trim();
    let own = account_or_device(given);
    let name = own.as_deref().unwrap_or_else(|| without_session(given));
    if name.len() > MAX_USER_BYTES {
        let mut digest = "sha256:".to_owned();
        for byte in &Sha256::digest(name.as_bytes())[..DIGEST_BYTES] {
            // Writing to a String can't fail.
            let _ = write!(digest, "{byte:02x}");
        }
        return Some(digest);
    }
    let shown = name.chars().map(|sign| if prints(sign) { sign } else { '?' });
    Some(shown.collect()).filter(|shown: &String| !shown.is_empty())
}

/// The session that Claude Code names along with the user; none where anyone else is named.
pub(super) fn client_session(given: Text<'_>) -> Option<String> {
    if given.raw().len() > MAX_CLIENT_BYTES {
        return None;
    }
    let given = given.decode();
    let given = given.trim();
    if given.starts_with('{') {
        return Named::read(given)?.session;
    }
    let cut = given.strip_prefix("user_").and_then(|_| given.rfind(BEFORE_SESSION))?;
    Some(given[cut + BEFORE_SESSION.len()..].to_owned())
}

/// Claude Code's `{"device_id": …, "account_uuid": …, "session_id": …}`: the account, else the device.
fn account_or_device(given: &str) -> Option<String> {
    let named = Named::read(given)?;
    named.account.or(named.device)
}

/// What Claude Code names in one object.
#[derive(Default)]
struct Named {
    account: Option<String>,
    device: Option<String>,
    session: Option<String>,
}

impl Named {
    fn read(given: &str) -> Option<Self> {
        let input = given.as_bytes();
        if !given.starts_with('{') || check_utf8(input).is_err() {
            return None;
        }
        let mut named = Self::default();
        let mut scanner = Scanner::new(input);
        let read = scanner.object(|scanner, key| {
            let value = scanner.value()?;
            let text = value.as_text(input).map(|text| text.decode().trim().to_owned());
            let text = text.filter(|text| !text.is_empty());
            match &*key.text.key() {
                b"account_uuid" => named.account = text,
                b"device_id" => named.device = text,
                b"session_id" => named.session = text,
                _ => {}
            }
            Ok::<_, JsonError>(())
        });
        read.and_then(|_| scanner.end()).ok()?;
        Some(named)
    }
}

fn without_session(given: &str) -> &str {
    let cut = given.strip_prefix("user_").and_then(|_| given.rfind(BEFORE_SESSION));
    cut.map_or(given, |at| &given[..at])
}

/// Whether a character prints, as the standard library knows it for `{:?}`: its table leaves out the same categories as
/// Python's `str.isprintable`.
fn prints(sign: char) -> bool {
    if matches!(sign, '"' | '\'' | '\\') {
        return true;
    }
    // Behind a letter, so that a mark which joins it (`e` and U+0301) is taken for what it is.
    let mut joined = [b'e'; 5];
    let length = 1 + sign.encode_utf8(&mut joined[1..]).len();
    let joined = std::str::from_utf8(&joined[..length]).unwrap_or_default();
    joined.escape_debug().nth(1).is_some_and(|shown| shown != '\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::text::string;

    fn named(given: &str) -> Option<String> {
        let written = string(given);
        user_name(Text::new(&written[1..written.len() - 1]))
    }

    #[test]
    fn users_have_names_that_can_stand_anywhere() {
        let long = "x".repeat(MAX_USER_BYTES);
        for (name, given, expected) in [
            ("plain", "anna@example.com", Some("anna@example.com")),
            ("any script", "王小明 Zoë क्षि e\u{301}", Some("王小明 Zoë क्षि e\u{301}")),
            ("signs that CSV knows", "a,\"b\"\\'c'", Some("a,\"b\"\\'c'")),
            ("white space around", " \tanna\r\n", Some("anna")),
            ("lines", "anna\r\nlevel=error", Some("anna??level=error")),
            ("controls", "a\u{0}\u{1b}[31mb\u{7f}\u{9b}", Some("a??[31mb??")),
            ("direction and no width", "a\u{202e}b\u{200b}c\u{feff}\u{2028}", Some("a?b?c?")),
            ("private and no characters", "a\u{e000}\u{ffff}\u{e0001}", Some("a???")),
            ("only what does not print", "\u{1b}", Some("?")),
            ("nothing", "", None),
            ("only white space", " \n", None),
            ("as long as may be", &long, Some(&long)),
            (
                "Claude Code, an account",
                r#"{"device_id":"d","account_uuid":"a","session_id":"s"}"#,
                Some("a"),
            ),
            ("Claude Code, a device", r#"{"device_id": "d","account_uuid":"","session_id":"s"}"#, Some("d")),
            ("another object", r#"{"id":"d"}"#, Some(r#"{"id":"d"}"#)),
            ("no JSON after all", r#"{"device_id":"d"} x"#, Some(r#"{"device_id":"d"} x"#)),
            ("Claude Code, older", "user_12_account__session_34", Some("user_12_account_")),
            ("a session of another's", "my_session_34", Some("my_session_34")),
        ] {
            assert_eq!(named(given).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_session_is_named_along_with_the_user() {
        let session = |given: &str| {
            let written = string(given);
            client_session(Text::new(&written[1..written.len() - 1]))
        };
        for (name, given, expected) in [
            ("now", r#"{"device_id":"d","account_uuid":"a","session_id":"s-1"}"#, Some("s-1")),
            ("older", "user_12_account__session_34-ab", Some("34-ab")),
            ("a user", "anna", None),
            ("a session of another's", "my_session_34", None),
            ("no session", r#"{"device_id":"d"}"#, None),
            ("an empty one", r#"{"session_id":" "}"#, None),
            ("no JSON after all", r#"{"session_id":"s"} x"#, None),
        ] {
            assert_eq!(session(given).as_deref(), expected, "{name}");
        }
        let long = format!("user_{}_session_1", "x".repeat(MAX_CLIENT_BYTES));
        assert_eq!(session(&long), None);
    }

    #[test]
    fn a_long_name_becomes_its_digest() {
        let digest = named(&"x".repeat(MAX_USER_BYTES + 1)).unwrap();
        // `printf 'x%.0s' $(seq 129) | sha256sum`
        assert_eq!(digest, "sha256:0ec9eb33e74510bcdd1f2ea55206e82f");
        assert_ne!(named(&"y".repeat(MAX_USER_BYTES + 1)).unwrap(), digest);
        assert_eq!(named(&"你".repeat(43)).unwrap().len(), digest.len(), "bytes count, and not characters");
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(user_name(Text::new(br"an\u006ea\n\ud83d")).unwrap(), "anna?\u{fffd}");
    }
}
