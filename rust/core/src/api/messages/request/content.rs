//! The content of one chat message.
//!
//! A text is a string, and only what is more than one text is a list of parts: so it makes no difference whether a client
//! writes a text as a string or as a block, which it has to where it marks it for the cache. Where marks stay, every
//! content is a list, for the same reason. Empty texts are left out of lists: some upstreams refuse them.

use crate::api::words::{member, name, open, text, text_member};
use crate::json::Span;

use super::block::{Block, Source};

/// Before the text of a result that is an error and does not say so, or in place of one. Chat has no field for it.
const ERROR: &[u8] = b"Error";

/// What a file is called that has no title.
const UNTITLED: &[u8] = b"document";

/// Writes contents out of the blocks of a body.
#[derive(Clone, Copy)]
pub(super) struct Content<'c> {
    pub(super) input: &'c [u8],
    pub(super) blocks: &'c [Block],
    /// Whether `cache_control` marks stay.
    pub(super) keeps_marks: bool,
}

impl Content<'_> {
    /// These blocks, each a text that says something, an image or a file: a string or a list of parts.
    pub(super) fn parts(self, parts: &[usize], output: &mut Vec<u8>) {
        match parts {
            [] => output.extend_from_slice(b"\"\""),
            [only] if self.is_text(*only) && !self.keeps_marks => self.joined(parts, b"", output),
            _ => {
                output.push(b'[');
                for &part in parts {
                    self.part(&self.blocks[part], output);
                }
                output.push(b']');
            }
        }
    }

    /// The texts among these blocks as one, with this between them; a list of parts where marks stay.
    pub(super) fn texts(self, parts: &[usize], between: &[u8], output: &mut Vec<u8>) {
        if self.keeps_marks { self.parts(parts, output) } else { self.joined(parts, between, output) }
    }

    fn joined(self, parts: &[usize], between: &[u8], output: &mut Vec<u8>) {
        output.push(b'"');
        for (index, &part) in parts.iter().enumerate() {
            if index > 0 {
                output.extend_from_slice(between);
            }
            if let Block::Text { text, fails, .. } = &self.blocks[part] {
                output.extend_from_slice(error_word(*text, *fails));
                output.extend_from_slice(text.of(self.input));
            }
        }
        output.push(b'"');
    }

    fn is_text(self, part: usize) -> bool {
        matches!(self.blocks[part], Block::Text { .. })
    }

    fn part(self, block: &Block, output: &mut Vec<u8>) {
        let input = self.input;
        open(b'{', output);
        let mark = match block {
            Block::Text { text: said, fails, mark } => {
                text_member("type", b"text", output);
                name("text", output);
                text(&[error_word(*said, *fails), said.of(input)], output);
                *mark
            }
            Block::Image { source, mark } => {
                text_member("type", b"image_url", output);
                name("image_url", output);
                open(b'{', output);
                name("url", output);
                match source {
                    Source::Url(url) => text(&[url.of(input)], output),
                    Source::Data { media_type, data } => data_url(*media_type, *data, input, output),
                }
                output.push(b'}');
                *mark
            }
            Block::File { title, media_type, data } => {
                text_member("type", b"file", output);
                name("file", output);
                open(b'{', output);
                let title = if title.is_empty() { UNTITLED } else { title.of(input) };
                text_member("filename", title, output);
                name("file_data", output);
                data_url(*media_type, *data, input, output);
                output.push(b'}');
                None
            }
            Block::Thinking { .. } | Block::Call { .. } | Block::Result { .. } => None,
        };
        if let Some(mark) = mark.filter(|_| self.keeps_marks) {
            member("cache_control", mark.of(input), output);
        }
        output.push(b'}');
    }
}

fn error_word(text: Span, fails: bool) -> &'static [u8] {
    match (fails, text.is_empty()) {
        (false, _) => b"",
        (true, true) => ERROR,
        (true, false) => b"Error: ",
    }
}

fn data_url(media_type: Span, data: Span, input: &[u8], output: &mut Vec<u8>) {
    text(&[b"data:", media_type.of(input), b";base64,", data.of(input)], output);
}
