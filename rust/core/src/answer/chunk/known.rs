//! Which member is it, by its name?

use crate::json::Text;

/// The members that the contract has rules for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Arguments,
    BaseResp,
    Choices,
    Content,
    Created,
    Custom,
    Delta,
    Error,
    FinishReason,
    Function,
    Id,
    Index,
    Input,
    Message,
    Model,
    Name,
    Object,
    ReasoningContent,
    ReasoningDetails,
    Role,
    Text,
    ToolCalls,
    Type,
    Usage,
    Other,
}

impl Known {
    #[inline]
    pub(super) fn of(text: Text<'_>) -> Self {
        match text.raw() {
            b"arguments" => Self::Arguments,
            b"base_resp" => Self::BaseResp,
            b"choices" => Self::Choices,
            b"content" => Self::Content,
            b"created" => Self::Created,
            b"custom" => Self::Custom,
            b"delta" => Self::Delta,
            b"error" => Self::Error,
            b"finish_reason" => Self::FinishReason,
            b"function" => Self::Function,
            b"id" => Self::Id,
            b"index" => Self::Index,
            b"input" => Self::Input,
            b"message" => Self::Message,
            b"model" => Self::Model,
            b"name" => Self::Name,
            b"object" => Self::Object,
            b"reasoning_content" => Self::ReasoningContent,
            b"reasoning_details" => Self::ReasoningDetails,
            b"role" => Self::Role,
            b"text" => Self::Text,
            b"tool_calls" => Self::ToolCalls,
            b"type" => Self::Type,
            b"usage" => Self::Usage,
            raw if raw.contains(&b'\\') => {
                let decoded = text.decode();
                if decoded.as_bytes().contains(&b'\\') {
                    Self::Other
                } else {
                    Self::of(Text::new(decoded.as_bytes()))
                }
            }
            _ => Self::Other,
        }
    }
}
