"""What Schemathesis cannot make up: ids that exist, who asks, numbers and pages that answer. And XML, which it does
not read: an answer must be well-formed and of the root, the attributes and the children that its schema has.

Every second request is given what exists; the others stay as they were made up, and so does what is wrong on purpose.
"""

import hashlib
import itertools
import json
import os
import xml.etree.ElementTree as ElementTree

import schemathesis
import urllib3
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["OUTDIAL_KNOWN"]) as file:
    KNOWN = json.load(file)
# What stands for a field, wherever it is in a body.
FIELDS = {
    "number": "+12125550142", "destination": "tel:+12125550143;ani=8005550199", "phone_number": "+12125550144",
    "caller_id": "+18005550199", "vxml_url": KNOWN["page"], "start_url": KNOWN["page"], "result_url": KNOWN["page"],
    "url": KNOWN["page"], "redirect_page": KNOWN["page"], "csv": "destination,name\n+12125550145,Ann\nnone,Bo\n",
    "phone_list": "+12125550146\torder-9\tname=Ann\nnone\torder-10\n", "metadata": '{"name":"Ann"}',
    "rest_calls": '[{"to":"+12125550147","from":"+18005550199"}]', "scheduled_time": "+3 days",
    "expiration_time": "+5 days",
}


# Every request comes from an address of its own: who is wrong too often from one of them is told to wait (429), and is
# not told any more whether he may come in.
_SOURCES = itertools.count(2)
_CONNECT = urllib3.util.connection.create_connection


def connect(address, timeout=None, source_address=None, socket_options=None):
    number = next(_SOURCES)
    source = f"127.{1 + number // 65536 % 254}.{number // 256 % 256}.{number % 256}"
    return _CONNECT(address, timeout, (source, 0), socket_options)


urllib3.util.connection.create_connection = connect
urllib3.connectionpool.HTTPConnectionPool._put_conn = lambda pool, connection: connection and connection.close()


def in_path(path, name):
    if path.startswith("/api/apps/"):
        return {"application_id": "12", "deployment_id": "34"}[name]
    if name == "call_id":
        return KNOWN["calls"][0]
    if name == "attempt":
        return "1"
    if name == "list":
        return KNOWN["list"]
    if name == "number":
        return KNOWN["number"]
    if name == "name":
        return KNOWN["service"]
    for start, known in [
        ("/v1/calls/", KNOWN["calls"][1]), ("/v1/contacts/", KNOWN["calls"][2]), ("/v1/campaigns/", KNOWN["campaign"]),
        ("/v1/webhooks/", KNOWN["webhook"]), ("/v1/imports/", KNOWN["import"]), ("/v1/deployments/", "35"),
        # Not who asks: its key would open nothing any more.
        ("/v1/accounts/", "2"),
    ]:
        if path.startswith(start):
            return known
    return None


def chosen(case, salt):
    """Whether this request is one of the every second."""
    text = f"{salt}{case.operation.label}{case.path_parameters}{case.query}{case.body!r}"
    return hashlib.sha256(text.encode(errors="replace")).digest()[0] % 2 == 0


def is_right(case, place):
    meta = case.meta
    component = meta and meta.components.get(place)
    return component is None or component.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    # Chains of requests have their own ids.
    if case.meta and case.meta.phase.name.value == "stateful":
        return
    if case.path_parameters and is_right(case, ParameterLocation.PATH) and chosen(case, "path"):
        for name in list(case.path_parameters):
            known = in_path(path, name)
            if known is not None:
                case.path_parameters[name] = known
    body = case.body if isinstance(case.body, dict) else None
    if body is None:
        return
    if "/webservice/" in path and chosen(case, "who") and {"login", "pin"} <= body.keys():
        if all(isinstance(body[name], str) and body[name] for name in ("login", "pin")):
            body.update(login=KNOWN["login"], pin=KNOWN["pin"])
    if is_right(case, ParameterLocation.BODY) and chosen(case, "body"):
        for name in FIELDS.keys() & body.keys():
            if isinstance(body[name], str):
                body[name] = FIELDS[name]
        for name in {"vxml_url", "start_url", "result_url"} & body.keys():
            body[name] = KNOWN["page"]


def resolved(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def fits(document, element, schema, place):
    """Fails where an element is not as its schema says."""
    schema = resolved(document, schema)
    choices = schema.get("anyOf")
    if choices:
        faults = []
        for choice in choices:
            try:
                return fits(document, element, choice, place)
            except AssertionError as fault:
                faults.append(str(fault))
        raise AssertionError("; ".join(faults))
    if schema.get("type") != "object":
        assert not len(element), f"{place}: has children"
        return None
    properties, attributes = {}, {}
    for name, below in schema["properties"].items():
        below = resolved(document, below)
        xml = below.get("xml", {})
        (attributes if xml.get("attribute") else properties)[xml.get("name", name) if xml.get("attribute") else name] = below
    unknown = element.attrib.keys() - attributes.keys()
    assert not unknown, f"{place}: attributes {unknown} are not documented"
    for name, value in element.attrib.items():
        words = attributes[name].get("enum")
        assert not words or value in words, f"{place}: {name} is {value}"
    children = {child.tag for child in element}
    unknown = children - properties.keys()
    assert not unknown, f"{place}: elements {unknown} are not documented"
    missing = set(schema.get("required", [])) - children - set(element.attrib)
    assert not missing, f"{place}: {missing} are missing"
    for child in element:
        below = properties[child.tag]
        if below.get("type") == "array" and below.get("xml", {}).get("wrapped"):
            for item in child:
                fits(document, item, below["items"], f"{place}/{child.tag}/{item.tag}")
        else:
            below = below["items"] if below.get("type") == "array" else below
            fits(document, child, below, f"{place}/{child.tag}")
    return None


@schemathesis.check
def xml_conformance(ctx, response, case):
    """Answers in XML are as their schemas say."""
    kind = (response.headers.get("content-type") or [""])[0].split(";")[0]
    if kind not in ("text/xml", "application/xml"):
        return None
    document = case.operation.schema.raw_schema
    operation = document["paths"][case.operation.path][case.operation.method.lower()]
    documented = operation["responses"].get(str(response.status_code), {}).get("content", {}).get(kind)
    if not documented:
        return None
    root = ElementTree.fromstring(response.content)
    schema = resolved(document, documented["schema"])
    names = {resolved(document, choice).get("xml", {}).get("name") for choice in schema.get("anyOf", [schema])}
    assert root.tag in names, f"the root is {root.tag}, documented are {names}"
    fits(document, root, schema, root.tag)
    return None


@schemathesis.check
def plum_takes_nothing_wrong(ctx, response, case):
    """Its scripts refuse with status 200: the document says so."""
    if "/webservice/" not in case.operation.path or response.status_code != 200 or not case.meta:
        return None
    body = case.meta.components.get(ParameterLocation.BODY)
    if body and body.mode.is_negative:
        root = ElementTree.fromstring(response.content)
        assert root.attrib["status"] == "failed", "what is wrong was queued"
    return None
