"""Writes tincan/_methods.py from the methods that the `peer` program serves.

    peer rpc --schema | python3 generate.py            writes it
    peer rpc --schema | python3 generate.py --check    fails if it is not as it would be written
"""

from __future__ import annotations

import json
import keyword
import sys
import textwrap
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "tincan" / "_methods.py"
WIDTH = 110

HEAD = '''"""The methods of a peer and their objects. Made by generate.py from `peer rpc --schema`: do not change it by hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, Optional, TypedDict, Union, cast
'''

Schema = dict[str, Any]


def main() -> int:
    document = json.load(sys.stdin)
    text = module(document)
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() != text:
            print(f"{TARGET.name} is not what the schema says: run `peer rpc --schema | python3 generate.py`", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


def module(document: Schema) -> str:
    shapes = document["components"]["schemas"]
    parts = [HEAD]
    # Unions name classes, which so stand before them.
    parts += [shape(name, one) for name, one in shapes.items() if not is_union(one) and not is_choice(one)]
    choices = [shape(name, one) for name, one in shapes.items() if is_choice(one)]
    parts[1:1] = choices
    parts += [part for name, one in shapes.items() if is_union(one) for part in union(name, one, shapes)]
    parts.append(methods(document["methods"]))
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def is_union(schema: Schema) -> bool:
    return "anyOf" in schema


def is_choice(schema: Schema) -> bool:
    return schema.get("type") == "string" or all("const" in one for one in schema.get("oneOf", [{}]))


def shape(name: str, schema: Schema) -> str:
    if is_choice(schema):
        return f"{comment(schema)}{name} = {kind(schema)}"
    return klass(name, schema)


def klass(name: str, schema: Schema) -> str:
    """An object. The functional form: some of its fields have names that Python keeps for itself."""
    required = set(schema.get("required", []))
    lines = [f"{name} = TypedDict(", f'    "{name}",', "    {"]
    for field, one in schema.get("properties", {}).items():
        lines += [f"        # {line}" for line in wrapped(one.get("description", ""), WIDTH - 10)]
        value = kind(one) if field in required or is_nullable(one) else f"NotRequired[{kind(one)}]"
        lines.append(f'        "{field}": "{quoted(value)}",')
    lines += ["    },", ")"]
    return comment(schema) + "\n".join(lines)


def union(name: str, schema: Schema, shapes: dict[str, Schema]) -> list[str]:
    """One of several objects, each with the fields that all have beside their own."""
    members = [ref(one) for one in schema["anyOf"]]
    own = schema.get("properties")
    parts = []
    if own:
        for member in members:
            base = shapes[member]
            merged = {
                "description": base.get("description", ""),
                "properties": {**own, **base["properties"]},
                "required": [*schema.get("required", []), *base.get("required", [])],
            }
            parts.append(klass(f"Logged{member}", merged))
        members = [f"Logged{member}" for member in members]
    listed = ",\n    ".join(members)
    parts.append(f"{comment(schema)}{name} = Union[\n    {listed},\n]")
    return parts


def methods(all_methods: list[Schema]) -> str:
    lines = [
        "class Methods(ABC):",
        '    """What a peer can be asked for."""',
        "",
        "    @abstractmethod",
        "    def call(self, method: str, params: Mapping[str, Any]) -> Any:",
        '        """Calls a method by its name."""',
    ]
    for method in all_methods:
        lines += ["", *definition(method)]
    return "\n".join(lines)


def definition(method: Schema) -> list[str]:
    params = sorted(method["params"], key=lambda one: not one["required"])
    answer = kind(method["result"]["schema"])
    head = ["self"]
    if params:
        head.append("*")
    for one in params:
        value = kind(one["schema"])
        if one["required"]:
            head.append(f"{python_name(one['name'])}: {value}")
        else:
            value = value if value.startswith("Optional[") else f"Optional[{value}]"
            head.append(f"{python_name(one['name'])}: {value} = None")
    signature = f"    def {python_name(method['name'])}({', '.join(head)}) -> {answer}:"
    lines = [signature]
    described = wrapped(method.get("summary", ""), WIDTH - 12)
    fields = [
        f"{python_name(one['name'])}: {' '.join(one['description'].split())}" for one in params if one.get("description")
    ]
    doc = described + ([""] if fields else []) + [part for one in fields for part in wrapped(one, WIDTH - 10, "    ")]
    lines.append(f'        """{doc[0]}' + ('"""' if len(doc) == 1 else ""))
    if len(doc) > 1:
        lines += [f"        {line}".rstrip() for line in doc[1:]]
        lines.append('        """')
    given = ", ".join(f'"{one["name"]}": {python_name(one["name"])}' for one in params)
    lines.append(f'        return cast("{quoted(answer)}", self.call("{method["name"]}", {{{given}}}))')
    return lines


def kind(schema: Any) -> str:
    """A schema as a type."""
    if schema is True or schema == {}:
        return "Any"
    if "$ref" in schema:
        return ref(schema)
    if "const" in schema:
        return f"Literal[{json.dumps(schema['const'])}]"
    if "enum" in schema:
        return f"Literal[{', '.join(map(json.dumps, schema['enum']))}]"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return one_of(schema[several])
    types = schema.get("type")
    if isinstance(types, list):
        others = [one for one in types if one != "null"]
        return f"Optional[{kind({**schema, 'type': others[0]})}]"
    if types == "array":
        return f"list[{kind(schema.get('items', {}))}]"
    return {
        "string": "str",
        "integer": "int",
        "number": "float",
        "boolean": "bool",
        "null": "None",
        "object": "dict[str, Any]",
    }[types]


def one_of(schemas: list[Schema]) -> str:
    if all("const" in one for one in schemas):
        return f"Literal[{', '.join(json.dumps(one['const']) for one in schemas)}]"
    others = [kind(one) for one in schemas if one.get("type") != "null"]
    union_of = others[0] if len(others) == 1 else f"Union[{', '.join(others)}]"
    return f"Optional[{union_of}]" if len(others) < len(schemas) else union_of


def is_nullable(schema: Any) -> bool:
    """Fields that may be null are always there."""
    return kind(schema).startswith("Optional[")


def ref(schema: Schema) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[-1]


def python_name(name: str) -> str:
    name = name.replace(".", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def quoted(value: str) -> str:
    return value.replace('"', "'")


def comment(schema: Schema) -> str:
    return "".join(f"# {line}\n" for line in wrapped(schema.get("description", ""), WIDTH - 2))


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, subsequent_indent=indent)


if __name__ == "__main__":
    sys.exit(main())
