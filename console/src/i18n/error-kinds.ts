import { language } from "../lib/preferences.ts";
import { type Texts, texts, textsOf } from "./texts.ts";

/** What a kind of failure is called, what happened, and what to do. */
export type KindWords = {
  name: string;
  what: string;
};

/** By whom a request fails. */
export type Culprit = "gateway" | "client" | "upstream";

type Words = Record<string, KindWords>;

function of(name: string, what: string): KindWords {
  return { name, what };
}

/** Refused by the gateway: the codes of docs/api.md, "Errors". */
const GATEWAY = texts(
  {
    invalid_json: of("not JSON", "The body is not JSON in UTF-8: check what the client sends."),
    invalid_encoding: of("damaged body", "The body is not what its content-encoding says, or is cut off."),
    invalid_type: of("wrong type", "A field has the wrong type; the error named it. Fix the client."),
    missing_field: of("field missing", "A required field, such as model or messages, is absent."),
    duplicate_field: of("field twice", "A field that the gateway reads occurs twice in the body."),
    wrong_api: of("wrong API", "The body belongs to another API, or the model is of another kind."),
    unsupported_value: of("unsupported value", "The gateway can't serve this value; the error named it."),
    previous_response_not_found: of(
      "earlier response gone",
      "previous_response_id names a response that is not kept: send the conversation, or raise [responses] keep_s.",
    ),
    too_deep: of("nested too deep", "The body is nested deeper than 128 levels."),
    unsupported_modality: of(
      "no such input",
      "The model takes no images, video, audio or files. Use one that does, or list input_modalities in its config.",
    ),
    unsupported_thinking_mode: of(
      "thinking mode missing",
      'The switch asked for a thinking mode that the model lacks. Leave it out, or set thinking_fallback = "drop".',
    ),
    invalid_host: of(
      "bad host header",
      "The host header is missing, repeated or malformed: check the proxy.",
    ),
    missing_api_key: of("no key", "The request had no key."),
    invalid_api_key: of("unknown key", "The key is unknown or revoked: give the client another one."),
    expired_api_key: of("expired key", "The key has expired or was rotated: give the client the new one."),
    blocked_api_key: of("blocked key", "The key or its project is blocked: unblock it, if that is over."),
    model_not_allowed: of("model not allowed", "The key may not use this model: change the key's models."),
    unpriced_model: of(
      "model without a price",
      "A budget of money binds the key, and the model has no price: add one, or see [prices] unpriced.",
    ),
    wrong_key_kind: of("wrong kind of key", "An admin key can't call models: use a model key."),
    model_not_found: of("no such model", "The config has no model of this name: look for a typing error."),
    not_found: of("no such path", "There is no such path: check the client's base URL."),
    method_not_allowed: of("wrong method", "The path takes another HTTP method."),
    request_timeout: of("body too slow", "The body did not arrive in time: the client's line may be slow."),
    body_too_large: of("body too large", "The body is larger than the gateway accepts: send less at once."),
    unsupported_encoding: of("unknown encoding", "The body is packed in a way other than gzip or zstd."),
    websocket_unsupported: of("no WebSocket", "The client wanted a WebSocket; it must use POST."),
    head_too_large: of("head too large", "The request's headers are too many or too large."),
    rate_limit_exceeded: of(
      "limit reached",
      "A limit of the key, its project, its user or the model was full: ask more slowly, or raise the limit.",
    ),
    insufficient_quota: of(
      "budget used up",
      "A budget of the key, its project or its user is used up: wait for its next window, or raise it.",
    ),
    upstream_rate_limited: of("provider's rate limit", "The provider limits the rate of requests."),
    internal_error: of("defect", "The gateway itself failed: please report it with the request id."),
    upstream_error: of("provider failed", "The provider failed, or sent something that is not an answer."),
    upstream_unreachable: of("provider unreachable", "The gateway could not connect to the provider."),
    overloaded: of("overloaded", "The provider or the gateway was at one of its limits: try again later."),
    upstream_timeout: of("provider too slow", "The provider did not answer in time."),
    ledger_failed: of(
      "ledger not written",
      'The answer was complete, but with durability = "strict" its row could not be stored: check the database.',
    ),
  },
  {
    invalid_json: of("不是 JSON", "请求体不是 UTF-8 编码的 JSON，请检查客户端发出的内容。"),
    invalid_encoding: of("请求体损坏", "请求体与 content-encoding 不符，或者不完整。"),
    invalid_type: of("类型错误", "某个字段的类型不对，错误信息里写明了是哪一个。请修改客户端。"),
    missing_field: of("缺少字段", "缺少必填字段，例如 model 或 messages。"),
    duplicate_field: of("字段重复", "网关要读取的字段在请求体里出现了两次。"),
    wrong_api: of("用错接口", "请求体属于另一种 API，或者模型是另一类。"),
    unsupported_value: of("不支持的值", "网关无法处理这个值，错误信息里写明了是哪一个。"),
    previous_response_not_found: of(
      "找不到之前的回答",
      "previous_response_id 指向的回答没有保留：请直接发送完整对话，或者调大 [responses] keep_s。",
    ),
    too_deep: of("嵌套过深", "请求体的嵌套超过 128 层。"),
    unsupported_modality: of(
      "不支持这种输入",
      "这个模型不接受图片、视频、音频或文件。请换一个模型，或者在配置里写上 input_modalities。",
    ),
    unsupported_thinking_mode: of(
      "没有这种思考模式",
      '思考开关要求了模型没有的模式。去掉开关，或者设置 thinking_fallback = "drop"。',
    ),
    invalid_host: of("host 头有误", "host 头缺失、重复或格式不对，请检查代理。"),
    missing_api_key: of("没有密钥", "请求没有带密钥。"),
    invalid_api_key: of("密钥无效", "密钥不存在或已吊销，请给客户端换一个。"),
    expired_api_key: of("密钥过期", "密钥已过期或已轮换，请给客户端换上新的。"),
    blocked_api_key: of("密钥被停用", "密钥或所属项目已被停用；如果问题已经解决，可以重新启用。"),
    model_not_allowed: of("模型未授权", "这个密钥不能使用该模型，可以修改密钥的可用模型。"),
    unpriced_model: of(
      "模型没有价格",
      "密钥受金额预算约束，而模型没有价格：请补上价格，或参考 [prices] unpriced。",
    ),
    wrong_key_kind: of("密钥类型不对", "管理密钥不能调用模型，请使用模型密钥。"),
    model_not_found: of("没有这个模型", "配置里没有这个名字的模型，请检查拼写。"),
    not_found: of("没有这个路径", "路径不存在，请检查客户端的 base URL。"),
    method_not_allowed: of("方法不对", "这个路径要用别的 HTTP 方法。"),
    request_timeout: of("请求体太慢", "请求体没有按时传完，可能是客户端的网络太慢。"),
    body_too_large: of("请求体过大", "请求体超过网关的上限，请分批发送。"),
    unsupported_encoding: of("不支持的压缩", "请求体用了 gzip、zstd 以外的压缩方式。"),
    websocket_unsupported: of("不支持 WebSocket", "客户端想用 WebSocket，请改用 POST。"),
    head_too_large: of("请求头过大", "请求头太多或太大。"),
    rate_limit_exceeded: of("达到限额", "密钥、项目、用户或模型的限额已满：请放慢速度，或者调高限额。"),
    insufficient_quota: of("预算用完", "密钥、项目或用户的预算已用完：等下一个周期，或者调高预算。"),
    upstream_rate_limited: of("服务商限流", "服务商限制了请求速度。"),
    internal_error: of("网关缺陷", "网关自身出错，请带上请求 ID 反馈给我们。"),
    upstream_error: of("服务商出错", "服务商出错，或者返回的不是回答。"),
    upstream_unreachable: of("连不上服务商", "网关无法连接服务商。"),
    overloaded: of("过载", "服务商或网关已达到上限，请稍后重试。"),
    upstream_timeout: of("服务商太慢", "服务商没有按时回答。"),
    ledger_failed: of(
      "用量记录写入失败",
      '回答已经生成，但在 durability = "strict" 下没能写入用量记录，请检查数据库。',
    ),
  },
);

const CLIENT = texts(
  {
    client_gone: of(
      "client left",
      "The client closed the connection, as a Stop button does. Nothing to fix.",
    ),
    client_stalled: of("client stalled", "The client stopped reading its answer, and was let go."),
  },
  {
    client_gone: of("客户端断开", "客户端关闭了连接，例如用户按了“停止”。无须处理。"),
    client_stalled: of("客户端停止读取", "客户端长时间不读取回答，连接已被关闭。"),
  },
);

/** What an exchange with an upstream fails with (`_core.UpstreamError.kind`). */
const UPSTREAM = texts(
  {
    unreachable: of("unreachable", "No connection could be made: check the network, the address and DNS."),
    connect_timeout: of("no connection in time", "The upstream did not accept a connection in time."),
    first_event_timeout: of(
      "too slow to begin",
      "The answer did not begin in time: the provider is slow, or first_event_timeout_s is too short for the model.",
    ),
    idle_timeout: of("fell silent", "The upstream fell silent in the middle of its answer (idle_timeout_s)."),
    total_timeout: of("took too long", "The answer was not finished in time (total_timeout_s)."),
    status: of("error status", "The upstream answered with an error status; its own words are below."),
    redirect: of("redirect", "The upstream answered with a redirect: base_url is probably wrong."),
    content_type: of(
      "not an answer",
      "The upstream sent another content type: base_url may lead to a web page.",
    ),
    content_encoding: of("unexpected packing", "The upstream packed its answer, though it was told not to."),
    protocol: of("not HTTP", "The upstream does not speak HTTP: check base_url and its port."),
    error_event: of("error in the stream", "The upstream reported an error instead of an answer."),
    invalid_event: of("invalid answer", "What the upstream sent is not a valid answer."),
    event_too_large: of("event too large", "One event of the answer was larger than the gateway accepts."),
    too_large: of("answer too large", "The whole answer was larger than the gateway accepts."),
    truncated: of("broke off", "The upstream ended its answer before it was complete."),
    reset: of("connection broke", "The connection to the upstream broke."),
    aborted: of("aborted", "The request was ended before the upstream answered."),
    draining: of("gateway stopped", "The gateway stopped or restarted meanwhile: the client may try again."),
    panic: of("defect", "The gateway itself failed: please report it with the request id."),
  },
  {
    unreachable: of("连不上", "没有建立连接，请检查网络、地址和 DNS。"),
    connect_timeout: of("连接超时", "上游没有按时接受连接。"),
    first_event_timeout: of(
      "首个事件超时",
      "回答没有按时开始：服务商太慢，或者 first_event_timeout_s 对这个模型太短。",
    ),
    idle_timeout: of("中途没有响应", "上游在回答途中不再发送内容（idle_timeout_s）。"),
    total_timeout: of("总时长超时", "回答没有按时结束（total_timeout_s）。"),
    status: of("错误状态码", "上游返回了错误状态码，原文见下。"),
    redirect: of("重定向", "上游返回了重定向，base_url 很可能写错了。"),
    content_type: of("不是回答", "上游返回了别的内容类型，base_url 可能指向了网页。"),
    content_encoding: of("意外的压缩", "上游压缩了回答，尽管已要求不压缩。"),
    protocol: of("不是 HTTP", "上游说的不是 HTTP，请检查 base_url 和端口。"),
    error_event: of("流中报错", "上游报告了错误，没有给出回答。"),
    invalid_event: of("回答无效", "上游发来的内容不是有效的回答。"),
    event_too_large: of("事件过大", "回答中的一个事件超过了网关的上限。"),
    too_large: of("回答过大", "整个回答超过了网关的上限。"),
    truncated: of("回答不完整", "上游没有发完回答就结束了。"),
    reset: of("连接中断", "与上游的连接断开了。"),
    aborted: of("已中止", "上游还没有回答，请求就已结束。"),
    draining: of("网关停止", "网关在此期间停止或重启，客户端可以重试。"),
    panic: of("网关缺陷", "网关自身出错，请带上请求 ID 反馈给我们。"),
  },
);

/** What an upstream's error status means, by the status that the client got for it (`llmgw.routing.verdict`). */
const STATUS = texts(
  {
    refused: of(
      "provider refused it",
      "The provider refused the request, and says why below. Fix what the client sends.",
    ),
    limited: of(
      "provider's rate limit",
      "The provider limits the rate of requests: ask more slowly, or add another target.",
    ),
    failed: of(
      "provider failed",
      "The provider failed, or refuses the gateway's own account: what it says is below.",
    ),
    overloaded: of(
      "provider overloaded",
      "The provider is overloaded: try again later, or add another target.",
    ),
    slow: of("provider too slow", "The provider gave up on the request after too long a time."),
  },
  {
    refused: of("服务商拒绝", "服务商拒绝了请求，原因见下。请修改客户端发送的内容。"),
    limited: of("服务商限流", "服务商限制了请求速度：请放慢速度，或者增加目标。"),
    failed: of("服务商出错", "服务商出错，或者拒绝了网关自己的账号，原话见下。"),
    overloaded: of("服务商过载", "服务商已过载：请稍后重试，或者增加目标。"),
    slow: of("服务商太慢", "服务商处理太久，放弃了请求。"),
  },
);

function statusWords(status: number): KindWords {
  const t = textsOf(STATUS);
  if (status === 429) return t.limited;
  if (status === 503) return t.overloaded;
  if (status === 504) return t.slow;
  return status < 500 ? t.refused : t.failed;
}

/** Why a request failed whose client got this status; null: this console is older than the kind. */
export function failureWords(kind: string, status: number): KindWords | null {
  return kind === "status" && status >= 400 ? statusWords(status) : kindWords(kind);
}

const BY_CULPRIT: Record<Culprit, Texts<Words>> = { gateway: GATEWAY, client: CLIENT, upstream: UPSTREAM };
const CULPRITS: readonly Culprit[] = ["gateway", "client", "upstream"];

/** All kinds, in the order in which they are worth looking for. */
export const KINDS_BY_CULPRIT: readonly (readonly [Culprit, readonly string[]])[] = CULPRITS.map(
  (culprit) => [culprit, Object.keys(BY_CULPRIT[culprit].en)],
);

/** A kind of failure in the viewer's language; null: this console is older than the kind. */
export function kindWords(kind: string): KindWords | null {
  for (const culprit of CULPRITS) {
    const words = textsOf(BY_CULPRIT[culprit])[kind];
    if (words !== undefined) return words;
  }
  return null;
}

/** What a kind is called; its own name where there is no better one. */
export function kindName(kind: string): string {
  return kindWords(kind)?.name ?? kind;
}

/** Why nothing could be connected to, in the gateway's words (`llmgw.pipeline.failure`). */
const CAUSES: Record<string, string> = {
  "DNS: the name can't be resolved": "DNS：域名无法解析",
  "connection refused": "连接被拒绝",
  "no route to the host": "没有到主机的路由",
  "closed while connecting": "连接过程中被关闭",
  "no socket left on this machine": "本机没有可用的 socket",
  "TLS: unknown issuer": "TLS：证书签发者未知",
  "TLS: the certificate is not valid at this time": "TLS：证书不在有效期内",
  "TLS: the certificate is for another name": "TLS：证书属于别的域名",
  "TLS: bad certificate": "TLS：证书无效",
  "TLS: the server does not speak it": "TLS：服务器不支持",
  "TLS: no agreement with the server": "TLS：与服务器协商失败",
  "no connection": "没有连接",
};

/** The same in the viewer's language. */
export function causeWords(cause: string): string {
  return language.value === "zh" ? (CAUSES[cause] ?? cause) : cause;
}
