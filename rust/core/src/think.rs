//! Reasoning that stands inline, between `<think>` and `</think>` in the content (MiniMax M2, and open models behind
//! servers without a reasoning parser).
//!
//! The tags go, what is between them is reasoning, and content keeps every other byte. Where that leaves room: tags
//! nest, and reasoning ends where the outermost closes; a tag that closes nothing goes; one that is never closed makes
//! all that follows reasoning; other spellings of a tag are text.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// How an upstream marks reasoning inside of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningTags {
    /// Not at all.
    #[default]
    None,
    /// `<think>…</think>`
    Think,
}

/// Text taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) content: String,
    pub(crate) reasoning: String,
}

/// Takes apart a text that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    depth: usize,
    /// The end of the last piece, where it may be the start of a tag.
    held: &'static str,
}

impl Splitter {
    /// Whether the next piece, if it holds no `<`, is reasoning as it stands (`true`) or content as it stands (`false`);
    /// `None` where it has to be taken apart.
    pub(crate) const fn plain(&self) -> Option<bool> {
        if self.held.is_empty() { Some(self.depth > 0) } else { None }
    }

    /// The next piece.
    pub(crate) fn push(&mut self, piece: &str, split: &mut Split) {
        let joined = [std::mem::take(&mut self.held), piece].concat();
        let mut rest = joined.as_str();
        while let Some(at) = rest.find('<') {
            self.say(&rest[..at], split);
            rest = &rest[at..];
            if let Some(behind) = rest.strip_prefix(OPEN) {
                self.depth += 1;
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix(CLOSE) {
                self.depth = self.depth.saturating_sub(1);
                rest = behind;
            } else if let Some(tag) = [OPEN, CLOSE].into_iter().find(|tag| tag.starts_with(rest)) {
                self.held = &tag[..rest.len()];
                return;
            } else {
                self.say("<", split);
                rest = &rest[1..];
            }
        }
        self.say(rest, split);
    }

    /// The end of the text: what was held is text after all.
    pub(crate) fn finish(&mut self, split: &mut Split) {
        let held = std::mem::take(&mut self.held);
        self.say(held, split);
    }

    fn say(&self, text: &str, split: &mut Split) {
        if self.depth > 0 { &mut split.reasoning } else { &mut split.content }.push_str(text);
    }
}

/// A whole text taken apart.
pub(crate) fn split(text: &str) -> Split {
    let (mut splitter, mut split) = (Splitter::default(), Split::default());
    splitter.push(text, &mut split);
    splitter.finish(&mut split);
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_however_the_text_is_cut() {
        for (name, text, content, reasoning) in [
            ("none", "a < b", "a < b", ""),
            ("one", "<think>\nhm\n</think>\n\na", "\n\na", "\nhm\n"),
            ("in the middle", "a<think>hm</think>b", "ab", "hm"),
            ("two", "<think>x</think>a<think>y</think>b", "ab", "xy"),
            ("nested", "<think>x<think>y</think>z</think>a", "a", "xyz"),
            ("never closed", "a<think>hm", "a", "hm"),
            ("never opened", "hm</think>a", "hma", ""),
            ("empty", "<think></think>", "", ""),
            ("no tags", "<thinking> </ think> <Think> <b>", "<thinking> </ think> <Think> <b>", ""),
            ("a tag behind a sign", "<<think>x<</think>>", "<>", "x<"),
            ("half a tag at the end", "a</thin", "a</thin", ""),
            ("half a tag inside", "<think>x</thin", "", "x</thin"),
            ("other letters", "é<think>你</think>😀", "é😀", "你"),
        ] {
            let expected = Split { content: content.into(), reasoning: reasoning.into() };
            assert_eq!(split(text), expected, "{name}");
            for (first, _) in text.char_indices() {
                for (second, _) in text.char_indices().filter(|(second, _)| *second >= first) {
                    let (mut splitter, mut split) = (Splitter::default(), Split::default());
                    for piece in [&text[..first], &text[first..second], &text[second..]] {
                        splitter.push(piece, &mut split);
                    }
                    splitter.finish(&mut split);
                    assert_eq!(split, expected, "{name}, cut at {first} and {second}");
                }
            }
        }
    }
}
