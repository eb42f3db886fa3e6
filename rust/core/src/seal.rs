//! Reasoning that a client carries for us, sealed: nobody else can read or change it, and it opens for nobody but the
//! client whose key it was sealed for.
//!
//! Codex gives back `encrypted_content` and no plain reasoning, Claude Code gives back a thinking block with its
//! signature. So what the next turn needs travels in them: no store has to hold it, and any machine with the same key opens
//! it. What does not open is ignored, never an error: it is of another gateway, of another client, or older than the key.
//!
//! The form is base64url of [`MARK`], a nonce of 12 bytes, and what ChaCha20-Poly1305 (RFC 8439, by ring) makes of the text.
//! The client's key is the additional data.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// Before the nonce: whose seal it is, and of which version. Six bytes are eight characters of base64.
const MARK: &[u8; 6] = b"llmgw\x01";

/// How a seal of ours begins, whatever key it was made with.
const MARK_BASE64: &[u8] = b"bGxtZ3cB";

/// What is longer is not sealed, and what comes back longer is not opened.
pub const MAX_SEALED_BYTES: usize = 1024 * 1024;

/// Seals for one client, and opens what was sealed for it. Cheap to clone.
#[derive(Clone)]
pub struct Seal {
    key: Arc<LessSafeKey>,
    random: SystemRandom,
    client: Arc<[u8]>,
}

impl Seal {
    /// With the secret that all workers and machines share, for the client that is known by these bytes (a digest of its
    /// key).
    #[must_use]
    pub fn new(secret: &[u8; 32], client: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret).ok()?;
        Some(Self {
            key: Arc::new(LessSafeKey::new(key)),
            random: SystemRandom::new(),
            client: client.into(),
        })
    }

    /// The sealed text, in base64. None where it is longer than [`MAX_SEALED_BYTES`], or the system has no randomness.
    #[must_use]
    pub fn seal(&self, text: &[u8]) -> Option<String> {
        if text.len() > MAX_SEALED_BYTES {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut sealed = text.to_vec();
        let nonce_of_ring = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce_of_ring, Aad::from(&*self.client), &mut sealed).ok()?;
        Some(BASE64.encode([&MARK[..], &nonce, &sealed].concat()))
    }

    /// What was sealed. None where it is not ours, not this client's, or no longer what it was.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        if !is_sealed(sealed) || sealed.len() > MAX_SEALED_BYTES / 3 * 4 + 128 {
            return None;
        }
        let bytes = BASE64.decode(sealed).ok()?;
        let (nonce, ciphertext) = bytes.strip_prefix(MARK)?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = ciphertext.to_vec();
        let length = self.key.open_in_place(nonce, Aad::from(&*self.client), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Whether a signature or an `encrypted_content` is one of llmgw's, whichever key it was made with.
#[must_use]
pub fn is_sealed(text: &[u8]) -> bool {
    text.starts_with(MARK_BASE64)
}

/// Says nothing of the key.
impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: u8, client: &[u8]) -> Seal {
        Seal::new(&[secret; 32], client).unwrap()
    }

    #[test]
    fn opens_for_the_same_client_only() {
        let sealed = seal(1, b"ann").seal("想\\n".as_bytes()).unwrap();
        assert!(is_sealed(sealed.as_bytes()));
        assert_eq!(seal(1, b"ann").open(sealed.as_bytes()).as_deref(), Some("想\\n".as_bytes()));
        assert_eq!(seal(1, b"bob").open(sealed.as_bytes()), None, "another client");
        assert_eq!(seal(2, b"ann").open(sealed.as_bytes()), None, "another secret");
        assert_ne!(seal(1, b"ann").seal(b"x"), seal(1, b"ann").seal(b"x"), "no nonce comes twice");
    }

    #[test]
    fn what_is_changed_or_foreign_does_not_open() {
        let ours = seal(1, b"ann");
        let sealed = ours.seal(b"thoughts").unwrap();
        for at in MARK_BASE64.len()..sealed.len() - 1 {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ours.open(&changed), None, "byte {at}");
            assert_eq!(ours.open(&sealed.as_bytes()[..at]), None, "cut at {at}");
        }
        for foreign in ["", "EqQBCkYIBxgCKkBb", "bGxtZ3cB", "bGxtZ3cB!", "gAAAAABm"] {
            assert_eq!(ours.open(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn a_text_beyond_the_cap_is_not_sealed() {
        let ours = seal(1, b"ann");
        let text = vec![b'x'; MAX_SEALED_BYTES];
        let sealed = ours.seal(&text).unwrap();
        assert_eq!(ours.open(sealed.as_bytes()).as_deref(), Some(&text[..]));
        assert_eq!(ours.seal(&[text, vec![b'y']].concat()), None);
    }
}
