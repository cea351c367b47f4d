"""Warm-up, run inside the engine's container as its startup probe: succeeds once the engine has answered a request."""

import json
import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

address, model = sys.argv[1:]


def ask(method: str, path: str, body: str = "") -> int:
    """The status code of the answer, read to its end."""
    key = os.environ.get("VLLM_API_KEY", "")
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    connection = HTTPConnection(address, timeout=55)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


try:
    health = ask("GET", "/health")
    if health != HTTPStatus.OK:
        sys.exit(f"/health answered {health}")
    warm = ask("POST", "/v1/completions", json.dumps({"model": model, "prompt": "Hello", "max_tokens": 1}))
    # An engine that completes no text, such as one for embeddings, has nothing to warm up with this request.
    if warm not in {200, 400, 404, 405, 501}:
        sys.exit(f"the warm-up request was answered {warm}")
except ValueError:
    sys.exit("the API key cannot stand in a header: its Secret must hold one line without a line break")
except (OSError, HTTPException) as error:
    sys.exit(f"not ready: {error}")
