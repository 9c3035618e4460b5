"""One operation in the words of OpenAPI 3.1, put together from a few."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Schema = Mapping[str, object]

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
OPEN: tuple[str, ...] = ()
"""Security of what anyone may ask."""
CLIENT = ("client_secret_basic", "client_in_body")
"""Of endpoints at which a client says who it is; the second stands for all ways that are parameters of the body."""
TOKEN = ("bearer", "dpop", "x_api_key", "x_goog_api_key")


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def text(description: str = "", **more: object) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def record(required: str = "", **properties: object) -> Schema:
    """An object; `required` names members, separated by spaces."""
    return {"type": "object", "properties": properties, **({"required": required.split()} if required else {})}


@dataclass(frozen=True, slots=True)
class Operation:
    summary: str
    tag: str
    security: tuple[str, ...] = OPEN
    body: Mapping[str, Schema] = field(default_factory=dict)
    """By media type."""
    query: Schema = field(default_factory=dict)
    """Parameters in the address, as the members of an object."""
    answers: Mapping[int, tuple[str, Mapping[str, Schema]]] = field(default_factory=dict)
    """By status: what it means, and its body by media type."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """Statuses with an error in its usual shape."""
    error: str = "Error"
    """The schema of that shape."""

    def to_wire(self, path: str, operation_id: str) -> dict[str, object]:
        told: dict[str, object] = {"operationId": operation_id, "summary": self.summary, "tags": [self.tag]}
        if parameters := [*_in_path(path), *_in_query(self.query)]:
            told["parameters"] = parameters
        if self.body:
            told["requestBody"] = {"required": True, "content": _content(self.body)}
        told["responses"] = {
            **{str(status): _answer(*answer) for status, answer in self.answers.items()},
            **{str(status): _answer(why, {JSON: ref(self.error)}) for status, why in self.errors.items()},
        }
        told["security"] = [{name: []} for name in self.security]
        return told


def _content(bodies: Mapping[str, Schema]) -> dict[str, object]:
    return {kind: {"schema": schema} for kind, schema in bodies.items()}


def _answer(description: str, bodies: Mapping[str, Schema]) -> dict[str, object]:
    return {"description": description, **({"content": _content(bodies)} if bodies else {})}


def names_in(path: str) -> list[str]:
    """The names of its templates."""
    return [piece.partition("}")[0] for piece in path.split("{")[1:]]


def _in_path(path: str) -> list[dict[str, object]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names_in(path)]


def _in_query(schema: Schema) -> list[dict[str, object]]:
    members, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(members, Mapping) or not isinstance(required, list):
        raise TypeError("a query is described as the members of an object")
    return [
        {"name": name, "in": "query", "required": name in required, "schema": member}
        for name, member in members.items()
    ]
