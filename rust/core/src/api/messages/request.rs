//! A Messages body in chat's words.

use std::sync::Arc;

use crate::api::reply::{Converted, Reply};
use crate::json::Scanner;
use crate::request::error::{RequestError, RequestErrorCode};
use crate::seal::Seal;

use super::{MessagesReply, ShownThinking};

/// The body as a chat-completions body. `seal` makes and opens the signatures of the client's thinking blocks.
///
/// # Errors
/// Where the body breaks a rule of this API; the field's path is the one in `body`.
pub fn convert(body: &[u8], seal: Option<&Seal>) -> Result<Converted, RequestError> {
    let mut model = String::new();
    let mut scanner = Scanner::new(body);
    let read = scanner.object(|scanner, key| {
        let is_model = key.text.is("model");
        let value = scanner.value()?;
        if let Some(name) = value.as_text(body).filter(|_| is_model) {
            model = name.decode().into_owned();
        }
        Ok::<_, crate::json::JsonError>(())
    });
    read.map_err(|_| RequestError {
        code: RequestErrorCode::InvalidJson,
        message: "The body is not a JSON object.".to_owned(),
        param: None,
        offset: 0,
    })?;
    let reply = MessagesReply {
        model,
        input_tokens: 0,
        thinking: ShownThinking::Hidden,
        seal: seal.cloned(),
        stop_sequences: Vec::new(),
    };
    Ok(Converted { chat: body.to_vec(), reply: Reply::Messages(Arc::new(reply)), dropped: Vec::new() })
}
