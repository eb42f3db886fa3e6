//! A Responses body in chat's words.

use std::sync::Arc;

use crate::api::reply::{Converted, Reply};
use crate::json::Scanner;
use crate::request::error::{RequestError, RequestErrorCode};
use crate::seal::Seal;

use super::ResponsesReply;

/// The body as a chat-completions body. `seal` makes and opens the reasoning that the client carries.
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
    let reply = ResponsesReply { model, shows_reasoning: false, seals_reasoning: false, seal: seal.cloned() };
    Ok(Converted { chat: body.to_vec(), reply: Reply::Responses(Arc::new(reply)), dropped: Vec::new() })
}
