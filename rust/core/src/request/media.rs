//! Content parts: which of them are text, and which hold something that not every model takes.

use crate::json::{Key, Kind, Scanner, Span, Text, Value};
use crate::named_enum;

use super::ChatRequest;
use super::refusal::Refusal;
use super::refused::Refused;
use super::scan::inside;

named_enum! {
    /// What a content part may hold beside text. Its name is the one in config and catalog.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Modality {
        /// A picture.
        Image = "image",
        /// A film, or its frames.
        Video = "video",
        /// A sound.
        Audio = "audio",
        /// A document.
        File = "file",
    }
}

/// The member that holds it, which is also the part's `type`; where a host reads a part by its member, the type may be
/// missing.
const BY_MEMBER: [(&str, Modality); 4] = [
    ("image_url", Modality::Image),
    ("video_url", Modality::Video),
    ("input_audio", Modality::Audio),
    ("audio_url", Modality::Audio),
];

/// Types whose member has another name, or a name that other parts have too.
const BY_TYPE: [(&str, Modality); 7] = [
    ("image", Modality::Image),
    ("input_image", Modality::Image),
    ("video", Modality::Video),
    ("input_video", Modality::Video),
    ("audio", Modality::Audio),
    ("file", Modality::File),
    ("input_file", Modality::File),
];

/// Whether something under this name is no text, wherever inputs are objects (Jina, DashScope).
pub(super) fn is_media(key: Text<'_>) -> bool {
    BY_MEMBER.iter().chain(&BY_TYPE).any(|(name, _)| key.is(name))
}

/// The members of a part that matter.
#[derive(Default)]
struct Part {
    kind: Option<Value>,
    text: Option<Value>,
    media: [Option<Value>; BY_MEMBER.len()],
}

impl Part {
    /// Where a member of this name is kept, and the name.
    fn slot(&mut self, key: &Key<'_>) -> Option<(&'static str, &mut Option<Value>)> {
        if key.text.is("type") {
            return Some(("type", &mut self.kind));
        }
        if key.text.is("text") {
            return Some(("text", &mut self.text));
        }
        let at = BY_MEMBER.iter().position(|(name, _)| key.text.is(name))?;
        Some((BY_MEMBER[at].0, &mut self.media[at]))
    }

    fn is(&self, kind: &str, input: &[u8]) -> bool {
        self.kind.and_then(|value| value.as_text(input)).is_some_and(|text| text.is(kind))
    }

    fn modality(&self, input: &[u8]) -> Option<Modality> {
        let given = |member: &Option<Value>| member.is_some_and(|value| value.kind != Kind::Null);
        let by_member = BY_MEMBER.iter().zip(&self.media).find(|(_, member)| given(member));
        let by_type = || BY_MEMBER.iter().chain(&BY_TYPE).find(|(name, _)| self.is(name, input));
        by_member.map(|(known, _)| known).or_else(by_type).map(|&(_, modality)| modality)
    }

    /// The text between its quotes, of a text part.
    fn text(&self, input: &[u8]) -> Option<Span> {
        self.text.filter(|text| text.kind == Kind::String && self.is("text", input)).map(inside)
    }
}

impl ChatRequest {
    /// Consume a content part; its text, between the quotes, if it is a text part.
    pub(super) fn read_part(
        &mut self,
        scanner: &mut Scanner<'_>,
        message: usize,
        index: usize,
    ) -> Result<Option<Span>, Refusal> {
        if scanner.peek()? != Kind::Object {
            scanner.value()?;
            return Ok(None);
        }
        let input = scanner.input();
        let place = || format!("messages[{message}].content[{index}]");
        let mut part = Part::default();
        let before = scanner.text_bytes();
        let (mut text_bytes, mut type_bytes, mut media_bytes) = (0, 0, 0);
        scanner.object(|scanner, key| {
            let before = scanner.text_bytes();
            let value = scanner.value()?;
            let Some((name, slot)) = part.slot(&key) else { return Ok(()) };
            match name {
                "text" => text_bytes = scanner.text_bytes() - before,
                "type" => type_bytes = scanner.text_bytes() - before,
                _ => media_bytes += scanner.text_bytes() - before,
            }
            match slot.replace(value) {
                Some(_) => Err(Refusal::duplicate(format!("{}.{name}", place()), key.start)),
                None => Ok(()),
            }
        })?;
        if let Some(modality) = part.modality(input) {
            self.facts.images += 1;
            scanner.count_on_from(before + text_bytes);
            if !self.media.iter().any(|(known, _)| *known == modality) {
                self.media.push((modality, place()));
            }
        } else {
            scanner.count_on_from(scanner.text_bytes() - type_bytes);
        }
        for media in part.media.into_iter().flatten() {
            self.session.opening.media(media, media_bytes);
        }
        let text = part.text(input);
        if text.is_some_and(Span::is_empty) {
            self.refusable.add(Refused::EmptyText);
        }
        if let Some(text) = text {
            self.session.opening.text(text);
        }
        Ok(text)
    }
}
