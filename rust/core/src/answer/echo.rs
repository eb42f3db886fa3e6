//! Reasoning that an upstream says twice: between tags in the content, and in a field (MiniMax). It comes out once.
//!
//! Neither way has to keep step with the other, and white space around the tags is often in one of them only. So what
//! one way has said first is remembered until the other has repeated it; where it says something else, both are
//! reasoning of their own.

/// No more than this is remembered. An upstream that repeats itself later than that is not noticed.
const MAX_AHEAD_BYTES: usize = 256 * 1024;

/// So much may be the same by chance.
const MAX_CHANCE_BYTES: usize = 64;

/// The ways that reasoning takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    #[default]
    Inline,
    Field,
}

/// What one way has said and the other has not. Texts are still escaped.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    leader: Way,
    /// What the leader has said, of which the other way has repeated the first `repeated` bytes.
    said: Vec<u8>,
    repeated: usize,
    /// What was taken for a repetition, as long as that may be chance.
    chance: Vec<u8>,
    /// They say different things.
    differ: bool,
}

impl Echo {
    /// Whether the other way has something to catch up with.
    pub(crate) fn is_behind(&self, way: Way) -> bool {
        !self.differ && self.leader != way && self.repeated < self.said.len()
    }

    /// One way says a text. Returns what of it is new.
    pub(crate) fn say(&mut self, way: Way, text: &[u8]) -> Vec<u8> {
        if !self.is_behind(way) {
            self.lead(way, text);
            return text.to_vec();
        }
        let (ahead, told) = common(&self.said[self.repeated..], text);
        let caught_up = self.repeated + ahead == self.said.len();
        if told < text.len() && !caught_up {
            self.differ = true;
            let mut new = std::mem::take(&mut self.chance);
            let is_chance = new.len() + told <= MAX_CHANCE_BYTES;
            if !is_chance {
                new.clear();
            }
            new.extend_from_slice(if is_chance { text } else { &text[told..] });
            self.said = Vec::new();
            return new;
        }
        self.repeated += ahead;
        if self.chance.len() <= MAX_CHANCE_BYTES {
            self.chance.extend_from_slice(&text[..told]);
        }
        let new = &text[told..];
        if !new.is_empty() {
            self.lead(way, new);
        }
        new.to_vec()
    }

    fn lead(&mut self, way: Way, text: &[u8]) {
        if self.differ || text.is_empty() {
            return;
        }
        if self.leader != way {
            (self.leader, self.repeated) = (way, 0);
            self.said.clear();
        }
        self.said.extend_from_slice(text);
        if self.said.len() > MAX_AHEAD_BYTES {
            self.differ = true;
            self.said = Vec::new();
        }
    }
}

/// Whether two whole texts say the same.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    common(one, other) == (one.len(), other.len())
}

/// How far two texts are the same, but for white space: the length of that in each.
fn common(one: &[u8], other: &[u8]) -> (usize, usize) {
    let (mut at, mut at_other) = (0, 0);
    loop {
        at += white_space(&one[at..]);
        at_other += white_space(&other[at_other..]);
        let length = unit(&one[at..]);
        if length == 0 || other[at_other..].get(..length) != Some(&one[at..at + length]) {
            return (at, at_other);
        }
        at += length;
        at_other += length;
    }
}

/// The length of the white space that a text begins with.
fn white_space(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match text[at..] {
            [b' ', ..] => at += 1,
            [b'\\', b'n' | b'r' | b't', ..] => at += 2,
            _ => return at,
        }
    }
}

/// The length of the first character, or of its escape. Bytes of a longer character are taken one by one.
fn unit(text: &[u8]) -> usize {
    match text {
        [b'\\', b'u', ..] => text.len().min(6),
        [b'\\', ..] => text.len().min(2),
        _ => text.len().min(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Way::{Field, Inline};

    #[test]
    fn what_is_said_twice_comes_out_once() {
        for (name, said, expected) in [
            ("one way", &[(Inline, "ab"), (Inline, "cd")][..], "abcd"),
            ("in step", &[(Field, "ab"), (Inline, "ab"), (Field, "cd"), (Inline, "cd")], "abcd"),
            (
                "in other pieces",
                &[(Field, "abc"), (Inline, "a"), (Inline, "bcd"), (Field, "de"), (Inline, "e")],
                "abcde",
            ),
            ("one after the other", &[(Inline, "ab"), (Inline, "cd"), (Field, "abcd")], "abcd"),
            (
                "with white space in one of them",
                &[(Inline, r"\nab "), (Field, "ab"), (Inline, r"cd\n"), (Field, " cd")],
                r"\nab cd\n",
            ),
            ("something else", &[(Inline, "High?"), (Field, "Sure.")], "High?Sure."),
            (
                "something else that begins alike",
                &[(Inline, "High?"), (Field, "H"), (Field, "ow?"), (Field, "!")],
                "High?How?!",
            ),
            ("escapes", &[(Inline, r#"\"\u4f60"#), (Field, r#"\"\u4f60"#)], r#"\"\u4f60"#),
            ("nothing", &[(Inline, ""), (Field, ""), (Inline, "a"), (Field, "")], "a"),
        ] {
            let mut echo = Echo::default();
            let found: Vec<u8> =
                said.iter().flat_map(|(way, text)| echo.say(*way, text.as_bytes())).collect();
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn a_long_repetition_is_no_chance() {
        let long = "a".repeat(MAX_CHANCE_BYTES + 1);
        let mut echo = Echo::default();
        assert_eq!(echo.say(Inline, (long.clone() + "b").as_bytes()), (long.clone() + "b").as_bytes());
        assert_eq!(echo.say(Field, (long + "c").as_bytes()), b"c");
    }

    #[test]
    fn what_is_too_long_to_remember_is_said_twice() {
        let long = "a".repeat(MAX_AHEAD_BYTES + 1);
        let mut echo = Echo::default();
        assert_eq!(echo.say(Inline, long.as_bytes()).len(), long.len());
        assert_eq!(echo.say(Field, long.as_bytes()).len(), long.len());
    }
}
