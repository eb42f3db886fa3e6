//! A Responses body in chat's words.

use std::sync::Arc;

use crate::api::reply::{Converted, Reply};
use crate::json::Scanner;
use crate::request::error::{RequestError, RequestErrorCode};
use crate::seal::Seal;

use super::ResponsesReply;
use super::tools::ToolNames;

/// What the response object repeats of a request that gives none of it.
const NO_ECHO: &[u8] = b"\"background\":false,\"instructions\":null,\"max_output_tokens\":null,\"metadata\":{},\
    \"parallel_tool_calls\":true,\"previous_response_id\":null,\"prompt_cache_key\":null,\
    \"reasoning\":{\"effort\":null,\"summary\":null},\"safety_identifier\":null,\"service_tier\":null,\
    \"store\":false,\"temperature\":null,\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],\
    \"top_logprobs\":null,\"top_p\":null,\"truncation\":\"disabled\",\"user\":null";

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
    let reply = ResponsesReply {
        model,
        shows_reasoning: false,
        seals_reasoning: false,
        seal: seal.cloned(),
        tools: ToolNames::default(),
        echo: NO_ECHO.to_vec(),
    };
    Ok(Converted {
        chat: body.to_vec(),
        reply: Reply::Responses(Arc::new(reply)),
        dropped: Vec::new(),
        media: Vec::new(),
    })
}
