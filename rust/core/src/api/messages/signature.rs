//! Our signature of a thinking block: sealed for the client's key (see [`crate::seal`]), and one of two things inside.
//!
//! * Where the thinking is shown: `d` and the SHA-256 of its text, so that what comes back changed is noticed.
//! * Where it is not: `t` and the text itself, as it stands between the quotes of a JSON string. So it comes back all the
//!   same. One that is longer than the seal takes is left out.
//!
//! The digest is over the text that the JSON string stands for: clients read it and write it anew, with escapes of their
//! own.

use sha2::{Digest, Sha256};

use crate::json::Text;
use crate::seal::{MAX_SEALED_BYTES, Seal};

const SHOWN: u8 = b'd';
const OMITTED: u8 = b't';

/// What a signature of ours says of the block that it came back with.
#[allow(dead_code, reason = "the request's conversion is to read it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// The block's text is what we showed.
    Shown,
    /// It is not.
    Changed,
    /// The text was not shown: this is it, still escaped. Empty where it was too long to be sealed.
    Omitted(Vec<u8>),
}

#[allow(dead_code, reason = "the request's conversion is to read it")]
impl Signed {
    /// Read a signature; both texts are still escaped. None where it is not ours, or not this client's.
    pub(super) fn read(seal: &Seal, signature: &[u8], thinking: &[u8]) -> Option<Self> {
        let opened = match memchr::memchr(b'\\', signature) {
            None => seal.open(signature)?,
            Some(_) => seal.open(Text::new(signature).decode().as_bytes())?,
        };
        match opened.split_first()? {
            (&OMITTED, text) => Some(Self::Omitted(text.to_vec())),
            (&SHOWN, digest) => {
                let mut signer = Signer::default();
                signer.piece(thinking);
                Some(if signer.digest.finalize()[..] == *digest { Self::Shown } else { Self::Changed })
            }
            _ => None,
        }
    }
}

/// Signs a block's text, which comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Signer {
    digest: Sha256,
}

impl Signer {
    /// The next piece, still escaped. A surrogate pair must be in one piece.
    pub(super) fn piece(&mut self, raw: &[u8]) {
        self.digest.update(Text::new(raw).decode().as_bytes());
    }

    /// The signature of a text that is shown; the next text begins. None where the system has no randomness.
    pub(super) fn shown(&mut self, seal: &Seal) -> Option<String> {
        let digest = self.digest.finalize_reset();
        seal.seal(&[&[SHOWN], &digest[..]].concat())
    }
}

/// The longest text that a signature holds, still escaped.
const LONGEST_OMITTED_BYTES: usize = MAX_SEALED_BYTES - 1;

/// A text that is not shown, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Omitted {
    text: Vec<u8>,
    too_long: bool,
}

impl Omitted {
    /// The next piece, still escaped.
    pub(super) fn piece(&mut self, raw: &[u8]) {
        if self.too_long || self.text.len() + raw.len() > LONGEST_OMITTED_BYTES {
            (self.text, self.too_long) = (Vec::new(), true);
        } else {
            self.text.extend_from_slice(raw);
        }
    }

    /// The signature that holds it; the next text begins. None where the system has no randomness.
    pub(super) fn sealed(&mut self, seal: &Seal) -> Option<String> {
        let Self { text, .. } = std::mem::take(self);
        seal.seal(&[&[OMITTED], &text[..]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(client: &[u8]) -> Seal {
        Seal::new(&[7; 32], client).unwrap()
    }

    fn shown(pieces: &[&str]) -> String {
        let mut signer = Signer::default();
        for piece in pieces {
            signer.piece(piece.as_bytes());
        }
        signer.shown(&seal(b"ann")).unwrap()
    }

    #[test]
    fn a_shown_text_is_known_again_however_it_is_written() {
        let signature = shown(&[r"first \u4f60", r"\n\ud83d\ude00/"]);
        for (name, client, thinking, expected) in [
            ("as it went out", &b"ann"[..], r"first \u4f60\n\ud83d\ude00/", Some(Signed::Shown)),
            ("with other escapes", b"ann", r"first 你\u000a😀\/", Some(Signed::Shown)),
            ("changed", b"ann", "first", Some(Signed::Changed)),
            ("of another client", b"bob", r"first 你\n😀/", None),
        ] {
            let read = Signed::read(&seal(client), signature.as_bytes(), thinking.as_bytes());
            assert_eq!(read, expected, "{name}");
        }
        let escaped = signature.replacen('b', r"\u0062", 1);
        let read = Signed::read(&seal(b"ann"), escaped.as_bytes(), r"first 你\n😀/".as_bytes());
        assert_eq!(read, Some(Signed::Shown), "a signature with escapes");
        assert_eq!(Signed::read(&seal(b"ann"), b"EqQBCkYIBxgCKkBb", b"x"), None, "Anthropic's own");
        let of_nothing = seal(b"ann").seal(b"").unwrap();
        assert_eq!(Signed::read(&seal(b"ann"), of_nothing.as_bytes(), b"x"), None, "without a kind");
        let other = seal(b"ann").seal(b"x").unwrap();
        assert_eq!(Signed::read(&seal(b"ann"), other.as_bytes(), b"x"), None, "of another kind");
    }

    #[test]
    fn an_omitted_text_comes_back_unless_it_is_too_long() {
        let longest = "x".repeat(LONGEST_OMITTED_BYTES);
        for (name, pieces, expected) in [
            ("pieces", &[r"a\n", "你"][..], r"a\n你"),
            ("the longest", &[&longest], &longest),
            ("longer", &[&longest, "x"], ""),
            ("longer, and more of it", &[&longest, "xx", "x"], ""),
        ] {
            let mut omitted = Omitted::default();
            for piece in pieces {
                omitted.piece(piece.as_bytes());
            }
            let signature = omitted.sealed(&seal(b"ann")).unwrap();
            let read = Signed::read(&seal(b"ann"), signature.as_bytes(), b"");
            assert_eq!(read, Some(Signed::Omitted(expected.as_bytes().to_vec())), "{name}");
            assert!(omitted.text.is_empty() && !omitted.too_long, "the next one begins");
        }
    }
}
