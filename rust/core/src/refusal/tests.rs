//! Spellings ⇒ status, code, message.

use super::*;

type Row = (&'static str, Option<u16>, Option<&'static str>, Option<&'static str>);

fn refusal((_, status, code, message): Row) -> Refusal {
    Refusal { status, code: code.map(str::to_owned), message: message.map(str::to_owned) }
}

/// Errors for certain, wherever they are found.
const CERTAIN: &[Row] = &[
    // OpenAI's, in all the ways in which others fill it.
    (r#"{"error":{"message":"no \"x\"","type":"t"}}"#, None, None, Some("no \"x\"")),
    (r#"{"error":{"message":"slow","code":429}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow","code":429.0}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow","code":"429"}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow","code":"429 Too Many Requests"}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow","status":429}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow","status_code":"429"}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow","http_code":429}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"slow"},"status_code":429}"#, Some(429), None, Some("slow")),
    (r#"{"code":429,"error":{"message":"slow"}}"#, Some(429), None, Some("slow")),
    (r#"{"error":{"message":"l","type":"None","param":"None","code":"400"}}"#, Some(400), None, Some("l")),
    (
        r#"{"error":{"message":"m","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        Some(401),
        Some("invalid_api_key"),
        Some("m"),
    ),
    (
        r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#,
        Some(429),
        Some("RESOURCE_EXHAUSTED"),
        Some("m"),
    ),
    (r#"{"error":{"message":"slow","code":"1302"}}"#, Some(429), Some("1302"), Some("slow")),
    (r#"{"error":{"message":"odd","code":"4711"}}"#, None, Some("4711"), Some("odd")),
    (r#"{"error":{"code":200}}"#, None, None, None),
    (r#"{"error":"plain words"}"#, None, None, Some("plain words")),
    (r#"{"error":"rate_limit_exceeded"}"#, Some(429), None, Some("rate_limit_exceeded")),
    (
        r#"{"error":"Bad Request","message":["a","b"],"statusCode":400}"#,
        Some(400),
        Some("Bad Request"),
        Some("a; b"),
    ),
    (r#"{"error":true,"message":"m"}"#, None, None, Some("m")),
    (r#"{"message":"top","error":{"message":"inner"}}"#, None, None, Some("inner")),
    (r#"{"errors":[{"message":"first"},{"message":"second"}]}"#, None, None, Some("first")),
    // DashScope's own.
    (
        r#"{"code":"Throttling.AllocationQuota","message":"m","request_id":"r-1"}"#,
        Some(429),
        Some("Throttling.AllocationQuota"),
        Some("m"),
    ),
    (
        r#"{"code":"InvalidParameter","message":"m","request_id":"r"}"#,
        Some(400),
        Some("InvalidParameter"),
        Some("m"),
    ),
    (
        r#"{"choices":null,"code":"InvalidApiKey","message":"m","usage":null}"#,
        Some(401),
        Some("InvalidApiKey"),
        Some("m"),
    ),
    // vLLM, SGLang, LMDeploy.
    (
        r#"{"object":"error","message":"long","type":"BadRequestError","param":null,"code":400}"#,
        Some(400),
        Some("BadRequestError"),
        Some("long"),
    ),
    (r#"{"object":"error","message":"long"}"#, None, None, Some("long")),
    // Anthropic, TGI, AWS, Alibaba's and Tencent's platforms.
    (
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        Some(503),
        Some("overloaded_error"),
        Some("Overloaded"),
    ),
    (r#"{"error":"full","error_type":"overloaded"}"#, Some(503), Some("overloaded"), Some("full")),
    (r#"{"error_type":"rate_limit","error_message":"slow"}"#, Some(429), Some("rate_limit"), Some("slow")),
    (r#"{"error_code":18,"error_msg":"qps"}"#, None, Some("18"), Some("qps")),
    (
        r#"{"__type":"ThrottlingException","Message":"slow"}"#,
        Some(429),
        Some("ThrottlingException"),
        Some("slow"),
    ),
    (r#"{"Code":"Throttling.User","Message":"slow"}"#, Some(429), Some("Throttling.User"), Some("slow")),
    (
        r#"{"Response":{"Error":{"Code":"AuthFailure.UnauthorizedOperation","Message":"m"}}}"#,
        Some(401),
        Some("AuthFailure.UnauthorizedOperation"),
        Some("m"),
    ),
    // MiniMax.
    (
        r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#,
        Some(429),
        Some("1002"),
        Some("rate limit"),
    ),
    (r#"{"base_resp":{"status_code":2013,"status_msg":"bad"}}"#, Some(400), Some("2013"), Some("bad")),
    (r#"{"base_resp":{"status_code":7}}"#, Some(500), Some("7"), None),
    // FastAPI, problem details, Zhipu's own.
    (r#"{"detail":"top_p must be in (0, 1]"}"#, None, None, Some("top_p must be in (0, 1]")),
    (
        r#"{"detail":[{"loc":["body","messages",0],"msg":"required","type":"missing"},{"msg":"b"}]}"#,
        Some(422),
        None,
        Some("body.messages.0: required; b"),
    ),
    (r#"{"detail":{"error":{"message":"m","code":429}}}"#, Some(429), None, Some("m")),
    (r#"{"title":"Slow","status":429,"detail":"d"}"#, Some(429), None, Some("Slow")),
    (r#"{"code":500,"msg":"404 NOT_FOUND","success":false}"#, Some(500), None, Some("404 NOT_FOUND")),
    // Around and inside.
    (r#"[{"error":{"code":429,"message":"m"}}]"#, Some(429), None, Some("m")),
    (r#"{"error":{"error":{"message":"m","code":429}}}"#, Some(429), None, Some("m")),
    (r#"{"error":{"code":500,"error":{"message":"m","code":429}}}"#, Some(429), None, Some("m")),
    (r#"{"error":{"message":"{\"error\":{\"message\":\"m\",\"code\":400}}"}}"#, Some(400), None, Some("m")),
    (r#"{"error":{"message":"{not JSON"}}"#, None, None, Some("{not JSON")),
    (
        r#"{"error":{"message":"litellm.RateLimitError: RateLimitError: slow"}}"#,
        Some(429),
        None,
        Some("litellm.RateLimitError: RateLimitError: slow"),
    ),
    (r#"{"\u0065rror":{"m\u0065ssage":"\u0073low","cod\u0065":429}}"#, Some(429), None, Some("slow")),
];

#[test]
fn errors_for_certain() {
    for row in CERTAIN {
        let expected = refusal(*row);
        assert_eq!(Refusal::find(row.0.as_bytes()).as_ref(), Some(&expected), "{}", row.0);
        assert_eq!(Refusal::read(row.0.as_bytes()), expected, "{}", row.0);
        for head in ["event:error\n:HTTP_STATUS/400\ndata:", "\u{feff}data: ", "error: "] {
            assert_eq!(Refusal::read(format!("{head}{}\n\n", row.0).as_bytes()), expected, "{head}{}", row.0);
        }
    }
}

/// Errors only where something else says so.
#[test]
fn what_may_be_an_answer() {
    let rows: [Row; 22] = [
        (r#"{"message":"top","code":"ok"}"#, None, None, Some("top")),
        (r#"{"message":"top"}"#, None, None, Some("top")),
        (r#"{"code":0,"msg":"fine"}"#, None, None, Some("fine")),
        (r#"{"code":"4711"}"#, None, Some("4711"), None),
        (r#"{"error":null,"message":7}"#, None, None, None),
        (r#"{"error":{},"id":"x"}"#, None, None, None),
        (r#"{"error":"","id":"x"}"#, None, None, None),
        (r#"{"error":false}"#, None, None, None),
        (r#"{"type":"ping"}"#, None, None, None),
        (r#"{"type":"message_start","message":{}}"#, None, None, None),
        (r#"{"id":"x","status":"completed","detail":"y"}"#, None, None, Some("y")),
        (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, None, None, None),
        (r#"{"base_resp":{"status_code":0,"status_msg":""}}"#, None, None, None),
        (r#"{"object":"chat.completion.chunk","choices":[]}"#, None, None, None),
        ("{\"error\":{\"message\":\"cut", None, None, None),
        ("[]", None, None, None),
        ("[[[[[[[[{\"error\":\"deep\"}]]]]]]]]", None, None, None),
        ("7", None, Some("7"), None),
        ("<html>no</html>", None, None, None),
        ("404 page not found", None, None, None),
        ("", None, None, None),
        ("data: \n\n", None, None, None),
    ];
    for row in rows {
        assert_eq!(Refusal::find(row.0.as_bytes()), None, "{}", row.0);
        assert_eq!(Refusal::read(row.0.as_bytes()), refusal(row), "{}", row.0);
    }
    assert_eq!(Refusal::read(b"Throttling.RateQuota\n").status, Some(429));
    assert_eq!(Refusal::read(b"{\"error\":{\"message\":\"\xff\"}}").message.as_deref(), Some("\u{fffd}"));
}

#[test]
fn words() {
    let rows = [
        ("rate_limit_exceeded", Some(429)),
        ("insufficient_quota", Some(429)),
        ("Throttling", Some(429)),
        ("LimitRequests", Some(429)),
        ("ModelAccountTpmRateLimitExceeded", Some(429)),
        ("context_length_exceeded", Some(400)),
        ("InvalidParameter.DataInspection", Some(400)),
        ("data_inspection_failed", Some(400)),
        ("content_policy_violation", Some(400)),
        ("InputTextSensitiveContentDetected", Some(400)),
        ("invalid_request_error", Some(400)),
        ("INVALID_ARGUMENT", Some(400)),
        ("MissingParameter", Some(400)),
        ("Arrearage", Some(402)),
        ("AccountOverdueError", Some(402)),
        ("invalid_api_key", Some(401)),
        ("AuthenticationError", Some(401)),
        ("AccessDenied.Unpurchased", Some(403)),
        ("model_not_found", Some(404)),
        ("InvalidEndpointOrModel.NotFound", Some(404)),
        ("overloaded_error", Some(503)),
        ("ServiceUnavailable", Some(503)),
        ("insufficient_system_resource", Some(503)),
        ("InternalError.Timeout", Some(504)),
        ("DEADLINE_EXCEEDED", Some(504)),
        ("server_error", Some(500)),
        ("InternalError.Algo", Some(500)),
        ("1113", Some(429)),
        ("odd", None),
        ("", None),
        ("a rate limit was exceeded", None),
    ];
    for (word, status) in rows {
        assert_eq!(words::status_of(word), status, "{word}");
    }
    let long = "x".repeat(200) + "throttling";
    assert_eq!(words::status_of(&long), None);
}

#[test]
fn the_key_is_searched_for_before_the_cut() {
    let key = "sk-upstream-canary";
    let secret = Secret::new(Some(key));
    let escaped = key.bytes().fold(String::new(), |escaped, byte| escaped + &format!("\\u{byte:04x}"));
    for written in [key, &escaped] {
        for back in 0..=key.len() {
            let before = "x".repeat(MAX_MESSAGE_BYTES - back);
            let code = "y".repeat(MAX_CODE_BYTES - back);
            let body =
                format!(r#"{{"error":{{"message":"{before}{written} is wrong","code":"{code}{written}"}}}}"#);
            let shown = Refusal::read(body.as_bytes()).without(&secret);
            let (message, code) = (shown.message.unwrap(), shown.code.unwrap());
            assert!(message.len() <= MAX_MESSAGE_BYTES && code.len() <= MAX_CODE_BYTES);
            assert!(!message.contains("sk-") && !code.contains("sk-"), "{back}");
        }
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let shown = |message: String| {
        let refusal = Refusal { message: Some(message), ..Refusal::default() };
        refusal.without(&Secret::default()).message.unwrap().len()
    };
    assert_eq!(shown("é".repeat(3000)), MAX_MESSAGE_BYTES);
    assert_eq!(shown(format!("a{}", "é".repeat(3000))), MAX_MESSAGE_BYTES - 1);
}
