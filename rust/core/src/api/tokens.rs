//! About how many tokens a request has, without anyone's tokenizer.
//!
//! A text is read byte by byte, and each pair of neighbouring kinds of bytes (a letter behind a space, a digit behind a
//! digit) has a price: what a tokenizer does on the average where the one kind follows the other. The prices were fitted to
//! the largest count of three tokenizers over text, code and JSON in several languages; docs/design.md says how, and how
//! far off they are. They lean upwards: a client that is told too little compacts its conversation too late.

use crate::json::{JsonError, Kind, Scanner, Text, Value};

/// A token, in the unit of [`PRICES`].
const TOKEN: u64 = 64;

/// What the templates of the open families put around a message, a call, and a list of tools.
const MESSAGE_TOKENS: u64 = 6;
const CALL_TOKENS: u64 = 20;
const TOOL_TOKENS: u64 = 8;
const TOOLS_TOKENS: u64 = 160;

/// A large picture, as vision models cut it.
const IMAGE_TOKENS: u64 = 1600;
/// A page of a document has about so many bytes of base64, and so many tokens.
const PAGE_BYTES: usize = 64 * 1024;
const PAGE_TOKENS: u64 = 2000;

/// Kinds of bytes.
const SPACE: u8 = 0;
const NEWLINE: u8 = 1;
const LOWER: u8 = 2;
const UPPER: u8 = 3;
const DIGIT: u8 = 4;
const PUNCTUATION: u8 = 5;
/// The first byte of a Chinese, Japanese or Korean character.
const CHINESE: u8 = 6;
/// That of another character of three bytes or four.
const WIDE: u8 = 7;
/// That of a character of two bytes.
const LATIN: u8 = 8;
/// The other bytes of a character.
const REST: u8 = 9;

const KINDS: [u8; 256] = {
    let mut kinds = [PUNCTUATION; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let kind = match byte as u8 {
            b' ' => SPACE,
            b'\t' | b'\n' | b'\r' => NEWLINE,
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            0x80..=0xbf => REST,
            0xc0..=0xdf => LATIN,
            0xe3..=0xe9 => CHINESE,
            0xe0.. => WIDE,
            _ => PUNCTUATION,
        };
        kinds[byte] = kind;
        byte += 1;
    }
    kinds
};

/// What a byte of a kind (column) costs behind one of another (row).
const PRICES: [[u8; 9]; 9] = [
    [3, 8, 11, 0, 126, 20, 0, 106, 62],
    [82, 0, 87, 199, 50, 51, 56, 153, 82],
    [52, 48, 2, 57, 92, 42, 23, 66, 45],
    [0, 49, 32, 27, 115, 42, 35, 98, 41],
    [94, 51, 76, 129, 46, 23, 37, 100, 61],
    [48, 37, 65, 22, 103, 19, 71, 95, 61],
    [43, 34, 102, 97, 89, 81, 52, 56, 61],
    [32, 62, 119, 114, 99, 88, 0, 30, 61],
    [46, 40, 36, 41, 81, 37, 41, 81, 10],
];

/// The same, to be found by one byte: the row in its upper half, the column in its lower. [`REST`] costs nothing.
const PRICE_OF: [u8; 256] = {
    let mut flat = [0; 256];
    let mut row = 0;
    while row < PRICES.len() {
        let mut column = 0;
        while column < PRICES.len() {
            flat[row << 4 | column] = PRICES[row][column];
            column += 1;
        }
        row += 1;
    }
    flat
};

/// The price of a byte of this kind behind one of that, and the kind that the next one is behind.
///
/// Without a branch: in a text of several scripts, every other one would be mispredicted.
#[inline]
fn step(before: u8, kind: u8) -> (u8, u8) {
    let is_rest = u8::from(kind == REST).wrapping_neg();
    (PRICE_OF[usize::from(before << 4 | kind)], before & is_rest | kind & !is_rest)
}

/// About how many tokens the messages and tools of a chat body have. The body is one that the scan has taken.
pub(super) fn estimate(chat: &[u8]) -> u64 {
    let mut count = Count(0);
    // It has been scanned before, so it can't fail now.
    let _ = Scanner::new(chat).object(|scanner, key| match &*key.text.key() {
        b"messages" => items(scanner, |scanner| count.message(scanner)),
        b"tools" => {
            count.0 += TOOLS_TOKENS * TOKEN;
            // Templates put them in as the JSON that they are.
            items(scanner, |scanner| {
                let tool = scanner.value()?;
                count.0 += TOOL_TOKENS * TOKEN;
                count.plain(tool.span.of(chat));
                Ok(())
            })
        }
        b"response_format" => {
            let format = scanner.value()?;
            count.plain(format.span.of(chat));
            Ok(())
        }
        _ => scanner.value().map(|_| ()),
    });
    count.0.div_ceil(TOKEN)
}

/// Consume a list item by item, and anything else as it is.
fn items<'s>(
    scanner: &mut Scanner<'s>,
    mut item: impl FnMut(&mut Scanner<'s>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if scanner.peek()? == Kind::Array {
        scanner.array(|scanner, _| item(scanner)).map(|_| ())
    } else {
        scanner.value().map(|_| ())
    }
}

/// So many, in the unit of [`PRICES`].
struct Count(u64);

impl Count {
    fn message(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let input = scanner.input();
        self.0 += MESSAGE_TOKENS * TOKEN;
        scanner.object(|scanner, key| match &*key.text.key() {
            b"content" if scanner.peek()? == Kind::Array => items(scanner, |scanner| self.part(scanner)),
            b"content" | b"reasoning_content" => {
                let value = scanner.value()?;
                self.string(value, input);
                Ok(())
            }
            b"tool_calls" => items(scanner, |scanner| {
                let call = scanner.value()?;
                self.0 += CALL_TOKENS * TOKEN;
                self.function(call, input)
            }),
            _ => scanner.value().map(|_| ()),
        })?;
        Ok(())
    }

    fn part(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let input = scanner.input();
        if scanner.peek()? != Kind::Object {
            return scanner.value().map(|_| ());
        }
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            match &*key.text.key() {
                b"text" => self.string(value, input),
                b"image_url" => self.0 += IMAGE_TOKENS * TOKEN,
                b"file" => {
                    let pages = u64::try_from(value.span.len().div_ceil(PAGE_BYTES)).unwrap_or(u64::MAX);
                    self.0 = self.0.saturating_add(pages.saturating_mul(PAGE_TOKENS * TOKEN));
                }
                _ => {}
            }
            Ok::<_, JsonError>(())
        })?;
        Ok(())
    }

    /// The name and the arguments of a call.
    fn function(&mut self, call: Value, input: &[u8]) -> Result<(), JsonError> {
        if call.kind != Kind::Object {
            return Ok(());
        }
        Scanner::of(input, call).object(|scanner, key| {
            let value = scanner.value()?;
            match value.kind {
                Kind::Object if key.text.is("function") => self.function(value, input),
                Kind::String if !key.text.is("type") => {
                    self.string(value, input);
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
        Ok(())
    }

    fn string(&mut self, value: Value, input: &[u8]) {
        if let Some(text) = value.as_text(input) {
            self.text(text);
        }
    }

    /// A text whose escapes are to be read.
    fn text(&mut self, text: Text<'_>) {
        let mut rest = text.raw();
        let mut before = NEWLINE;
        while let Some(escape) = memchr::memchr(b'\\', rest) {
            before = self.bytes(&rest[..escape], before);
            let (kind, length) = escaped(&rest[escape..]);
            let (price, next) = step(before, kind);
            self.0 += u64::from(price);
            before = next;
            rest = &rest[rest.len().min(escape + length)..];
        }
        self.bytes(rest, before);
    }

    /// A text as it stands.
    fn plain(&mut self, bytes: &[u8]) {
        self.bytes(bytes, NEWLINE);
    }

    /// Bytes behind one of this kind; the kind of the last.
    fn bytes(&mut self, bytes: &[u8], mut before: u8) -> u8 {
        let mut sum = 0;
        for &byte in bytes {
            let (price, kind) = step(before, KINDS[usize::from(byte)]);
            sum += u64::from(price);
            before = kind;
        }
        self.0 += sum;
        before
    }
}

/// The kind of what an escape stands for, and the escape's length.
fn escaped(escape: &[u8]) -> (u8, usize) {
    let unit = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    match escape.get(1) {
        Some(b'b' | b'f' | b'n' | b'r' | b't') => (NEWLINE, 2),
        Some(b'u') => match escape.get(2..6).and_then(unit) {
            #[allow(clippy::cast_possible_truncation, reason = "below 128")]
            Some(ascii @ ..0x80) => (KINDS[ascii as usize], 6),
            Some(0x80..0x800) => (LATIN, 6),
            // What in UTF-8 begins with the bytes of that kind.
            Some(0x3000..0xa000) => (CHINESE, 6),
            // The second half of a pair.
            Some(0xdc00..0xe000) => (REST, 6),
            _ => (WIDE, 6),
        },
        _ => (PUNCTUATION, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> u64 {
        let mut count = Count(0);
        count.plain(text.as_bytes());
        count.0.div_ceil(TOKEN)
    }

    #[test]
    fn texts_cost_about_what_tokenizers_make_of_them() {
        // The largest count of Qwen 3, DeepSeek V3 and GPT-4o.
        for (text, truth) in [
            ("The gateway retries a request until its first byte has been sent to the client.", 17),
            ("网关在第一个字节发给客户端之前会重试请求，之后不再重试。", 22),
            ("fn main() {\n    let total: u64 = (1..=10).sum();\n    println!(\"{total}\");\n}\n", 27),
            (
                r#"{"type":"object","properties":{"file_path":{"type":"string","description":"The absolute path"}},"required":["file_path"]}"#,
                29,
            ),
        ] {
            let estimate = tokens(text);
            assert!(
                estimate * 100 >= truth * 92 && estimate * 100 <= truth * 140,
                "{estimate}, not {truth}: {text}"
            );
        }
    }

    #[test]
    fn escapes_cost_what_they_stand_for() {
        for (raw, plain) in [
            (r#"a\nb \"c\" \\ \/"#, "a\nb \"c\" \\ /"),
            (r"\u4f60\u597d\u0061\u00e9\u0416", "你好aéЖ"),
            (r"\ud83d\ude00 x", "😀 x"),
        ] {
            let mut count = Count(0);
            count.text(Text::new(raw.as_bytes()));
            assert_eq!(count.0.div_ceil(TOKEN), tokens(plain), "{raw}");
        }
    }

    #[test]
    fn field_08_system_tools_and_results_count() {
        let message = r#"{"role":"user","content":"q"}"#;
        let counted = |messages: &str, more: &str| {
            estimate(format!(r#"{{"model":"m","messages":[{messages}]{more}}}"#).as_bytes())
        };
        let bare = counted(message, "");
        let words = "word ".repeat(400);
        for (name, messages, more, at_least) in [
            ("system", format!(r#"{{"role":"system","content":"{words}"}},{message}"#), String::new(), 400),
            (
                "parts",
                format!(r#"{{"role":"user","content":[{{"type":"text","text":"{words}"}}]}},{message}"#),
                String::new(),
                400,
            ),
            (
                "a result",
                format!(r#"{message},{{"role":"tool","tool_call_id":"1","content":"{words}"}}"#),
                String::new(),
                400,
            ),
            (
                "reasoning",
                format!(r#"{message},{{"role":"assistant","content":"","reasoning_content":"{words}"}}"#),
                String::new(),
                400,
            ),
            (
                "a call",
                format!(
                    r#"{message},{{"role":"assistant","content":"","tool_calls":[{{"id":"1","type":"function","function":{{"name":"f","arguments":"{words}"}}}}]}}"#
                ),
                String::new(),
                400,
            ),
            (
                "tools",
                message.to_owned(),
                format!(
                    r#","tools":[{{"type":"function","function":{{"name":"f","description":"{words}"}}}}]"#
                ),
                500,
            ),
            (
                "an image",
                r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}"#.to_owned(),
                String::new(),
                1500,
            ),
            (
                "a file",
                r#"{"role":"user","content":[{"type":"file","file":{"file_data":"x"}}]}"#.to_owned(),
                String::new(),
                1900,
            ),
        ] {
            let more_than_bare = counted(&messages, &more) - bare;
            assert!((at_least..at_least + 300).contains(&more_than_bare), "{name}: {more_than_bare}");
        }
        let odd =
            estimate(br#"{"messages":[{"content":[1,"x"],"tool_calls":[1,{"function":1}]}],"tools":[1]}"#);
        assert!((200..260).contains(&odd), "{odd}");
    }
}
