//! The text of a custom tool's call, taken out of its arguments as they come.
//!
//! A custom tool is a function of one string in a chat body (see [`tools`]), so the arguments are `{"input":"…"}`, and they
//! come as pieces of a JSON string: the text is a string in a string. What comes out is escaped once, for the string of an
//! event. An escape of the inner string may be cut by two deltas.
//!
//! Models write JSON that is nearly JSON. A raw control character inside the inner string is taken for itself, an unknown
//! escape for its two characters. What does not begin as it should is not taken apart at all.
//!
//! [`tools`]: crate::api::responses::tools

/// What stands before the text, but for white space. [`CUSTOM_PARAMETER`] is the name in it.
///
/// [`CUSTOM_PARAMETER`]: crate::api::responses::tools::CUSTOM_PARAMETER
const OPENING: &[u8] = b"{\"input\":\"";
/// Where in it white space may stand: around braces, the colon and the name.
const GAPS: [usize; 4] = [0, 1, 8, 9];

/// Reads one call's arguments.
#[derive(Debug, Default)]
pub(super) struct InputReader {
    state: State,
    /// While opening: what has come so far. In an escape of four digits: those that have come.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So much of [`OPENING`] has come.
    Opening(usize),
    /// In the text.
    Inside,
    /// Behind a backslash of the inner string.
    Escape,
    /// Behind its `\u`.
    Digits,
    /// Behind the text.
    Closed,
    /// The arguments are of another form: they are the text themselves.
    Verbatim,
}

impl Default for State {
    fn default() -> Self {
        Self::Opening(0)
    }
}

/// One character of the arguments, as it is written in the outer string.
struct Unit<'a> {
    raw: &'a [u8],
    /// What it stands for: an ASCII character, or a byte beyond them.
    byte: u8,
}

impl InputReader {
    /// For input that comes as it is.
    pub(super) const fn verbatim() -> Self {
        Self { state: State::Verbatim, held: Vec::new() }
    }

    /// Take in more of the arguments, escaped; append what they add to the text, escaped.
    pub(super) fn feed(&mut self, mut arguments: &[u8], output: &mut Vec<u8>) {
        while !arguments.is_empty() {
            match self.state {
                State::Closed => return,
                State::Verbatim => return output.extend_from_slice(arguments),
                State::Inside => {
                    let plain = memchr::memchr(b'\\', arguments).unwrap_or(arguments.len());
                    output.extend_from_slice(&arguments[..plain]);
                    arguments = &arguments[plain..];
                    let Some(unit) = Unit::first(arguments) else { return };
                    arguments = &arguments[unit.raw.len()..];
                    match unit.byte {
                        b'"' => self.state = State::Closed,
                        b'\\' => self.state = State::Escape,
                        _ => output.extend_from_slice(unit.raw),
                    }
                }
                _ => {
                    let Some(unit) = Unit::first(arguments) else { return };
                    if self.step(&unit, output) {
                        arguments = &arguments[unit.raw.len()..];
                    }
                }
            }
        }
    }

    /// The end of the arguments: append what they are where they never were of the form.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        if let State::Opening(_) = self.state {
            output.append(&mut self.held);
        }
    }

    /// One character outside of the plain text. False: it is to be read once more, in the state that is now.
    fn step(&mut self, unit: &Unit<'_>, output: &mut Vec<u8>) -> bool {
        match self.state {
            State::Opening(matched) => {
                self.held.extend_from_slice(unit.raw);
                if unit.byte == OPENING[matched] {
                    self.state = State::Opening(matched + 1);
                    if matched + 1 == OPENING.len() {
                        (self.state, self.held) = (State::Inside, Vec::new());
                    }
                } else if !(GAPS.contains(&matched) && matches!(unit.byte, b' ' | b'\n' | b'\r' | b'\t')) {
                    output.append(&mut self.held);
                    self.state = State::Verbatim;
                }
                true
            }
            State::Escape => {
                self.state = State::Inside;
                match unit.byte {
                    b'u' => self.state = State::Digits,
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                        output.extend_from_slice(&[b'\\', unit.byte]);
                    }
                    _ => {
                        output.extend_from_slice(b"\\\\");
                        return false;
                    }
                }
                true
            }
            State::Digits => {
                let is_digit = unit.byte.is_ascii_hexdigit();
                if is_digit {
                    self.held.push(unit.byte);
                }
                if !is_digit || self.held.len() == 4 {
                    output.extend_from_slice(if is_digit { b"\\u" } else { b"\\\\u" });
                    output.append(&mut self.held);
                    self.state = State::Inside;
                }
                is_digit
            }
            State::Inside | State::Closed | State::Verbatim => true,
        }
    }
}

impl<'a> Unit<'a> {
    /// The first character of the inside of a JSON string. None at its end.
    fn first(string: &'a [u8]) -> Option<Self> {
        let &first = string.first()?;
        if first != b'\\' {
            return Some(Self { raw: &string[..1], byte: first });
        }
        let (length, byte) = match string.get(1)? {
            b'b' => (2, 8),
            b'f' => (2, 12),
            b'n' => (2, b'\n'),
            b'r' => (2, b'\r'),
            b't' => (2, b'\t'),
            b'u' => (6, ascii_of(string.get(2..6)?)),
            &byte => (2, byte),
        };
        Some(Self { raw: &string[..length], byte })
    }
}

/// The ASCII character of four hexadecimal digits; another byte where they stand for none.
fn ascii_of(digits: &[u8]) -> u8 {
    let unit = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
    unit.filter(u8::is_ascii).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::responses::tools::CUSTOM_PARAMETER;
    use crate::json::Text;
    use crate::json::text::write_escaped;

    /// The text of these arguments, which come in two pieces.
    fn read(arguments: &str, cut: usize) -> String {
        let mut reader = InputReader::default();
        let mut text = Vec::new();
        for piece in [&arguments[..cut], &arguments[cut..]] {
            let mut escaped = Vec::new();
            write_escaped(piece.as_bytes(), &mut escaped);
            reader.feed(&escaped, &mut text);
        }
        reader.finish(&mut text);
        serde_json::from_slice::<serde::de::IgnoredAny>(&[b"\"", &text[..], b"\""].concat()).unwrap();
        Text::new(&text).decode().into_owned()
    }

    #[test]
    fn the_text_of_arguments_however_they_are_cut() {
        assert_eq!(OPENING, format!("{{\"{CUSTOM_PARAMETER}\":\"").as_bytes());
        for (name, arguments, expected) in [
            ("a patch", r#"{"input":"*** Begin Patch\n+\"a\\b\"\n"}"#, "*** Begin Patch\n+\"a\\b\"\n"),
            ("spaces", "\n{ \"input\" :\t\"x\" } ", "x"),
            ("nothing", r#"{"input":""}"#, ""),
            ("letters", r#"{"input":"é你😀"}"#, "é你😀"),
            ("escaped ones", r#"{"input":"\u00e9\u4f60\ud83d\ude00\/\b\f\r\t"}"#, "é你😀/\u{8}\u{c}\r\t"),
            ("an escape that is none", r#"{"input":"\d+ \u12x \é"}"#, "\\d+ \\u12x \\é"),
            ("a raw control character", "{\"input\":\"a\nb\tc\u{1}\"}", "a\nb\tc\u{1}"),
            ("a backslash behind an escape that is none", r#"{"input":"\d\\e\u0\n"}"#, "\\d\\e\\u0\n"),
            ("something behind it", r#"{"input":"x","y":"z"}"#, "x"),
            ("cut off", r#"{"input":"x\n"#, "x\n"),
            ("cut off in an escape", r#"{"input":"x\"#, "x"),
            ("no object", "*** Begin Patch\n\"x\"", "*** Begin Patch\n\"x\""),
            ("another member", r#"{"patch":"x"}"#, r#"{"patch":"x"}"#),
            ("no string", r#"{"input":7}"#, r#"{"input":7}"#),
            ("an empty object", "{}", "{}"),
            ("no arguments", "", ""),
            ("less than the form", "{\"inp", "{\"inp"),
        ] {
            for cut in (0..=arguments.len()).filter(|cut| arguments.is_char_boundary(*cut)) {
                assert_eq!(read(arguments, cut), expected, "{name}, cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_however_it_is_spelled_and_cut(
            text in any::<String>(),
            spelling in proptest::collection::vec(any::<u8>(), 1..8),
        ) {
            let mut spelling = spelling.into_iter().cycle();
            let mut inner = Vec::new();
            for character in text.chars() {
                spell(character, spelling.next().unwrap_or_default(), &mut inner);
            }
            let arguments = format!("{{\"input\":\"{}\"}}", String::from_utf8(inner).unwrap());
            let (mut reader, mut read, mut piece) = (InputReader::default(), Vec::new(), Vec::new());
            for character in arguments.chars() {
                let choice = spelling.next().unwrap_or_default();
                spell(character, choice, &mut piece);
                if choice & 4 == 4 {
                    reader.feed(&piece, &mut read);
                    piece.clear();
                }
            }
            reader.feed(&piece, &mut read);
            reader.finish(&mut read);
            prop_assert_eq!(&*Text::new(&read).decode(), &text);
        }
    }

    /// One character in a JSON string: as a number where the choice says so, else as short as can be.
    fn spell(character: char, choice: u8, output: &mut Vec<u8>) {
        if choice & 1 == 1 {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                output.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        } else {
            write_escaped(character.encode_utf8(&mut [0; 4]).as_bytes(), output);
        }
    }

    #[test]
    fn the_arguments_may_be_escaped_in_any_way() {
        let units: Vec<String> =
            r#"{"input":"a\n\"é"}"#.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let mut text = Vec::new();
        let mut reader = InputReader::default();
        for unit in units {
            reader.feed(unit.as_bytes(), &mut text);
        }
        assert_eq!(Text::new(&text).decode(), "a\n\"é");
        let mut text = Vec::new();
        InputReader::verbatim().feed(b"{\\\"input\\\":", &mut text);
        assert_eq!(text, b"{\\\"input\\\":");
    }
}
