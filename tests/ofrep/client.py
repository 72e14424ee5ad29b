"""Asks an edge through the OpenFeature provider for OFREP, and prints what came of it: one JSON object for each flag."""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext


def main(url: str, key: str) -> None:
    api.set_provider(OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {key}"}))
    client = api.get_client()
    context = EvaluationContext("u-override", {"anonymous_id": "a-1", "country": "US", "list": ["x", 1.5]})
    long_key = EvaluationContext("x" * 300)
    asked = [
        ("float", client.get_float_details("ratio", 7.5, context)),
        ("object", client.get_object_details("checkout", {}, context)),
        ("string", client.get_string_details("visitors", "mine", context)),
        ("boolean", client.get_boolean_details("killed", True, context)),
        ("without a context", client.get_boolean_details("new_nav", True)),
        ("without a value", client.get_string_details("nothing", "mine", context)),
        ("an integer", client.get_integer_details("ratio", 7, context)),
        ("missing", client.get_string_details("missing", "mine", context)),
        ("a long key", client.get_string_details("visitors", "mine", long_key)),
    ]
    for what, details in asked:
        print(json.dumps({
            "what": what,
            "value": details.value,
            "variant": details.variant,
            "reason": details.reason,
            "error": details.error_code,
            "metadata": dict(details.flag_metadata),
        }))


main(*sys.argv[1:])
