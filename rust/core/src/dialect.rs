//! How each family of models spells its thinking switch.
//!
//! The table below is the contract's. Which edit of a request a dialect means is [`crate::request`]'s business.

use std::fmt;
use std::str::FromStr;

use crate::named_enum;

named_enum! {
    /// A way to tell a model whether to think. Its name is the one in config, response header and ledger.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Dialect {
        /// `"enable_thinking": true` (Qwen).
        EnableThinking = "enable_thinking",
        /// ` /think` or ` /no_think` at the end of the last user message (DeepSeek V4).
        Directive = "directive",
        /// `"thinking": {"type": "enabled"}` (GLM, and DeepSeek's own hosted API).
        ThinkingObject = "thinking_object",
        /// No switch that a boolean could be turned into: the model's own `thinking` object passes through (Kimi, `MiniMax`).
        Native = "native",
        /// `"chat_template_kwargs": {"enable_thinking": true}` (vLLM, `SGLang`). Only ever chosen by config.
        ChatTemplateKwargs = "chat_template_kwargs",
    }
}

/// Pattern and dialect, first match wins. A pattern is what the whole name begins with.
const BY_MODEL: [(&str, Dialect); 4] = [
    ("qwen3.", Dialect::EnableThinking),
    ("qwen3-", Dialect::EnableThinking),
    ("deepseek-v4-", Dialect::Directive),
    ("glm-", Dialect::ThinkingObject),
];

impl Dialect {
    /// The dialect that follows from the upstream model's name, upper and lower case alike.
    #[must_use]
    pub fn for_model(upstream_model: &str) -> Self {
        let name = upstream_model.as_bytes();
        BY_MODEL
            .iter()
            .find(|(prefix, _)| {
                name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            })
            .map_or(Self::Native, |&(_, dialect)| dialect)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A name that is not a dialect's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a thinking dialect is one of ")?;
        for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
            write!(formatter, "{}{dialect}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownDialect {}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == name).ok_or(UnknownDialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_model_decides() {
        for (model, expected) in [
            ("qwen3.6-plus", Dialect::EnableThinking),
            ("qwen3-32b", Dialect::EnableThinking),
            ("Qwen3-Next-80B", Dialect::EnableThinking),
            ("qwen3", Dialect::Native),
            ("qwen3x-plus", Dialect::Native),
            ("qwen2.5-72b", Dialect::Native),
            ("Qwen/Qwen3-32B", Dialect::Native),
            ("deepseek-v4-pro", Dialect::Directive),
            ("DeepSeek-V4-flash", Dialect::Directive),
            ("deepseek-v4", Dialect::Native),
            ("deepseek-v3.2", Dialect::Native),
            ("glm-5", Dialect::ThinkingObject),
            ("GLM-4.6v", Dialect::ThinkingObject),
            ("chatglm-6b", Dialect::Native),
            ("kimi-k3", Dialect::Native),
            ("MiniMax-M3", Dialect::Native),
            ("glm", Dialect::Native),
            ("gl\u{e9}-5", Dialect::Native),
            ("", Dialect::Native),
        ] {
            assert_eq!(Dialect::for_model(model), expected, "{model}");
        }
    }

    #[test]
    fn names_read_back() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.as_str().parse(), Ok(dialect));
        }
        for name in ["", "Directive", "enable-thinking"] {
            assert_eq!(name.parse::<Dialect>(), Err(UnknownDialect), "{name}");
        }
        assert_eq!(
            UnknownDialect.to_string(),
            "a thinking dialect is one of enable_thinking, directive, thinking_object, native, chat_template_kwargs"
        );
    }
}
