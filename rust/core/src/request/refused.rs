//! What an upstream is known to refuse or to pass over, so that it gets the same in other words.
//!
//! Which model refuses what is the caller's business. Nothing here changes what a request means.

use crate::named_enum;

named_enum! {
    /// One such thing. Its name is the one in the config.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Refused {
        /// Role `developer`: becomes `system`, its older name.
        DeveloperRole = "developer_role",
        /// A text part without text: leaves its list.
        EmptyText = "empty_text",
        /// A member of a message that is null, such as the `refusal` that SDKs echo: leaves.
        Nulls = "nulls",
        /// `max_completion_tokens`: becomes `max_tokens`, where the client gives no such limit.
        MaxCompletionTokens = "max_completion_tokens",
        /// `reasoning_effort` of `minimal`: becomes `low`, where the model has a thinking switch.
        MinimalEffort = "minimal_effort",
        /// `encoding_format` of `base64` for embeddings: becomes `float`, and the answer's numbers become base64.
        Base64Embeddings = "base64_embeddings",
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refuses(u8);

impl Refuses {
    /// None of them.
    pub const NOTHING: Self = Self(0);

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, one: Refused) -> bool {
        self.0 & Self::bit(one) != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// One more.
    pub const fn add(&mut self, one: Refused) {
        self.0 |= Self::bit(one);
    }

    const fn bit(one: Refused) -> u8 {
        1 << one as u8
    }
}

impl FromIterator<Refused> for Refuses {
    fn from_iter<T: IntoIterator<Item = Refused>>(several: T) -> Self {
        let mut set = Self::NOTHING;
        several.into_iter().for_each(|one| set.add(one));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        for one in Refused::ALL {
            let set: Refuses = [one].into_iter().collect();
            for other in Refused::ALL {
                assert_eq!(set.has(other), one == other, "{} in {}", other.as_str(), one.as_str());
            }
            assert_eq!(set.and(Refuses::NOTHING), Refuses::NOTHING);
            assert_eq!(set.and(Refused::ALL.into_iter().collect()), set);
        }
    }
}
