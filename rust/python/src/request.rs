//! `ChatRequest`, `PreparedRequest`.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use llmgw_core::answer::context::{AnswerMode, Vectors};
use llmgw_core::answer::think::ReasoningTags;
use llmgw_core::api::native::{self, Native};
use llmgw_core::api::reply::{Converted, Reply};
use llmgw_core::api::{Api, messages, responses};
use llmgw_core::json::edit::{Piece, joined};
use llmgw_core::request::error::RequestError;
use llmgw_core::request::{self as core, LONG_BODY_BYTES, ThinkingOutcome};
use llmgw_core::seal::Seal as CoreSeal;
use llmgw_core::turn::key::{Said, TurnKey, TurnKeys, scope_of};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::{guard, request_error, runtime_error, value_error};
use crate::facts::RequestFacts;
use crate::gil::without_gil_if_large;
use crate::route::Route;

/// Seals reasoning for one client, and opens it.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Seal(CoreSeal);

#[pymethods]
impl Seal {
    #[new]
    fn new(secret: &[u8], client: &[u8]) -> PyResult<Self> {
        let secret = secret.try_into().map_err(|_| value_error("a seal's secret has 32 bytes"))?;
        let seal = CoreSeal::new(secret, client);
        seal.map(Self).ok_or_else(|| value_error("a seal's secret has 32 bytes"))
    }
}

/// A body as ASGI brings it, whole or in pieces, which can be read while other Python threads run.
pub(crate) struct Body(Vec<PyBackedBytes>);

impl<'py> FromPyObject<'_, 'py> for Body {
    type Error = PyErr;

    /// By its type: a derived one tries `bytes` first, and makes an exception of each list before it reads it.
    fn extract(argument: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if argument.is_instance_of::<PyBytes>() {
            return Ok(Self(vec![argument.extract()?]));
        }
        Ok(Self(argument.extract()?))
    }
}

/// Without the byte order mark that some editors and shells put before JSON, and that no upstream takes.
fn without_mark(mut body: Bytes) -> Bytes {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if body.starts_with(MARK) {
        body.advance(MARK.len());
    }
    body
}

/// The second copy of a body on its way, and the last: the first made Python's bytes of what came.
fn joined_body(pieces: &[PyBackedBytes]) -> Bytes {
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
    Bytes::from(pieces.concat())
}

/// A body in one piece, and what its scan found.
pub(crate) fn scanned<Request: Send>(
    py: Python<'_>,
    Body(pieces): Body,
    scan: fn(&[u8]) -> Result<Request, RequestError>,
) -> PyResult<(Bytes, Request)> {
    guard(|| {
        let size = pieces.iter().map(|piece| piece.len()).sum();
        let (body, request) = without_gil_if_large(py, size, || {
            let body = without_mark(joined_body(&pieces));
            let request = scan(&body);
            (body, request)
        });
        let request = request.map_err(|error| request_error(py, &error))?;
        Ok((body, request))
    })
}

/// What a Responses body asks for: model, whether it wants a stream, and the answer after which it goes on.
#[pyfunction]
pub(crate) fn responses_head(py: Python<'_>, body: Body) -> PyResult<(String, bool, Option<String>)> {
    let (_, head) = scanned(py, body, responses::head)?;
    Ok((head.model, head.stream, head.previous_response_id))
}

/// A rewritten body: slices of the client's and what comes between them; short ones joined.
pub(crate) fn assembled(body: &Bytes, pieces: Option<Vec<Piece>>) -> Vec<Bytes> {
    let Some(pieces) = pieces else { return vec![body.clone()] };
    if body.len() < LONG_BODY_BYTES {
        return vec![Bytes::from(joined(&pieces, body))];
    }
    let bytes = |piece| match piece {
        Piece::Kept(span) => body.slice(span.start..span.end),
        Piece::New(Cow::Borrowed(text)) => Bytes::from_static(text),
        Piece::New(Cow::Owned(text)) => Bytes::from(text),
    };
    pieces.into_iter().map(bytes).collect()
}

/// One scan of a chat-completions body: what the gateway reads, and where it stands.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct ChatRequest {
    /// Not Python's own: tokio sends slices of it, and the last reference to a Python object must not be dropped on a
    /// thread that must never wait for the interpreter.
    body: Bytes,
    request: core::ChatRequest,
    /// In which API's words the client is answered.
    pub(crate) reply: Reply,
    dropped: Arc<[String]>,
    /// The body as the client wrote it, where that is of another API: for upstreams that speak it.
    own: Option<(Native, Bytes)>,
    kept_items: Option<Vec<u8>>,
}

#[pymethods]
impl ChatRequest {
    #[new]
    fn new(py: Python<'_>, body: Body) -> PyResult<Self> {
        let (body, request) = scanned(py, body, core::ChatRequest::scan)?;
        let (reply, dropped) = (Reply::default(), Arc::default());
        Ok(Self { body, request, reply, dropped, own: None, kept_items: None })
    }

    #[staticmethod]
    #[pyo3(signature = (body, *, seal=None, keep_cache_control_of=Vec::new()),
           text_signature = "(body, *, seal=None, keep_cache_control_of=())")]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 extracts a sequence only into an owned one")]
    fn from_messages(
        py: Python<'_>,
        body: Body,
        seal: Option<&Seal>,
        keep_cache_control_of: Vec<String>,
    ) -> PyResult<Self> {
        let keep_marks_of = &keep_cache_control_of;
        let convert = |body: &[u8], seal: Option<&CoreSeal>| {
            messages::convert(body, messages::Options { seal, keep_marks_of })
        };
        Self::converted(py, body, seal, Native::Messages, convert)
    }

    #[staticmethod]
    #[pyo3(signature = (body, *, seal=None, keeps=false, kept_items=None))]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 extracts bytes only into an owned one")]
    fn from_responses(
        py: Python<'_>,
        body: Body,
        seal: Option<&Seal>,
        keeps: bool,
        kept_items: Option<PyBackedBytes>,
    ) -> PyResult<Self> {
        let keeping = match &kept_items {
            Some(items) => responses::Keeping::GoingOn(items),
            None if keeps => responses::Keeping::New,
            None => responses::Keeping::Nothing,
        };
        let convert = |body: &[u8], seal: Option<&CoreSeal>| responses::convert_keeping(body, seal, keeping);
        let mut request = Self::converted(py, body, seal, Native::Responses, convert)?;
        if kept_items.is_some() {
            // Sent as it is, it would be answered without what came before.
            request.own = None;
        }
        Ok(request)
    }

    #[getter]
    fn kept_items<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.kept_items.as_ref().map(|items| PyBytes::new(py, items))
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    #[getter]
    fn dropped(&self) -> Vec<&str> {
        self.dropped.iter().map(String::as_str).collect()
    }

    #[getter]
    fn input_tokens(&self) -> Option<u64> {
        match &self.reply {
            Reply::Messages(reply) => Some(reply.input_tokens),
            Reply::AsAsked | Reply::Responses(_) => None,
        }
    }

    #[getter]
    fn model(&self) -> &str {
        &self.request.model
    }

    #[getter]
    fn stream(&self) -> bool {
        self.request.stream
    }

    #[getter]
    fn thinking(&self) -> Option<bool> {
        self.request.thinking()
    }

    #[getter]
    fn thinking_field(&self) -> Option<&'static str> {
        self.request.thinking_field()
    }

    #[getter]
    fn size_bytes(&self) -> usize {
        self.body.len()
    }

    #[getter]
    fn facts(&self) -> RequestFacts {
        (&self.request.facts).into()
    }

    #[getter]
    fn prompt_cache_key(&self) -> Option<&str> {
        self.request.session.cache_key.as_deref()
    }

    #[getter]
    fn client_session(&self) -> Option<&str> {
        self.request.session.client.as_deref()
    }

    fn opening_digest(&self) -> Option<u64> {
        self.request.opening_digest(&self.body)
    }

    fn lost_turns(&self, route: &Route) -> usize {
        self.request.lost_turns(&self.body, &route.core)
    }

    #[allow(clippy::needless_pass_by_value, reason = "PyO3 extracts a sequence only into an owned one")]
    fn lost_turn_keys<'py>(
        &self,
        py: Python<'py>,
        client: &[u8],
        routes: Vec<PyRef<'py, Route>>,
    ) -> PyResult<Vec<LostTurn<'py>>> {
        guard(|| {
            let scopes = scopes(client, &routes);
            let body = &self.body;
            let keys = without_gil_if_large(py, body.len(), || self.request.lost_turn_keys(body, &scopes));
            Ok(keys.iter().map(|turn| lost_turn(py, turn)).collect())
        })
    }

    #[getter]
    fn media(&self) -> Vec<(&'static str, &str)> {
        let media = self.request.media.iter();
        media.map(|(modality, place)| (modality.as_str(), place.as_str())).collect()
    }

    fn count_tokens(&self, py: Python<'_>, route: &Route) -> PyResult<PreparedRequest> {
        guard(|| match self.untouched(py, route, &[])? {
            Some((Native::Messages, own, rewrite)) => {
                let rewrite = core::Rewrite { mode: AnswerMode::Plain, ..rewrite };
                Ok(PreparedRequest::without_reasoning(Api::CountTokens, own, rewrite, route))
            }
            _ => Err(value_error("this route does not speak Messages, or the body is of another API")),
        })
    }

    #[pyo3(signature = (route, *, reasoning=Vec::new()), text_signature = "($self, route, *, reasoning=())")]
    #[allow(clippy::needless_pass_by_value, reason = "PyO3 extracts a sequence only into an owned one")]
    fn rewrite(
        &self,
        py: Python<'_>,
        route: &Route,
        reasoning: Vec<Option<PyBackedBytes>>,
    ) -> PyResult<PreparedRequest> {
        guard(|| {
            let body = &self.body;
            let reasoning: Vec<_> = reasoning.iter().map(Option::as_deref).collect();
            let size = body.len() + reasoning.iter().flatten().map(|text| text.len()).sum::<usize>();
            if let Some((api, own, rewrite)) = self.untouched(py, route, &reasoning)? {
                return Ok(PreparedRequest::with_reasoning(Api::Native(api), own, rewrite, route));
            }
            let rewrite =
                without_gil_if_large(py, size, || self.request.splice(body, &route.core, &reasoning));
            let (reply, dropped) = (self.reply.clone(), Arc::clone(&self.dropped));
            let prepared = PreparedRequest::with_reasoning(Api::Chat, body, rewrite, route);
            Ok(PreparedRequest { reply, dropped, ..prepared })
        })
    }
}

impl ChatRequest {
    /// The client's own body for a route that speaks its API.
    fn untouched(
        &self,
        py: Python<'_>,
        route: &Route,
        reasoning: &[Option<&[u8]>],
    ) -> PyResult<Option<(Native, &Bytes, core::Rewrite)>> {
        let Some((api, own)) = self.own.as_ref().filter(|(api, _)| route.speaks.contains(api)) else {
            return Ok(None);
        };
        let kept = reasoning.iter().flatten().map(|text| text.len()).sum::<usize>();
        let chat = native::request::InChat { request: &self.request, body: &self.body, reasoning };
        let rewrite = without_gil_if_large(py, self.body.len() + own.len() + kept, || {
            native::request::splice(*api, own, &route.core, chat)
        });
        let rewrite = rewrite.map_err(|_| runtime_error("a converted body is a JSON object"))?;
        Ok(Some((*api, own, rewrite)))
    }

    /// A body of another API.
    fn converted(
        py: Python<'_>,
        Body(pieces): Body,
        seal: Option<&Seal>,
        api: Native,
        convert: impl Fn(&[u8], Option<&CoreSeal>) -> Result<Converted, RequestError> + Sync,
    ) -> PyResult<Self> {
        guard(|| {
            let size = pieces.iter().map(|piece| piece.len()).sum();
            let converted = without_gil_if_large(py, size, || {
                let own = without_mark(joined_body(&pieces));
                let Converted { chat, reply, dropped, media, user, kept_items } =
                    convert(&own, seal.map(|seal| &seal.0))?;
                let mut request = core::ChatRequest::scan(&chat)?;
                // A client is told of places in its own body.
                for (modality, place) in &mut request.media {
                    if let Some((_, own)) = media.iter().find(|(known, _)| known == modality) {
                        place.clone_from(own);
                    }
                }
                request.facts.user = request.facts.user.or(user);
                let own = Some((api, own));
                Ok(Self { body: chat.into(), request, reply, dropped: dropped.into(), own, kept_items })
            });
            converted.map_err(|error| request_error(py, &error))
        })
    }

    /// What a turn of the answer to this request is kept under.
    pub(crate) fn turn_keys(&self, py: Python<'_>, scope: &TurnKey, said: &Said) -> TurnKeys {
        without_gil_if_large(py, self.body.len(), || self.request.turn_keys(&self.body, scope, said))
    }
}

/// Of each provider, where a turn may be kept; and hints to where else.
type LostTurn<'py> = (Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

fn lost_turn<'py>(py: Python<'py>, scopes: &[TurnKeys]) -> LostTurn<'py> {
    let bytes = |key: &TurnKey| PyBytes::new(py, key);
    let hints = scopes.iter().flat_map(|keys| &keys.hints);
    (scopes.iter().map(|keys| bytes(&keys.own)).collect(), hints.map(bytes).collect())
}

/// One for each provider among the routes that want reasoning.
fn scopes(client: &[u8], routes: &[PyRef<'_, Route>]) -> Vec<TurnKey> {
    let mut scopes = Vec::new();
    for route in routes.iter().filter(|route| route.core.restore_reasoning) {
        let scope = scope_of(client, &route.provider);
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// A rewritten body, ready to be sent.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct PreparedRequest {
    /// Shared with every exchange that sends it: a retry copies nothing.
    pub(crate) body: Vec<Bytes>,
    pub(crate) api: Api,
    pub(crate) mode: AnswerMode,
    pub(crate) thinking: Option<ThinkingOutcome>,
    pub(crate) upstream_model: String,
    pub(crate) reasoning_tags: ReasoningTags,
    pub(crate) keep_reasoning: bool,
    pub(crate) provider: Arc<str>,
    pub(crate) restored: usize,
    pub(crate) reply: Reply,
    /// What a conversion left out of this body.
    pub(crate) dropped: Arc<[String]>,
    /// The form of an embedding's numbers.
    pub(crate) vectors: Vectors,
}

impl PreparedRequest {
    /// One for an API that may have some.
    fn with_reasoning(api: Api, body: &Bytes, rewrite: core::Rewrite, route: &Route) -> Self {
        Self {
            thinking: rewrite.thinking,
            reasoning_tags: route.reasoning_tags,
            keep_reasoning: route.core.restore_reasoning,
            provider: Arc::clone(&route.provider),
            restored: rewrite.restored,
            ..Self::without_reasoning(api, body, rewrite, route)
        }
    }

    /// One for an API that has no reasoning.
    pub(crate) fn without_reasoning(api: Api, body: &Bytes, rewrite: core::Rewrite, route: &Route) -> Self {
        Self {
            body: assembled(body, rewrite.body),
            api,
            mode: rewrite.mode,
            thinking: None,
            upstream_model: route.core.upstream_model.clone(),
            reasoning_tags: ReasoningTags::None,
            keep_reasoning: false,
            provider: Arc::default(),
            restored: 0,
            reply: Reply::default(),
            dropped: Arc::default(),
            vectors: Vectors::default(),
        }
    }
}

#[pymethods]
impl PreparedRequest {
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body.concat())
    }

    #[getter]
    fn api(&self) -> &'static str {
        match self.api {
            Api::Chat => "chat",
            Api::Completions => "completions",
            Api::Embeddings => "embeddings",
            Api::Rerank => "rerank",
            Api::Native(api) => api.as_str(),
            Api::CountTokens => "count_tokens",
        }
    }

    #[getter]
    fn mode(&self) -> &'static str {
        self.mode.as_str()
    }

    #[getter]
    fn thinking_asked(&self) -> Option<&'static str> {
        self.thinking.map(ThinkingOutcome::asked_as_str)
    }

    #[getter]
    fn thinking_sent(&self) -> Option<&'static str> {
        self.thinking.map(|outcome| outcome.sent.as_str())
    }

    #[getter]
    fn keeps_reasoning(&self) -> bool {
        self.keep_reasoning
    }

    #[getter]
    fn restored(&self) -> usize {
        self.restored
    }

    #[getter]
    fn dropped(&self) -> Vec<&str> {
        self.dropped.iter().map(String::as_str).collect()
    }
}
