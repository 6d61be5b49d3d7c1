import json

import pytest

SERVERLESS = "openai/gpt-oss-20b"
PLAIN = {"reasoning": {"enabled": False}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
}


def chat(sim, text="repeat: Hello there friend", *, model=SERVERLESS, status=200, **fields):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **PLAIN, **fields}
    return sim.send("POST", "/v1/chat/completions", body, status=status)


def stream(sim, text="repeat: Hello there friend", *, model=SERVERLESS, **fields):
    """Return (chunks, whether [DONE] came, answer)."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        **PLAIN,
        **fields,
    }
    answer = sim.ask("POST", "/v1/chat/completions", body)
    assert answer.status_code == 200, answer.text
    lines = answer.text.split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data: ") for line in lines)
    payloads = [line.removeprefix("data: ") for line in lines]
    done = payloads[-1] == "[DONE]"
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"], done, answer


def joined(chunks, name):
    return "".join(c["choices"][0]["delta"].get(name) or "" for c in chunks if c.get("choices"))


def test_a_whole_answer(sim):
    answer = chat(sim)

    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Hello there friend", "tool_calls": []}
    assert choice["finish_reason"] == "stop"
    assert answer["object"] == "chat.completion"
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 3


def test_a_stream_has_the_documented_order(sim):
    chunks, done, answer = stream(sim)

    role, *deltas, finish, usage = chunks
    assert answer.headers["content-type"] == "text/event-stream;charset=utf-8"
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "usage" not in role
    assert [delta["choices"][0]["delta"]["content"] for delta in deltas] == ["Hello", " there", " friend"]
    assert {delta["choices"][0]["finish_reason"] for delta in deltas} == {None}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert done


def test_reasoning_comes_before_the_answer(sim):
    chunks, _, _ = stream(sim, reasoning={"enabled": True})

    first_content = next(
        i for i, c in enumerate(chunks) if c["choices"] and c["choices"][0]["delta"]["content"]
    )
    reasoning = [
        i for i, c in enumerate(chunks) if c["choices"] and c["choices"][0]["delta"].get("reasoning")
    ]
    assert reasoning
    assert max(reasoning) < first_content
    assert chunks[-1]["usage"]["reasoning_tokens"] == len(reasoning)
    assert chat(sim, reasoning={"enabled": True})["choices"][0]["message"]["reasoning"]


def test_a_model_that_reasons_does_so_unasked(sim):
    assert "reasoning" in chat(sim, reasoning=None)["choices"][0]["message"]
    assert "reasoning" not in chat(sim, model="Qwen/Qwen3.5-9B-FP8")["choices"][0]["message"]


def test_a_tool_is_called_whole_and_in_pieces(sim):
    whole = chat(sim, "Weather?", tools=[WEATHER])["choices"][0]
    chunks, _, _ = stream(sim, "Weather?", tools=[WEATHER])
    calls = [
        call for c in chunks if c.get("choices") for call in c["choices"][0]["delta"].get("tool_calls", [])
    ]

    assert whole["finish_reason"] == "tool_calls"
    arguments = json.loads(whole["message"]["tool_calls"][0]["function"]["arguments"])
    assert set(arguments) == {"city", "days"}
    head, *more = calls
    assert head["function"] == {"name": "get_weather", "arguments": ""}
    assert head["id"].startswith("call_")
    assert {(call["id"], call["function"]["name"], call["index"]) for call in more} == {(None, None, 0)}
    assert json.loads("".join(call["function"]["arguments"] for call in more)) == arguments
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_tools_can_be_forbidden_and_their_answer_is_used(sim):
    assert chat(sim, tools=[WEATHER], tool_choice="none")["choices"][0]["finish_reason"] == "stop"
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "tool", "content": "Sunny", "tool_call_id": "x"},
    ]
    body = {"model": SERVERLESS, "messages": messages, "tools": [WEATHER]}

    answer = sim.send("POST", "/v1/chat/completions", body)

    assert answer["choices"][0]["finish_reason"] == "stop"


def test_json_mode_answers_json_that_fits_the_schema(sim):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "score": {"type": "number"},
            "level": {"enum": ["low", "high"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    formats = [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        {"type": "json_schema", "schema": schema},
    ]
    for response_format in formats:
        value = json.loads(chat(sim, response_format=response_format)["choices"][0]["message"]["content"])
        assert isinstance(value["name"], str)
        assert isinstance(value["score"], float)
        assert value["level"] in {"low", "high"}
        assert isinstance(value["tags"], list)

    free = chat(sim, response_format={"type": "json_object"})["choices"][0]["message"]["content"]
    assert isinstance(json.loads(free), dict)


def test_limits_cut_the_answer(sim):
    short = chat(sim, max_tokens=2)
    assert short["choices"][0]["message"]["content"] == "Hello there"
    assert short["choices"][0]["finish_reason"] == "length"
    assert chat(sim, stop=[" friend"])["choices"][0]["message"]["content"] == "Hello there"
    assert len(chat(sim, "Tell me", n=3)["choices"]) == 3


def test_the_same_question_gets_the_same_answer(sim):
    def text(question):
        return chat(sim, question)["choices"][0]["message"]["content"]

    assert text("Why?") == text("Why?") != text("How?")


def test_errors_in_the_middle_of_a_stream(sim):
    sim.admin("POST", "/faults", {"kind": "stream_error", "times": 1})
    chunks, done, _ = stream(sim)
    assert chunks[-1]["error"]["type"] == "server_error"
    assert joined(chunks, "content") == "Hello"
    assert not done

    sim.admin("POST", "/faults", {"kind": "stream_cut", "times": 1})
    chunks, done, _ = stream(sim)
    assert "error" not in chunks[-1]
    assert not done
    assert [generation["state"] for generation in sim.admin("GET", "/generations")] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("nobody/nothing", 404, "model_not_available"),
        ("deepseek-ai/DeepSeek-V3.1", 400, "model_not_available"),
    ],
)
def test_models_that_cannot_answer(sim, model, status, code):
    refusal = chat(sim, model=model, status=status)

    assert refusal["error"]["code"] == code
    assert refusal["id"].startswith("req-")


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": [{"role": "king"}]},
        {"n": 99},
        {"max_tokens": -1},
        {"response_format": {"type": "x"}},
    ],
)
def test_requests_that_cannot_be_are_refused(sim, fields):
    chat(sim, status=400, **fields)


def test_a_prompt_beyond_the_context_is_refused_unless_it_may_be_cut(sim):
    chat(sim, "word " * 200_000, status=403)
    chat(sim, "word " * 200_000, context_length_exceeded_behavior="truncate", max_tokens=1)


def test_a_dedicated_endpoint_needs_a_split_and_a_ready_deployment(sim):
    endpoint_id = sim.create_endpoint()
    assert chat(sim, model="fernhill-support/bot", status=400)["error"]["code"] == "endpoint_not_configured"

    deployment_id = sim.create_deployment(endpoint_id)
    split = [{"deploymentId": deployment_id, "weight": 1}]
    sim.send("PATCH", f"{sim.base}/{endpoint_id}", {"trafficSplit": split})
    assert chat(sim, model="fernhill-support/bot", status=503)["error"]["code"] == "routing_error"

    sim.advance(600)
    assert chat(sim, model="fernhill-support/bot")["model"] == "fernhill-support/bot"
    assert chat(sim, model="fernhill-support/bot/main")["choices"]


def test_a_chat_is_traffic_of_its_deployment(sim):
    ids = sim.start_deployment(inactiveTimeout=30)
    sim.advance(29 * 60)
    answer = chat(sim, model="fernhill-support/bot")
    sim.advance(29 * 60)

    metrics = sim.get(f"{sim.base}/{ids[0]}/analytics")["metrics"]
    assert sim.state(ids) == "READY"
    assert metrics["requestMetrics"]["totalRequests"] == "1"
    assert metrics["tokenMetrics"]["totalInputTokens"] == str(answer["usage"]["prompt_tokens"])
    assert metrics["tokenMetrics"]["totalOutputTokens"] == "3"


def test_v1_endpoints_answer_while_they_run(sim):
    running, stopped = sim.add_legacy(), sim.add_legacy("STOPPED")

    assert chat(sim, model=f"fernhill/{running}")["choices"]
    chat(sim, model=f"fernhill/{stopped}", status=400)
