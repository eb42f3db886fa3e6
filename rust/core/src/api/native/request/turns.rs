//! The model's turns of a conversation and their reasoning, known by what the same request says in chat's words.
//!
//! What was kept is looked up by the chat body, which all doors share. The two bodies may differ in how many messages they
//! have, so a turn is found by what it says: the id of its first call, else its text. Turns that say the same come in their
//! order.

use std::collections::{HashMap, VecDeque};

use crate::request::Route;
use crate::turn::key::Said;
use crate::turn::text::TextDigest;

use super::InChat;

/// What a turn is known by within one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// The id of its first call.
    Call(String),
    /// The digest of its text.
    Text([u8; 32]),
}

impl Identity {
    /// Of a call's id, else of a text.
    pub(super) fn new(call_id: Option<String>, text: TextDigest) -> Self {
        call_id.map_or_else(|| Self::Text(text.finish().1), Self::Call)
    }
}

impl From<Said> for Identity {
    fn from(said: Said) -> Self {
        match said {
            Said::Call(call) => Self::Call(call.id),
            Said::Text { digest, .. } => Self::Text(digest),
        }
    }
}

/// The turns, found when the first one is asked for.
pub(super) struct Turns<'a> {
    chat: InChat<'a>,
    found: Option<HashMap<Identity, VecDeque<Option<&'a [u8]>>>>,
    /// Whether reasoning that is missing is to be put back.
    pub(super) restores: bool,
}

impl<'a> Turns<'a> {
    pub(super) fn new(chat: InChat<'a>, route: &Route) -> Self {
        let restores = chat.request.wants_reasoning(chat.body, route);
        Self { chat, found: None, restores }
    }

    /// The reasoning of the next turn that is known by this, as it stands between the quotes of a JSON string.
    pub(super) fn take(&mut self, identity: &Identity) -> Option<&'a [u8]> {
        let InChat { request, body, reasoning } = self.chat;
        let found = self.found.get_or_insert_with(|| {
            let mut found = HashMap::<_, VecDeque<_>>::new();
            request.answers_with_reasoning(body, reasoning, |said, reasoning| {
                found.entry(Identity::from(said)).or_default().push_back(reasoning);
            });
            found
        });
        found.get_mut(identity)?.pop_front()?
    }
}
