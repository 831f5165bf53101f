"""YAML that a person wrote: a key given twice is a mistake, not the last one's victory."""

from __future__ import annotations

from typing import Any

import yaml


def parse(text: str) -> Any:
    """As `yaml.safe_load`; raises `yaml.YAMLError` also where a mapping has a key twice."""
    return yaml.load(text, _OnceOnly)


class _OnceOnly(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            # `2` and `"2"` are one key to whoever reads the mapping as numbers.
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is given twice: keep one", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)
