//! Where a thinking directive goes, and what changes there.
//!
//! It goes to the end of the last user message that has text or a list of parts, or, where there is no such message,
//! of the last system or developer message. Tool and assistant messages are never touched. In a list it goes to the
//! last text part; a text part is added where there is none.
//!
//! A directive that already ends the text (white space after it apart) is replaced, if it is a word of its own.
//! The text is read backwards, character by character with its escapes, for it may be as long as a book.

use std::borrow::Cow;

use crate::json::Span;
use crate::json::edit::Edits;

/// The text that a directive goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A string, between its quotes.
    Text(Span),
    /// A list of parts without text. A part goes in at `offset`, after a comma unless the list is empty.
    Parts {
        /// Where the last item ends, or the list begins.
        offset: usize,
        /// Whether it has no item.
        empty: bool,
    },
}

const ON: &str = "/think";
const OFF: &str = "/no_think";

/// Put the directive for `thinking` where it belongs.
pub(super) fn edit(body: &[u8], place: Place, thinking: bool, edits: &mut Edits) {
    let (wanted, other) = if thinking { (ON, OFF) } else { (OFF, ON) };
    match place {
        Place::Text(span) => edit_text(span, span.of(body), wanted, other, edits),
        Place::Parts { offset, empty } => {
            let comma = if empty { "" } else { ", " };
            edits.insert(offset, format!(r#"{comma}{{"type": "text", "text": "{wanted}"}}"#).into_bytes());
        }
    }
}

fn edit_text(span: Span, raw: &[u8], wanted: &'static str, other: &'static str, edits: &mut Edits) {
    let text_end = trim_end(raw);
    if ending_word(&raw[..text_end], wanted).is_some() {
        return;
    }
    if let Some(start) = ending_word(&raw[..text_end], other) {
        edits.replace(Span { start: span.start + start, end: span.start + text_end }, wanted.as_bytes());
        return;
    }
    // All white space, an empty text, or white space at the end: nothing to keep apart from.
    let space = if text_end == raw.len() && text_end > 0 { " " } else { "" };
    edits.insert(span.end, Cow::Owned(format!("{space}{wanted}").into_bytes()));
}

/// The offset after the last character that is not white space.
fn trim_end(raw: &[u8]) -> usize {
    let mut end = raw.len();
    while let Some((character, start)) = last_character(&raw[..end]) {
        if !character.is_whitespace() {
            break;
        }
        end = start;
    }
    end
}

/// Where `word` begins, if it ends the text and stands alone: at the text's start or after white space.
fn ending_word(raw: &[u8], word: &str) -> Option<usize> {
    let mut end = raw.len();
    for expected in word.chars().rev() {
        match last_character(&raw[..end]) {
            Some((character, start)) if character == expected => end = start,
            _ => return None,
        }
    }
    last_character(&raw[..end]).is_none_or(|(character, _)| character.is_whitespace()).then_some(end)
}

/// The last character of an escaped text and the offset at which its bytes begin. Half of a surrogate pair reads as
/// U+FFFD, which is neither white space nor part of a directive.
fn last_character(raw: &[u8]) -> Option<(char, usize)> {
    const UNIT: usize = r"\u0000".len();
    const SHORT: usize = r"\n".len();
    let last = *raw.last()?;
    if let Some(start) = raw.len().checked_sub(UNIT)
        && raw[start..].starts_with(b"\\u")
        && is_escaping(raw, start)
    {
        let digits = std::str::from_utf8(&raw[start + 2..]).ok();
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        return Some((unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), start));
    }
    if let Some(start) = raw.len().checked_sub(SHORT)
        && raw[start] == b'\\'
        && is_escaping(raw, start)
    {
        let character = match last {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => char::from(last),
        };
        return Some((character, start));
    }
    // Not escaped: one to four bytes of UTF-8, of which only the first is not a continuation byte.
    let start = raw.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    let character = std::str::from_utf8(&raw[start..]).ok().and_then(|text| text.chars().next());
    Some((character.unwrap_or(char::REPLACEMENT_CHARACTER), start))
}

/// Whether the backslash at `at` begins an escape, rather than being the second half of an escaped backslash.
fn is_escaping(raw: &[u8], at: usize) -> bool {
    let before = raw[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
    before % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inside of a string with the directive for `thinking` put in.
    fn edited(raw: &str, thinking: bool) -> String {
        let mut edits = Edits::new();
        edit(raw.as_bytes(), Place::Text(Span { start: 0, end: raw.len() }), thinking, &mut edits);
        let mut output = Vec::new();
        edits.apply(raw.as_bytes(), &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_directive_ends_the_text() {
        for (name, raw, on, off) in [
            ("a text", "Hi", "Hi /think", "Hi /no_think"),
            ("an empty text", "", "/think", "/no_think"),
            ("a space at the end", "Hi ", "Hi /think", "Hi /no_think"),
            ("a line feed at the end", r"Hi\n", r"Hi\n/think", r"Hi\n/no_think"),
            ("white space in digits", r"Hi\u0020", r"Hi\u0020/think", r"Hi\u0020/no_think"),
            ("an ideographic space", "你好\u{3000}", "你好\u{3000}/think", "你好\u{3000}/no_think"),
            ("only white space", r" \t", r" \t/think", r" \t/no_think"),
            ("a wide character", "你", "你 /think", "你 /no_think"),
            ("U+2028", "a\u{2028}", "a\u{2028}/think", "a\u{2028}/no_think"),
            ("an n behind an escaped backslash", r"a\\n", r"a\\n /think", r"a\\n /no_think"),
            ("an escaped quote", r#"\""#, r#"\" /think"#, r#"\" /no_think"#),
            ("an escaped backslash", r"\\", r"\\ /think", r"\\ /no_think"),
            ("half a pair", r"\ud83d", r"\ud83d /think", r"\ud83d /no_think"),
            ("a pair", r"\ud83d\ude00", r"\ud83d\ude00 /think", r"\ud83d\ude00 /no_think"),
            ("on already", "Hi /think", "Hi /think", "Hi /no_think"),
            ("off already", "Hi /no_think", "Hi /think", "Hi /no_think"),
            ("nothing but on", "/think", "/think", "/no_think"),
            ("nothing but off", "/no_think", "/think", "/no_think"),
            ("on, then white space", r"Hi /think \n", r"Hi /think \n", r"Hi /no_think \n"),
            ("behind a line feed", r"Hi\n/no_think", r"Hi\n/think", r"Hi\n/no_think"),
            ("an escaped slash", r"Hi \/no_think", r"Hi /think", r"Hi \/no_think"),
            ("a slash in digits", r"Hi \u002fthink", r"Hi \u002fthink", "Hi /no_think"),
            ("all in digits", r"\u002F\u0074hin\u006b", r"\u002F\u0074hin\u006b", "/no_think"),
            ("the letter t from an escape", r"Hi\t/think", r"Hi\t/think", r"Hi\t/no_think"),
            ("behind a backslash", r"Hi \\/think", r"Hi \\/think /think", r"Hi \\/think /no_think"),
            ("behind two backslashes", r"Hi\\\\/think", r"Hi\\\\/think /think", r"Hi\\\\/think /no_think"),
            ("behind backslash and line feed", r"Hi\\\n/think", r"Hi\\\n/think", r"Hi\\\n/no_think"),
            (
                "digits that are none",
                r"Hi\\u0020/think",
                r"Hi\\u0020/think /think",
                r"Hi\\u0020/think /no_think",
            ),
            ("part of a word", "a/think", "a/think /think", "a/think /no_think"),
            ("part of a path", "cd /tmp/think", "cd /tmp/think /think", "cd /tmp/think /no_think"),
            ("a longer word", "Hi /thinking", "Hi /thinking /think", "Hi /thinking /no_think"),
            ("another case", "Hi /Think", "Hi /Think /think", "Hi /Think /no_think"),
            ("inside the text", "/think of me", "/think of me /think", "/think of me /no_think"),
            ("the last of two", "/think /no_think", "/think /think", "/think /no_think"),
        ] {
            assert_eq!(edited(raw, true), on, "{name}, on");
            assert_eq!(edited(raw, false), off, "{name}, off");
        }
    }

    #[test]
    fn a_list_gets_a_part() {
        for (list, offset, empty, expected) in [
            ("[1 ]", 2, false, r#"[1, {"type": "text", "text": "/no_think"} ]"#),
            ("[ ]", 1, true, r#"[{"type": "text", "text": "/no_think"} ]"#),
        ] {
            let mut edits = Edits::new();
            edit(list.as_bytes(), Place::Parts { offset, empty }, false, &mut edits);
            let mut output = Vec::new();
            edits.apply(list.as_bytes(), &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }

    #[test]
    fn every_text_read_backwards_is_the_text() {
        let raw = r#"a\\\\n\nb\u0041\"\/é你😀\\u0020\t \\"#;
        let mut characters = Vec::new();
        let mut end = raw.len();
        while let Some((character, start)) = last_character(&raw.as_bytes()[..end]) {
            characters.push(character);
            end = start;
        }
        characters.reverse();
        let expected: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
        assert_eq!(characters.into_iter().collect::<String>(), expected);
    }
}
