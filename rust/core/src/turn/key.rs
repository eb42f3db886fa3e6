//! What a turn is known by, and what its reasoning is kept under.

use sha2::{Digest, Sha256};

use super::canonical::canonical;
use super::conversation::Conversation;
use super::text::TextDigest;
use crate::json::{Kind, Scanner};

/// No more reasoning than this is kept of one answer, all its choices together; still escaped.
pub const MAX_KEPT_BYTES: usize = 256 * 1024;

/// No more of the arguments of one answer's first calls, where those are part of their turns' keys; still escaped. A turn
/// whose arguments are longer is not kept.
pub const MAX_KEPT_ARGUMENT_BYTES: usize = 1024 * 1024;

/// Mistral's random ids have nine characters; what is shorter is not a random id.
const MIN_UNIQUE_ID_BYTES: usize = 9;

/// `tool_call_0`: a number of no more digits is a counter.
const MAX_COUNTER_DIGITS: usize = 3;

/// A text or arguments of at least this length are not said twice by chance.
const MIN_TELLING_BYTES: usize = 160;

/// What a turn is kept under.
pub type TurnKey = [u8; 32];

/// Where a turn is kept, and where it may be looked for if it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnKeys {
    /// The turn itself.
    pub own: TurnKey,
    /// What still holds of it when its client has shortened the history; the best first.
    pub hints: Vec<TurnKey>,
}

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

/// What an assistant message says, as far as it is known by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It called tools.
    Call(FirstCall),
    /// It did not.
    Text {
        /// Of its text, without the white space that does not count.
        bytes: usize,
        /// Of the same.
        digest: [u8; 32],
    },
}

/// An answer that reasoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What it is known by.
    pub said: Said,
    /// Its reasoning, as it stands between the quotes of a JSON string; none where it was longer than
    /// [`MAX_KEPT_BYTES`].
    pub reasoning: Option<Vec<u8>>,
}

impl FirstCall {
    /// Whether no other turn has this id.
    #[must_use]
    pub fn has_unique_id(&self) -> bool {
        let names_the_function = !self.name.is_empty() && self.id.contains(&self.name);
        self.id.len() >= MIN_UNIQUE_ID_BYTES && !names_the_function && !is_counter(&self.id)
    }
}

/// Whether an id is words and a number.
fn is_counter(id: &str) -> bool {
    let Some((words, number)) = id.rsplit_once(['_', '-', ':', '.']) else { return false };
    (1..=MAX_COUNTER_DIGITS).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && !words.bytes().any(|byte| byte.is_ascii_digit())
}

impl Said {
    /// A text that is there as a whole; `raw` is still escaped.
    pub(crate) fn text(raw: &[u8]) -> Self {
        let mut digest = TextDigest::default();
        digest.piece(raw);
        Self::of_text(digest)
    }

    pub(crate) fn of_text(digest: TextDigest) -> Self {
        let (bytes, digest) = digest.finish();
        Self::Text { bytes, digest }
    }

    /// Whether it is known by itself, whatever was said before.
    #[must_use]
    pub(crate) fn has_unique_id(&self) -> bool {
        matches!(self, Self::Call(call) if call.has_unique_id())
    }

    /// The keys of its turn. `before` is what was said before; only looked at where the id is not unique.
    pub(crate) fn keys(&self, scope: &TurnKey, before: &Conversation) -> TurnKeys {
        if let Self::Call(call) = self
            && call.has_unique_id()
        {
            return TurnKeys { own: key(scope, b"id", &[call.id.as_bytes()]), hints: Vec::new() };
        }
        let (telling, said) = self.digest();
        let (whole, window) = before.digests();
        let mut hints = vec![key(scope, b"window", &[&said, &window])];
        if telling {
            hints.push(key(scope, b"alone", &[&said]));
        }
        TurnKeys { own: key(scope, b"whole", &[&said, &whole]), hints }
    }

    /// Whether no other turn says this by chance, and the digest of it.
    fn digest(&self) -> (bool, [u8; 32]) {
        match self {
            Self::Text { bytes, digest } => (*bytes >= MIN_TELLING_BYTES, *digest),
            Self::Call(call) => {
                let arguments = canonical(&call.arguments);
                let parts = [call.id.as_bytes(), call.name.as_bytes(), &arguments];
                (arguments.len() >= MIN_TELLING_BYTES, key(b"call", b"", &parts))
            }
        }
    }
}

/// The scope of what this provider has answered to this client.
#[must_use]
pub fn scope_of(client: &[u8], provider: &str) -> TurnKey {
    key(client, b"scope", &[provider.as_bytes()])
}

fn key(scope: &[u8], kind: &[u8], parts: &[&[u8]]) -> TurnKey {
    let mut digest = Sha256::new();
    update(&mut digest, scope);
    update(&mut digest, kind);
    for part in parts {
        update(&mut digest, part);
    }
    digest.finalize().into()
}

/// A part with its length before it, so that no two lists of parts read the same.
pub(super) fn update(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_le_bytes());
    digest.update(part);
}

impl Turn {
    /// None where there was no reasoning.
    pub(crate) fn new(said: Said, reasoning: Vec<u8>, too_long: bool) -> Option<Self> {
        (too_long || !reasoning.is_empty())
            .then(|| Self { said, reasoning: (!too_long).then_some(reasoning) })
    }

    /// Of an answer that came whole.
    pub(crate) fn whole(said: Said, reasoning: &[u8]) -> Option<Self> {
        let too_long = reasoning.len() > MAX_KEPT_BYTES;
        Self::new(said, if too_long { Vec::new() } else { reasoning.to_vec() }, too_long)
    }
}

/// Whether these bytes can stand between the quotes of a JSON string.
pub(crate) fn is_escaped_text(raw: &[u8]) -> bool {
    let quoted = [b"\"", raw, b"\""].concat();
    let mut scanner = Scanner::new(&quoted);
    let string = scanner.value().and_then(|value| scanner.end().map(|()| value));
    string.is_ok_and(|value| value.kind == Kind::String) && simdutf8::basic::from_utf8(raw).is_ok()
}
