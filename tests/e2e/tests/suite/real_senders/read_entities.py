"""Reads entities out of the bodies of real senders, independently of the product, and compares.

Standard input: a list of {"rule": {"filter"?, "entity"}, "force_list": [...], "bodies": [{"file", "kind"}],
"listed": ["<JSON text of a page of the API's entities>"]}. A kind is json, form or xml. Standard output: for each
{"statuses": [per body: refused, processed, filtered or failed], "entities": n, "differences": [...]}.

With the argument `to-xml` each is {"bodies", "folder"}, and its JSON files are written into that folder as XML.
"""

import json
import os
import re
import sys
import urllib.parse
import xml.etree.ElementTree as ET


class Number(str):
    """A number as it is written: no digit is lost, and 1 is not 1.0."""


def no_constant(name):
    raise ValueError(name)


def read_json(text):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=no_constant)


def read_form(text):
    form = {}
    for name, value in urllib.parse.parse_qsl(text.strip("\n"), keep_blank_values=True):
        form.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in form.items()}


def read_xml(element, force_list):
    members = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        value = read_xml(child, force_list)
        if child.tag in members:
            if not isinstance(members[child.tag], list):
                members[child.tag] = [members[child.tag]]
            members[child.tag].append(value)
        else:
            members[child.tag] = [value] if child.tag in force_list else value
    text = "".join([element.text or ""] + [child.tail or "" for child in element])
    if not members:
        return text
    text = text.strip() if len(element) else text
    if text:
        members["#text"] = text
    return members


def payload_of(body, force_list):
    with open(body["file"], "rb") as file:
        raw = file.read()
    if body["kind"] == "form":
        return read_form(raw.decode())
    if body["kind"] == "xml":
        root = ET.fromstring(raw)
        return {root.tag: read_xml(root, force_list)}
    return read_json(raw.decode("utf-8-sig"))


STEP = re.compile(r"\.([A-Za-z0-9_@-]+)|\[(\*|\d+)\]")


def select(node, path):
    nodes = [node]
    for name, index in STEP.findall(path):
        found = []
        for node in nodes:
            if name and isinstance(node, dict) and name in node:
                found.append(node[name])
            elif index == "*" and isinstance(node, (list, dict)):
                found.extend(node if isinstance(node, list) else node.values())
            elif index not in ("", "*") and isinstance(node, list) and int(index) < len(node):
                found.append(node[int(index)])
        nodes = found
    return nodes


def scalar(value):
    if value is None or value == "" or isinstance(value, (list, dict)):
        return None
    return json.dumps(value) if isinstance(value, bool) else str(value)


def as_json(value):
    return value if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def unique_id(part, rule):
    if isinstance(rule, str):
        found = select(part, rule)
        return scalar(found[0]) if len(found) == 1 else None
    parts = [select(part, path) for path in rule]
    if any(len(found) != 1 or isinstance(found[0], (list, dict)) for found in parts):
        return None
    if any(found[0] is None for found in parts):
        return None
    return "[" + ",".join(as_json(found[0]) for found in parts) + "]"


def same(left, right):
    if isinstance(left, Number) or isinstance(right, (int, float)) and not isinstance(right, bool):
        return isinstance(left, Number) and float(left) == float(right)
    return type(left) is type(right) and left == right


def is_more(left, right):
    return isinstance(left, Number) and float(left) > right


OPERATORS = {
    "eq": lambda nodes, value: any(same(node, value) for node in nodes),
    "ne": lambda nodes, value: any(not same(node, value) for node in nodes),
    "in": lambda nodes, value: any(same(node, one) for node in nodes for one in value),
    "gt": lambda nodes, value: any(is_more(node, value) for node in nodes),
    "exists": lambda nodes, value: bool(nodes) == value,
}


def accepts(condition, payload):
    if "all" in condition:
        return all(accepts(one, payload) for one in condition["all"])
    if "any" in condition:
        return any(accepts(one, payload) for one in condition["any"])
    if "not" in condition:
        return not accepts(condition["not"], payload)
    return OPERATORS[condition["op"]](select(payload, condition["path"]), condition["value"])


def entities_of(payload, rules):
    """The entities, and whether anything was missing."""
    found = select(payload, rules["path"])
    missing, entities = not found, []
    for part in [part for node in found for part in (node if isinstance(node, list) else [node])]:
        identity = unique_id(part, rules["unique_id"])
        if identity is None:
            missing = True
            continue
        titles = select(part, rules["title"])
        fields = {}
        for name, path in rules.get("fields", {}).items():
            values = select(part, path)
            if values:
                fields[name] = values[0] if len(values) == 1 else values
        title = scalar(titles[0]) if titles else None
        entities.append((identity, {"title": title, "fields": fields, "data": part}))
    return entities, missing


def compare(given):
    rule, force_list = given["rule"], given.get("force_list", [])
    statuses, expected = [], {}
    for body in given["bodies"]:
        try:
            payload = payload_of(body, force_list)
        except ValueError:
            statuses.append("refused")
            continue
        if rule.get("filter") and not accepts(rule["filter"], payload):
            statuses.append("filtered")
            continue
        entities, missing = entities_of(payload, rule["entity"])
        statuses.append("failed" if missing and not entities else "processed")
        expected.update(entities)
    listed = [one for page in given["listed"] for one in read_json(page)["items"]]
    actual = {one["unique_id"]: {key: one[key] for key in ("title", "fields", "data")} for one in listed}
    differences = [f"{one} is missing" for one in expected.keys() - actual.keys()]
    differences += [f"{one} is not in the bodies" for one in actual.keys() - expected.keys()]
    for one in expected.keys() & actual.keys():
        if exact(expected[one]) != exact(actual[one]):
            differences.append(f"{one}: expected {exact(expected[one])[:300]}, got {exact(actual[one])[:300]}")
    return {"statuses": statuses, "entities": len(expected), "differences": differences}


def exact(value):
    """A text that is equal where the values are: numbers by their digits, members in their order."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{exact(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(exact(one) for one in value) + "]"
    return as_json(value)


NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ATTRIBUTES = ("node_id", "created_at")


def to_element(tag, value):
    element = ET.Element(tag)
    if isinstance(value, dict):
        for name, member in value.items():
            name = re.sub("[^A-Za-z0-9_-]", "_", name)
            name = name if re.match("[A-Za-z_]", name) else "_" + name
            if name in ATTRIBUTES and isinstance(member, str):
                element.set(name, NOT_IN_XML.sub("", re.sub(r"\s", " ", member)))
                continue
            for item in member if isinstance(member, list) else [member]:
                element.append(to_element(name, item))
    elif isinstance(value, list):
        for item in value:
            element.append(to_element("item", item))
    elif value is not None:
        text = str(value) if not isinstance(value, bool) else json.dumps(value)
        element.text = NOT_IN_XML.sub("", text).replace("\r", "\n")
    return element


def write_xml(given):
    written = []
    for number, body in enumerate(given["bodies"]):
        try:
            payload = payload_of(body, [])
        except ValueError:
            continue
        file = os.path.join(given["folder"], f"{number}.xml")
        ET.ElementTree(to_element("event", payload)).write(file, encoding="utf-8", xml_declaration=True)
        written.append({"file": file, "kind": "xml"})
    return written


if __name__ == "__main__":
    act = write_xml if sys.argv[1:] == ["to-xml"] else compare
    json.dump([act(given) for given in json.load(sys.stdin)], sys.stdout)
