//! The HTTP status behind a word, for an upstream that gives only a word.

/// Longer texts are sentences, which are never searched for words.
const MAX_WORD_BYTES: usize = 96;

/// Parts of words, in small letters and digits alone, and the status of an error that is called so. The first one that
/// the word contains decides, so the special ones come before the general ones (`InternalError.Timeout`,
/// `invalid_api_key`).
const STATUSES: &[(&str, u16)] = &[
    // Of the rate and of quotas. DashScope's `Throttling.AllocationQuota`, OpenAI's `insufficient_quota`, Google's
    // `RESOURCE_EXHAUSTED`, Volcengine's `RequestBurstTooFast`.
    ("throttl", 429),
    ("ratelimit", 429),
    ("toomanyrequests", 429),
    ("limitrequests", 429),
    ("requestlimit", 429),
    ("rateexceeded", 429),
    ("limitburst", 429),
    ("bursttoofast", 429),
    ("resourceexhausted", 429),
    ("quota", 429),
    ("setlimitexceeded", 429),
    ("inflightbatchsize", 429),
    ("concurrency", 429),
    // Of time, before `InternalError` and the like.
    ("timeout", 504),
    ("timedout", 504),
    ("deadlineexceeded", 504),
    // Of the account.
    ("arrear", 402),
    ("overdue", 402),
    ("insufficientbalance", 402),
    ("insufficientfunds", 402),
    ("notenoughbalance", 402),
    ("paymentrequired", 402),
    ("billing", 402),
    // Of the key, before `invalid…`.
    ("apikey", 401),
    ("unauthenticated", 401),
    ("unauthorized", 401),
    ("authentication", 401),
    ("invalidtoken", 401),
    ("accessdenied", 403),
    ("permission", 403),
    ("forbidden", 403),
    ("purchased", 403),
    ("operationdenied", 403),
    ("deactivated", 403),
    // Of the request's size and text.
    ("toolarge", 413),
    ("contextl", 400),
    ("contextwindow", 400),
    ("outofcontext", 400),
    ("maxlength", 400),
    ("maxtoken", 400),
    ("toolong", 400),
    ("inspection", 400),
    ("contentfilter", 400),
    ("contentpolicy", 400),
    ("sensitive", 400),
    ("moderation", 400),
    // Of the model.
    ("notfound", 404),
    ("notexist", 404),
    // Of the request in general.
    ("unprocessable", 422),
    ("validation", 422),
    ("unsupported", 400),
    ("notsupported", 400),
    ("missing", 400),
    ("badrequest", 400),
    ("failedprecondition", 400),
    ("invalid", 400),
    // Of the upstream's own state.
    ("overloaded", 503),
    ("unavailable", 503),
    ("modelserving", 503),
    ("busy", 503),
    ("capacity", 503),
    ("systemresource", 503),
    ("network", 502),
    ("connection", 502),
    ("internal", 500),
    ("servererror", 500),
    ("systemerror", 500),
    ("apierror", 500),
];

/// Zhipu's numbers, which it gives as strings in `error.code`.
const NUMBERS: &[(&str, u16)] = &[
    ("1000", 401),
    ("1001", 401),
    ("1002", 401),
    ("1003", 401),
    ("1004", 401),
    ("1112", 403),
    ("1113", 429),
    ("1210", 400),
    ("1211", 404),
    ("1213", 400),
    ("1214", 400),
    ("1220", 403),
    ("1221", 404),
    ("1230", 500),
    ("1234", 502),
    ("1261", 400),
    ("1301", 400),
    ("1302", 429),
    ("1303", 429),
    ("1304", 429),
    ("1305", 429),
    ("1308", 429),
];

/// `base_resp.status_code` of MiniMax.
const MINIMAX: &[(u64, u16)] = &[
    (1001, 504),
    (1002, 429),
    (1004, 401),
    (1008, 402),
    (1026, 400),
    (1027, 400),
    (1039, 429),
    (1041, 429),
    (1042, 400),
    (2013, 400),
    (2045, 429),
    (2049, 401),
    (2056, 429),
];
/// What any other number of MiniMax's is: a failure of its own.
const MINIMAX_OTHER: u16 = 500;

/// The status that a word names; none where it names none, or is a sentence.
pub(super) fn status_of(word: &str) -> Option<u16> {
    if word.len() > MAX_WORD_BYTES || word.contains(char::is_whitespace) {
        return None;
    }
    let letters: String =
        word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    if letters.bytes().all(|letter| letter.is_ascii_digit()) {
        return NUMBERS.iter().find(|(number, _)| *number == letters).map(|(_, status)| *status);
    }
    STATUSES.iter().find(|(part, _)| letters.contains(part)).map(|(_, status)| *status)
}

/// The status that a message begins with, as `litellm.RateLimitError: …` does.
pub(super) fn status_of_head(message: &str) -> Option<u16> {
    let (word, rest) = message.split_once(':').unwrap_or((message, ""));
    // One word of small letters may be the first of any sentence.
    let is_a_name =
        word.contains(['_', '.']) || word.chars().skip(1).any(char::is_uppercase) || rest.is_empty();
    if is_a_name { status_of(word) } else { None }
}

/// The status behind a number of MiniMax's; none for 0, which is a success.
pub(super) fn status_of_base_resp(number: u64) -> Option<u16> {
    let status =
        MINIMAX.iter().find(|(known, _)| *known == number).map_or(MINIMAX_OTHER, |(_, status)| *status);
    (number != 0).then_some(status)
}
