//! Content blocks: what of each a chat message has, as spans of the body.

use std::borrow::Cow;

use crate::api::dropped::Dropped;
use crate::json::{Key, Kind, Scanner, Span, Text, Value};
use crate::request::media::Modality;
use crate::request::refusal::Refusal;

/// A block, or what is left of it. Texts are the insides of JSON strings, still escaped; an empty span is no text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    Text {
        text: Span,
        /// Whether it has to say that a tool failed: see [`Block::fails`].
        fails: bool,
        /// The value of its `cache_control`.
        mark: Option<Span>,
    },
    Image {
        source: Source,
        mark: Option<Span>,
    },
    /// A document that is no text.
    File {
        title: Span,
        media_type: Span,
        data: Span,
    },
    Thinking {
        text: Span,
        signature: Span,
    },
    Call {
        id: Span,
        name: Span,
        /// The value.
        input: Option<Value>,
    },
    /// Its content is in the `blocks` blocks behind it.
    Result {
        id: Span,
        blocks: usize,
    },
}

impl Block {
    const fn text(text: Span) -> Self {
        Self::Text { text, fails: false, mark: None }
    }

    /// Its `type`.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::File { .. } => "document",
            Self::Thinking { .. } => "thinking",
            Self::Call { .. } => "tool_use",
            Self::Result { .. } => "tool_result",
        }
    }
}

/// Where an image is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Data { media_type: Span, data: Span },
    Url(Span),
}

/// The members that are read, of any block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Type,
    Text,
    Thinking,
    Signature,
    Id,
    Called,
    Input,
    ToolUseId,
    IsError,
    Content,
    Source,
    Title,
    Context,
    CacheControl,
}

const NAMES: [(Known, &str); 14] = [
    (Known::Type, "type"),
    (Known::Text, "text"),
    (Known::Thinking, "thinking"),
    (Known::Signature, "signature"),
    (Known::Id, "id"),
    (Known::Called, "name"),
    (Known::Input, "input"),
    (Known::ToolUseId, "tool_use_id"),
    (Known::IsError, "is_error"),
    (Known::Content, "content"),
    (Known::Source, "source"),
    (Known::Title, "title"),
    (Known::Context, "context"),
    (Known::CacheControl, "cache_control"),
];

/// So many of a block's members that no block is known to have can be named.
const STRANGERS: usize = 8;

/// Where a block is. What can't be there is left out and named; so no byte is walked over more than four times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a message: any kind.
    Message,
    /// In a tool's result: texts, images, documents, search results.
    Result,
    /// In a document or a search result: texts and images.
    Document,
}

/// A block's members.
struct Members<'a> {
    /// Of the block's first byte.
    offset: usize,
    values: [Option<Value>; NAMES.len()],
    /// Keys that are not read, of members that are not null; of very many, the first.
    strangers: [Option<Text<'a>>; STRANGERS],
}

impl<'a> Members<'a> {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Refusal> {
        let mut members =
            Self { offset: scanner.position(), values: [None; NAMES.len()], strangers: [None; STRANGERS] };
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            members.take(&key, value)
        })?;
        Ok(members)
    }

    fn take(&mut self, key: &Key<'a>, value: Value) -> Result<(), Refusal> {
        let known = NAMES.iter().find(|(_, name)| key.text.is(name));
        let Some(&(slot, name)) = known else {
            if value.kind != Kind::Null
                && let Some(free) = self.strangers.iter_mut().find(|stranger| stranger.is_none())
            {
                *free = Some(key.text);
            }
            return Ok(());
        };
        match self.values[slot as usize].replace(value) {
            Some(_) => Err(Refusal::twice(name, key.start)),
            None => Ok(()),
        }
    }

    /// A member that is there and not null.
    fn get(&self, name: Known) -> Option<Value> {
        self.values[name as usize].filter(|value| value.kind != Kind::Null)
    }

    /// The inside of a string that must be there.
    fn text(&self, name: Known) -> Result<Span, Refusal> {
        self.text_if_given(name)?.ok_or(Refusal::lacks(NAMES[name as usize].1, self.offset))
    }

    fn text_if_given(&self, name: Known) -> Result<Option<Span>, Refusal> {
        self.get(name).map(inside).transpose()
    }

    /// The names of those that are given and not among `read`.
    fn others<'m>(&'m self, read: &'m [Known]) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a, 'm> {
        const ALWAYS: [Known; 2] = [Known::Type, Known::CacheControl];
        let others = NAMES
            .iter()
            .filter(|(name, _)| !ALWAYS.contains(name) && !read.contains(name) && self.get(*name).is_some());
        let others = others.map(|(_, name)| Cow::Borrowed(name.as_bytes()));
        others.chain(self.strangers.iter().flatten().map(|key| key.key()))
    }

    fn mark(&self) -> Option<Span> {
        self.get(Known::CacheControl).map(|mark| mark.span)
    }
}

/// A string without its quotes.
pub(super) fn inside(value: Value) -> Result<Span, Refusal> {
    match value.kind {
        Kind::String => Ok(Span { start: value.span.start + 1, end: value.span.end - 1 }),
        _ => Err(Refusal::wrong_type("must be a string", value.span.start)),
    }
}

/// Reads blocks into a list, and notes what is left out.
pub(super) struct Reader<'r> {
    pub(super) blocks: &'r mut Vec<Block>,
    pub(super) dropped: &'r mut Dropped,
    /// What there is beside text, and where the first of each kind is.
    pub(super) media: &'r mut Vec<(Modality, String)>,
    /// The message's index; none in `system`.
    pub(super) message: Option<usize>,
}

impl Reader<'_> {
    /// Consume the content of a message or a system prompt: a string or a list of blocks.
    pub(super) fn content(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Refusal> {
        self.list(scanner, Place::Message, 0)
    }

    /// `outer` is the index of the message's block that this is in.
    fn list(&mut self, scanner: &mut Scanner<'_>, place: Place, outer: usize) -> Result<(), Refusal> {
        match scanner.peek()? {
            Kind::String => {
                let text = inside(scanner.value()?)?;
                self.blocks.push(Block::text(text));
            }
            Kind::Array => {
                scanner.array(|scanner, index| {
                    let index = if place == Place::Message { index } else { outer };
                    self.block(scanner, place, index)
                })?;
            }
            Kind::Null => {
                scanner.value()?;
            }
            _ => {
                let rule = "must be a string or an array of content blocks";
                return Err(Refusal::wrong_type(rule, scanner.position()));
            }
        }
        Ok(())
    }

    /// Consume a block. `index` is that of the block of the message that it is, or that it is in.
    fn block(&mut self, scanner: &mut Scanner<'_>, place: Place, index: usize) -> Result<(), Refusal> {
        if scanner.peek()? != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", scanner.position()));
        }
        let input = scanner.input();
        let members = Members::read(scanner)?;
        let kind = Text::new(members.text(Known::Type)?.of(input)).key();
        let read: &[Known] = match (&*kind, place) {
            (b"text", _) => {
                let text = members.text(Known::Text)?;
                self.blocks.push(Block::Text { text, fails: false, mark: members.mark() });
                &[Known::Text]
            }
            (b"image", _) => {
                self.image(&members, input, index)?;
                &[Known::Source]
            }
            (b"document", Place::Message | Place::Result) => {
                self.document(&members, input, index)?;
                &[Known::Source, Known::Title, Known::Context]
            }
            (b"search_result", Place::Message | Place::Result) => {
                self.search_result(&members, input, index)?;
                &[Known::Source, Known::Title, Known::Content]
            }
            (b"thinking", Place::Message) => {
                let text = members.text_if_given(Known::Thinking)?.unwrap_or_default();
                let signature = members.text_if_given(Known::Signature)?.unwrap_or_default();
                self.blocks.push(Block::Thinking { text, signature });
                &[Known::Thinking, Known::Signature]
            }
            (b"tool_use", Place::Message) => {
                let (id, name) = (members.text(Known::Id)?, members.text(Known::Called)?);
                self.blocks.push(Block::Call { id, name, input: members.get(Known::Input) });
                &[Known::Id, Known::Called, Known::Input]
            }
            (b"tool_result", Place::Message) => {
                self.result(&members, input, index)?;
                &[Known::ToolUseId, Known::IsError, Known::Content]
            }
            _ => return self.leave_out("content", &kind),
        };
        for name in members.others(read) {
            self.dropped.add("content", &name);
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "the last word of a function that may fail")]
    fn leave_out(&mut self, place: &str, name: &[u8]) -> Result<(), Refusal> {
        self.dropped.add(place, name);
        Ok(())
    }

    fn result(&mut self, members: &Members<'_>, input: &[u8], index: usize) -> Result<(), Refusal> {
        let id = members.text(Known::ToolUseId)?;
        let is_error = match members.get(Known::IsError) {
            None => false,
            Some(value) => {
                value.as_bool(input).ok_or(Refusal::wrong_type("must be a boolean", value.span.start))?
            }
        };
        let at = self.blocks.len();
        self.blocks.push(Block::Result { id, blocks: 0 });
        if let Some(content) = members.get(Known::Content) {
            self.list(&mut Scanner::of(input, content), Place::Result, index)?;
        }
        if is_error {
            self.fail(input, at + 1);
        }
        let blocks = self.blocks.len() - at - 1;
        self.blocks[at] = Block::Result { id, blocks };
        if let Some(given) = members.mark() {
            self.mark_last(given);
        }
        Ok(())
    }

    /// The result whose content begins at this block is an error: its first text has to say so.
    fn fail(&mut self, input: &[u8], from: usize) {
        let said = self.blocks[from..].iter_mut().find_map(|block| match block {
            Block::Text { text, fails, .. } if !text.is_empty() => Some((text, fails)),
            _ => None,
        });
        match said {
            Some((text, fails)) => *fails = !speaks_of_an_error(text.of(input)),
            None => self.blocks.push(Block::Text { text: Span::default(), fails: true, mark: None }),
        }
    }

    fn image(&mut self, members: &Members<'_>, input: &[u8], index: usize) -> Result<(), Refusal> {
        let source = Located::read(members, input, self.dropped)?;
        let image = match &*source.kind(input) {
            b"base64" => Source::Data { media_type: source.media_type()?, data: source.data()? },
            b"url" => Source::Url(source.text(Located::URL)?),
            kind => return self.leave_out("content.image", kind),
        };
        self.blocks.push(Block::Image { source: image, mark: members.mark() });
        self.saw(Modality::Image, index);
        Ok(())
    }

    /// A document's title and context are texts before it.
    fn document(&mut self, members: &Members<'_>, input: &[u8], index: usize) -> Result<(), Refusal> {
        let source = Located::read(members, input, self.dropped)?;
        let kind = source.kind(input);
        if !matches!(&*kind, b"text" | b"content" | b"base64") {
            return self.leave_out("content.document", &kind);
        }
        let title = members.text_if_given(Known::Title)?;
        let context = members.text_if_given(Known::Context)?;
        // A file has its title as its name.
        let before = if &*kind == b"base64" { [None, context] } else { [title, context] };
        self.texts(before);
        match &*kind {
            b"text" => self.texts([Some(source.data()?)]),
            b"content" => {
                if let Some(content) = source.values[Located::CONTENT] {
                    self.list(&mut Scanner::of(input, content), Place::Document, index)?;
                }
            }
            _ => {
                let title = title.unwrap_or_default();
                let (media_type, data) = (source.media_type()?, source.data()?);
                self.blocks.push(Block::File { title, media_type, data });
                self.saw(Modality::File, index);
                return Ok(());
            }
        }
        if let Some(mark) = members.mark() {
            self.mark_last(mark);
        }
        Ok(())
    }

    /// Its title, its source, and what was found there.
    fn search_result(&mut self, members: &Members<'_>, input: &[u8], index: usize) -> Result<(), Refusal> {
        self.texts([members.text_if_given(Known::Title)?, members.text_if_given(Known::Source)?]);
        if let Some(content) = members.get(Known::Content) {
            self.list(&mut Scanner::of(input, content), Place::Document, index)?;
        }
        if let Some(mark) = members.mark() {
            self.mark_last(mark);
        }
        Ok(())
    }

    fn texts<const N: usize>(&mut self, texts: [Option<Span>; N]) {
        let texts = texts.into_iter().flatten().filter(|text| !text.is_empty());
        self.blocks.extend(texts.map(Block::text));
    }

    /// The mark of a block that has become several.
    fn mark_last(&mut self, given: Span) {
        if let Some(Block::Text { mark, .. } | Block::Image { mark, .. }) = self.blocks.last_mut() {
            *mark = Some(given);
        }
    }

    fn saw(&mut self, modality: Modality, index: usize) {
        if let Some(message) = self.message
            && self.media.iter().all(|(known, _)| *known != modality)
        {
            self.media.push((modality, format!("messages[{message}].content[{index}]")));
        }
    }
}

/// Whether the text of a failed result says near its beginning that it is one, as Claude Code's do.
fn speaks_of_an_error(raw: &[u8]) -> bool {
    const NEAR_BYTES: usize = 64;
    const WORD: &[u8] = b"error";
    raw[..raw.len().min(NEAR_BYTES)].windows(WORD.len()).any(|word| word.eq_ignore_ascii_case(WORD))
}

/// The `source` of an image or a document.
struct Located {
    offset: usize,
    values: [Option<Value>; 5],
}

impl Located {
    const NAMES: [&str; 5] = ["type", "media_type", "data", "url", "content"];
    const TYPE: usize = 0;
    const MEDIA_TYPE: usize = 1;
    const DATA: usize = 2;
    const URL: usize = 3;
    const CONTENT: usize = 4;

    fn read(members: &Members<'_>, input: &[u8], dropped: &mut Dropped) -> Result<Self, Refusal> {
        let source = members.get(Known::Source).ok_or(Refusal::lacks("source", members.offset))?;
        if source.kind != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", source.span.start));
        }
        let mut located = Self { offset: source.span.start, values: [None; 5] };
        Scanner::of(input, source).object(|scanner, key| {
            let value = scanner.value()?;
            let Some(at) = Self::NAMES.iter().position(|name| key.text.is(name)) else {
                // A file that a provider keeps is named by its `type`.
                if value.kind != Kind::Null && !key.text.is("file_id") {
                    dropped.add("content.source", &key.text.key());
                }
                return Ok(());
            };
            match located.values[at].replace(value) {
                Some(_) => Err(Refusal::twice(Self::NAMES[at], key.start)),
                None => Ok(()),
            }
        })?;
        located.text(Self::TYPE)?;
        Ok(located)
    }

    fn kind<'a>(&self, input: &'a [u8]) -> Cow<'a, [u8]> {
        let kind = self.values[Self::TYPE].and_then(|kind| kind.as_text(input));
        kind.map(Text::key).unwrap_or_default()
    }

    fn media_type(&self) -> Result<Span, Refusal> {
        self.text(Self::MEDIA_TYPE)
    }

    fn data(&self) -> Result<Span, Refusal> {
        self.text(Self::DATA)
    }

    fn text(&self, at: usize) -> Result<Span, Refusal> {
        let value = self.values[at].filter(|value| value.kind != Kind::Null);
        inside(value.ok_or(Refusal::lacks(Self::NAMES[at], self.offset))?)
    }
}
