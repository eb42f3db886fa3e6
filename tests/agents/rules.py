"""What every provider of chat completions wants of a conversation, beside the rules of each family."""

from llmgw.simulator.model import JsonObject, Refusal, RefusalError


def check(messages: list[JsonObject]) -> None:
    """Raises RefusalError, in the words of the real ones, where calls and results do not belong together."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise _refusal(
                    f"messages[{index}]: Messages with role 'tool' must be a response to a preceding message "
                    "with 'tool_calls'"
                )
            open_calls.remove(str(message["tool_call_id"]))
            continue
        if open_calls:
            raise _refusal(
                f"messages[{index}]: An assistant message with 'tool_calls' must be followed by tool "
                f"messages responding to each 'tool_call_id'. (insufficient: {open_calls})"
            )
        if message.get("role") == "assistant":
            open_calls = [str(call.get("id")) for call in message.get("tool_calls") or []]
            if not open_calls and not message.get("content"):
                raise _refusal(f"messages[{index}]: assistant must have content or tool_calls")
    if open_calls:
        raise _refusal(f"the last calls have no results: {open_calls}")


def joined(messages: list[JsonObject]) -> list[JsonObject]:
    """The same conversation with the calls of one answer in one message: in Responses each is an item."""
    told: list[JsonObject] = []
    for message in messages:
        before = told[-1] if told else {}
        if message.get("tool_calls") and before.get("role") == "assistant":
            calls = [*(before.get("tool_calls") or ()), *message["tool_calls"]]
            told[-1] = {**before, "tool_calls": calls}
        else:
            told.append(message)
    return told


def _refusal(message: str) -> RefusalError:
    return RefusalError(Refusal.INVALID_REQUEST, message)
