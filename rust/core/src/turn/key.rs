//! What a turn is known by: its first tool call, and where that says too little, the conversation before it.

use sha2::{Digest, Sha256};

use crate::json::text::Text;
use crate::json::{Kind, Scanner};

/// No more reasoning than this is kept of one answer, all its choices together; still escaped.
pub const MAX_KEPT_BYTES: usize = 256 * 1024;

/// No more of the arguments of one answer's first calls, where those are part of their turns' keys; still escaped. A turn
/// whose arguments are longer is not kept.
pub const MAX_KEPT_ARGUMENT_BYTES: usize = 1024 * 1024;

/// Mistral's random ids have nine characters; what is shorter is not a random id.
const MIN_UNIQUE_ID_BYTES: usize = 9;

/// What a turn is kept under.
pub type TurnKey = [u8; 32];

/// The first tool call of an answer, as the client sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstCall {
    /// `id`
    pub id: String,
    /// `function.name`
    pub name: String,
    /// `function.arguments`; may be left empty where the id says enough.
    pub arguments: String,
}

/// An answer that reasoned and then called tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolTurn {
    /// What it is known by.
    pub first_call: FirstCall,
    /// Its reasoning, as it stands between the quotes of a JSON string; none where it was longer than
    /// [`MAX_KEPT_BYTES`].
    pub reasoning: Option<Vec<u8>>,
}

impl FirstCall {
    /// Whether no other turn has this id.
    #[must_use]
    pub fn has_unique_id(&self) -> bool {
        let names_the_function = !self.name.is_empty() && self.id.contains(&self.name);
        self.id.len() >= MIN_UNIQUE_ID_BYTES && !names_the_function
    }

    /// The key of its turn. `conversation` is the digest of what was said before; only asked where the id is not unique.
    pub(crate) fn key(&self, scope: &[u8], conversation: impl FnOnce() -> [u8; 32]) -> TurnKey {
        let mut digest = Sha256::new();
        update(&mut digest, scope);
        update(&mut digest, self.id.as_bytes());
        if !self.has_unique_id() {
            update(&mut digest, self.name.as_bytes());
            update(&mut digest, &canonical(&self.arguments));
            update(&mut digest, &conversation());
        }
        digest.finalize().into()
    }
}

/// A part with its length before it, so that no two lists of parts read the same.
fn update(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

/// JSON without white space and with the escapes of its strings read; anything else as it is.
pub(super) fn canonical(json: &str) -> Vec<u8> {
    let input = json.as_bytes();
    let mut scanner = Scanner::new(input);
    if scanner.value().and_then(|_| scanner.end()).is_err() {
        return input.to_vec();
    }
    let mut output = Vec::with_capacity(input.len());
    let mut position = 0;
    while let Some(&byte) = input.get(position) {
        if byte == b'"'
            && let Ok(string) = Scanner::at_offset(input, position).value()
        {
            output.push(b'"');
            if let Some(text) = string.as_text(input) {
                // Behind its length, no string can be taken for another with a quote inside.
                output.extend_from_slice(text.decode().len().to_string().as_bytes());
                output.push(b':');
                output.extend_from_slice(text.decode().as_bytes());
            }
            position = string.span.end;
        } else {
            if !byte.is_ascii_whitespace() {
                output.push(byte);
            }
            position += 1;
        }
    }
    output
}

/// The digest of a conversation, message by message.
#[derive(Clone)]
pub(crate) struct Conversation(Sha256);

impl Conversation {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// One more message: its bytes, and who says it.
    pub(crate) fn say(&mut self, message: &[u8], role: Option<Text<'_>>) {
        if !role.is_some_and(|role| role.is("system") || role.is("developer")) {
            update(&mut self.0, message);
        }
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

impl ToolTurn {
    /// None where there was no reasoning.
    pub(crate) fn new(first_call: FirstCall, reasoning: Vec<u8>, too_long: bool) -> Option<Self> {
        (too_long || !reasoning.is_empty())
            .then(|| Self { first_call, reasoning: (!too_long).then_some(reasoning) })
    }

    /// Of an answer that came whole.
    pub(crate) fn whole(first_call: FirstCall, reasoning: &[u8]) -> Option<Self> {
        let too_long = reasoning.len() > MAX_KEPT_BYTES;
        Self::new(first_call, if too_long { Vec::new() } else { reasoning.to_vec() }, too_long)
    }
}

/// Whether these bytes can stand between the quotes of a JSON string.
pub(crate) fn is_escaped_text(raw: &[u8]) -> bool {
    let quoted = [b"\"", raw, b"\""].concat();
    let mut scanner = Scanner::new(&quoted);
    let string = scanner.value().and_then(|value| scanner.end().map(|()| value));
    string.is_ok_and(|value| value.kind == Kind::String) && simdutf8::basic::from_utf8(raw).is_ok()
}
