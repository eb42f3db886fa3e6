//! The content of messages and outputs: a string, or a list of parts.

use crate::api::dropped::Dropped;
use crate::api::words::{self, comma, member, text_member};
use crate::json::{Kind, Scanner, Text, Value};
use crate::request::media::Modality;
use crate::request::refusal::Refusal;

use super::items::string;

/// What stands between two texts that come to be one: they were parts of their own.
pub(super) const LINE_FEED: &[u8] = br"\n";

/// A part, by its type.
enum Part<'a> {
    Text(Text<'a>),
    /// An image: its URL, or an object that has it, and how closely to look.
    Image {
        url: Value,
        detail: Option<Text<'a>>,
    },
    /// `input_audio`, as it is.
    Audio(Value),
    File {
        data: Option<Value>,
        name: Option<Value>,
        id: Option<Value>,
    },
    /// What is left out.
    Other,
}

/// The members of a part that are read; null ones are not here.
#[derive(Default)]
struct Members {
    kind: Option<Value>,
    text: Option<Value>,
    refusal: Option<Value>,
    image_url: Option<Value>,
    detail: Option<Value>,
    input_audio: Option<Value>,
    file_data: Option<Value>,
    filename: Option<Value>,
    file_id: Option<Value>,
}

/// Reads parts.
pub(super) struct Parts<'a, 'd> {
    pub(super) body: &'a [u8],
    pub(super) dropped: &'d mut Dropped,
    /// What was written that is not text, and the offset of the first of each kind.
    pub(super) media: Vec<(Modality, usize)>,
}

impl<'a> Parts<'a, '_> {
    /// Append the escaped text of a content. What else it holds is left out: without a word where it goes elsewhere. Whether
    /// there was something else.
    pub(super) fn text(
        &mut self,
        content: Value,
        separator: &[u8],
        elsewhere: bool,
        output: &mut Vec<u8>,
    ) -> Result<bool, Refusal> {
        if let Some(text) = content.as_text(self.body) {
            output.extend_from_slice(text.raw());
            return Ok(false);
        }
        let (mut first, mut media) = (true, false);
        self.each(content, |parts, part, _| {
            match part {
                Part::Text(text) => {
                    if !std::mem::take(&mut first) {
                        output.extend_from_slice(separator);
                    }
                    output.extend_from_slice(text.raw());
                }
                Part::Other => {}
                medium => {
                    media = true;
                    if !elsewhere {
                        parts.dropped.add("content", medium.kind().as_bytes());
                    }
                }
            }
            Ok(())
        })?;
        Ok(media)
    }

    /// Append a content as the value of a member: a string where it is text, else a list of parts. False: it is neither, for
    /// all of it was left out.
    pub(super) fn content(&mut self, content: Value, output: &mut Vec<u8>) -> Result<bool, Refusal> {
        let start = output.len();
        output.push(b'"');
        let media = self.text(content, LINE_FEED, true, output)?;
        if !media {
            output.push(b'"');
            return Ok(content.kind == Kind::String || output.len() > start + 2);
        }
        output.truncate(start);
        output.push(b'[');
        self.parts(content, true, output)?;
        output.push(b']');
        Ok(true)
    }

    /// Append the parts of a content as items of a list; texts only where `texts` says so.
    pub(super) fn parts(&mut self, content: Value, texts: bool, output: &mut Vec<u8>) -> Result<(), Refusal> {
        let body = self.body;
        self.each(content, |parts, part, offset| {
            if let Some(modality) = part.modality()
                && parts.media.iter().all(|(known, _)| *known != modality)
            {
                parts.media.push((modality, offset));
            }
            match part {
                Part::Text(text) if texts => text_part(text.raw(), output),
                Part::Text(_) | Part::Other => {}
                Part::Image { url, detail } => {
                    comma(output);
                    output.extend_from_slice(br#"{"type":"image_url","image_url":"#);
                    if url.kind == Kind::Object {
                        output.extend_from_slice(url.span.of(body));
                    } else {
                        output.push(b'{');
                        member("url", url.span.of(body), output);
                        if let Some(detail) = detail {
                            text_member("detail", detail_of_chat(detail).raw(), output);
                        }
                        output.push(b'}');
                    }
                    output.push(b'}');
                }
                Part::Audio(audio) => {
                    comma(output);
                    output.extend_from_slice(br#"{"type":"input_audio","input_audio":"#);
                    output.extend_from_slice(audio.span.of(body));
                    output.push(b'}');
                }
                Part::File { data, name, id } => {
                    comma(output);
                    output.extend_from_slice(br#"{"type":"file","file":{"#);
                    for (key, value) in [("file_data", data), ("filename", name), ("file_id", id)] {
                        if let Some(value) = value {
                            member(key, value.span.of(body), output);
                        }
                    }
                    output.extend_from_slice(b"}}");
                }
            }
            Ok(())
        })
    }

    /// Read each part of a list; `take` gets its offset too.
    fn each(
        &mut self,
        content: Value,
        mut take: impl FnMut(&mut Self, Part<'a>, usize) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        Scanner::of(self.body, content).array(|scanner, _| {
            scanner.peek()?;
            let offset = scanner.position();
            let part = self.read(scanner)?;
            take(self, part, offset)
        })?;
        Ok(())
    }

    /// Consume a part.
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Result<Part<'a>, Refusal> {
        let kind = scanner.peek()?;
        let start = scanner.position();
        if kind != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", start));
        }
        let mut members = Members::default();
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            let (name, slot) = match &*key.text.key() {
                b"type" => ("type", &mut members.kind),
                b"text" => ("text", &mut members.text),
                b"refusal" => ("refusal", &mut members.refusal),
                b"image_url" => ("image_url", &mut members.image_url),
                b"detail" => ("detail", &mut members.detail),
                b"input_audio" => ("input_audio", &mut members.input_audio),
                b"file_data" => ("file_data", &mut members.file_data),
                b"filename" => ("filename", &mut members.filename),
                b"file_id" => ("file_id", &mut members.file_id),
                _ => return Ok(()),
            };
            if slot.is_some() {
                return Err(Refusal::twice(name, key.start));
            }
            *slot = (value.kind != Kind::Null).then_some(value);
            Ok(())
        })?;
        self.part(&members, start)
    }

    fn part(&mut self, members: &Members, start: usize) -> Result<Part<'a>, Refusal> {
        let body = self.body;
        let kind = string(members.kind.ok_or(Refusal::lacks("type", start))?, body)?;
        let text = |name: &'static str, value: Option<Value>| {
            string(value.ok_or(Refusal::lacks(name, start))?, body).map(Part::Text)
        };
        match &*kind.decode() {
            "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
                text("text", members.text)
            }
            "refusal" => text("refusal", members.refusal),
            "input_image" | "image_url" => match members.image_url {
                Some(url) => {
                    if !matches!(url.kind, Kind::String | Kind::Object) {
                        return Err(Refusal::wrong_type("must be a string", url.span.start));
                    }
                    let detail = members.detail.map(|detail| string(detail, body)).transpose()?;
                    Ok(Part::Image { url, detail })
                }
                None if members.file_id.is_some() => {
                    self.dropped.add("content", b"input_image.file_id");
                    Ok(Part::Other)
                }
                None => Err(Refusal::lacks("image_url", start)),
            },
            "input_audio" => {
                let audio = members.input_audio.ok_or(Refusal::lacks("input_audio", start))?;
                Ok(Part::Audio(audio))
            }
            "input_file" => {
                let (data, name, id) = (members.file_data, members.filename, members.file_id);
                if data.is_none() && id.is_none() {
                    // A chat body has no file by its URL.
                    self.dropped.add("content", b"input_file.file_url");
                    return Ok(Part::Other);
                }
                Ok(Part::File { data, name, id })
            }
            _ => {
                self.dropped.add("content", kind.raw());
                Ok(Part::Other)
            }
        }
    }
}

impl Part<'_> {
    const fn modality(&self) -> Option<Modality> {
        match self {
            Self::Text(_) | Self::Other => None,
            Self::Image { .. } => Some(Modality::Image),
            Self::Audio(_) => Some(Modality::Audio),
            Self::File { .. } => Some(Modality::File),
        }
    }

    /// By its name among what is left out.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "input_text",
            Self::Image { .. } => "input_image",
            Self::Audio(_) => "input_audio",
            Self::File { .. } => "input_file",
            Self::Other => "",
        }
    }
}

/// Append a text part as an item of a list.
pub(super) fn text_part(escaped: &[u8], output: &mut Vec<u8>) {
    comma(output);
    output.push(b'{');
    member("type", br#""text""#, output);
    text_member("text", escaped, output);
    output.push(b'}');
}

/// Chat completions have no `original`, the closest look of this API.
fn detail_of_chat(detail: Text<'_>) -> Text<'_> {
    if detail.is("original") { Text::new(b"high") } else { detail }
}

/// Append a member whose value is a list that is still empty.
pub(super) fn open_list(name: &str, output: &mut Vec<u8>) {
    words::name(name, output);
    output.push(b'[');
}
